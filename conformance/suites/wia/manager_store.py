"""RAD-108 (STOW-RS) at an image manager.

Source: RAD TF-2 4.108; DICOM PS3.18 10.5.
"""

import uuid

from conformance.case import case
from conformance.expect import expect
from conformance.samples import sample_uid
from conformance.suites.wia.dicomweb import awaited, bodies_of, first, firsts, new_study, store
from conformance.target import Target
from profiles.transaction import Actor

MANAGER = Actor.IMAGE_MANAGER
REFERENCED, FAILED, REASON, INSTANCE, URL = "00081199", "00081198", "00081197", "00081155", "00081190"


@case("RAD108/store", transaction="RAD-108", actor=MANAGER, title="What is stored is named, found and the same")
async def stored(target: Target) -> None:
    """A new study of the known patient."""
    study = await new_study(target)
    answer = await store(target, bodies_of(study))
    expect(answer.status, "the HTTP status").equals(200)
    told = answer.json()
    named = firsts(told.get(REFERENCED, {}).get("Value", []), INSTANCE)
    expect(named, "ReferencedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])
    expect(first(told, URL), "RetrieveURL").is_there()
    came = await awaited(target, study)
    expect([(each.sop_instance_uid, each.pixels_sha256) for each in came.parts], "what comes back").has_same(
        [(each.sop_instance_uid, each.pixels_sha256) for each in study.instances]
    )


@case("RAD108/again", transaction="RAD-108", actor=MANAGER, title="The same instance may be stored again")
async def again(target: Target) -> None:
    """And is there once."""
    study = await new_study(target)
    for _ in range(2):
        expect((await store(target, bodies_of(study))).status, "the HTTP status").equals(200)
    came = await awaited(target, study)
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
    study = await new_study(target)
    answer = await store(target, bodies_of(study), f"/studies/{sample_uid('another', uuid.uuid4())}")
    expect(answer.status, "the HTTP status").equals(409)
    failed = answer.json().get(FAILED, {}).get("Value", [])
    expect(firsts(failed, INSTANCE), "FailedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])
    expect(all(isinstance(reason, int) for reason in firsts(failed, REASON)), "whether each has a reason").equals(True)


@case("RAD108/partial", transaction="RAD-108", actor=MANAGER, title="One good and one bad instance are told apart")
async def partly(target: Target) -> None:
    """The second part is no DICOM."""
    study = await new_study(target)
    answer = await store(target, [bodies_of(study)[0], b"no DICOM at all"])
    expect(answer.status, "the HTTP status").equals(202)
    told = answer.json()
    named = firsts(told.get(REFERENCED, {}).get("Value", []), INSTANCE)
    expect(named, "ReferencedSOPSequence").equals([study.instances[0].sop_instance_uid])
    failed = told.get(FAILED, {}).get("Value", []) + told.get("0008119A", {}).get("Value", [])
    expect(failed, "the failures").is_there()


@case("RAD108/partial", transaction="RAD-108", actor=MANAGER, title="Nothing that can be stored is a failure")
async def nothing_stored(target: Target) -> None:
    """No DICOM at all."""
    expect((await store(target, [b"no DICOM at all"])).status, "the HTTP status").is_one_of(400, 409)


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
    expect((await store(target, [])).status, "the HTTP status").equals(400)
