"""SOAP for tests: sinks in memory, a bare envelope, and zeep as a client that fetches nothing."""

from pathlib import Path
from typing import Any

import zeep
from zeep.transports import Transport

from profiles.model.content import Content
from profiles.wire.soap.names import WSA, XDS_B, XOP, S


class MemorySink:
    """A sink whose bytes can be looked at."""

    def __init__(self) -> None:
        self.body = b""

    def write(self, chunk: bytes) -> None:
        self.body += chunk

    def finish(self, media_type: str) -> Content:
        return Content.of(self.body, media_type)


class Sinks(list[MemorySink]):
    """Those that a reader asked for."""

    def __call__(self) -> MemorySink:
        self.append(MemorySink())
        return self[-1]


def envelope(body: str, header: str = "") -> bytes:
    """An envelope around this."""
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{WSA}" xmlns:d="{XDS_B}" xmlns:x="{XOP}">'
        f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


class OfflineTransport(Transport):
    """Reads one file and refuses to go anywhere."""

    def load(self, url: str) -> bytes:
        assert url.startswith("/") and Path(url).exists(), f"the WSDL made a stranger fetch {url}"
        return Path(url).read_bytes()


def client_of(wsdl: bytes, folder: Path) -> Any:
    """A zeep client that believes only this."""
    file = folder / "x.wsdl"
    file.write_bytes(wsdl)
    make: Any = zeep.Client  # it has no types
    transport: Any = OfflineTransport
    settings = zeep.Settings(forbid_dtd=True, forbid_entities=True, forbid_external=True, strict=True)
    return make(str(file), transport=transport(), settings=settings)
