"""What a load asks for, by transaction, and what the answer must be.

A work is open as long as its load: what all requests share is made first, then each request before its time begins. The
bytes of what is stored anew are those of one study under other UIDs of the same length: making DICOM is no part of a load.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from conformance.expect import expect
from conformance.samples import SampleInstance, SampleStudy, write_ct_study
from conformance.simulators.hl7_sender import Line
from conformance.simulators.imaging_community import manifest_document
from conformance.submissions import provided
from conformance.suites.pix.messages import Ack, adt, control_id, new_patient, pid
from conformance.suites.wia.dicomweb import ANY_SYNTAX, firsts, retrieved, store
from conformance.suites.xds.documents import APPROVED, found, submitted
from conformance.suites.xdsi.source_retrieve import of
from conformance.system import COMMUNITY
from conformance.target import Received, Target
from profiles.model.identifiers import Uid
from profiles.model.patient import Patient, PersonName
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69

ADMITTED = (
    *(f"NK1|{each}|Sample^Otto|SPO^Spouse|Main St 1^^Town^^12345^DEU" for each in (1, 2)),
    "PV1|1|O|RAD^1||||D33^Radio^Rolf^^^Dr.|D33^Radio^Rolf^^^Dr.|||||||||||V123^^^VISIT",
    *(f"OBX|{each}|NM|{each}^Weight||71|kg|||||F" for each in range(1, 5)),
    *(f"AL1|{each}|DA|C1^Contrast media" for each in (1, 2)),
    *(f"DG1|{each}|I10|C34.1^Neoplasm|||A" for each in (1, 2)),
    *(f"IN1|{each}|HMO|4711|Insurance of Town|Main St 1^^Town^^12345^DEU" for each in (1, 2)),
)  # what an admission system tells besides the patient
UIDS_WITHIN_BYTES = 8192  # of a file of ours: study, series and instance are named before its pixels
STORED_INSTANCES = 10

Ask = Callable[[], Awaitable[None]]
"""One request and the verification of its answer: this is what is timed."""

Prepare = Callable[[Target], Awaitable[Ask]]
"""Makes what the next request needs."""

Work = Callable[[Target], AbstractAsyncContextManager[Prepare]]
"""Begins with what all requests share, and ends with what they left open."""


@asynccontextmanager
async def _rad_69(target: Target) -> AsyncIterator[Prepare]:
    """A whole study that is held, in the syntaxes in which it is."""
    study = target.study().study
    syntaxes = sorted({each.transfer_syntax_uid for each in study.instances})

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await target.call(RAD_69, of(target, study, study.instances, syntaxes))
            expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
            _are(answer.received, study.instances)

        return ask

    yield prepare


@asynccontextmanager
async def _rad_107(target: Target) -> AsyncIterator[Prepare]:
    """The same study, by WADO-RS."""
    study = target.study().study

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await retrieved(target, f"/studies/{study.study_instance_uid}", ANY_SYNTAX)
            expect(answer.status, "the HTTP status").equals(200)
            _are(answer.parts, study.instances)

        return ask

    yield prepare


@asynccontextmanager
async def _rad_108(target: Target) -> AsyncIterator[Prepare]:
    """A new study of ten CT images, 5 MB, by one STOW-RS request."""
    pattern = await _pattern(target, instances=STORED_INSTANCES, rows=512)
    files = [each.path.read_bytes() for each in pattern.instances]

    async def prepare(target: Target) -> Ask:
        study, bodies = under_new_uids(pattern, files)

        async def ask() -> None:
            answer = await store(target, bodies)
            expect(answer.status, "the HTTP status").equals(200)
            named = firsts(answer.json().get("00081199", {}).get("Value", []), "00081155")
            expect(named, "ReferencedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])

        return ask

    yield prepare


@asynccontextmanager
async def _rad_68(target: Target) -> AsyncIterator[Prepare]:
    """The manifest of a new study of one image, which the community has, where one stands there."""
    pattern, patient = await _pattern(target, instances=1, rows=32), target.patient()
    files = [each.path.read_bytes() for each in pattern.instances]

    async def prepare(target: Target) -> Ask:
        study, bodies = under_new_uids(pattern, files)
        if target.has_community:
            target.community.offer(_kept(study, bodies, target.scratch()), patient)
        request = provided(patient, manifest_document(study, patient, COMMUNITY[2]))

        async def ask() -> None:
            answer = await target.call(RAD_68, request)
            expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)

        return ask

    yield prepare


@asynccontextmanager
async def _iti_18(target: Target) -> AsyncIterator[Prepare]:
    """FindDocuments of a patient, who has a document that was submitted before."""
    patient = target.patient()
    (one,) = await submitted(target)
    criteria = DocumentCriteria(patient_ids=(patient,), statuses=APPROVED)

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=criteria)
            expect({each.patient_id for each in answer.entries}, "whose entries came").equals({patient})
            expect([each.unique_id for each in answer.entries], "what is found").contains(one.entry.unique_id)

        return ask

    yield prepare


@asynccontextmanager
async def _imaging_study(target: Target) -> AsyncIterator[Prepare]:
    """A study by its UID."""
    study = target.study().study
    query = (("identifier", f"urn:dicom:uid|urn:oid:{study.study_instance_uid}"),)

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await target.ask(
                "FHIR ImagingStudy search", "/ImagingStudy", service="FHIR", query=query,
                headers={"Accept": "application/fhir+json"},
            )  # fmt: skip
            expect(answer.status, "the HTTP status").equals(200)
            resources = [each.get("resource", {}) for each in answer.json().get("entry", [])]
            expect([each.get("numberOfInstances") for each in resources], "the instances of what is found").equals(
                [len(study.instances)]
            )

        return ask

    yield prepare


@asynccontextmanager
async def _iti_8(target: Target) -> AsyncIterator[Prepare]:
    """A new patient, 16 segments, by MLLP; each client keeps its connection, as interface engines do."""
    idle: list[Line] = []

    async def prepare(target: Target) -> Ask:
        message = adt(target, "A04", pid(new_patient(target)), *ADMITTED, visit=False)
        line = idle.pop() if idle else target.line()

        async def ask() -> None:
            ack = Ack(await target.send("ITI-8", message, over=line))
            idle.append(line)  # one that failed closed itself, and is not used again
            expect(ack.msa[1], "MSA-1").equals("AA")
            expect(ack.msa[2], "MSA-2").equals(control_id(message))

        return ask

    try:
        yield prepare
    finally:
        for each in idle:
            each.close()


WORKS: Mapping[str, Work] = {
    "RAD-69": _rad_69,
    "RAD-107": _rad_107,
    "RAD-108": _rad_108,
    "RAD-68": _rad_68,
    "ITI-18": _iti_18,
    "FHIR ImagingStudy search": _imaging_study,
    "ITI-8": _iti_8,
}
ALSO_CALLED = {
    "wado-rs": "RAD-107",
    "stow-rs": "RAD-108",
    "imagingstudy": "FHIR ImagingStudy search",
    "mllp": "ITI-8",
    **{each.casefold(): each for each in WORKS},
}


def _are(received: Sequence[Received], instances: Sequence[SampleInstance]) -> None:
    """These very instances, with the pixels that are known of them."""
    expect([(each.sop_instance_uid, each.pixels_sha256) for each in received], "what came").has_same(
        [(str(each.sop_instance_uid), each.pixels_sha256) for each in instances]
    )


# --- the same under other UIDs ----------------------------------------------------------------------------------------


async def _pattern(target: Target, *, instances: int, rows: int) -> SampleStudy:
    """A study of the known patient, of which copies are stored."""
    patient = Patient(identifiers=(target.patient(),), name=PersonName(family="Conformance", given="Load"))
    return await asyncio.to_thread(
        write_ct_study, target.scratch(), seed=7, patient=patient, series=1, instances=instances, rows=rows
    )


def under_new_uids(study: SampleStudy, files: Sequence[bytes]) -> tuple[SampleStudy, list[bytes]]:
    """A study of the same images that nobody has seen, with the bytes of its files; the paths are still the old ones.

    Args:
        study: One whose UIDs are of ours, each as text that stands nowhere else in a file.
        files: The bytes of its instances, in order.
    """
    new = {
        uid: _new_uid(len(uid))
        for uid in (
            study.study_instance_uid,
            *(each.series_instance_uid for each in study.series),
            *(each.sop_instance_uid for each in study.instances),
        )
    }
    series = tuple(
        replace(
            each,
            series_instance_uid=new[each.series_instance_uid],
            instances=tuple(replace(one, sop_instance_uid=new[one.sop_instance_uid]) for one in each.instances),
        )
        for each in study.series
    )
    bodies = []
    for file in files:
        head = file[:UIDS_WITHIN_BYTES]
        for old, uid in new.items():
            head = head.replace(old.encode(), uid.encode())
        bodies.append(head + file[UIDS_WITHIN_BYTES:])
    return replace(study, study_instance_uid=new[study.study_instance_uid], series=series), bodies


def _new_uid(length: int) -> Uid:
    """`2.25.` and random digits (PS3.5 B.2), as long as that."""
    digits = length - len("2.25.")
    return Uid(f"2.25.{random.SystemRandom().randrange(10 ** (digits - 1), 10**digits)}")


def _kept(study: SampleStudy, bodies: Sequence[bytes], folder: Path) -> SampleStudy:
    """The same, with its files where it says that they are."""
    of_uid = {each.sop_instance_uid: body for each, body in zip(study.instances, bodies, strict=True)}
    for uid, body in of_uid.items():
        (folder / f"{uid}.dcm").write_bytes(body)
    series = tuple(
        replace(
            each,
            instances=tuple(replace(one, path=folder / f"{one.sop_instance_uid}.dcm") for one in each.instances),
        )
        for each in study.series
    )
    return replace(study, series=series)
