"""Reconcile: whose study is this? A foreign identity becomes a local one, or a person decides."""

from dataclasses import dataclass
from datetime import datetime

from gateway.ports.identity import Identity
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Evidence, IdentityLink, Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """We know who it is."""

    patient: Patient
    evidence: Evidence
    link: IdentityLink | None = None  # to be kept, where the evidence was new


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """We do not; `reason` and `cure` are for the person who decides. No patient data in either."""

    reason: str
    cure: str
    candidates: tuple[Patient, ...] = ()


async def whoever_is(identity: Identity, identifier: PatientIdentifier) -> Patient | None:
    """The patient who has this id now: the survivor, where it was merged away since. None: nobody."""
    named = {identifier}
    while (patient := await identity.get(identifier)) is None:
        survivor = await identity.subsumed(identifier)
        if survivor is None or survivor in named:
            return None
        named.add(survivor)
        identifier = survivor
    return patient


async def settle(
    identity: Identity, foreign: Patient | None, identifiers: tuple[PatientIdentifier, ...], own: Oid, now: datetime
) -> Settled | Unsettled:
    """Find the local patient.

    Args:
        identity: Our patients.
        foreign: Who the sender says it is, with demographics if it sent any.
        identifiers: Every id that the sender gave, 1..n.
        own: The authority of our own ids.
        now: For the link.
    """
    for identifier in identifiers:
        patient = await identity.get(identifier)
        if patient is not None:
            same = identifier.authority == own
            return Settled(patient=patient, evidence=Evidence.SAME_AUTHORITY if same else Evidence.FEED)
        if await identity.subsumed(identifier) is not None:
            return Unsettled(
                reason="the patient id was merged into another and is not valid any more",
                cure="Tell the sender the surviving id, or decide whose study it is",
            )
    if foreign is None or not foreign.name.family or foreign.birth_date is None:
        return Unsettled(
            reason="the patient id is not known here, and name and birth date were not sent",
            cure="Decide whose study it is, or have the patient's identity fed by ADT",
        )
    candidates = tuple(await identity.match(foreign))
    if len(candidates) == 1:
        patient = candidates[0]
        local = patient.identifier_of(own) or patient.identifiers[0]
        link = IdentityLink(
            local=local, foreign=identifiers[0], evidence=Evidence.DEMOGRAPHICS, decided_by="radgate", decided_at=now
        )
        return Settled(patient=patient, evidence=Evidence.DEMOGRAPHICS, link=link)
    if candidates:
        return Unsettled(
            reason=f"{len(candidates)} of our patients have this name, birth date and sex",
            cure="Decide which of them it is",
            candidates=candidates,
        )
    return Unsettled(
        reason="nobody here has this id, nor this name, birth date and sex",
        cure="Register the patient (ADT), then release the exchange; or release it to a patient of ours",
    )
