"""What the tests of every archive share: samples as pours, and answers gathered."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset

from conformance.samples import SampleStudy, sample_patient, write_ct_study
from gateway.adapters.arrival import Reading
from gateway.ports.archive import Archive, Coercion, Plan, StoreOutcome, Wanted
from profiles.model.content import DICOM, Part, Pour
from profiles.model.identifiers import AccessionNumber, Oid, Uid
from profiles.model.imaging import Instance, Study
from profiles.model.patient import Patient

THEIRS, OURS = Oid("1.2.3.4"), Oid("1.2.3.9")
READING = Reading(authority=THEIRS, zone=UTC, system="RADGATE")
PATIENT = sample_patient(1, THEIRS)
LOCAL = sample_patient(2, OURS, prefix="L")
COERCION = Coercion(
    patient=LOCAL, source="Lakeside", system="RADGATE", accession_number=AccessionNumber(value="OURS-1", authority=OURS)
)


def small_ct(folder: Path, *, seed: int = 1, patient: Patient = PATIENT, instances: int = 3) -> SampleStudy:
    return write_ct_study(folder, seed=seed, patient=patient, series=2, instances=instances, rows=64)


async def pieces(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def pour_of(bodies: Mapping[str, bytes] | Iterable[tuple[str, bytes]], size: int = 10_000) -> Pour:
    for key, body in bodies.items() if isinstance(bodies, Mapping) else bodies:
        yield Part(key=key, media_type=DICOM, chunks=pieces(body, size))


def bodies_of(study: SampleStudy) -> dict[str, bytes]:
    return {str(each.sop_instance_uid): each.path.read_bytes() for each in study.instances}


def wanted_of(study: SampleStudy) -> list[Wanted]:
    return [
        Wanted(
            study_instance_uid=study.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            instance=Instance(
                sop_instance_uid=each.sop_instance_uid,
                sop_class_uid=each.sop_class_uid,
                transfer_syntax_uid=each.transfer_syntax_uid,
                frames=each.frames,
            ),
        )
        for series in study.series
        for each in series.instances
    ]


def wanted(study_uid: str, series_uid: str, sop_uid: str, sop_class: str) -> Wanted:
    return Wanted(
        study_instance_uid=study_uid,
        series_instance_uid=series_uid,
        instance=Instance(sop_instance_uid=Uid(sop_uid), sop_class_uid=Uid(sop_class)),
    )


async def stored(archive: Archive, pour: Pour, coercion: Coercion | None = None) -> list[StoreOutcome]:
    return [outcome async for outcome in archive.store(pour, coercion)]


async def poured(archive: Archive, plan: Plan, *, original: bool = False) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    async for part in archive.pour(plan, original=original):
        body = b"".join([chunk async for chunk in part.chunks])
        assert part.size_bytes in (None, len(body))
        assert part.key not in found
        found[part.key] = body
    return found


async def fetched(
    archive: Archive, wanted: Sequence[Wanted], syntaxes: frozenset[str] | None = None, *, original: bool = False
) -> dict[str, bytes]:
    plan = await archive.plan(wanted, syntaxes)
    assert plan.missing == {}
    return await poured(archive, plan, original=original)


def read(body: bytes) -> FileDataset:
    return dcmread(BytesIO(body))


def study_of(outcomes: Iterable[StoreOutcome]) -> Study:
    """What the index would hold: the study with every instance that arrived."""
    arrived = [each.arrived.study for each in outcomes if each.arrived is not None]
    return Study(
        study_instance_uid=arrived[0].study_instance_uid,
        patient=arrived[0].patient,
        series=tuple(series for each in arrived for series in each.series),
    )


async def known(uids: Iterable[str]) -> AsyncIterator[str]:
    for uid in uids:
        yield uid
