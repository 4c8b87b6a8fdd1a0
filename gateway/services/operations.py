"""Operations: what a person does, from the command line or the desk. Same authority, same rules, same audit.

Everything that changes something takes who does it (`person`), notes a step and writes an audit record in one commit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway.model.house import House
from gateway.model.job import HAS_WORK, Direction, Event, ExchangeJob, InvalidTransition, Kind, State, Step, StepOutcome
from gateway.model.study import StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.peers import Directory
from gateway.ports.store import Store, Work
from gateway.services.backfill import Asked, asked_of, open_backfill
from gateway.services.inform import keep_link
from gateway.services.ingest import MAX_MANIFEST_BYTES, claimed_patient, expect
from gateway.services.provide import OF_IMAGES
from gateway.services.reconcile import Unsettled, settle
from gateway.services.rules import registry_of
from profiles.atna import operator_decision
from profiles.errors import RuleViolation, UnknownDocument, UnknownPatient
from profiles.model.document import AvailabilityStatus, DocumentEntry
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.patient import Evidence, IdentityLink, Patient
from profiles.model.query import StudyCriteria
from profiles.transaction import Transaction
from profiles.wire.dicom.kos import decode_kos
from profiles.xca.iti38 import ITI_38
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti42 import ITI_42

ALIKE = 5  # candidates shown to a person who decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Who the sender said it is, and patients of ours who are like that, the likeliest first."""

    patient: Patient
    candidates: tuple[Patient, ...]


class Operations:
    """The operator's verbs."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        compute: Compute,
        clock: Clock,
        directory: Directory,
        wake: Callable[[], None],
    ) -> None:
        """`wake` tells the job runner that something is due."""
        self._house = house
        self._store = store
        self._compute = compute
        self._clock = clock
        self._directory = directory
        self._wake = wake

    async def claimed(self, job: ExchangeJob) -> Claimed | None:
        """What a person needs in order to decide whose a held exchange is.

        None: its sender did not tell, or that is not what it is held for.
        """
        if job.lacks_codes:
            return None
        async with self._store.view() as work:
            try:
                patient = await self._foreign(work, job)
            except UnknownDocument:
                return None
            alike = list(await work.identity.match(patient))
            if patient.name.family:
                alike += await work.identity.search(patient.name.family, ALIKE)
        by_id = {each.identifiers[0]: each for each in alike}
        return Claimed(patient=patient, candidates=tuple(by_id.values())[:ALIKE])

    async def release(self, exchange_id: str, person: str, patient: PatientIdentifier | None = None) -> ExchangeJob:
        """Let a held or failed exchange go on, or one that waits for the rest of a study ask for all of it once more.

        A held one goes on for the patient that the person names, or for whom we can settle by now; one that is held because
        the table of codes had nothing for it is published by what the table says now.

        Raises:
            UnknownDocument: No such exchange.
            UnknownPatient: Still nobody here is this patient; or nobody has the id that was named.
            RuleViolation: It is not held, not failed and not incomplete.
        """
        async with self._store.view() as work:
            job = await _existing(work, exchange_id)
            manifests = await self._manifests(work, job) if job.kind is Kind.RECEIVE else ()
        now = self._clock.now()
        async with self._store.unit() as work:
            local, text = None, "Released"
            if job.state is State.HELD and not job.lacks_codes:
                local = await self._decide(work, job, person, patient)
                if job.kind is Kind.RECEIVE:
                    await self._unveil(work, job, now)
                    text += (await expect(work, manifests, local, job.peer, self._clock)).text
                else:
                    await work.studies.merge(PatientIdentifier.from_cx(job.patient_id), local, now)
                    await work.studies.set_status(job.study_instance_uid, StudyStatus.AVAILABLE, now)
            identifier = str(local.identifiers[0]) if local is not None else None
            # What a source refused for good is asked for again: a person may know that it was mended.
            payload = {key: value for key, value in job.payload.items() if key != "ended"}
            released = await self._advance(
                work, job, Event.RELEASED, person, text, patient_id=identifier, payload=payload
            )
        self._wake()
        return released

    async def accept(self, exchange_id: str, person: str) -> ExchangeJob:
        """What is here of an incomplete exchange is enough."""
        async with self._store.unit() as work:
            job = await _existing(work, exchange_id)
            of_job = StudyCriteria(study_instance_uids=(job.study_instance_uid,), limit=1)
            for record in (await work.studies.search(of_job, count=False)).records:
                if record.status is not StudyStatus.CANCELLED:  # else all of it was withdrawn meanwhile
                    await work.studies.set_status(job.study_instance_uid, StudyStatus.AVAILABLE, self._clock.now())
            accepted = await self._advance(work, job, Event.ACCEPTED, person, "Accepted as it is")
        self._wake()
        return accepted

    async def give_up(self, exchange_id: str, person: str, reason: str) -> ExchangeJob:
        """Nothing more is to come of it."""
        async with self._store.unit() as work:
            job = await _existing(work, exchange_id)
            return await self._advance(work, job, Event.GIVEN_UP, person, f"Given up: {reason}")

    async def share(self, study_instance_uid: str, peer: str, person: str) -> ExchangeJob:
        """Publish our own manifest of a study to a peer.

        Raises:
            UnknownDocument: No such study here.
            RuleViolation: No such peer, or we know no address of it for this.
        """
        async with self._store.unit() as work:
            record = await work.studies.get(study_instance_uid)
            if record is None:
                raise UnknownDocument("no such study here", cure="`radgate study list` shows what is here")
            job = replace(
                self._job(Kind.SHARE, peer, *OF_IMAGES, ITI_42), study_instance_uid=study_instance_uid,
                patient_id=str(record.study.patient.identifiers[0]),
            )  # fmt: skip
            job = await self._open(work, job, person, f"Asked to share with {peer}")
        self._wake()
        return job

    async def publish(self, asked: Asked, person: str) -> ExchangeJob:
        """Publish what is here already (a back-fill). One of the same that is under way is answered instead of a new one.

        Raises:
            RuleViolation: No such peer, or a time cannot be read.
        """
        for action in asked.actions:
            if peer := registry_of(action):
                self._directory.known(peer)
        async with self._store.unit() as work:
            for each in await work.ledger.list(kinds=frozenset({Kind.BACKFILL}), states=HAS_WORK, limit=10):
                if asked_of(each) == asked:
                    return each
            try:
                job = await open_backfill(work, self._clock, asked)
            except ValueError as wrong:
                raise RuleViolation(str(wrong), cure="Write a time as 2026, 202601 or 20260131") from None
            await self._noted(work, job, person, "Asked to publish what is here")
        self._wake()
        return job

    async def collect(
        self, patient: PatientIdentifier, registry: str, person: str, study_instance_uid: str = ""
    ) -> ExchangeJob:
        """Find a patient's manifests at a registry (ITI-18), take them (ITI-43), fetch what they name (RAD-69).

        Raises:
            UnknownPatient: Nobody here has this id.
            RuleViolation: No such peer, or we know no address of it for this.
        """
        async with self._store.unit() as work:
            known = await work.identity.get(patient)
            if known is None:
                raise UnknownPatient("nobody here has this id", cure="Register the patient (ADT) first")
            job = replace(
                self._job(Kind.COLLECT, registry, ITI_18, ITI_38), study_instance_uid=study_instance_uid,
                patient_id=str(known.identifiers[0]), payload={"asked": str(patient)},
            )  # fmt: skip
            job = await self._open(work, job, person, f"Asked to collect from {registry}")
        self._wake()
        return job

    # --- parts -------------------------------------------------------------------------------------------------------

    def _job(self, kind: Kind, peer: str, *ways: Transaction[Any, Any]) -> ExchangeJob:
        """A new exchange with a peer that can be asked one of these.

        Raises:
            RuleViolation: No such peer, or it cannot.
        """
        known = self._directory.known(peer)
        if not any(way.id in known.endpoints for way in ways):
            names = " or ".join(way.id for way in ways)
            raise RuleViolation(
                f"{peer} has no endpoint for {names}", cure="Add it to [peer.endpoint] of this [[peer]]"
            )
        now = self._clock.now()
        return ExchangeJob(
            id=self._clock.new_uuid(), kind=kind, state=State.RECEIVED, opened_at=now, updated_at=now, peer=peer
        )

    async def _open(self, work: Work, job: ExchangeJob, person: str, text: str) -> ExchangeJob:
        await work.ledger.open(job)
        return await self._advance(work, job, Event.SETTLED, person, text)

    async def _advance(
        self,
        work: Work,
        job: ExchangeJob,
        event: Event,
        person: str,
        text: str,
        patient_id: str | None = None,
        payload: dict[str, object] | None = None,
    ) -> ExchangeJob:
        now = self._clock.now()
        try:
            moved = await work.ledger.advance(job.id, event, now, patient_id=patient_id, payload=payload)
        except InvalidTransition as refused:
            raise RuleViolation(str(refused), cure="`radgate exchange show` tells what it waits for") from refused
        await self._noted(work, job, person, text, patient_id)
        return moved

    async def _noted(self, work: Work, job: ExchangeJob, person: str, text: str, patient_id: str | None = None) -> None:
        """On the timeline, and in the audit trail."""
        now = self._clock.now()
        await work.ledger.note(
            Step(
                exchange_id=job.id, at=now, transaction="operator", direction=Direction.HERE,
                outcome=StepOutcome.SUCCESS, text=f"{text} by {person}",
            )
        )  # fmt: skip
        subject = patient_id or job.patient_id
        await work.audit.record(
            operator_decision(
                at=now, source_id=self._house.name, house=self._house.party(), person=person, text=text,
                patient=PatientIdentifier.from_cx(subject) if subject else None,
                study_instance_uid=job.study_instance_uid,
            ),
            job.id,
        )  # fmt: skip

    async def _manifests(self, work: Work, job: ExchangeJob) -> tuple[tuple[Manifest, DocumentEntry | None], ...]:
        """What was held, each with the entry that came with it."""
        manifests: list[tuple[Manifest, DocumentEntry | None]] = []
        brought = frozenset(job.texts("entries"))
        for unique_id in job.texts("manifests"):
            entries = await work.registry.entries(unique_id)
            entry = next((each for each in entries if each.entry_uuid in brought), None)
            manifest = await self._manifest(work, unique_id)
            if manifest is not None:
                manifests.append((manifest, entry))
        return tuple(manifests)

    async def _manifest(self, work: Work, unique_id: str) -> Manifest | None:
        """As it was read when it came in; None: it is not kept any more."""
        content = await work.documents.open(unique_id)
        if content is None:
            return None
        body = await content.read(MAX_MANIFEST_BYTES)
        return (await self._compute.run(lambda: decode_kos(body))).value

    async def _decide(self, work: Work, job: ExchangeJob, person: str, chosen: PatientIdentifier | None) -> Patient:
        now = self._clock.now()
        foreign = await self._foreign(work, job)
        if chosen is None:
            found = await settle(work.identity, foreign, foreign.identifiers, self._house.patient_authority, now)
            if isinstance(found, Unsettled):
                raise UnknownPatient(found.reason, cure="Register the patient by ADT, or name one with --patient")
            if found.link is not None:
                link = replace(found.link, decided_by=person)
                await keep_link(work, self._clock, self._directory.all(), link)
            return found.patient
        patient = await work.identity.get(chosen)
        if patient is None:
            raise UnknownPatient("nobody here has this id", cure="`radgate patient list` shows who is here")
        for identifier in foreign.identifiers:
            if await work.identity.get(identifier) is None:
                link = IdentityLink(
                    local=patient.identifiers[0], foreign=identifier, evidence=Evidence.PERSON, decided_by=person,
                    decided_at=now,
                )  # fmt: skip
                await keep_link(work, self._clock, self._directory.all(), link)
        return patient

    async def _foreign(self, work: Work, job: ExchangeJob) -> Patient:
        """Who the sender said it is."""
        if job.kind is Kind.STORE:
            record = await work.studies.get(job.study_instance_uid)
            if record is not None:
                return record.study.patient
        for unique_id in job.texts("manifests"):
            for entry in await work.registry.entries(unique_id):
                return claimed_patient(entry, await self._manifest(work, unique_id))
        raise UnknownDocument("what was held is not kept here any more", cure="Give the exchange up")

    async def _unveil(self, work: Work, job: ExchangeJob, at: datetime) -> None:
        """Queries may see entries and folders from now on; they stay as they were received."""
        for entry_uuid in (*job.texts("entries"), *job.texts("folders"), *job.texts("set")):
            await work.registry.set_status(entry_uuid, AvailabilityStatus.APPROVED, at)


async def _existing(work: Work, exchange_id: str) -> ExchangeJob:
    job = await work.ledger.get(exchange_id)
    if job is None:
        raise UnknownDocument("no such exchange", cure="`radgate exchange list` shows them")
    return job
