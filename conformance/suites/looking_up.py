"""How a system is made to ask others about a patient: by having it share a study.

The affinity domain knows the patient by another id than the system, and nobody has told it which.

Source: ITI TF-2 3.45.4.1.1, 3.47.4.1.1 (trigger events).
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from conformance.expect import expect
from conformance.samples import SampleStudy, write_ct_study
from conformance.simulators.soap_server import Asked
from conformance.suites.people import LETTERS, new_id
from conformance.suites.pix.messages import adt, pid, sent
from conformance.suites.wia.dicomweb import awaited, bodies_of, store
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.identifiers import PatientIdentifier, Uid
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.transaction import SoapTransaction
from profiles.xdsi.rad68 import RAD_68, ProvideAndRegisterRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A patient as the system knows them, by an id of its own, with a study; and the id that it has to find out."""

    patient: Patient
    shared: PatientIdentifier
    study: SampleStudy

    @property
    def local(self) -> PatientIdentifier:
        """By which the system knows them."""
        return self.patient.identifiers[0]

    def known_as(self, *identifiers: PatientIdentifier) -> Patient:
        """The same person, by these ids."""
        return replace(self.patient, identifiers=identifiers)


async def sought(target: Target) -> Sought:
    """Somebody new, of whom the system is told by ITI-8, and whose study it is given by STOW-RS.

    Raises:
        Unreachable: It has no ids of its own, or does not take patient or study.
    """
    local = new_id(target, target.known("local_patient_authority"))
    family = f"Sought{uuid.uuid4().hex[:10].translate(LETTERS)}"
    patient = Patient(
        identifiers=(local,), name=PersonName(family=family, given="Zoe"), birth_date=Moment.from_dtm("19700101"),
        sex=Sex.FEMALE,
    )  # fmt: skip
    if (await sent(target, adt(target, "A04", pid(local, f"{family}^Zoe")))).msa[1] != "AA":
        raise Unreachable("a patient with an id of its own is not taken by ITI-8: see pix.registry_feed")
    uid, seed = Uid(f"2.25.{uuid.uuid4().int}"), uuid.uuid4().int % 1_000_000
    folder = target.scratch() / str(uid)
    study = await asyncio.to_thread(
        lambda: write_ct_study(
            folder, seed=seed, patient=patient, study_instance_uid=uid, series=1, instances=1, rows=32
        )
    )
    if (await store(target, bodies_of(study))).status != 200 or (await awaited(target, study)).status != 200:
        raise Unreachable("a study of this patient cannot be stored: see wia.manager_store")
    return Sought(patient=patient, shared=new_id(target), study=study)


async def shared(target: Target, name: str, know: Callable[[Sought], None]) -> tuple[Sought, int]:
    """Make it share the study, once for all cases of this name; `know` has whom it may ask know something.

    Answers whose study it is, and how many requests had come before.
    """

    async def make() -> tuple[Sought, int]:
        given = await sought(target)
        know(given)
        return given, await target.provoke("share", study=given.study.study_instance_uid)

    return await target.once(name, make)


async def is_submitted_by(target: Target, before: int, *identifiers: PatientIdentifier) -> None:
    """What is submitted since is of a patient by one of these ids."""
    asked = await target.asked(RAD_68, before)
    told = {str(entry.patient_id) for entry in _entries(asked)}
    expect(told, "the patient of what is submitted").equals({str(each) for each in identifiers})


async def is_not_shared(target: Target, given: Sought, transaction: SoapTransaction[Any, Any]) -> None:
    """Make it share a study of somebody who is not known for certain: it asks, and submits nothing."""
    counterpart = target.community.counterpart
    before = len(counterpart.asked)
    said = await target.attempt("share", study=given.study.study_instance_uid)
    await target.asked(transaction, before)
    submitted = [each for each in counterpart.asked[before:] if each.transaction == RAD_68.id]
    expect([str(entry.patient_id) for each in submitted for entry in _entries(each)], "what is submitted").is_absent()
    expect(said, "what it says of it").is_there()


def _entries(asked: Asked) -> Any:
    request: ProvideAndRegisterRequest = asked.request
    return request.submission.entries
