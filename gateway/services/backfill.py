"""Back-fill: publish what is here already, study by study, the newest first, no faster than was asked for.

It is an exchange like others: durable, gone on with after a restart from the study where it was, given up or released by a
person. Each study that there is something to say of gets an exchange of its own, so that what is held or fails is in the
inbox and has its timeline; the back-fill waits for them and counts.

What a newcomer gets wrong: a registry that is down must not be flooded when it comes back. No more than `AT_ONCE` of its
exchanges are open at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.store import Store, Work
from gateway.services.publish import Publish
from gateway.services.rules import OFFER, Rule, When, registry_of
from profiles.model.moment import Moment
from profiles.model.query import PageKey, StudyCriteria, identified

AT_ONCE = 50
LOOKED_AT = 50  # studies in one turn, most of which may be there already
TURN = timedelta(seconds=1)  # between two turns, unless the rate is slower

PUBLISHED, THERE, HELD, FAILED = "published", "already there", "held", "failed"
OF_NO_RULE = "of no rule"  # counted where the rules are asked
UNDER_WAY = "under way"
_OUTCOMES: Mapping[State, str] = {
    State.DONE: PUBLISHED,
    State.HELD: HELD,
    State.FAILED: FAILED,
    State.ABANDONED: FAILED,
    State.CANCELLED: FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which studies are published where. `actions` as in rules; (): what the rules say of each study that came."""

    actions: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    patient: str = ""
    since: str = ""  # of the study's beginning: DTM, such as 2026 or 20260131
    until: str = ""  # and before this
    per_minute: int = 60

    def criteria(self) -> StudyCriteria:
        """As the index is asked.

        Raises:
            ValueError: A time cannot be read.
        """
        since = (("ge", Moment.from_dtm(self.since)),) if self.since else ()
        until = (("lt", Moment.from_dtm(self.until)),) if self.until else ()
        return StudyCriteria(
            statuses=(StudyStatus.AVAILABLE.value,), modalities=self.modalities,
            patient_ids=(identified(self.patient),) if self.patient else (), started=(*since, *until),
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far it is: what the exchange's payload says."""

    asked: Asked
    total: int
    done: int = 0
    after: PageKey | None = None
    ended: bool = False  # every study was looked at; some may be under way
    under_way: dict[str, str] = field(default_factory=dict)  # exchanges, and what is done in them
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((PUBLISHED, THERE, HELD, FAILED), 0))

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> "_Progress":
        """From a payload."""
        told = payload["asked"]
        after = payload.get("after")
        return cls(
            asked=Asked(**{**told, "actions": tuple(told["actions"]), "modalities": tuple(told["modalities"])}),
            total=payload["total"], done=payload["done"], ended=payload["ended"],
            after=PageKey(value=after[0], study_instance_uid=after[1]) if after else None,
            under_way=dict(payload["under_way"]), counts=dict(payload["counts"]),
        )  # fmt: skip

    def written(self) -> dict[str, object]:
        """As a payload."""
        asked = self.asked
        return {
            "asked": {
                "actions": list(asked.actions), "modalities": list(asked.modalities), "patient": asked.patient,
                "since": asked.since, "until": asked.until, "per_minute": asked.per_minute,
            },
            "total": self.total, "done": self.done, "ended": self.ended,
            "after": [self.after.value, self.after.study_instance_uid] if self.after is not None else None,
            "under_way": self.under_way, "counts": self.counts,
        }  # fmt: skip

    @property
    def text(self) -> str:
        """For the timeline."""
        waiting = {UNDER_WAY: len(self.under_way)} if self.under_way else {}
        counts = ", ".join(f"{count} {named}" for named, count in {**self.counts, **waiting}.items())
        return f"{self.done} of {self.total} studies: {counts}"


def asked_of(job: ExchangeJob) -> Asked:
    """What a back-fill was asked for."""
    return _Progress.read(job.payload).asked


async def open_backfill(work: Work, clock: Clock, asked: Asked) -> ExchangeJob:
    """A new one, ready to be claimed.

    Raises:
        ValueError: A time of what is asked cannot be read.
    """
    now = clock.now()
    page = await work.studies.search(replace(asked.criteria(), limit=1))
    job = ExchangeJob(
        id=clock.new_uuid(), kind=Kind.BACKFILL, state=State.RECEIVED, opened_at=now, updated_at=now,
        payload=_Progress(asked=asked, total=page.total or 0).written(),
    )  # fmt: skip
    await work.ledger.open(job)
    return await work.ledger.advance(job.id, Event.SETTLED, now)


class Backfill:
    """The worker of a back-fill."""

    def __init__(self, *, store: Store, publish: Publish, rules: Sequence[Rule], clock: Clock) -> None:
        """Stand on the ports, and on what publishes one study."""
        self._store = store
        self._publish = publish
        self._rules = rules
        self._clock = clock

    async def run(self, job: ExchangeJob) -> None:
        """One turn: count what ended, open what may be opened, come back."""
        progress = _Progress.read(job.payload)
        async with self._store.view() as work:
            await self._count(work, progress)
        pause = max(TURN, timedelta(minutes=1) / progress.asked.per_minute)
        room = min(AT_ONCE - len(progress.under_way), int(progress.asked.per_minute * (pause / timedelta(minutes=1))))
        opened = await self._look(progress, max(room, 0)) if not progress.ended else []
        now = self._clock.now()
        async with self._store.unit() as work:
            for each in opened:
                await work.ledger.open(each)
                await work.ledger.advance(each.id, Event.SETTLED, now)
            if not progress.ended or progress.under_way:
                await work.ledger.advance(
                    job.id, Event.TEMPORARY, now, payload=progress.written(), reason=progress.text, due_at=now + pause
                )
                return
            await work.ledger.advance(job.id, Event.COMPLETE, now, payload=progress.written(), reason=progress.text)
            await work.ledger.note(
                Step(
                    exchange_id=job.id, at=now, transaction="publish", direction=Direction.HERE,
                    outcome=StepOutcome.SUCCESS, text=progress.text,
                )
            )  # fmt: skip
            await work.ledger.advance(job.id, Event.ANNOUNCED, now, reason=progress.text)

    async def _count(self, work: Work, progress: _Progress) -> None:
        for exchange_id in [*progress.under_way]:
            job = await work.ledger.get(exchange_id)
            outcome = _OUTCOMES.get(job.state) if job is not None else FAILED
            if outcome is not None:
                progress.counts[outcome] += 1
                del progress.under_way[exchange_id]

    async def _look(self, progress: _Progress, room: int) -> list[ExchangeJob]:
        """The next studies, until there is no more room for what is to be published."""
        criteria = replace(progress.asked.criteria(), limit=LOOKED_AT, after=progress.after)
        async with self._store.view() as work:
            page = await work.studies.search(criteria, count=False)
        opened: list[ExchangeJob] = []
        for record in page.records:
            if len(opened) >= room:
                return opened
            actions = self._actions(progress.asked, record)
            if not actions:
                progress.counts[OF_NO_RULE] = progress.counts.get(OF_NO_RULE, 0) + 1
            for action in actions:
                job = await self._exchange(record, action, progress)
                if job is not None:
                    opened.append(job)
                    progress.under_way[job.id] = str(record.study.study_instance_uid)
            progress.done += 1
            progress.after = record.page_key(criteria.order)
        progress.ended = not page.more
        return opened

    def _actions(self, asked: Asked, record: StudyRecord) -> list[str]:
        """What makes entries of a study."""
        now = self._clock.now()
        ruled = (
            action
            for rule in self._rules
            if rule.when is When.AVAILABLE and rule.admits(record, now)
            for action in rule.do
        )
        chosen = asked.actions or (each for each in ruled if not record.source or registry_of(each) != record.source)
        return [action for action in dict.fromkeys(chosen) if registry_of(action) is not None]

    async def _exchange(self, record: StudyRecord, action: str, progress: _Progress) -> ExchangeJob | None:
        """An exchange that publishes the study. None: there is nothing to say, or one waits for a person already."""
        uid, registry, on_demand = record.study.study_instance_uid, registry_of(action) or "", action.startswith(OFFER)
        async with self._store.view() as work:
            waiting = [
                each
                for each in await work.ledger.list(
                    kinds=frozenset({Kind.SHARE}), states=frozenset({State.HELD, State.FAILED}), peer=registry,
                    study_instance_uid=uid, limit=10,
                )
                if each.peer == registry
            ]  # fmt: skip
        if waiting:
            progress.counts[_OUTCOMES[waiting[0].state]] += 1
            return None
        if not await self._publish.has_news(uid, registry, on_demand=on_demand):
            progress.counts[THERE] += 1
            return None
        now = self._clock.now()
        return ExchangeJob(
            id=self._clock.new_uuid(), kind=Kind.SHARE, state=State.RECEIVED, opened_at=now, updated_at=now,
            peer=registry, study_instance_uid=uid, patient_id=str(record.study.patient.identifiers[0]),
            payload={"entry": "on demand"} if on_demand else {},
        )  # fmt: skip
