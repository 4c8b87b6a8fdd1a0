"""One suite for every `Archive`."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from conformance.samples import SampleStudy, sample_uid, write_capture_study, write_ct_study, write_us_study
from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.memory.archive import MemoryArchive
from gateway.adapters.overlays import Overlays
from gateway.ports.archive import Archive, Stored, Wanted
from gateway.services.screen import Screen
from profiles.errors import (
    Duplicate,
    ExchangeError,
    MalformedMessage,
    PeerTimeout,
    RuleViolation,
    UnknownDocument,
    Unsupported,
)
from profiles.model.content import DICOM, Part, Pour
from profiles.wire.dicom.part10 import Part10Head
from tests.gateway.adapters.archives import (
    COERCION,
    LOCAL,
    OURS,
    PATIENT,
    READING,
    THEIRS,
    bodies_of,
    fetched,
    known,
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


@dataclass(frozen=True, slots=True)
class Under:
    """The archive under test, and what it can."""

    archive: Archive
    opened: Callable[[], Archive]  # again, as after a restart
    ours: bool = True  # it keeps originals beside coerced heads, and everything in it came through us
    kind: str = ""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture(
    params=[
        "memory",
        "files",
        pytest.param("orthanc", marks=pytest.mark.judge_program),
        pytest.param("DICOMweb only", marks=pytest.mark.judge_program),
    ]
)
async def under(request: pytest.FixtureRequest, tmp_path: Path, compute: ThreadCompute) -> AsyncIterator[Under]:
    clock = FixedClock()
    if request.param == "memory":
        memory = MemoryArchive(clock=clock, reading=READING)
        yield Under(memory, lambda: memory)
    elif request.param == "files":
        opened = partial(FilesArchive, tmp_path / "archive", compute=compute, clock=clock, reading=READING)
        yield Under(opened(), opened)
    else:
        judge: Orthanc = request.getfixturevalue("running")
        judge.clear()
        sessions = HttpSessions()
        archive = DicomwebArchive(
            judge.dicomweb,
            session=sessions.session,
            overlays=Overlays(tmp_path / "overlays", compute),
            clock=clock,
            reading=READING,
            native_url=judge.native if request.param == "orthanc" else None,
        )
        yield Under(archive, lambda: archive, ours=False, kind=request.param)
        await sessions.close()


# --- in ----------------------------------------------------------------------------------------------------------------


async def test_every_part_is_stored_and_told_of(under: Under, ct: SampleStudy) -> None:
    outcomes = await stored(under.archive, pour_of(bodies_of(ct)))
    assert {each.key for each in outcomes} == {each.sop_instance_uid for each in ct.instances}
    assert {each.stored for each in outcomes} == {Stored.NEW}
    for outcome in outcomes:
        sample = next(each for each in ct.instances if each.sop_instance_uid == outcome.key)
        assert outcome.error is None
        assert (outcome.sop_instance_uid, outcome.sop_class_uid) == (sample.sop_instance_uid, sample.sop_class_uid)
        assert outcome.arrived is not None
        study = outcome.arrived.study
        (series,) = study.series
        (instance,) = series.instances
        assert study.study_instance_uid == ct.study_instance_uid
        assert study.patient.identifiers == PATIENT.identifiers
        assert study.accession_numbers[0].value == ct.accession_number
        assert series.modality == "CT"
        assert (instance.sop_instance_uid, instance.number) == (sample.sop_instance_uid, sample.number)
        assert instance.transfer_syntax_uid == ExplicitVRLittleEndian
        assert (instance.rows, instance.columns) == (64, 64)
        assert instance.size_bytes == sample.size_bytes
        assert instance.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
        metadata = json.loads(outcome.arrived.metadata)
        assert metadata["00080018"] == {"vr": "UI", "Value": [sample.sop_instance_uid]}
        assert metadata["00100020"]["Value"] == [PATIENT.identifiers[0].value]


@pytest.mark.parametrize("size", [100, 10_000, 1 << 20])
async def test_a_part_whose_header_was_looked_at_is_stored_as_any_other(
    under: Under, ct: SampleStudy, size: int
) -> None:
    async def welcome(key: str, head: Part10Head) -> ExchangeError | None:
        return None if key == head.sop_instance_uid else MalformedMessage("another one")

    screen = Screen(welcome)
    outcomes = await stored(under.archive, screen.passing(pour_of(bodies_of(ct), size)))
    assert screen.turned_away == []
    for outcome in outcomes:
        sample = next(each for each in ct.instances if each.sop_instance_uid == outcome.key)
        assert outcome.arrived is not None
        ((_, instance),) = outcome.arrived.study.instances()
        assert instance.size_bytes == sample.size_bytes
        assert instance.sha256 == hashlib.sha256(sample.path.read_bytes()).hexdigest()
    plan = await under.archive.plan(wanted_of(ct), None)
    assert await poured(under.archive, plan) == bodies_of(ct)


@pytest.mark.parametrize("size", [1, 131, 4096, 1 << 20])
async def test_what_was_stored_comes_back_byte_for_byte(under: Under, ct: SampleStudy, size: int) -> None:
    bodies = dict(list(bodies_of(ct).items())[:2])
    await stored(under.archive, pour_of(bodies, size))
    wanted = [each for each in wanted_of(ct) if each.instance.sop_instance_uid in bodies]
    assert await fetched(under.archive, wanted) == bodies


async def test_large_and_multi_frame_objects_come_back_byte_for_byte(under: Under, tmp_path: Path) -> None:
    study = write_capture_study(tmp_path / "in", seed=4, patient=PATIENT, frames=12, rows=512)
    bodies = bodies_of(study)
    assert all(len(each) > 5 << 20 for each in bodies.values())
    (outcome,) = await stored(under.archive, pour_of(bodies, 300_001))
    assert outcome.arrived is not None
    assert outcome.arrived.study.series[0].instances[0].frames == 12
    assert await fetched(under.archive, wanted_of(study)) == bodies


async def test_an_instance_that_comes_again_is_the_same(under: Under, ct: SampleStudy) -> None:
    first = await stored(under.archive, pour_of(bodies_of(ct)))
    second = await stored(under.archive, pour_of(bodies_of(ct)))
    assert {each.stored for each in second} == {Stored.SAME}
    arrived = {each.key: each.arrived for each in first}
    assert {each.key: each.arrived for each in second} == arrived


async def test_an_instance_twice_in_one_pour_is_stored_once(under: Under, ct: SampleStudy) -> None:
    body = ct.instances[0].path.read_bytes()
    outcomes = await stored(under.archive, pour_of((str(n), body) for n in range(5)))
    assert sorted(each.stored for each in outcomes) == [Stored.NEW, *[Stored.SAME] * 4]


async def test_other_file_meta_makes_no_other_instance(under: Under, ct: SampleStudy, tmp_path: Path) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    dataset = dcmread(ct.instances[0].path)
    dataset.file_meta.ImplementationVersionName = "SOMEBODY_ELSE_1"
    dcmwrite(tmp_path / "again.dcm", dataset)
    again = (tmp_path / "again.dcm").read_bytes()
    assert again != ct.instances[0].path.read_bytes()
    (outcome,) = await stored(under.archive, pour_of({"again": again}))
    assert outcome.stored is Stored.SAME


@pytest.mark.parametrize("where", ["head", "pixels"])
async def test_other_content_under_the_same_uid_is_refused_and_changes_nothing(
    under: Under, ct: SampleStudy, where: str
) -> None:
    bodies = bodies_of(ct)
    uid, body = next(iter(bodies.items()))
    await stored(under.archive, pour_of(bodies))
    changed = bytearray(body)
    if where == "pixels":
        changed[-1] ^= 1
    else:
        at = body.index(b"Synthetic chest CT")
        changed[at : at + 9] = b"SYNTHETIC"
    (outcome,) = await stored(under.archive, pour_of({"other": bytes(changed)}))
    assert outcome.stored is Stored.REFUSED
    assert isinstance(outcome.error, Duplicate)
    assert outcome.arrived is None
    assert outcome.sop_instance_uid == uid
    assert await fetched(under.archive, wanted_of(ct)) == bodies


# --- what is refused ----------------------------------------------------------------------------------------------------


def without(body: bytes, keyword: str) -> bytes:
    dataset = read(body)
    delattr(dataset, keyword)
    return written(dataset)


def written(dataset: FileDataset) -> bytes:
    into = BytesIO()
    dcmwrite(into, dataset, enforce_file_format=True)
    return into.getvalue()


BROKEN = [
    ("empty", lambda body: b"", MalformedMessage),
    ("not DICOM", lambda body: b"GIF89a" + bytes(5000), MalformedMessage),
    ("cut in the head", lambda body: body[:600], MalformedMessage),
    ("cut in the pixels", lambda body: body[:-1], MalformedMessage),
    ("half", lambda body: body[: len(body) // 2], MalformedMessage),
    ("no study", lambda body: without(body, "StudyInstanceUID"), MalformedMessage),
    ("no series", lambda body: without(body, "SeriesInstanceUID"), MalformedMessage),
    ("a path for a UID", lambda body: body.replace(b"2.25.", b"../..", 20), MalformedMessage),
    ("a Windows program before it", lambda body: b"MZ" + body[2:], RuleViolation),
    ("a script before it", lambda body: b"#!/bin/sh\n" + body[10:], RuleViolation),
]


@pytest.mark.parametrize(("_", "broken", "error"), BROKEN, ids=[each[0] for each in BROKEN])
async def test_a_broken_part_is_refused_and_the_rest_goes_on(
    under: Under, ct: SampleStudy, _: str, broken: object, error: type[ExchangeError]
) -> None:
    one, two, three = list(bodies_of(ct).items())[:3]
    bodies = [one, ("broken", broken(two[1])), three]  # type: ignore[operator]
    outcomes = {each.key: each for each in await stored(under.archive, pour_of(bodies))}
    assert outcomes[one[0]].stored is outcomes[three[0]].stored is Stored.NEW
    refused = outcomes["broken"]
    assert (refused.stored, refused.arrived) == (Stored.REFUSED, None)
    assert type(refused.error) is error
    plan = await under.archive.plan(wanted_of(ct)[:3], None)
    assert [each.wanted.instance.sop_instance_uid for each in plan.available] == [one[0], three[0]]
    assert list(plan.missing) == [two[0]]


async def test_a_tiff_before_it_is_legitimate(under: Under, ct: SampleStudy) -> None:
    body = b"II*\0" + ct.instances[0].path.read_bytes()[4:]
    (outcome,) = await stored(under.archive, pour_of({"dual": body}))
    assert outcome.stored is Stored.NEW
    assert await fetched(under.archive, wanted_of(ct)[:1]) == {str(ct.instances[0].sop_instance_uid): body}


async def breaking(body: bytes, error: Exception) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise error


async def test_a_part_whose_stream_raises_is_refused_and_the_rest_goes_on(under: Under, ct: SampleStudy) -> None:
    one, two, three = list(bodies_of(ct).items())[:3]

    async def pour() -> Pour:
        yield Part(key="one", media_type=DICOM, chunks=pieces(one[1]))
        yield Part(key="two", media_type=DICOM, chunks=breaking(two[1], MalformedMessage("its base64 is none")))
        yield Part(key="three", media_type=DICOM, chunks=pieces(three[1]))

    outcomes = {each.key: each for each in await stored(under.archive, pour())}
    assert [outcomes[key].stored for key in ("one", "two", "three")] == [Stored.NEW, Stored.REFUSED, Stored.NEW]
    assert outcomes["two"].error is not None
    assert outcomes["two"].error.detail == "its base64 is none"


async def test_what_broke_the_pour_is_raised_after_the_outcomes(under: Under, ct: SampleStudy) -> None:
    """A connection that breaks inside a part: that part is refused, then the pour itself has no more."""
    one, two = list(bodies_of(ct).items())[:2]
    cause = PeerTimeout("nothing came for a minute")

    async def pour() -> Pour:
        yield Part(key="one", media_type=DICOM, chunks=pieces(one[1]))
        yield Part(key="two", media_type=DICOM, chunks=breaking(two[1], cause))
        raise MalformedMessage("the body was not read to its end")

    outcomes = []
    with pytest.raises(PeerTimeout) as raised:
        async for outcome in under.archive.store(pour()):
            outcomes.append(outcome)
    assert raised.value is cause
    assert {each.key: each.stored for each in outcomes} == {"one": Stored.NEW, "two": Stored.REFUSED}


async def test_a_pour_that_breaks_between_parts_raises_that(under: Under, ct: SampleStudy) -> None:
    async def pour() -> Pour:
        yield Part(key="one", media_type=DICOM, chunks=pieces(ct.instances[0].path.read_bytes()))
        raise ConnectionResetError

    outcomes = []
    with pytest.raises(ConnectionResetError):
        async for outcome in under.archive.store(pour()):
            outcomes.append(outcome)
    assert [each.stored for each in outcomes] == [Stored.NEW]


# --- coercion -----------------------------------------------------------------------------------------------------------

COERCED = {
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDsSequence",
    "OriginalAttributesSequence",
}


async def test_what_is_served_is_the_coerced_view(under: Under, ct: SampleStudy) -> None:
    originals = bodies_of(ct)
    outcomes = await stored(under.archive, pour_of(originals), COERCION)
    for outcome in outcomes:
        assert outcome.arrived is not None
        assert outcome.arrived.study.patient.identifiers[0] == LOCAL.identifiers[0]
        assert outcome.arrived.study.accession_numbers[0] == COERCION.accession_number
        assert json.loads(outcome.arrived.metadata)["00100020"]["Value"] == [LOCAL.identifiers[0].value]
        instance = outcome.arrived.study.series[0].instances[0]
        assert instance.size_bytes == len(originals[outcome.key])
    served = await fetched(under.archive, wanted_of(ct))
    for uid, body in served.items():
        before, after = read(originals[uid]), read(body)
        changed = {each.keyword for each in after if before.get(each.tag) != each}
        assert changed <= COERCED
        assert {each.tag for each in before} <= {each.tag for each in after}
        assert after.PixelData == before.PixelData
        assert (after.PatientID, after.IssuerOfPatientID) == (LOCAL.identifiers[0].value, OURS)
        assert after.AccessionNumber == "OURS-1"
        (item,) = after.OriginalAttributesSequence
        assert item.SourceOfPreviousValues == "Lakeside"
        assert item.ModifyingSystem == "RADGATE"
        assert item.AttributeModificationDateTime.startswith(f"{NOON:%Y%m%d%H%M%S}")
        (previous,) = item.ModifiedAttributesSequence
        assert previous.PatientID == PATIENT.identifiers[0].value
        assert previous.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == THEIRS


async def test_the_original_is_one_option_away(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)), COERCION)
    served = await fetched(under.archive, wanted_of(ct))
    original = await fetched(under.archive, wanted_of(ct), original=True)
    # A foreign archive keeps what it was sent, and that was the coerced view.
    assert original == (bodies_of(ct) if under.ours else served)


async def test_a_coerced_instance_that_comes_again_is_the_same_either_way(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)), COERCION)
    served = await fetched(under.archive, wanted_of(ct))
    again = await stored(under.archive, pour_of(bodies_of(ct)), COERCION)
    back = await stored(under.archive, pour_of(served))
    assert {each.stored for each in (*again, *back)} == {Stored.SAME}
    assert await fetched(under.archive, wanted_of(ct)) == served
    for outcome in (*again, *back):
        assert outcome.arrived is not None
        assert outcome.arrived.study.patient.identifiers[0] == LOCAL.identifiers[0]


async def test_a_study_is_rewritten_for_another_patient(under: Under, ct: SampleStudy) -> None:
    outcomes = await stored(under.archive, pour_of(bodies_of(ct)), COERCION)
    merged = replace(COERCION, patient=replace(LOCAL, identifiers=PATIENT.identifiers), source="merge")
    await under.archive.rewrite(study_of(outcomes), merged)
    await under.archive.rewrite(study_of(outcomes), merged)  # a job that is run again
    for uid, body in (await fetched(under.archive, wanted_of(ct))).items():
        after = read(body)
        assert (after.PatientID, after.IssuerOfPatientID) == (PATIENT.identifiers[0].value, THEIRS)
        assert [each.SourceOfPreviousValues for each in after.OriginalAttributesSequence] == ["Lakeside", "merge"]
        assert after.PixelData == read(bodies_of(ct)[uid]).PixelData
    if under.ours:
        assert await fetched(under.archive, wanted_of(ct), original=True) == bodies_of(ct)


async def test_a_study_that_was_never_coerced_can_be_rewritten(under: Under, ct: SampleStudy) -> None:
    outcomes = await stored(under.archive, pour_of(bodies_of(ct)))
    await under.archive.rewrite(study_of(outcomes), COERCION)
    for body in (await fetched(under.archive, wanted_of(ct))).values():
        assert read(body).PatientID == LOCAL.identifiers[0].value


async def test_a_study_with_a_missing_instance_cannot_be_rewritten(under: Under, ct: SampleStudy) -> None:
    outcomes = await stored(under.archive, pour_of(bodies_of(ct)))
    study = study_of(outcomes)
    instance = replace(study.series[0].instances[0], sop_instance_uid=sample_uid("nowhere"))
    series = replace(study.series[0], instances=(instance,))
    with pytest.raises(UnknownDocument):
        await under.archive.rewrite(replace(study, series=(*study.series, series)), COERCION)


# --- out ----------------------------------------------------------------------------------------------------------------


async def test_an_instance_that_is_not_here_is_missing(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(list(bodies_of(ct).items())[1:]))
    plan = await under.archive.plan(wanted_of(ct), None)
    assert len(plan.available) == len(ct.instances) - 1
    ((uid, error),) = plan.missing.items()
    assert uid == ct.instances[0].sop_instance_uid
    assert isinstance(error, UnknownDocument)


async def test_nothing_can_be_had_in_no_syntax(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    plan = await under.archive.plan(wanted_of(ct), frozenset())
    assert plan.available == ()
    assert {type(each) for each in plan.missing.values()} == {Unsupported}
    assert {each.code for each in plan.missing.values()} == {"XDSRepositoryError"}


async def test_an_empty_plan_pours_nothing(under: Under) -> None:
    plan = await under.archive.plan([], None)
    assert (plan.available, dict(plan.missing)) == ((), {})
    assert await poured(under.archive, plan) == {}


@pytest.mark.parametrize("coerced", [False, True], ids=["as received", "coerced"])
@pytest.mark.parametrize("told", [True, False], ids=["index knows", "index does not know"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian),
    ],
)
async def test_native_syntaxes_convert_and_keep_the_pixels(
    under: Under, tmp_path: Path, source: str, target: str, told: bool, coerced: bool
) -> None:
    study = write_ct_study(
        tmp_path / "in", seed=1, patient=PATIENT, series=1, instances=2, rows=64, transfer_syntax=source
    )
    await stored(under.archive, pour_of(bodies_of(study)), COERCION if coerced else None)
    wanted = wanted_of(study)
    if not told:
        wanted = [replace(each, instance=replace(each.instance, transfer_syntax_uid=None)) for each in wanted]
    plan = await under.archive.plan(wanted, frozenset({target}))
    assert {each.transfer_syntax_uid for each in plan.available} == {target}
    served = await poured(under.archive, plan)
    for uid, body in bodies_of(study).items():
        before, after = read(body), read(served[uid])
        assert after.file_meta.TransferSyntaxUID == target
        assert numpy.array_equal(after.pixel_array, before.pixel_array)
        unchanged = {each.tag for each in before if each.keyword not in COERCED}
        assert all(after[tag].value == before[tag].value for tag in unchanged)
        assert after.PatientID == (LOCAL if coerced else PATIENT).identifiers[0].value


async def test_the_syntax_in_which_it_is_stored_is_preferred(under: Under, ct: SampleStudy, tmp_path: Path) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    both = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless})
    assert await fetched(under.archive, wanted_of(ct), both) == bodies_of(ct)
    packed = write_us_study(tmp_path / "in", seed=3, patient=PATIENT, frames=2, rows=64, transfer_syntax=JPEGLSLossless)
    await stored(under.archive, pour_of(bodies_of(packed)))
    assert await fetched(under.archive, wanted_of(packed), both) == bodies_of(packed)


async def test_nothing_is_compressed_again(under: Under, tmp_path: Path, ct: SampleStudy) -> None:
    packed = write_us_study(tmp_path / "in", seed=3, patient=PATIENT, frames=2, rows=64, transfer_syntax=RLELossless)
    await stored(under.archive, pour_of({**bodies_of(packed), **bodies_of(ct)}))
    plan = await under.archive.plan([*wanted_of(packed), *wanted_of(ct)], frozenset({JPEGLSLossless}))
    assert plan.available == ()
    assert {type(each) for each in plan.missing.values()} == {Unsupported}


@pytest.mark.parametrize("coerced", [False, True], ids=["as received", "coerced"])
@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("source", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
async def test_compressed_ones_are_decompressed_for_those_who_ask(
    under: Under, tmp_path: Path, source: str, target: str, coerced: bool
) -> None:
    packed = write_us_study(tmp_path / "in", seed=3, patient=PATIENT, frames=3, rows=65, transfer_syntax=source)
    grey = write_ct_study(
        tmp_path / "grey", seed=3, patient=PATIENT, series=1, instances=1, rows=64, transfer_syntax=source
    )
    plain = write_us_study(tmp_path / "plain", seed=3, patient=PATIENT, frames=3, rows=65)
    plain_grey = write_ct_study(tmp_path / "pg", seed=3, patient=PATIENT, series=1, instances=1, rows=64)
    await stored(under.archive, pour_of({**bodies_of(packed), **bodies_of(grey)}), COERCION if coerced else None)
    plan = await under.archive.plan([*wanted_of(packed), *wanted_of(grey)], frozenset({target}))
    if not under.ours and source == JPEG2000Lossless:  # Orthanc as Debian has it has no decoder for it
        assert {type(each) for each in plan.missing.values()} == {Unsupported}
        return
    assert plan.missing == {}
    assert {each.transfer_syntax_uid for each in plan.available} == {target}
    served = await poured(under.archive, plan)
    for uid, body in {**bodies_of(plain), **bodies_of(plain_grey)}.items():
        before, after = read(body), read(served[uid])
        assert after.file_meta.TransferSyntaxUID == target
        assert after.PixelData == before.PixelData
        assert after.PhotometricInterpretation == before.PhotometricInterpretation
        assert after.PatientID == (LOCAL if coerced else PATIENT).identifiers[0].value
        unchanged = {each.tag for each in before if each.keyword not in COERCED}
        assert all(after[tag].value == before[tag].value for tag in unchanged)


async def framed(archive: Archive, wanted: Wanted, numbers: list[int]) -> dict[str, tuple[str, bytes]]:
    return {
        part.key: (part.media_type, b"".join([chunk async for chunk in part.chunks]))
        async for part in await archive.frames(wanted, numbers)
    }


async def test_frames_come_as_they_are_stored(under: Under, tmp_path: Path) -> None:
    study = write_capture_study(tmp_path / "in", seed=4, patient=PATIENT, frames=5, rows=64)
    (wanted,) = wanted_of(study)
    await stored(under.archive, pour_of(bodies_of(study)), COERCION)
    pixels = dcmread(study.instances[0].path).PixelData
    size = len(pixels) // 5
    assert await framed(under.archive, wanted, [2, 5]) == {
        str(number): (
            f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}",
            pixels[(number - 1) * size : number * size],
        )
        for number in (2, 5)
    }


async def test_compressed_frames_come_as_they_are_stored(under: Under, tmp_path: Path) -> None:
    study = write_us_study(tmp_path / "in", seed=3, patient=PATIENT, frames=4, rows=64, transfer_syntax=JPEGLSLossless)
    await stored(under.archive, pour_of(bodies_of(study)))
    loop = study.instances[1]
    frames = list(generate_frames(dcmread(loop.path).PixelData, number_of_frames=4))
    found = await framed(under.archive, wanted_of(study)[1], [1, 4])
    assert {media_type for media_type, _ in found.values()} == {f"image/jls; transfer-syntax={JPEGLSLossless}"}
    assert [body.rstrip(b"\0") for _, body in found.values()] == [frames[0].rstrip(b"\0"), frames[3].rstrip(b"\0")]


@pytest.mark.parametrize("number", [0, 2, 99])
async def test_there_is_no_such_frame(under: Under, ct: SampleStudy, number: int) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    with pytest.raises(UnknownDocument):
        await under.archive.frames(wanted_of(ct)[0], [number])


async def test_there_are_no_frames_of_an_instance_that_is_not_here(under: Under, ct: SampleStudy) -> None:
    with pytest.raises(UnknownDocument):
        await under.archive.frames(wanted_of(ct)[0], [1])


async def test_big_endian_is_had_as_stored_only(under: Under, tmp_path: Path) -> None:
    study = write_ct_study(tmp_path / "in", seed=1, patient=PATIENT, series=1, instances=1, rows=64)
    dataset = dcmread(study.instances[0].path)
    dataset["PixelData"].value = numpy.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dcmwrite(study.instances[0].path, dataset, little_endian=False, implicit_vr=False)
    (wanted,) = wanted_of(study)
    wanted = replace(wanted, instance=replace(wanted.instance, transfer_syntax_uid=None))
    await stored(under.archive, pour_of(bodies_of(study)))
    assert await fetched(under.archive, [wanted], frozenset({ExplicitVRBigEndian})) == bodies_of(study)
    plan = await under.archive.plan([wanted], frozenset({ExplicitVRLittleEndian}))
    assert list(plan.missing) == [study.instances[0].sop_instance_uid]


async def test_a_pour_that_is_left_early_can_be_asked_for_again(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    plan = await under.archive.plan(wanted_of(ct), None)
    pour = under.archive.pour(plan)
    async for part in pour:
        await anext(part.chunks)
        break
    await pour.aclose()  # type: ignore[attr-defined]
    assert await poured(under.archive, plan) == bodies_of(ct)


async def test_parts_may_be_skipped_unread(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)))
    plan = await under.archive.plan(wanted_of(ct), None)
    keys = [part.key async for part in under.archive.pour(plan)]
    assert sorted(keys) == sorted(bodies_of(ct))


# --- upkeep -------------------------------------------------------------------------------------------------------------


async def test_orphans_are_named(under: Under, ct: SampleStudy) -> None:
    await stored(under.archive, pour_of(bodies_of(ct)), COERCION)
    if not under.ours:  # what else is in a foreign archive is not ours to judge
        assert list(await under.archive.orphans(known([]))) == []
        return
    first, *rest = [str(each.sop_instance_uid) for each in ct.instances]
    assert await under.opened().orphans(known(rest)) == [first]
    assert await under.opened().orphans(known([first, *rest, "2.25.1"])) == []
    assert sorted(await under.opened().orphans(known([]))) == sorted([first, *rest])


async def test_an_archive_that_works_is_ready(under: Under) -> None:
    assert await under.archive.ready() == ""


async def test_two_studies_do_not_mix(under: Under, ct: SampleStudy, tmp_path: Path) -> None:
    other = small_ct(tmp_path / "other", seed=9)
    await stored(under.archive, pour_of({**bodies_of(ct), **bodies_of(other)}))
    assert await fetched(under.archive, wanted_of(other)) == bodies_of(other)
    assert await fetched(under.archive, wanted_of(ct)) == bodies_of(ct)
