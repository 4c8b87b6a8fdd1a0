"""RAD-108 (STOW-RS) at an image manager.

Source: RAD TF-2 4.108; DICOM PS3.18 10.5.
"""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy, sample_uid, write_ct_study
from conformance.suites.wia.dicomweb import ANY_SYNTAX, JSON, first, firsts, retrieved
from conformance.target import HttpAnswer, Target
from profiles.model.identifiers import Uid
from profiles.model.patient import Patient, PersonName
from profiles.transaction import Actor

MANAGER = Actor.IMAGE_MANAGER
BOUNDARY = "conformance"
STORED_S = 20.0
REFERENCED, FAILED, REASON, INSTANCE, URL = "00081199", "00081198", "00081197", "00081155", "00081190"


@case("RAD108/store", transaction="RAD-108", actor=MANAGER, title="What is stored is named, found and the same")
async def stored(target: Target) -> None:
    """A new study of the known patient."""
    study = await _new(target)
    answer = await _store(target, _bodies(study))
    expect(answer.status, "the HTTP status").equals(200)
    told = answer.json()
    named = firsts(told.get(REFERENCED, {}).get("Value", []), INSTANCE)
    expect(named, "ReferencedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])
    expect(first(told, URL), "RetrieveURL").is_there()
    came = await _awaited(target, study)
    expect([(each.sop_instance_uid, each.pixels_sha256) for each in came.parts], "what comes back").has_same(
        [(each.sop_instance_uid, each.pixels_sha256) for each in study.instances]
    )


@case("RAD108/again", transaction="RAD-108", actor=MANAGER, title="The same instance may be stored again")
async def again(target: Target) -> None:
    """And is there once."""
    study = await _new(target)
    for _ in range(2):
        expect((await _store(target, _bodies(study))).status, "the HTTP status").equals(200)
    came = await _awaited(target, study)
    expect([each.sop_instance_uid for each in came.parts], "what comes back").has_same(
        [each.sop_instance_uid for each in study.instances]
    )


@case(
    "RAD108/study",
    transaction="RAD-108",
    actor=MANAGER,
    title="An instance of another study than the address is refused",
)
async def another_study(target: Target) -> None:
    """With the reason, by name."""
    study = await _new(target)
    answer = await _store(target, _bodies(study), f"/studies/{sample_uid('another', uuid.uuid4())}")
    expect(answer.status, "the HTTP status").equals(409)
    failed = answer.json().get(FAILED, {}).get("Value", [])
    expect(firsts(failed, INSTANCE), "FailedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])
    expect(all(isinstance(reason, int) for reason in firsts(failed, REASON)), "whether each has a reason").equals(True)


@case("RAD108/partial", transaction="RAD-108", actor=MANAGER, title="One good and one bad instance are told apart")
async def partly(target: Target) -> None:
    """The second part is no DICOM."""
    study = await _new(target)
    answer = await _store(target, [_bodies(study)[0], b"no DICOM at all"])
    expect(answer.status, "the HTTP status").equals(202)
    told = answer.json()
    named = firsts(told.get(REFERENCED, {}).get("Value", []), INSTANCE)
    expect(named, "ReferencedSOPSequence").equals([study.instances[0].sop_instance_uid])
    failed = told.get(FAILED, {}).get("Value", []) + told.get("0008119A", {}).get("Value", [])
    expect(failed, "the failures").is_there()


@case("RAD108/partial", transaction="RAD-108", actor=MANAGER, title="Nothing that can be stored is a failure")
async def nothing_stored(target: Target) -> None:
    """No DICOM at all."""
    expect((await _store(target, [b"no DICOM at all"])).status, "the HTTP status").is_one_of(400, 409)


@case("RAD108/media", transaction="RAD-108", actor=MANAGER, title="A body that is no multipart is refused")
async def media_type(target: Target) -> None:
    """text/plain."""
    answer = await target.ask(
        "RAD-108", "/studies", service="DICOMWEB", method="POST", headers={"Content-Type": "text/plain"}, body=b"?"
    )
    expect(answer.status, "the HTTP status").is_one_of(400, 415)


@case("RAD108/empty", transaction="RAD-108", actor=MANAGER, title="A body without parts is refused")
async def empty(target: Target) -> None:
    """Only its last boundary."""
    expect((await _store(target, [])).status, "the HTTP status").equals(400)


async def _new(target: Target) -> SampleStudy:
    """A study of the known patient that nobody has seen."""
    patient = Patient(identifiers=(target.patient(),), name=PersonName(family="Conformance", given="Case"))
    folder: Path = target.scratch()
    seed = uuid.uuid4().int % 1_000_000
    uid = Uid(f"2.25.{uuid.uuid4().int}")
    return await asyncio.to_thread(
        lambda: write_ct_study(
            folder, seed=seed, patient=patient, study_instance_uid=uid, series=1, instances=2, rows=32
        )
    )


def _bodies(study: SampleStudy) -> list[bytes]:
    return [each.path.read_bytes() for each in study.instances]


async def _store(target: Target, bodies: Sequence[bytes], path: str = "/studies") -> HttpAnswer:
    body = b"".join(
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (BOUNDARY.encode(), each) for each in bodies
    )
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', "Accept": JSON}
    return await target.ask(
        "RAD-108", path, service="DICOMWEB", method="POST", headers=headers, body=body + f"--{BOUNDARY}--\r\n".encode()
    )


async def _awaited(target: Target, study: SampleStudy) -> HttpAnswer:
    """The study, once it can be had whole."""
    try:
        async with asyncio.timeout(STORED_S):
            while True:
                came = await retrieved(target, f"/studies/{study.study_instance_uid}", ANY_SYNTAX)
                if came.status == 200 and len(came.parts) >= len(study.instances):
                    return came
                await asyncio.sleep(0.1)
    except TimeoutError:
        return came
