"""What only an archive behind us can show: its own ways, and what it does when it is away."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless

from conformance.samples import SampleStudy, write_capture_study, write_ct_study
from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.dicomweb_answers import StoreAnswer, arrived_of
from gateway.adapters.dicomweb_client import DicomwebClient, Listed
from gateway.adapters.dicomweb_retrieve import LARGE_BYTES, DicomwebPlan
from gateway.adapters.dicomweb_store import WHOLE_BYTES
from gateway.adapters.http import HttpSessions
from gateway.adapters.overlays import Overlays
from gateway.ports.archive import Stored
from gateway.ports.studies import Glimpse
from profiles.errors import (
    Duplicate,
    ExchangeError,
    MalformedMessage,
    OutOfResources,
    PeerProtocolError,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    Unsupported,
)
from profiles.model.codes import SNOMED_CT, Code
from profiles.model.content import DICOM, Part, Pour
from profiles.model.identifiers import AccessionNumber, Oid
from tests.gateway.adapters.archives import (
    COERCION,
    LOCAL,
    OURS,
    PATIENT,
    READING,
    bodies_of,
    fetched,
    pieces,
    pour_of,
    poured,
    read,
    small_ct,
    stored,
    study_of,
    wanted_of,
)
from tests.support.clock import NOON, FixedClock
from tests.support.orthanc import Orthanc, orthanc
from tests.support.ports import free_port

judged = pytest.mark.judge_program


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture
def judge(running: Orthanc) -> Orthanc:
    running.clear()
    return running


@pytest.fixture
async def sessions() -> AsyncIterator[HttpSessions]:
    made = HttpSessions()
    yield made
    await made.close()


@pytest.fixture
def overlays(tmp_path: Path, compute: ThreadCompute) -> Overlays:
    return Overlays(tmp_path / "overlays", compute)


def behind(address: str, sessions: HttpSessions, overlays: Overlays, native: str | None = None) -> DicomwebArchive:
    return DicomwebArchive(
        address,
        session=sessions.session,
        overlays=overlays,
        clock=FixedClock(),
        reading=READING,
        native_url=native,
    )


@pytest.fixture(params=["native", "DICOMweb only"])
def archive(
    request: pytest.FixtureRequest, judge: Orthanc, sessions: HttpSessions, overlays: Overlays
) -> DicomwebArchive:
    return behind(judge.dicomweb, sessions, overlays, judge.native if request.param == "native" else None)


@pytest.fixture
def large(tmp_path: Path) -> SampleStudy:
    """One instance that is sent alone and fetched alone."""
    study = write_capture_study(tmp_path / "large", seed=4, patient=PATIENT, frames=20, rows=512)
    assert study.instances[0].size_bytes > max(WHOLE_BYTES, LARGE_BYTES)
    return study


# --- Orthanc ------------------------------------------------------------------------------------------------------------


@judged
async def test_the_archive_has_what_it_was_told_to_have(
    archive: DicomwebArchive, judge: Orthanc, ct: SampleStudy
) -> None:
    await stored(archive, pour_of(bodies_of(ct)), COERCION)
    (patient,) = judge.ask("/patients?expand")  # type: ignore[misc]
    assert patient["MainDicomTags"]["PatientID"] == LOCAL.identifiers[0].value
    assert judge.ask("/statistics")["CountInstances"] == len(ct.instances)  # type: ignore[index]


@judged
@pytest.mark.parametrize("coercion", [None, COERCION], ids=["as received", "coerced"])
async def test_a_large_instance_is_sent_while_it_comes(
    archive: DicomwebArchive, large: SampleStudy, coercion: object
) -> None:
    bodies = bodies_of(large)
    (outcome,) = await stored(archive, pour_of(bodies, 200_000), coercion)  # type: ignore[arg-type]
    assert outcome.stored is Stored.NEW
    assert outcome.arrived is not None
    instance = outcome.arrived.study.series[0].instances[0]
    (body,) = bodies.values()
    assert (instance.size_bytes, instance.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    served = await fetched(archive, wanted_of(large))
    for uid, after in served.items():
        assert read(after).PixelData == read(bodies[uid]).PixelData
        assert (after == bodies[uid]) is (coercion is None)


@judged
async def test_a_large_instance_that_breaks_off_is_not_kept(
    archive: DicomwebArchive, judge: Orthanc, large: SampleStudy, ct: SampleStudy
) -> None:
    (body,) = bodies_of(large).values()

    async def breaking() -> AsyncIterator[bytes]:
        async for chunk in pieces(body[:-1_000_000], 200_000):
            yield chunk
        raise PeerTimeout("nothing came")

    async def pour() -> Pour:
        yield Part(key="cut", media_type=DICOM, chunks=pieces(body[:-1_000_000], 200_000))
        yield Part(key="broken", media_type=DICOM, chunks=breaking())
        for uid, small in bodies_of(ct).items():
            yield Part(key=uid, media_type=DICOM, chunks=pieces(small))

    outcomes = {each.key: each for each in await stored(archive, pour())}
    assert isinstance(outcomes.pop("cut").error, MalformedMessage)
    assert isinstance(outcomes.pop("broken").error, PeerTimeout)
    assert {each.stored for each in outcomes.values()} == {Stored.NEW}
    assert judge.ask("/statistics")["CountInstances"] == len(ct.instances)  # type: ignore[index]


@judged
async def test_a_large_instance_that_comes_again_is_compared_as_it_comes(
    archive: DicomwebArchive, large: SampleStudy
) -> None:
    (body,) = bodies_of(large).values()
    await stored(archive, pour_of({"first": body}), COERCION)
    changed = bytearray(body)
    changed[len(body) // 2] ^= 1
    outcomes = {
        each.key: each
        for each in await stored(
            archive, pour_of({"again": body, "changed": bytes(changed), "cut": body[:-5000]}, 200_000), COERCION
        )
    }
    assert outcomes["again"].stored is Stored.SAME
    assert isinstance(outcomes["changed"].error, Duplicate)
    assert isinstance(outcomes["cut"].error, MalformedMessage)


@judged
async def test_sizes_are_told_beforehand_where_orthanc_tells_them(
    judge: Orthanc, sessions: HttpSessions, overlays: Overlays, ct: SampleStudy, large: SampleStudy
) -> None:
    archive = behind(judge.dicomweb, sessions, overlays, judge.native + "/instances")
    await stored(archive, pour_of({**bodies_of(ct), **bodies_of(large)}))
    plan = await archive.plan([*wanted_of(ct), *wanted_of(large)], None)
    sizes = {each.sop_instance_uid: each.size_bytes for each in (*ct.instances, *large.instances)}
    assert {each.wanted.instance.sop_instance_uid: each.size_bytes for each in plan.available} == sizes
    assert [each.native for each in plan.sources] == [False, True]  # a study in one answer, one large file
    assert await poured(archive, plan) == {**bodies_of(ct), **bodies_of(large)}


@judged
async def test_a_few_of_many_are_fetched_one_by_one(archive: DicomwebArchive, tmp_path: Path) -> None:
    study = write_ct_study(tmp_path / "in", seed=1, patient=PATIENT, series=1, instances=12, rows=64)
    await stored(archive, pour_of(bodies_of(study)))
    wanted = wanted_of(study)[2:5]
    plan = await archive.plan(wanted, None)
    assert isinstance(plan, DicomwebPlan)
    assert len(plan.sources) == 3
    bodies = bodies_of(study)
    assert await poured(archive, plan) == {
        uid: bodies[uid] for uid in (str(each.instance.sop_instance_uid) for each in wanted)
    }


@judged
async def test_transfer_syntaxes_that_the_index_does_not_know_are_asked_for_once(
    archive: DicomwebArchive, ct: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(archive, pour_of(bodies_of(ct)))
    asked: list[str] = []
    ask = DicomwebClient.transfer_syntax

    async def counted(self: DicomwebClient, path: str, listed: Listed) -> str:
        asked.append(path.rpartition("/")[2])
        return await ask(self, path, listed)

    monkeypatch.setattr(DicomwebClient, "transfer_syntax", counted)
    unknown = [replace(each, instance=replace(each.instance, transfer_syntax_uid=None)) for each in wanted_of(ct)]
    for _ in range(2):
        plan = await archive.plan(unknown, None)
        assert {each.transfer_syntax_uid for each in plan.available} == {ExplicitVRLittleEndian}
    assert sorted(asked) == sorted(each.instance.sop_instance_uid for each in unknown)


@judged
async def test_an_archive_that_changed_is_listed_again(
    archive: DicomwebArchive, judge: Orthanc, ct: SampleStudy
) -> None:
    bodies = bodies_of(ct)
    first, *rest = bodies
    await stored(archive, pour_of({uid: bodies[uid] for uid in rest}))
    assert set((await archive.plan(wanted_of(ct), None)).missing) == {first}
    await stored(archive, pour_of({first: bodies[first]}))
    assert await fetched(archive, wanted_of(ct)) == bodies
    (gone,) = judge.ask("/tools/lookup", method="POST", body=first.encode())  # type: ignore[misc]
    judge.ask(f"/instances/{gone['ID']}", method="DELETE")
    plan = await archive.plan(wanted_of(ct), None)
    assert set(plan.missing) == {first}
    assert set(await poured(archive, plan)) == set(rest)


@pytest.mark.parametrize("counted", [True, False], ids=["it tells how many", "it does not count"])
async def test_a_study_is_listed_once_while_the_archive_tells_the_same_number(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy, counted: bool
) -> None:
    listings = 0
    some = wanted_of(ct)[:2]

    async def listing(_: web.Request) -> web.Response:
        nonlocal listings
        listings += 1
        each = b'{"00080018":{"vr":"UI","Value":["%b"]}}'
        body = b"[" + b",".join(each % one.instance.sop_instance_uid.encode() for one in some) + b"]"
        return web.Response(body=body, content_type="application/dicom+json")

    async def count(_: web.Request) -> web.Response:
        told = b'"00201209":{"vr":"IS","Value":[2]}' if counted else b""
        return web.Response(body=b"[{%b}]" % told, content_type="application/dicom+json")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(
            body=b"--x--\r\n", headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
        )

    async with answering(
        web.get("/dicom-web/studies/{study}/series/{series}/instances", listing),
        web.get("/dicom-web/studies/{study}/series", count),
        web.get("/dicom-web/studies/{study}/series/{series}", broken),
    ) as address:
        archive = behind(address, sessions, overlays)
        for _ in range(3):
            plan = await archive.plan(some, None)
            assert len(plan.available) == 2
        assert listings == (1 if counted else 3)
        with pytest.raises(PeerProtocolError, match="left out 2"):
            await poured(archive, plan)
        await archive.plan(some, None)  # what a pour has shown to be wrong is not believed again
        assert listings == (2 if counted else 4)


@judged
async def test_most_of_a_series_comes_in_one_answer(archive: DicomwebArchive, ct: SampleStudy) -> None:
    await stored(archive, pour_of(bodies_of(ct)))
    wanted = wanted_of(ct)[:2]
    plan = await archive.plan(wanted, None)
    (source,) = plan.sources
    assert source.address.endswith(str(wanted[0].series_instance_uid))
    assert set(await poured(archive, plan)) == {str(each.instance.sop_instance_uid) for each in wanted}


@judged
async def test_what_the_archive_cannot_decompress_is_missing(archive: DicomwebArchive, tmp_path: Path) -> None:
    packed = write_ct_study(
        tmp_path / "in", seed=1, patient=PATIENT, series=1, instances=2, rows=64, transfer_syntax=JPEG2000Lossless
    )
    await stored(archive, pour_of(bodies_of(packed)))
    plan = await archive.plan(wanted_of(packed), frozenset({ExplicitVRLittleEndian}))
    assert plan.available == ()
    assert {type(each) for each in plan.missing.values()} == {Unsupported}


@judged
async def test_the_index_tells_of_every_instance(archive: DicomwebArchive, ct: SampleStudy, tmp_path: Path) -> None:
    other = small_ct(tmp_path / "other", seed=9, patient=LOCAL)
    outcomes = await stored(archive, pour_of({**bodies_of(ct), **bodies_of(other)}))

    listed: list[Glimpse] = []

    async def unknown(glimpse: Glimpse) -> bool:
        listed.append(glimpse)
        return False

    told = {each.study.series[0].instances[0].sop_instance_uid: each.study async for each in archive.index(unknown)}
    assert len(told) == len(ct.instances) + len(other.instances)
    for outcome in outcomes:
        assert outcome.arrived is not None
        study = outcome.arrived.study
        (series,) = study.series
        (instance,) = series.instances
        unknown = replace(instance, size_bytes=None, sha256=None, transfer_syntax_uid=None)
        assert told[instance.sop_instance_uid] == replace(study, series=(replace(series, instances=(unknown,)),))
    every = {str(one.sop_instance_uid) for one in ct.instances}
    assert await archive.listed(str(ct.study_instance_uid)) == every
    (glimpse,) = (each for each in listed if each.study_instance_uid == ct.study_instance_uid)
    assert (glimpse.instances, glimpse.patient) == (len(ct.instances), told[ct.instances[0].sop_instance_uid].patient)
    assert told[ct.instances[0].sop_instance_uid].description in glimpse.said
    assert bool(glimpse.updated) == (archive._client.native is not None)
    assert await archive.listed("1.2.3.99") == frozenset()


def test_procedure_codes_and_orders_are_read_from_what_an_archive_tells() -> None:
    """As from a header (PS3.3 8.8, PS3.16 8), so that a site's table of codes leads to the same."""

    def code(**elements: str) -> dict[str, object]:
        tags = {"value": "00080100", "scheme": "00080102", "meaning": "00080104", "uid": "0008010C"}
        return {tags[name]: {"vr": "SH", "Value": [text]} for name, text in elements.items()}

    dataset = {
        "00080016": {"vr": "UI", "Value": [CTImageStorage]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.1.1"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.1"]},
        "00402016": {"vr": "LO", "Value": ["ORD1"]},
        "00400026": {"vr": "SQ", "Value": [{"00400032": {"vr": "UT", "Value": ["1.2.7"]}}]},
        "00081032": {
            "vr": "SQ",
            "Value": [
                code(value="CTCH", scheme="99LAKE", meaning="CT Chest"),
                code(value="169069000", scheme="SCT"),
                code(value="X", scheme="99LAKE", uid="1.2.3.99"),
                code(scheme="99LAKE"),
            ],
        },
    }
    told = arrived_of(dataset, READING)
    assert told is not None
    assert told.study.procedure_codes == (
        Code(value="CTCH", system="99LAKE", display="CT Chest"),
        Code(value="169069000", system=SNOMED_CT),
        Code(value="X", system="1.2.3.99"),
    )
    assert told.study.placer_orders == (AccessionNumber(value="ORD1", authority=Oid("1.2.7")),)


@judged
async def test_a_merge_outlives_a_restart_and_reads_the_same_each_time(
    judge: Orthanc, sessions: HttpSessions, tmp_path: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    archive = behind(judge.dicomweb, sessions, Overlays(tmp_path / "o", compute), judge.native)
    outcomes = await stored(archive, pour_of(bodies_of(ct)))
    await archive.rewrite(study_of(outcomes), COERCION)
    first = await fetched(archive, wanted_of(ct))
    again = behind(judge.dicomweb, sessions, Overlays(tmp_path / "o", compute), judge.native)
    assert await fetched(again, wanted_of(ct)) == first
    for body in first.values():
        assert (read(body).PatientID, read(body).IssuerOfPatientID) == (LOCAL.identifiers[0].value, OURS)
    assert await fetched(again, wanted_of(ct), original=True) == bodies_of(ct)


async def test_an_overlay_reads_as_it_was_written(tmp_path: Path, compute: ThreadCompute) -> None:
    await Overlays(tmp_path, compute).add("1.2.3", COERCION, NOON)
    bare = replace(COERCION, accession_number=None, patient=replace(LOCAL, birth_date=None))
    await Overlays(tmp_path, compute).add("1.2.3", bare, NOON)
    assert await Overlays(tmp_path, compute).of("1.2.3") == ((COERCION, NOON), (bare, NOON))
    assert await Overlays(tmp_path, compute).of("1.2.4") == ()


# --- an archive that misbehaves -------------------------------------------------------------------------------------------


@asynccontextmanager
async def answering(*routes: web.RouteDef) -> AsyncIterator[str]:
    """A service that answers as it is told."""
    application = web.Application(client_max_size=1 << 30)
    application.add_routes(routes)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        await runner.cleanup()


async def nothing(_: web.Request) -> web.Response:
    return web.Response(status=204)


def store_answer(status: int, body: bytes | None = None) -> web.RouteDef:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, body=body or b"", content_type="application/dicom+json")

    return web.post("/dicom-web/studies", answer)


def failing(uid: str, reason: int) -> bytes:
    return (
        b'{"00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["%b"]},'
        b'"00081197":{"vr":"US","Value":[%d]}}]}}' % (uid.encode(), reason)
    )


SEARCH = web.get("/dicom-web/studies/{study}/instances", nothing)


async def test_a_search_asks_for_all_that_a_study_may_be_corrected_in_and_for_one_patient_in_their_own_letters(
    sessions: HttpSessions, compute: ThreadCompute, tmp_path: Path
) -> None:
    asked: list[list[tuple[str, str]]] = []
    match = {
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "00100020": {"vr": "LO", "Value": ["A&B=7"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Roe^Ann"}]},
        "00080061": {"vr": "CS", "Value": ["SR", "CT"]},
        "00081030": {"vr": "LO", "Value": ["Hand"]},
        "00201208": {"vr": "IS", "Value": [3]},
    }
    told = [match, {**match, "00080061": {"vr": "CS", "Value": ["CT", "SR"]}}, {**match, "00081030": {"vr": "LO"}}]

    async def search(request: web.Request) -> web.Response:
        asked.append(list(request.query.items()))
        return web.json_response([told[len(asked) - 1], {"00100020": {"vr": "LO", "Value": ["no UID"]}}])

    async with answering(web.get("/dicom-web/studies", search)) as address:
        archive = behind(address, sessions, Overlays(tmp_path / "o", compute))
        listed: list[Glimpse] = []

        async def known(glimpse: Glimpse) -> bool:
            listed.append(glimpse)
            return True

        for _ in told:
            assert [each async for each in archive.index(known, patient="A&B=7")] == []
    first, reordered, corrected = listed
    assert (first.study_instance_uid, first.instances, first.patient.name.family) == ("1.2.3", 3, "Roe")
    assert first == reordered
    assert first.said != corrected.said
    assert ("PatientID", "A&B=7") in asked[0]
    fields = {value for name, value in asked[0] if name == "includefield"}
    assert {"00080050", "00080061", "00081030", "00081032", "00100021", "00201208"} <= fields


@pytest.mark.parametrize(("reason", "error"), [(0xA700, OutOfResources), (0x0122, PeerRefused), (0xC000, PeerRefused)])
async def test_an_instance_that_the_archive_refuses_is_refused_with_its_reason(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy, reason: int, error: type[ExchangeError]
) -> None:
    uid, body = next(iter(bodies_of(ct).items()))
    async with answering(SEARCH, store_answer(409, failing(uid, reason))) as address:
        (outcome,) = await stored(behind(address, sessions, overlays), pour_of({"key": body}))
    assert (outcome.stored, outcome.key, outcome.sop_instance_uid) == (Stored.REFUSED, "key", uid)
    assert type(outcome.error) is error
    assert outcome.error is not None
    assert outcome.error.code == f"{reason:04X}"


async def test_an_instance_that_the_archive_passes_over_is_refused(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy
) -> None:
    body = ct.instances[0].path.read_bytes()
    async with answering(SEARCH, store_answer(200, failing("1.2.3", 0x0110))) as address:
        (outcome,) = await stored(behind(address, sessions, overlays), pour_of({"key": body}))
    assert isinstance(outcome.error, PeerProtocolError)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, PeerUnavailable),
        (429, PeerUnavailable),
        (507, OutOfResources),
        (401, PeerRefused),
        (500, PeerRefused),
        (200, PeerProtocolError),  # without a word on what was stored
    ],
)
async def test_an_answer_without_outcomes_is_the_stores_own_error(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy, status: int, error: type[ExchangeError]
) -> None:
    async with answering(SEARCH, store_answer(status)) as address:
        with pytest.raises(error) as raised:
            await stored(behind(address, sessions, overlays), pour_of(bodies_of(ct)))
    assert type(raised.value) is error


@judged
@pytest.mark.parametrize("which", ["ct", "large"])
async def test_an_idle_connection_that_the_archive_has_closed_is_no_failure(
    archive: DicomwebArchive, judge: Orthanc, request: pytest.FixtureRequest, which: str
) -> None:
    """Orthanc lets go of a connection after a second of silence; what is sent on it then meets nobody."""
    study: SampleStudy = request.getfixturevalue(which)
    for _ in range(3):
        judge.clear()
        await archive.ready()
        await asyncio.sleep(1.0)
        assert {each.stored for each in await stored(archive, pour_of(bodies_of(study)))} == {Stored.NEW}


async def test_an_archive_that_is_away_is_unavailable_and_not_ready(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy
) -> None:
    archive = behind(f"http://127.0.0.1:{free_port()}/dicom-web", sessions, overlays)
    with pytest.raises(PeerUnavailable):
        await stored(archive, pour_of(bodies_of(ct)))
    with pytest.raises(PeerUnavailable):
        await archive.plan(wanted_of(ct), None)
    assert (await archive.ready()).startswith("the archive cannot be searched: nothing answers")


async def test_an_archive_that_leaves_out_what_it_lists_breaks_the_pour(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy
) -> None:
    listed = (
        b"["
        + b",".join(
            b'{"00080018":{"vr":"UI","Value":["%b"]}}' % each.sop_instance_uid.encode()
            for each in ct.series[0].instances
        )
        + b"]"
    )
    first = ct.instances[0].path.read_bytes()

    async def listing(_: web.Request) -> web.Response:
        return web.Response(body=listed, content_type="application/dicom+json")

    async def series(_: web.Request) -> web.Response:
        return web.Response(
            body=b"--x\r\nContent-Type: application/dicom\r\n\r\n" + first + b"\r\n--x--\r\n",
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
        )

    async with answering(
        web.get("/dicom-web/studies/{study}/series/{series}/instances", listing),
        web.get("/dicom-web/studies/{study}/series/{series}", series),
    ) as address:
        archive = behind(address, sessions, overlays)
        plan = await archive.plan(wanted_of(ct)[:3], None)
        assert len(plan.available) == 3
        with pytest.raises(PeerProtocolError, match="left out 2"):
            await poured(archive, plan)


async def test_an_archive_that_breaks_off_breaks_the_pour(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy
) -> None:
    first = ct.instances[0]

    async def listing(_: web.Request) -> web.Response:
        body = b'[{"00080018":{"vr":"UI","Value":["%b"]}}]' % first.sop_instance_uid.encode()
        return web.Response(body=body, content_type="application/dicom+json")

    async def series(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": 'multipart/related; type="application/dicom"; boundary=x',
                "Content-Length": "9999",
            }
        )
        await response.prepare(request)
        await response.write(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + first.path.read_bytes()[:5000])
        assert request.transport is not None
        request.transport.close()
        return response

    async with answering(
        web.get("/dicom-web/studies/{study}/series/{series}/instances", listing),
        web.get("/dicom-web/studies/{study}/series/{series}", series),
    ) as address:
        archive = behind(address, sessions, overlays)
        plan = await archive.plan(wanted_of(ct)[:1], None)
        with pytest.raises(PeerUnavailable):
            await poured(archive, plan)


@pytest.mark.parametrize(
    ("second", "end", "error", "sentence"),
    [
        ("{size}", "--x--", None, ""),
        ("{more}", "--x--", PeerProtocolError, "cannot be read: part 1 is not as long as its head tells"),
        ("{size}", "", PeerUnavailable, "broke off its answer"),
        ("no number", "--", PeerUnavailable, "broke off its answer"),
    ],
    ids=["as it should be", "of another length", "without an end", "cut in its end"],
)
async def test_an_answer_that_cannot_be_read_is_the_archives_fault(
    sessions: HttpSessions,
    overlays: Overlays,
    ct: SampleStudy,
    second: str,
    end: str,
    error: type[ExchangeError] | None,
    sentence: str,
) -> None:
    some = ct.series[0].instances[:2]
    bodies = [each.path.read_bytes() for each in some]
    size = len(bodies[1])
    told = [str(len(bodies[0])), second.format(size=size, more=size + 1)]
    parts = [
        b"--x\r\nContent-Type: application/dicom\r\nContent-Length: %b\r\n\r\n%b\r\n" % (length.encode(), body)
        for length, body in zip(told, bodies, strict=True)
    ]

    async def listing(_: web.Request) -> web.Response:
        each = b'{"00080018":{"vr":"UI","Value":["%b"]}}'
        body = b"[" + b",".join(each % one.sop_instance_uid.encode() for one in some) + b"]"
        return web.Response(body=body, content_type="application/dicom+json")

    async def series(_: web.Request) -> web.Response:
        return web.Response(
            body=b"".join(parts) + end.encode(),
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
        )

    async with answering(
        web.get("/dicom-web/studies/{study}/series/{series}/instances", listing),
        web.get("/dicom-web/studies/{study}/series/{series}", series),
    ) as address:
        archive = behind(address, sessions, overlays)
        plan = await archive.plan(wanted_of(ct)[:2], None)
        if error is None:
            assert list((await poured(archive, plan)).values()) == bodies
        else:
            with pytest.raises(error, match=sentence):
                await poured(archive, plan)


async def test_a_store_that_is_cancelled_lets_go_of_its_connections(
    sessions: HttpSessions, overlays: Overlays, ct: SampleStudy
) -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def hanging(request: web.Request) -> web.Response:
        await request.read()
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    async with answering(SEARCH, web.post("/dicom-web/studies", hanging)) as address:
        storing = asyncio.create_task(stored(behind(address, sessions, overlays), pour_of(bodies_of(ct))))
        await asyncio.wait_for(reached.wait(), 10)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.parametrize("answer", [None, [], {}, "x", 7, {"00081190": {"vr": "UR"}}])
def test_a_store_answer_that_says_nothing_is_none(answer: object) -> None:
    with pytest.raises(PeerProtocolError):
        StoreAnswer.read(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"00081199": {"vr": "SQ", "Value": [None, {"00081155": {"vr": "UI"}}, 7]}},
        {"00081198": {"vr": "SQ", "Value": [{"00081155": {"Value": ["1.2"]}, "00081197": {"Value": ["x"]}}]}},
        [{"00081199": {}, "00081198": {}}],
    ],
)
def test_odd_store_answers_are_read_as_far_as_they_go(answer: object) -> None:
    told = StoreAnswer.read(answer)
    assert told.stored == frozenset()
    assert isinstance(told.error("1.2"), ExchangeError)
