"""Evidence: every exchange as it was on the wire, kept beside the verdict that rests on it.

Each exchange is a pair of files (head and body as they went) and a line in the result. Of a long body the beginning is
kept, with size and SHA-256 of the whole: who has a study already needs no copy of it.
"""

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path

KEPT_BYTES = 256 * 1024


@dataclass(slots=True, kw_only=True)
class Message:
    """One direction. `head` is the status or request line and the headers; `size_bytes` and `sha256` are the body's."""

    head: str = ""
    size_bytes: int = 0
    sha256: str = ""
    file: str = ""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its answer: `began_s` since the run began, `first_byte_ms` and `ms` since the request went out."""

    number: int
    transaction: str
    address: str
    began_s: float
    request: Message = field(default_factory=Message)
    response: Message = field(default_factory=Message)
    first_byte_ms: float | None = None
    ms: float = 0.0
    broke: str = ""  # what the connection did instead of answering


class Recorder:
    """Writes one direction of an exchange as it passes."""

    def __init__(self, message: Message, folder: Path, name: str) -> None:
        """The file is `name` in `folder`."""
        self._message = message
        self._path = folder / name
        self._hash = hashlib.sha256()
        self._kept = bytearray()

    def take(self, chunk: bytes) -> None:
        """What passed."""
        self._message.size_bytes += len(chunk)
        self._hash.update(chunk)
        if len(self._kept) < KEPT_BYTES:
            self._kept += chunk[: KEPT_BYTES - len(self._kept)]

    def close(self) -> None:
        """Write the file; what comes later is not seen."""
        self._message.sha256 = self._hash.hexdigest()
        self._message.file = self._path.name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(f"{self._message.head}\r\n\r\n".encode() + bytes(self._kept))


class Evidence:
    """The exchanges of one case, in order."""

    def __init__(self, folder: Path, started: float) -> None:
        """Files go to `folder`; `started` is `time.perf_counter()` when the run began."""
        self.folder = folder
        self.exchanges: list[Exchange] = []
        self._started = started

    def begin(self, transaction: str, address: str) -> tuple[Exchange, Recorder, Recorder]:
        """A new exchange, with what records its request and its answer."""
        number = len(self.exchanges) + 1
        exchange = Exchange(
            number=number, transaction=transaction, address=address, began_s=time.perf_counter() - self._started
        )
        self.exchanges.append(exchange)
        return (
            exchange,
            Recorder(exchange.request, self.folder, f"{number}-request.txt"),
            Recorder(exchange.response, self.folder, f"{number}-response.txt"),
        )

    def kept(self, what: str, message: bytes) -> None:
        """Something that came by itself, as an exchange without a request."""
        exchange, _, response = self.begin(what, "")
        exchange.response.head = what
        response.take(message)
        response.close()


class Unkept(Evidence):
    """Exchanges are counted and measured, and nothing is written: of a thousand that are alike nobody reads one."""

    def begin(self, transaction: str, address: str) -> tuple[Exchange, Recorder, Recorder]:
        """As evidence does, with recorders that count."""
        exchange, _, _ = super().begin(transaction, address)
        return exchange, _Counter(exchange.request), _Counter(exchange.response)


class _Counter(Recorder):
    def __init__(self, message: Message) -> None:
        self._message = message

    def take(self, chunk: bytes) -> None:
        self._message.size_bytes += len(chunk)

    def close(self) -> None:
        """Nothing was kept."""
