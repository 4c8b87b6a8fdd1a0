"""The cheapest client there is, the same for both sides: a blocking socket that counts bytes and throws them away.

As a program it pours in a process of its own, so that what it does is not taken for the server's slowness:
`python -m tests.bench.client PORT PATH SECONDS`.
"""

import http.client
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """Seconds to the first and the last byte, and how many there were, head included."""

    first_s: float
    last_s: float
    size_bytes: int


def fetch(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
) -> Fetched:
    """One request on a connection of its own, read to its end."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    buffer = bytearray(BLOCK_BYTES)
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        size = connection.recv_into(buffer)
        first = time.perf_counter() - started
        status = bytes(buffer[:16]).split(b" ")[1:2]
        if status != [b"200"]:
            raise RuntimeError(f"{method} {path}: {bytes(buffer[:400])!r}")
        while got := connection.recv_into(buffer):
            size += got
    return Fetched(first, time.perf_counter() - started, size)


class Kept:
    """A connection that is kept for one small request after another."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def seconds(self, path: str, headers: Mapping[str, str] | None = None) -> float:
        """How long one took."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers=dict(headers or {}))
        answer = self._connection.getresponse()
        body = answer.read()
        taken = time.perf_counter() - started
        if answer.status != 200:
            raise RuntimeError(f"{path}: HTTP {answer.status} {body[:300]!r}")
        return taken

    def post(self, path: str, body: bytes | IO[bytes] | Iterable[bytes], headers: Mapping[str, str]) -> bytes:
        """Send something; its answer."""
        self._connection.request("POST", path, body=body, headers=dict(headers))
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: HTTP {answer.status} {said[:300]!r}")
        if answer.getheader("Connection", "").lower() == "close":
            self._connection.close()
        return said

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def main() -> None:
    """Pour again and again until the time is over."""
    port, path, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    until = time.perf_counter() + seconds
    size = 0
    while time.perf_counter() < until:
        size += fetch(port, path, {"Accept": AS_STORED}).size_bytes
    print(size)


if __name__ == "__main__":
    main()
