"""Whatever is sent: an instance is stored as it came, or refused; nothing else happens to its neighbours."""

import random
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless

from conformance.samples import SampleStudy, write_us_study
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory.archive import MemoryArchive
from gateway.ports.archive import Archive, Stored, StoreOutcome
from profiles.errors import RequestError
from tests.gateway.adapters.archives import COERCION, PATIENT, READING, pour_of, poured, stored, wanted
from tests.support.clock import FixedClock

ROUNDS = 150
SEED = 20261124


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Some bytes of the header changed, doubled, dropped or replaced by what parsers stumble over."""
    changed = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(128, min(len(changed), 2000))
        match chance.choices(range(6), (6, 2, 1, 1, 2, 1))[0]:
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"))
            case 2:
                del changed[at : at + chance.randint(1, 40)]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 40)]
            case 4:
                changed[at : at + 2] = chance.choice((b"SQ", b"UN", b"OB", b"UI", b"PN", b"DS", b"??"))
            case 5:
                del changed[chance.randrange(len(changed) // 2, len(changed)) :]
    return bytes(changed)


@pytest.fixture(params=["memory", "files"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, compute: ThreadCompute) -> Archive:
    if request.param == "memory":
        return MemoryArchive(clock=FixedClock(), reading=READING)
    return FilesArchive(tmp_path / "archive", compute=compute, clock=FixedClock(), reading=READING)


def wanted_again(outcome: StoreOutcome) -> tuple[str, str, str, str]:
    assert outcome.arrived is not None
    study = outcome.arrived.study
    series = study.series[0]
    return (
        study.study_instance_uid,
        series.series_instance_uid,
        outcome.sop_instance_uid,
        outcome.sop_class_uid,
    )


@pytest.mark.parametrize("syntax", ["as written", ImplicitVRLittleEndian, JPEGLSLossless])
async def test_mutated_headers_are_stored_or_refused(
    archive: Archive, ct: SampleStudy, tmp_path: Path, syntax: str
) -> None:
    chance = random.Random(f"{SEED}-{syntax}")
    if syntax == "as written":
        whole = ct.instances[0].path.read_bytes()
    else:
        study = write_us_study(tmp_path / "us", seed=3, patient=PATIENT, frames=2, rows=32, transfer_syntax=syntax)
        whole = study.instances[1].path.read_bytes()
    bodies = {str(at): mutated(whole, chance) for at in range(ROUNDS)}
    outcomes = await stored(archive, pour_of(bodies, 700), COERCION)
    assert {each.key for each in outcomes} == set(bodies)
    kept = {each.key: each for each in outcomes if each.stored is Stored.NEW}
    for outcome in outcomes:
        if outcome.stored is Stored.REFUSED:
            assert isinstance(outcome.error, RequestError), outcome.error
    assert kept, "a seed under which nothing is stored tests nothing"
    assert len(kept) < ROUNDS
    for key, outcome in kept.items():  # one by one: a changed study has the same instance again
        plan = await archive.plan([wanted(*wanted_again(outcome))], None)
        assert plan.missing == {}
        assert await poured(archive, plan, original=True) == {outcome.sop_instance_uid: bodies[key]}
