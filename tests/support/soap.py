"""SOAP for tests: sinks in memory, a bare envelope, and zeep as a client that fetches nothing."""

import re
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from zeep.transports import Transport

from profiles.model.content import Content
from profiles.wire.soap.names import INCLUDE, WSA, XDS_B, XOP, S


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


def inside_of(message: bytes, content_id: str) -> bytes:
    """What stands inside the operation's element of one of our messages; its documents are called this instead."""
    found = re.search(rb"<s:Envelope.*</s:Envelope>", message, re.DOTALL)
    assert found is not None
    operation = etree.fromstring(found[0])[-1][0]
    for include in operation.iter(INCLUDE):
        include.set("href", f"cid:{content_id}")
    return b"".join(etree.tostring(child, with_tail=False) for child in operation)


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
