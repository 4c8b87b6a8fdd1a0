"""Readers that take their time, in a process of their own.

`python -m tests.bench.slow_readers PORT PATH COUNT RATE SECONDS`:
the request, `Content-Type` and body, comes on standard input. Each reader takes so many bytes a second with a small window
of its own, so that what it has not taken is the server's to keep. How many have begun is printed when all have.
"""

import asyncio
import socket
import sys

WINDOW_BYTES = 16 * 1024
TAKES_A_SECOND = 5
BEGIN_S = 20.0


async def reader(port: int, request: bytes, rate: int, ends: asyncio.Event, begun: list[int]) -> int:
    """Ask, and take a little now and then until it `ends`; how much it was."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, request)
        taken = await loop.sock_recv(connection, 1024)
        if not taken.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{taken[:300]!r}")
        begun.append(port)
        size = len(taken)
        while not ends.is_set():
            await asyncio.sleep(1 / TAKES_A_SECOND)
            left = rate // TAKES_A_SECOND
            while left > 0 and (taken := await loop.sock_recv(connection, left)):
                left -= len(taken)
                size += len(taken)
        return size


async def read(port: int, path: str, count: int, rate: int, seconds: float, content_type: str, body: bytes) -> None:
    """All of them, for so long after the last has begun; whoever has not begun after `BEGIN_S` is not waited for."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    )
    request = f"{head}\r\n\r\n".encode() + body
    ends, begun = asyncio.Event(), list[int]()
    readers = [asyncio.create_task(reader(port, request, rate, ends, begun)) for _ in range(count)]
    loop = asyncio.get_running_loop()
    until = loop.time() + BEGIN_S
    while len(begun) < count and loop.time() < until and not any(each.done() for each in readers):
        await asyncio.sleep(0.05)
    print(len(begun), flush=True)
    await asyncio.sleep(seconds)
    ends.set()
    _, late = await asyncio.wait(readers, timeout=5.0)
    for each in late:
        each.cancel()
    sizes = await asyncio.gather(*readers, return_exceptions=True)
    print(sum(each for each in sizes if isinstance(each, int)))


def main() -> None:
    """As the words say."""
    port, path, count, rate, seconds = sys.argv[1:]
    content_type, _, body = sys.stdin.buffer.read().partition(b"\n")
    asyncio.run(read(int(port), path, int(count), int(rate), float(seconds), content_type.decode(), body))


if __name__ == "__main__":
    main()
