"""Follow: run one attempt of any exchange, from the state that it is in.

READY, MOVING and INCOMPLETE fetch or rewrite; STORED does what the house's rules say ("announce:EHR", "share:Region",
"register"), one action after another, each remembered when it is done, and keeps true what was published of the study. No
rule shares a study back to where it came from.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import assert_never

from gateway.model.cure import cure_of
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.study import StudyStatus
from gateway.ports.archive import Coercion
from gateway.ports.clock import Clock
from gateway.ports.store import Store
from gateway.services.backfill import Backfill
from gateway.services.collect import Collect
from gateway.services.discover import ANSWER, Discover
from gateway.services.inform import FEED, IDENTIFY, Inform
from gateway.services.lookup import WHOSE, Lookup
from gateway.services.notify import Notify
from gateway.services.publish import Publish
from gateway.services.reconcile import whoever_is
from gateway.services.rewrite import Rewrite
from gateway.services.rules import OFFER, Rule, When, action_for, happened, registry_of
from gateway.services.snapshot import SNAPSHOT, Snapshots
from gateway.services.synchronise import Synchronise
from gateway.services.transfer import ATTEMPTS, Transfer, delay_after, setback
from profiles.errors import ExchangeError, HouseError, InternalFault, PeerError, UnmappedCode
from profiles.model.identifiers import PatientIdentifier

Attempt = Callable[[ExchangeJob], Awaitable[None]]

TELL_ATTEMPTS = 50  # a receiver may be down for a day: with half an hour between tries that is one


class Follow:
    """The worker behind the job runner."""

    def __init__(
        self,
        *,
        store: Store,
        rewrite: Rewrite,
        transfer: Transfer,
        collect: Collect,
        publish: Publish,
        snapshots: Snapshots,
        notify: Notify,
        backfill: Backfill,
        inform: Inform,
        lookup: Lookup,
        discover: Discover,
        rules: Sequence[Rule],
        synchronise: Synchronise | None,
        clock: Clock,
        system: str,
    ) -> None:
        """`synchronise` is None where the archive is our own; `system` is our name in Modifying System (0400,0563)."""
        self._store = store
        self._rewriting = rewrite
        self._transfer = transfer
        self._collect = collect
        self._publish = publish
        self._snapshots = snapshots
        self._notify = notify
        self._backfill = backfill
        self._inform = inform
        self._lookup = lookup
        self._discover = discover
        self._rules = rules
        self._synchronise = synchronise
        self._clock = clock
        self._system = system

    async def run(self, job: ExchangeJob) -> None:
        """One attempt."""
        if job.state is State.STORED:
            await self._tell(job)
            return
        match job.kind:
            case Kind.COLLECT if not job.texts("manifests"):
                await self._attempt(job, self._find)
            case Kind.RECEIVE | Kind.COLLECT:
                await self._transfer.run(job)
            case Kind.FEED if job.texts(WHOSE):
                await self._attempt(job, self._whose)
            case Kind.STORE | Kind.FEED:
                await self._attempt(job, self._rewrite)
            case Kind.SHARE:
                await self._attempt(job, self._share)
            case Kind.KEEP:
                await self._attempt(job, self._whole)
            case Kind.BACKFILL:
                await self._publish_some(job)
            case Kind.INDEX:
                await self._index(job)
            case Kind.ASK | Kind.ANSWER:  # to answer later is to tell, and such a job begins there
                raise InternalFault("a question has no work left")
            case _:
                assert_never(job.kind)

    # --- before it is stored -----------------------------------------------------------------------------------------

    async def _attempt(self, job: ExchangeJob, work_on: Attempt) -> None:
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.STARTED, self._clock.now())
        try:
            await work_on(job)
        except ExchangeError as error:
            await self._stumble(job, error, ATTEMPTS)

    async def _index(self, job: ExchangeJob) -> None:
        """Learn what an archive behind us has; there may be none any more."""
        if self._synchronise is not None:
            await self._attempt(job, self._synchronise.run)
            return
        async with self._store.unit() as work:
            await work.ledger.advance(
                job.id, Event.CANCELLED, self._clock.now(), reason="the archive is this house's own now"
            )

    async def _publish_some(self, job: ExchangeJob) -> None:
        """One turn of a back-fill, of many: what fails here is this house, and the runner comes back."""
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.STARTED, self._clock.now())
        await self._backfill.run(job)

    async def _find(self, job: ExchangeJob) -> None:
        await self._collect.find(job)

    async def _share(self, job: ExchangeJob) -> None:
        if job.texts("entry") == (SNAPSHOT,):
            await self._snapshots.register(job)
        else:
            on_demand = job.texts("entry") == ("on demand",)
            await self._publish.share(job, job.study_instance_uid, job.peer, anew=True, on_demand=on_demand)
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.COMPLETE, now)
            await work.ledger.advance(job.id, Event.ANNOUNCED, now)

    async def _whose(self, job: ExchangeJob) -> None:
        """Others were asked, and that is all; what is held was released, or waits for a person."""
        await self._lookup.whose(job)
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.COMPLETE, now)
            await work.ledger.advance(job.id, Event.ANNOUNCED, now)

    async def _whole(self, job: ExchangeJob) -> None:
        """Nothing is to be fetched or rewritten."""
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.COMPLETE, self._clock.now())

    async def _rewrite(self, job: ExchangeJob) -> None:
        """Give stored instances the head that says whose they are now: pushed under a foreign id, merged or corrected."""
        patient_id = PatientIdentifier.from_cx(job.patient_id)
        uids = tuple(filter(None, job.texts("rewrite") or (job.study_instance_uid,)))
        ours = job.kind is Kind.STORE and job.texts("foreign") == (job.patient_id,)
        for uid in () if ours else uids:
            async with self._store.view() as work:
                record = await work.studies.get(uid, everything=True)
                patient = await whoever_is(work.identity, patient_id)
            if record is not None and patient is not None:
                coercion = Coercion(patient=patient, source=record.source, system=self._system)
                await self._rewriting.run(record.study, coercion)
        now = self._clock.now()
        async with self._store.unit() as work:
            if job.kind is Kind.STORE:
                await work.studies.set_status(job.study_instance_uid, StudyStatus.AVAILABLE, now)
            await work.ledger.advance(job.id, Event.COMPLETE, now)
            if job.kind is Kind.FEED:
                if not job.texts("todo"):  # nobody is to be told
                    await work.ledger.advance(job.id, Event.ANNOUNCED, now)
                ruled = any(rule.when is When.CHANGED for rule in self._rules)
                for uid in dict.fromkeys(uids):
                    if ruled or await work.publications.of(uid):
                        await happened(work, self._clock, uid, job.patient_id, When.CHANGED)

    # --- after -------------------------------------------------------------------------------------------------------

    async def _tell(self, job: ExchangeJob) -> None:
        todo = list(job.texts("todo")) if "todo" in job.payload else await self._actions(job)
        while todo:
            try:
                await self._act(job, todo[0])
            except ExchangeError as error:
                await self._stumble(job, error, TELL_ATTEMPTS)
                return
            todo = todo[1:]
            payload = {**job.payload, "todo": todo}
            job = replace(job, payload=payload)
            async with self._store.unit() as work:
                await work.ledger.advance(job.id, Event.PROGRESS, self._clock.now(), payload=payload)
        told: dict[str, object] | None = {} if job.kind is Kind.ANSWER else None  # who was asked about is not kept
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.ANNOUNCED, self._clock.now(), payload=told)

    async def _actions(self, job: ExchangeJob) -> list[str]:
        """What the rules say of the study, then what keeps true what was published of it."""
        if not job.study_instance_uid:
            return []
        async with self._store.view() as work:
            record = await work.studies.get(job.study_instance_uid)
            published = await work.publications.of(job.study_instance_uid)
        when, now = When((*job.texts("when"), When.AVAILABLE)[0]), self._clock.now()
        ruled = (
            action
            for rule in self._rules
            if rule.when is when and record is not None and record.status is not StudyStatus.UNKNOWN
            if rule.admits(record, now)
            for action in rule.do
            if not job.peer or registry_of(action) != job.peer
        )
        todo = list(dict.fromkeys(ruled))
        seen = {registry_of(action) for action in todo}
        kept = (each for each in published if (each.in_force or each.offered) and each.peer not in seen)
        return [*todo, *(action_for(each.peer, on_demand=each.on_demand) for each in kept)]

    async def _act(self, job: ExchangeJob, action: str) -> None:
        verb, _, peer = action.partition(":")
        if verb == "announce":
            await self._notify.announce(job, job.study_instance_uid, peer)
        elif verb in (FEED, IDENTIFY):
            await self._inform.act(job, verb, peer)
        elif verb == ANSWER:
            await self._discover.bring(job)
        else:
            await self._publish.share(job, job.study_instance_uid, peer, on_demand=verb == OFFER)

    async def _stumble(self, job: ExchangeJob, error: ExchangeError, attempts: int) -> None:
        """Come back later where that may help, hold what a person must decide, else fail; both can be released again."""
        again = isinstance(error, HouseError) or (isinstance(error, PeerError) and error.temporary)
        now = self._clock.now()
        delay = delay_after(job.attempt) if again and job.attempt < attempts else None
        event, cure, payload = Event.PERMANENT, cure_of(error), None
        if isinstance(error, UnmappedCode):
            event, payload = Event.UNSETTLED, {**job.payload, "held": "codes"}
        if delay is not None:
            event, cure = Event.TEMPORARY, error.cure or "It is tried again by itself"
        async with self._store.unit() as work:
            await work.ledger.advance(
                job.id, event, now, reason=error.detail, cure=cure, payload=payload,
                due_at=now + delay if delay is not None else None,
            )  # fmt: skip
            await work.ledger.note(setback(job, now, error.detail, cure, delay))
