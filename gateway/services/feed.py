"""Feed: patients come, change and merge (ITI-8, ITI-30). A merge reaches everything that names the patient.

Study, DocumentEntry, ImagingStudy and audit follow in the same commit; the archive's coerced heads follow by a job,
because they are many and the index already tells the truth.
"""

from collections.abc import Sequence

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.ports.clock import Clock
from gateway.ports.store import Work
from gateway.services.exchange import Exchange
from profiles.errors import RuleViolation, UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Evidence, IdentityLink, Patient
from profiles.transaction import StudyFact


class Feed:
    """Patient identity, as others tell it."""

    def __init__(self, *, house: House, clock: Clock) -> None:
        """Stand on the ports."""
        self._house = house
        self._clock = clock

    async def upsert(self, patient: Patient, exchange: Exchange) -> Patient:
        """A patient is registered or updated; 1..n ids, of which those of our two domains come first.

        Raises:
            UnknownPatient: None of the ids is of our own domain or of the affinity domain.
            IdentityConflict: The ids belong to different patients here.

        Source: ITI TF-2 3.8.4.1; 3.30.4.
        """
        domains = (self._house.patient_authority, self._house.affinity_authority)
        ours = [patient.identifier_of(authority) for authority in domains if authority is not None]
        known = [identifier for identifier in ours if identifier is not None]
        if not known:
            raise UnknownPatient(
                "none of the ids is of a domain that is kept here", code="204", location="PID^1^3",
                cure="Check PID-3.4 against house.patient_authority and affinity_domain.patient_authority",
            )  # fmt: skip
        work = await exchange.begin()
        before = await work.identity.get(known[0])
        after = await work.identity.put(patient.known_as(known[0]), exchange.now)
        for foreign in after.identifiers[1:]:
            await work.identity.link(
                IdentityLink(
                    local=after.identifiers[0], foreign=foreign, evidence=Evidence.FEED,
                    decided_by=exchange.peer.name if exchange.peer else "feed", decided_at=exchange.now,
                )
            )  # fmt: skip
        exchange.learned.patients = (known[0],)
        exchange.learned.text = "Patient registered" if before is None else "Patient updated"
        exchange.learned.created = before is None
        if before is not None and before != after:
            uids = await work.studies.refresh(after, exchange.now)
            await self._recoerce(work, uids, after, exchange)
        return after

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, exchange: Exchange) -> Patient:
        """A40: what was the one's is the other's from this commit on.

        Raises:
            UnknownPatient, IdentityConflict, Duplicate: As the port says; nothing changes.

        Source: ITI TF-2 3.8.4.2.
        """
        if surviving.authority not in {self._house.patient_authority, self._house.affinity_authority}:
            raise RuleViolation("the ids are of a domain that is not kept here", code="204", location="PID^1^3^1^4")
        work = await exchange.begin()
        patient = await work.identity.merge(subsumed, surviving, exchange.now)
        entries = await work.registry.merge(subsumed, surviving, exchange.now)
        uids = await work.studies.merge(subsumed, patient, exchange.now)
        exchange.learned.patients = (subsumed, surviving)
        exchange.learned.studies = tuple(StudyFact(study_instance_uid=uid, patient=surviving) for uid in uids)
        exchange.learned.text = f"Patients merged: {len(uids)} studies and {entries} document entries moved"
        await self._recoerce(work, uids, patient, exchange)
        return patient

    async def _recoerce(self, work: Work, uids: Sequence[str], patient: Patient, exchange: Exchange) -> None:
        if not uids:
            return
        job = ExchangeJob(
            id=exchange.id, kind=Kind.FEED, state=State.RECEIVED, opened_at=exchange.now, updated_at=exchange.now,
            peer=exchange.peer.name if exchange.peer else "", patient_id=str(patient.identifiers[0]),
            study_instance_uid=uids[0], payload={"rewrite": list(uids)},
        )  # fmt: skip
        exchange.job, exchange.kind = job, Kind.FEED
        await work.ledger.open(job)
        await work.ledger.advance(job.id, Event.SETTLED, exchange.now)
