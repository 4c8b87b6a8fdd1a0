"""Feed: patients come, change and merge (ITI-8, ITI-30, ITI-44). A merge reaches everything that names the patient.

Study, DocumentEntry, ImagingStudy and audit follow in the same commit; the archive's coerced heads follow by a job,
because they are many and the index already tells the truth. The same job tells those who want to know (`inform`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.store import Work
from gateway.services.exchange import Exchange
from gateway.services.inform import actions_for
from profiles.errors import Duplicate, RuleViolation, UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Evidence, IdentityLink, Patient
from profiles.transaction import StudyFact
from profiles.wire.hl7v2.adt import DEMOGRAPHICS

Pairs = Sequence[tuple[PatientIdentifier, PatientIdentifier]]


class Unknown(Enum):
    """What it is that one of the two ids of a merge is not known here."""

    ERROR = "a registry knows both (ITI TF-2 3.8.4.2.4)"
    NO_ERROR = "a consumer may know one of them, or neither (ITI TF-2 3.30.4)"


class Feed:
    """Patient identity, as others tell it."""

    def __init__(self, *, house: House, clock: Clock, peers: Sequence[Peer] = ()) -> None:
        """`peers` are those who may want to be told."""
        self._house = house
        self._clock = clock
        self._peers = peers

    async def upsert(self, patient: Patient, said: frozenset[str], exchange: Exchange) -> Patient:
        """A patient is registered or updated; 1..n ids, of which those of our two domains come first.

        Args:
            patient: As the message has it.
            said: Which of its demographics the message spoke of; the others stay as they were.
            exchange: The turn.

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
                cure="Check its authority against house.patient_authority and affinity_domain.patient_authority",
            )  # fmt: skip
        work = await exchange.begin()
        before = await work.identity.get(known[0])
        told = patient.known_as(known[0])
        if before is not None:
            unsaid = {name: getattr(before, name) for name in DEMOGRAPHICS if name not in said}
            told = replace(told, **unsaid)
        after = await work.identity.put(told, exchange.now)
        await self._link(work, after, exchange)
        exchange.learned.patients = (known[0],)
        exchange.learned.text = "Patient registered" if before is None else "Patient updated"
        exchange.learned.created = before is None
        uids: Sequence[str] = ()
        if before is not None and before != after:
            uids = await work.studies.refresh(after, exchange.now)
        todo = actions_for(self._peers, exchange.peer, before, after)
        await self._follow_up(work, uids, after, exchange, todo=todo, created=("yes",) if before is None else ())
        return after

    async def linked(self, identifiers: tuple[PatientIdentifier, ...], exchange: Exchange) -> None:
        """A cross-reference manager says that these ids are one patient's (ITI-46).

        Where nobody here has any of them it says nothing to us. A list that has become shorter takes nothing away: what
        feeds told us is true until they say otherwise.

        Raises:
            IdentityConflict: The ids belong to different patients here.
        """
        work = await exchange.begin()
        known = [patient for each in identifiers if (patient := await work.identity.get(each)) is not None]
        exchange.learned.patients = identifiers[:1]
        if not known:
            exchange.learned.text = "Nobody here has any of the ids"
            return
        before = known[0]
        after = await work.identity.put(
            replace(before, identifiers=tuple(dict.fromkeys((before.identifiers[0], *identifiers)))), exchange.now
        )
        await self._link(work, after, exchange)
        new = len(after.identifiers) - len(before.identifiers)
        exchange.learned.text = f"{new} new id(s) of a patient"
        todo = actions_for(self._peers, exchange.peer, before, after)
        await self._follow_up(work, (), after, exchange, todo=todo)

    async def change_ids(self, pairs: Pairs, exchange: Exchange) -> None:
        """A47: whoever had the one id has the other one. That nobody has the old one is no error.

        Raises:
            Duplicate: The new id is another patient's; nothing changes.
            UnknownPatient, IdentityConflict, RuleViolation: As in `merge`.

        Source: ITI TF-2 3.30.4.
        """
        work = await exchange.begin()
        for old, new in self._kept(pairs):
            had, has = await work.identity.get(old), await work.identity.get(new)
            if had is not None and has is not None and has != had:
                raise Duplicate("the new id is another patient's here", code="205", location="PID^1^3^1^1")
        await self.merge(pairs, exchange, unknown=Unknown.NO_ERROR)

    async def merge(self, pairs: Pairs, exchange: Exchange, *, unknown: Unknown = Unknown.ERROR) -> None:
        """A40: what was the one's is the other's from this commit on. `pairs` are (subsumed, surviving).

        Raises:
            UnknownPatient, IdentityConflict, Duplicate: As the port says; nothing changes.
            RuleViolation: No pair is of a domain that is kept here.

        Source: ITI TF-2 3.8.4.2, 3.30.4.
        """
        kept = self._kept(pairs)
        work = await exchange.begin()
        if unknown is Unknown.NO_ERROR:
            kept = [pair for pair in kept if await _is_known_by_now(work, *pair, exchange.now)]
            if not kept:
                exchange.learned.patients = tuple(surviving for _, surviving in pairs)
                exchange.learned.text = "Nobody here has the id that goes"
                return
        await self._merge(work, kept, exchange)

    def _kept(self, pairs: Pairs) -> list[tuple[PatientIdentifier, PatientIdentifier]]:
        """Those of a domain that is kept here, 1..n."""
        domains = {self._house.patient_authority, self._house.affinity_authority}
        kept = [pair for pair in pairs if pair[1].authority in domains]
        if not kept:
            raise RuleViolation(
                "the two ids of the merge are not of one domain that is kept here", code="204", location="MRG^1^1",
                cure="Both ids of a merge have the same assigning authority, one of ours",
            )  # fmt: skip
        return kept

    async def _merge(self, work: Work, kept: Pairs, exchange: Exchange) -> None:
        entries, uids = 0, list[str]()
        for subsumed, surviving in kept:
            try:
                patient = await work.identity.merge(subsumed, surviving, exchange.now)
            except UnknownPatient as unknown:
                known = await work.identity.get(subsumed)
                goes = known is not None and subsumed in known.identifiers
                unknown.location = "PID^1^3^1^1" if goes else "MRG^1^1^1^1"  # the one of the two that is wrong
                raise
            entries += await work.registry.merge(subsumed, surviving, exchange.now)
            uids += await work.studies.merge(subsumed, patient, exchange.now)
        exchange.learned.patients = tuple(identifier for pair in kept for identifier in pair)
        exchange.learned.studies = tuple(StudyFact(study_instance_uid=uid, patient=kept[0][1]) for uid in uids)
        exchange.learned.text = f"Patients merged: {len(uids)} studies and {entries} document entries moved"
        before = replace(patient, identifiers=(*patient.identifiers, *(subsumed for subsumed, _ in kept)))
        todo = actions_for(self._peers, exchange.peer, before, patient)
        merged = tuple(f"{subsumed}|{surviving}" for subsumed, surviving in kept)
        await self._follow_up(work, uids, patient, exchange, todo=todo, merged=merged)

    async def _link(self, work: Work, patient: Patient, exchange: Exchange) -> None:
        for foreign in patient.identifiers[1:]:
            await work.identity.link(
                IdentityLink(
                    local=patient.identifiers[0], foreign=foreign, evidence=Evidence.FEED,
                    decided_by=exchange.peer.name if exchange.peer else "feed", decided_at=exchange.now,
                )
            )  # fmt: skip

    async def _follow_up(
        self,
        work: Work,
        uids: Sequence[str],
        patient: Patient,
        exchange: Exchange,
        *,
        todo: tuple[str, ...],
        **more: tuple[str, ...],
    ) -> None:
        """Open a job for what is left to do: heads of these studies, and whom to tell (`todo`) what (`more`)."""
        if not uids and not todo:
            return
        job = ExchangeJob(
            id=exchange.id, kind=Kind.FEED, state=State.RECEIVED, opened_at=exchange.now, updated_at=exchange.now,
            peer=exchange.peer.name if exchange.peer else "", patient_id=str(patient.identifiers[0]),
            study_instance_uid=uids[0] if uids else "",
            payload={"rewrite": list(uids), **{name: list(each) for name, each in {"todo": todo, **more}.items() if each}},
        )  # fmt: skip
        exchange.job, exchange.kind = job, Kind.FEED
        await work.ledger.open(job)
        await work.ledger.advance(job.id, Event.SETTLED, exchange.now)


async def _is_known_by_now(work: Work, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> bool:
    """Whether anybody has the id that goes; one that remains, and that nobody ever had, is made known as theirs."""
    gone = await work.identity.get(subsumed)
    if gone is None:
        return False
    if await work.identity.get(surviving) is None and await work.identity.subsumed(surviving) is None:
        await work.identity.put(replace(gone, identifiers=(surviving,)), at)
    return True
