"""Our multipart codec and SOAP wire beside aiohttp's, in one run; by hand: `python tests/bench/bench_multipart.py`.

Ratios travel between machines, absolute figures do not. Each figure is the best of several rounds: what else the machine
does can only make it slower.
"""

import asyncio
import hashlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp
from aiohttp import web
from lxml import etree

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.peers_soap import SoapCarrier
from gateway.inbound.soap import SoapListener
from gateway.model.peer import Caller, Peer
from profiles.model.content import Part
from profiles.wire.multipart import parts_of, poured
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.mtom import SoapLimits, read_message
from tests.bench.compare import quicker
from tests.support.toy_soap import RETRIEVE, Text, ToyActor, ToyTurns, served

ROUNDS = 5
PART_BYTES = 512 * 1024  # a CT image
PARTS = 400
CHUNK_BYTES = 256 * 1024
BOUNDARY = "MIMEBoundary_0123456789abcdef"
CONTENT_TYPE = f'multipart/related; type="application/xop+xml"; boundary="{BOUNDARY}"'
IMAGE = bytes((position * 2654435761 >> 13) & 0xFF for position in range(PART_BYTES))
HEAD = (
    f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-Transfer-Encoding: binary\r\n"
    "Content-ID: <1.2.3@radgate>\r\n\r\n"
).encode()
BODY = (
    b"".join(HEAD.replace(b"1.2.3", str(number).encode()) + IMAGE + b"\r\n" for number in range(PARTS))
    + f"--{BOUNDARY}--\r\n".encode()
)
TOTAL_BYTES = PART_BYTES * PARTS


async def body_chunks(chunk_bytes: int) -> AsyncIterator[bytes]:
    for at in range(0, len(BODY), chunk_bytes):
        yield BODY[at : at + chunk_bytes]


async def beside(ours: Callable[[], Awaitable[int]], theirs: Callable[[], Awaitable[int]]) -> tuple[float, float]:
    """GB/s of the fastest round of each, taken in turns so that both meet the same machine."""
    fastest = [0.0, 0.0]
    for _ in range(ROUNDS):
        for side, work in enumerate((ours, theirs)):
            started = time.perf_counter()
            done = await work()
            fastest[side] = max(fastest[side], done / (time.perf_counter() - started) / 1e9)
    return fastest[0], fastest[1]


async def ours_read(chunk_bytes: int = CHUNK_BYTES) -> int:
    done = 0
    async for part in parts_of(body_chunks(chunk_bytes), CONTENT_TYPE):
        async for chunk in part.chunks:
            done += len(chunk)
    return done


async def aiohttp_read() -> int:
    protocol = aiohttp.base_protocol.BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())  # a stream without a connection would be at its end
    stream = aiohttp.StreamReader(protocol, limit=CHUNK_BYTES, loop=asyncio.get_running_loop())

    async def feed() -> None:
        async for chunk in body_chunks(CHUNK_BYTES):
            stream.feed_data(chunk)
            await asyncio.sleep(0)
        stream.feed_eof()

    feeding = asyncio.create_task(feed())
    reader, done = aiohttp.MultipartReader({"Content-Type": CONTENT_TYPE}, stream), 0
    async for part in reader:
        while chunk := await part.read_chunk(CHUNK_BYTES):
            done += len(chunk)
    await feeding
    return done


class Counter:
    """A payload writer that only counts."""

    def __init__(self) -> None:
        self.done = 0

    async def write(self, chunk: bytes) -> None:
        self.done += len(chunk)


def image_parts() -> list[Part]:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, PART_BYTES, CHUNK_BYTES):
            yield IMAGE[at : at + CHUNK_BYTES]

    return [Part(key=f"{number}@radgate", media_type="application/dicom", chunks=chunks()) for number in range(PARTS)]


async def ours_write() -> int:
    async def pour() -> AsyncIterator[Part]:
        for part in image_parts():
            yield part

    counter = Counter()
    async for chunk in poured(pour(), BOUNDARY):
        await counter.write(chunk)
    return counter.done


async def aiohttp_write() -> int:
    counter = Counter()
    with aiohttp.MultipartWriter("related", BOUNDARY) as writer:
        for part in image_parts():
            writer.append_payload(aiohttp.AsyncIterablePayload(part.chunks, content_type=part.media_type))
        await writer.write(counter)  # type: ignore[arg-type]
    return counter.done


async def sha1_of_all() -> int:
    digest = hashlib.sha1(usedforsecurity=False)
    async for chunk in body_chunks(CHUNK_BYTES):
        digest.update(chunk)
    return len(BODY)


ENTRIES = 1_000
ENVELOPE = b"".join(
    encode_envelope(
        (
            b'<Answer xmlns="urn:toy">',
            *(
                b'<Entry id="%d"><Slot name="hash"><Value>da39a3ee5e6b4b0d3255bfef95601890afd80709</Value></Slot>'
                % number
                + b'<Slot name="size"><Value>524288</Value></Slot>' * 20
                + b"</Entry>"
                for number in range(ENTRIES)
            ),
            b"</Answer>",
        ),
        action="urn:toy:Answer",
        message_id="urn:uuid:1",
    )
)


async def ours_envelope() -> int:
    """An answer of a thousand entries, as it comes."""

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(ENVELOPE), 64 * 1024):
            yield ENVELOPE[at : at + 64 * 1024]

    message = await read_message(chunks(), "application/soap+xml", limits=SoapLimits(), new_sink=forbidden)
    assert len(message.body) == ENTRIES
    return len(ENVELOPE)


async def lxml_envelope() -> int:
    """The same, whole, without looking at it."""
    assert len(etree.fromstring(ENVELOPE)[-1][0]) == ENTRIES
    return len(ENVELOPE)


def forbidden() -> NoReturn:
    """A sink that nobody may ask for."""
    raise AssertionError


async def over_the_wire(folder: Path) -> tuple[float, float]:
    """A retrieval through listener and carrier on loopback, and a bare body of the same size through aiohttp."""
    compute = ThreadCompute(2)
    objects, clock, actor = FileObjects(folder, compute), SystemClock(), ToyActor()
    listener = SoapListener(
        turns=ToyTurns(), objects=objects, clock=clock,
        identify=lambda _: Caller(peer=Peer(name="x"), network_address=""),
    )  # fmt: skip
    listener.add("/soap/toy", actor.answerings())
    sessions = HttpSessions()
    carrier = SoapCarrier(sessions=sessions, objects=objects, clock=clock)
    asked = Text(" ".join(f"{number}={PART_BYTES}" for number in range(PARTS)))

    async def bare(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = TOTAL_BYTES
        await response.prepare(request)
        block = IMAGE[:CHUNK_BYTES]
        for _ in range(TOTAL_BYTES // CHUNK_BYTES):
            await response.write(block)
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_get("/", bare)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]

    async with served(listener) as url:

        async def soap() -> int:
            done = 0
            async with carrier.carry(
                RETRIEVE, f"{url}/soap/toy", asked, peer=Peer(name="x"), message_id=clock.new_uuid()
            ) as carried:
                async for part in carried.response.pour:
                    async for chunk in part.chunks:
                        done += len(chunk)
            return done

        async def plain() -> int:
            done = 0
            async with sessions.session().get(f"http://127.0.0.1:{port}/") as response:
                async for chunk in response.content.iter_any():
                    done += len(chunk)
            return done

        figures = await beside(soap, plain)
    await sessions.close()
    await runner.cleanup()
    compute.close()
    return figures


def line(name: str, ours: float, theirs: float, asked: float) -> None:
    what, _, peer = name.partition(", beside ")
    quicker(what, ours=ours, peer=theirs, unit="GB/s", beside=peer, asked=asked)


async def main() -> None:
    line("read 400 CT, beside MultipartReader", *await beside(ours_read, aiohttp_read), 2.0)
    line(
        "read in 16 KiB chunks, beside MultipartReader", *await beside(lambda: ours_read(16 * 1024), aiohttp_read), 1.0
    )
    line("write 400 CT, beside MultipartWriter", *await beside(ours_write, aiohttp_write), 1.0)
    line("read, beside SHA-1 of the same bytes", *await beside(ours_read, sha1_of_all), 1.0)
    line("read an envelope of 1,000, beside bare lxml", *await beside(ours_envelope, lxml_envelope), 0.4)
    with tempfile.TemporaryDirectory() as folder:
        soap, plain = await over_the_wire(Path(folder))
    line("retrieval by SOAP, beside a bare body", soap, plain, 0.6)


if __name__ == "__main__":
    asyncio.run(main())
