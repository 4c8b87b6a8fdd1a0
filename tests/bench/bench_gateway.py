"""Instances of other communities through our gateway: `python -m tests.bench.bench_gateway [NAME ...]`.

Each house is a process of its own: a community, and a gateway that is asked by RAD-69 and asks it by RAD-75. What passes
through is compared with the community's own answer to the same client in the same run.

behind: 500 CT and one object of 210 MB, the community has Orthanc behind it.
source: 1 GB of CT (4 GB with RADGATE_SOAK=1) of a community with its own images: rate, CPU, memory, first byte.
stalled: two communities, one of which stops in the middle of a part: when all of the other's parts are there.
slow: 200 readers of 20 KB/s each, at the community and at the gateway: memory, and a normal request beside them.
"""

import asyncio
import http.client
import os
import statistics
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest
from aiohttp import ClientSession, web

from conformance.samples import SampleStudy, write_capture_study, write_ct_study
from profiles.model.content import Part, Poured
from profiles.model.identifiers import Oid, Uid
from profiles.wire.ebxml.retrieve import DocumentRequest, RetrievedDocument, RetrieveDocumentSetResponse
from profiles.wire.ebxml.xop import content_id
from profiles.wire.multipart import MultipartLimits, parts_of
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.mtom import pack
from profiles.xcai.rad75 import RAD_75
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, SeriesRequest, StudyRequest
from tests.bench.bench_behind import known
from tests.bench.bench_behind import settings as archive_of
from tests.bench.bench_images import (
    FRAMES,
    GIGABYTE,
    PARTS,
    PATIENT,
    SLICES,
    copied_instance,
    copied_study,
    copies,
    post,
)
from tests.bench.client import Fetched, Kept, fetch
from tests.bench.compare import (
    Row,
    at_most,
    cpu_seconds,
    forget_high_water,
    in_turns,
    median,
    missing,
    quicker,
    resident_mib,
    sooner,
    told,
)
from tests.bench.houses import HOME, LOCATION, STOW_TYPE, House, house, scratch, stow_body
from tests.support.orthanc import orthanc
from tests.support.scenario import EXPLICIT, message_of, rad69_request, read_soap

ROUNDS = 7
SOURCE, RESPONDING, GATEWAY = (
    "/soap/imaging-source",
    "/soap/imaging-responding-gateway",
    "/soap/imaging-initiating-gateway",
)
GATEWAY_HOME, OTHER_HOME = Oid("1.2.3.91"), Oid("1.2.3.92")
GATEWAY_LOCATION = Oid("1.2.3.93")
READERS = 200
READER_RATE = 20_000  # bytes a second of each
READ_S = 15.0
STALLED_S = 10.0
PEER = """
[[peer]]
name = "{name}"
home_community_id = "{home}"
[peer.endpoint]
"RAD-75" = "http://127.0.0.1:{port}{path}"
"""
Wire = tuple[str, bytes]  # Content-Type and body


def gateway_to(**communities: tuple[Oid, int]) -> str:
    """Settings that know these: home and port by name."""
    return "".join(
        PEER.format(name=name, home=home, port=port, path=RESPONDING) for name, (home, port) in communities.items()
    )


@asynccontextmanager
async def gateway(folder: Path, **communities: tuple[Oid, int]) -> AsyncIterator[House]:
    """A house that has nothing itself."""
    more = gateway_to(**communities)
    async with house(folder, more=more, location=GATEWAY_LOCATION, home=GATEWAY_HOME) as ours:
        yield ours


# --- what is asked ----------------------------------------------------------------------------------------------------


Named = tuple[str, str]  # series and instance


def named(study: SampleStudy) -> list[Named]:
    """All of it."""
    return [(each.series_instance_uid, one.sop_instance_uid) for each in study.series for one in each.instances]


def asked_of(study_uid: str, instances: Sequence[Named], home: Oid) -> RetrieveImagingDocumentSetRequest:
    """These instances of a community."""
    series = tuple(
        SeriesRequest(
            series_instance_uid=Uid(series_uid),
            documents=(DocumentRequest(repository_unique_id=LOCATION, document_unique_id=uid, home_community_id=home),),
        )
        for series_uid, uid in instances
    )
    whole = StudyRequest(study_instance_uid=Uid(study_uid), series=series)
    return RetrieveImagingDocumentSetRequest(studies=(whole,), transfer_syntax_uids=(EXPLICIT,))


async def on_the_wire(transaction: object, request: RetrieveImagingDocumentSetRequest) -> Wire:
    message = await message_of(transaction, request)
    return message.content_type, message.body


def pour(port: int, path: str, wire: Wire) -> Fetched:
    """Read to its end."""
    return fetch(port, path, {"Content-Type": wire[0]}, method="POST", body=wire[1])


def side(port: int, path: str, wire: Wire, size_bytes: int, got: list[Fetched]) -> Callable[[], Awaitable[float]]:
    """MB/s of one more pour; it comes into `got`."""

    async def one() -> float:
        fetched = await asyncio.to_thread(pour, port, path, wire)
        assert fetched.size_bytes > size_bytes, fetched
        got.append(fetched)
        return size_bytes / 1e6 / fetched.last_s

    return one


# --- one community ----------------------------------------------------------------------------------------------------


async def through(
    what: str, ours: House, community: House, request: RetrieveImagingDocumentSetRequest, size_bytes: int, *,
    rounds: int, asked: float | None, cpu_asked: float | None,
) -> None:  # fmt: skip
    """The gateway beside the community itself."""
    ask, direct = await on_the_wire(RAD_69, request), await on_the_wire(RAD_75, request)
    ours_got: list[Fetched] = []
    theirs_got: list[Fetched] = []
    one = side(ours.http, GATEWAY, ask, size_bytes, ours_got)
    other = side(community.http, RESPONDING, direct, size_bytes, theirs_got)
    await other(), await one()
    ours_got.clear()
    theirs_got.clear()
    spent = 0.0
    before = resident_mib(ours.pid)
    forget_high_water(ours.pid)

    async def counted() -> float:
        nonlocal spent
        began = cpu_seconds(ours.pid)
        rate = await one()
        spent += cpu_seconds(ours.pid) - began
        return rate

    figures = await in_turns(rounds, counted, other)
    quicker(f"RAD-69 to RAD-75 through the gateway, {what}", ours=median(figures[0]), peer=median(figures[1]),
            unit="MB/s", beside="RAD-75 of the community itself", asked=asked)  # fmt: skip
    at_most(f"- the gateway's CPU, {what}", spent / rounds / (size_bytes / 1e9), cpu_asked, "s/GB")
    at_most(f"- the gateway's growth, {what}", resident_mib(ours.pid, "VmHWM") - before, 64.0, "MiB")
    sooner(f"- first byte, {what}", ours=median(each.first_s for each in ours_got) * 1e3,
           peer=median(each.first_s for each in theirs_got) * 1e3, unit="ms", beside="the community itself",
           asked=None)  # fmt: skip


async def behind(folder: Path) -> None:
    """The community has Orthanc."""
    ct = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=SLICES)
    large = write_capture_study(folder / "large", seed=2, patient=PATIENT, frames=FRAMES)
    try:
        with orthanc(folder / "orthanc") as judge:
            for study in (ct, large):
                for at in range(0, len(study.instances), PARTS):
                    body = stow_body([each.path.read_bytes() for each in study.instances[at : at + PARTS]])
                    await asyncio.to_thread(post, judge.http_port, "/dicom-web/studies", body)
            more = archive_of(judge, native=True)
            async with (
                house(folder / "community", knows=[PATIENT], more=more) as community,
                gateway(folder / "gateway", Community=(HOME, community.http)) as ours,
            ):
                for study, what in ((ct, "500 CT, Orthanc behind"), (large, "one object of 210 MB, Orthanc behind")):
                    await known(community, study, len(study.instances))
                    request = asked_of(study.study_instance_uid, named(study), HOME)
                    size = sum(each.size_bytes for each in study.instances)
                    await through(what, ours, community, request, size, rounds=ROUNDS, asked=0.8, cpu_asked=None)
    except pytest.skip.Exception as absent:
        missing("RAD-75 with Orthanc behind the community", str(absent))


def pushed(port: int, study: SampleStudy, number: int, many: int) -> None:
    """A copy of so many instances, by one STOW-RS request that is made while it is sent."""

    def pieces() -> Iterator[bytes]:
        for body in copies(study, number, many):
            yield b"--x\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n"
        yield b"--x--\r\n"

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/dicomweb/studies", body=pieces(), headers=STOW_TYPE, encode_chunked=True)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said[:300]
    connection.close()


async def source(folder: Path) -> None:
    """The community has its images itself."""
    gigabytes = 4 if os.environ.get("RADGATE_SOAK") == "1" else 1
    study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=1, instances=20)
    one_bytes = study.instances[0].size_bytes
    many = gigabytes * GIGABYTE // one_bytes
    async with (
        house(folder / "community", knows=[PATIENT]) as community,
        gateway(folder / "gateway", Community=(HOME, community.http)) as ours,
    ):
        await asyncio.to_thread(pushed, community.http, study, 1, many)
        series = study.series[0].series_instance_uid
        request = asked_of(
            copied_study(study, 1), [(series, copied_instance(study, 1, each)) for each in range(many)], HOME
        )
        await through(
            f"{gigabytes} GB of CT", ours, community, request, many * one_bytes, rounds=3, asked=None, cpu_asked=1.2
        )


# --- two communities --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def stopping(parts: int, part_bytes: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A community that promises parts, sends some of the first, and then nothing until it may; its port, and when."""
    goes_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        asked = list(RAD_75.decode_request(message.to_codec()).value.instances())[:parts]
        documents = tuple(
            RetrievedDocument(
                repository_unique_id=each.document.repository_unique_id,
                document_unique_id=each.document.document_unique_id,
                home_community_id=each.document.home_community_id,
                mime_type="application/dicom",
            )
            for each in asked
        )

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(part_bytes // 2)
            await goes_on.wait()
            yield bytes(part_bytes - part_bytes // 2)

        async def bodies() -> AsyncIterator[Part]:
            for each in documents:
                yield Part(key=each.document_unique_id, media_type=each.mime_type, chunks=chunks())

        out = RAD_75.encode_response(Poured(head=RetrieveDocumentSetResponse(documents=documents), pour=bodies()))
        envelope = encode_envelope(
            out.body, action=RAD_75.response_action, message_id=f"urn:uuid:{uuid.uuid4()}",
            relates_to=message.addressing.message_id,
        )  # fmt: skip
        packed = pack(RAD_75.packaging, envelope, out, unique=uuid.uuid4().hex)
        response = web.StreamResponse(headers={"Content-Type": packed.content_type})
        await response.prepare(request)
        with suppress(ConnectionError):  # whoever has seen enough goes
            async for piece in packed.chunks:
                await response.write(piece)
            await response.write_eof()
        return response

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], goes_on
    finally:
        goes_on.set()
        await runner.cleanup()


async def seconds_to(port: int, wire: Wire, first: int, sizes: dict[str, int]) -> float:
    """Until every byte of the first so many documents of the answer has come; the rest is not waited for.

    Their sizes are learned when all of the answer comes, the first time.
    """
    waited = {content_id(position) for position in range(1, first + 1)}
    learning = not sizes
    started = perf_counter()
    async with (
        ClientSession(auto_decompress=False, read_bufsize=1 << 20) as session,
        asyncio.timeout(STALLED_S),
        session.post(
            f"http://127.0.0.1:{port}{GATEWAY}", data=wire[1], headers={"Content-Type": wire[0]}
        ) as answer,
    ):  # fmt: skip
        parts = parts_of(answer.content.iter_any(), answer.headers["Content-Type"], MultipartLimits(parts=10_000))
        async for part in parts:
            size = 0
            async for chunk in part.chunks:
                size += len(chunk)
                if size == sizes.get(part.key) and waited == {part.key}:
                    return perf_counter() - started
            waited.discard(part.key)
            if learning:
                sizes[part.key] = size
    assert learning, "the answer ended early"
    return perf_counter() - started


async def stalled(folder: Path) -> None:
    """One of two stops in the middle of a part, small or large; the other's parts are waited for."""
    study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=SLICES)
    uids = named(study)
    async with house(folder / "community", knows=[PATIENT]) as community:
        for at in range(0, len(uids), PARTS):
            body = stow_body([each.path.read_bytes() for each in study.instances[at : at + PARTS]])
            await asyncio.to_thread(post, community.http, "/dicomweb/studies", body)
        for what, part_bytes in (("0.5 MB", 512 * 1024), ("32 MB", 32 * 1024 * 1024)):
            async with (
                stopping(3, part_bytes) as (port, goes_on),
                gateway(
                    folder / f"gateway-{part_bytes}", Community=(HOME, community.http), Other=(OTHER_HOME, port)
                ) as ours,
            ):
                one, other = (
                    asked_of(study.study_instance_uid, uids, HOME),
                    asked_of("1.2.3.9", [("1.2.3.9.0", f"1.2.3.9.{each}") for each in (1, 2, 3)], OTHER_HOME),
                )
                both = await on_the_wire(RAD_69, RetrieveImagingDocumentSetRequest(
                    studies=one.studies + other.studies, transfer_syntax_uids=one.transfer_syntax_uids,
                ))  # fmt: skip

                sizes: dict[str, int] = {}

                async def beside(
                    going: bool, ours: House = ours, both: Wire = both, goes_on: asyncio.Event = goes_on,
                    sizes: dict[str, int] = sizes,
                ) -> float:  # fmt: skip
                    goes_on.set() if going else goes_on.clear()
                    try:
                        return await seconds_to(ours.http, both, len(uids), sizes)
                    except TimeoutError:
                        return STALLED_S

                await beside(True)
                figures = await in_turns(3, partial(beside, False), partial(beside, True))
                sooner(f"all of one community's 500 CT while the other stops in a part of {what}",
                       ours=median(figures[0]) * 1e3, peer=median(figures[1]) * 1e3, unit="ms",
                       beside="the same, and it does not stop", asked=0.8)  # fmt: skip


# --- slow readers -----------------------------------------------------------------------------------------------------


async def read_slowly(what: str, ours: House, path: str, wire: Wire, small: str, part: tuple[str, Wire]) -> None:
    """Memory, and others beside them: a small request, and a pour of one instance on the same way."""
    kept = Kept(ours.http)

    def one_instance() -> float:
        return pour(ours.http, part[0], part[1]).last_s

    async def beside(seconds: float) -> tuple[list[float], list[float]]:
        until = perf_counter() + seconds
        searched, poured = [], []
        while perf_counter() < until:
            searched.append(await asyncio.to_thread(kept.seconds, small))
            poured.append(await asyncio.to_thread(one_instance))
            await asyncio.sleep(0.01)
        return searched, poured

    alone = await beside(3.0)
    before = resident_mib(ours.pid)
    forget_high_water(ours.pid)
    began = cpu_seconds(ours.pid)
    readers = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.slow_readers", *map(str, (ours.http, path, READERS, READER_RATE, READ_S))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert readers.stdin is not None
    assert readers.stdout is not None
    readers.stdin.write(wire[0].encode() + b"\n" + wire[1])
    readers.stdin.close()
    started = perf_counter()
    begun = int(await asyncio.to_thread(readers.stdout.readline) or 0)
    all_begun_s = perf_counter() - started
    try:
        searched, poured = await beside(READ_S - 1.0)
    finally:
        readers.terminate()
        readers.wait()
    told(Row(work=f"{READERS} slow readers, {what}: are answered at once", ours=begun, unit="", asked=f">= {READERS}",
             held=begun == READERS))  # fmt: skip
    at_most(f"{READERS} slow readers, {what}: growth", resident_mib(ours.pid, "VmHWM") - before, 200.0, "MiB")
    at_most("- until all of them were being answered", all_begun_s, None, "s")
    at_most("- the house's CPU", cpu_seconds(ours.pid) - began, None, "s")
    for name, were, are in (("a search", alone[0], searched), ("one instance", alone[1], poured)):
        sooner(f"- {name} beside them, p50", ours=median(are) * 1e3, peer=median(were) * 1e3, unit="ms",
               beside="alone", asked=None)  # fmt: skip
        sooner(f"- {name} beside them, p99", ours=statistics.quantiles(are, n=100)[98] * 1e3,
               peer=statistics.quantiles(were, n=100)[98] * 1e3, unit="ms", beside="alone", asked=None)  # fmt: skip


async def slow(folder: Path) -> None:
    """At a house that has the images, and at the gateway in front of it."""
    study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=SLICES // 5)
    uids = named(study)
    async with (
        house(folder / "community", knows=[PATIENT]) as community,
        gateway(folder / "gateway", Community=(HOME, community.http)) as ours,
    ):
        for at in range(0, len(uids), PARTS):
            body = stow_body([each.path.read_bytes() for each in study.instances[at : at + PARTS]])
            await asyncio.to_thread(post, community.http, "/dicomweb/studies", body)
        whole = await on_the_wire(RAD_69, rad69_request(study, location=LOCATION))
        one = await on_the_wire(RAD_69, asked_of(study.study_instance_uid, uids[:1], HOME))
        who = PATIENT.identifiers[0]
        small = f"/fhir/r4/ImagingStudy?_summary=true&patient.identifier=urn:oid:{who.authority}|{who.value}"
        await read_slowly("RAD-69 of a house", community, SOURCE, whole, small, (SOURCE, one))
        proxied = await on_the_wire(RAD_69, asked_of(study.study_instance_uid, uids, HOME))
        await read_slowly("RAD-69 through the gateway", ours, GATEWAY, proxied, small, (GATEWAY, one))


WORKS = {"behind": behind, "source": source, "stalled": stalled, "slow": slow}


async def measure(names: Sequence[str]) -> None:
    """Each in a folder of its own."""
    for name in names:
        with scratch() as folder:
            await WORKS[name](folder)


def main() -> None:
    """All, or those named."""
    asyncio.run(measure(sys.argv[1:] or list(WORKS)))


if __name__ == "__main__":
    main()
