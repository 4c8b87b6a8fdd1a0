"""A house that publishes to Region: its studies, its runner, and time that goes by second by second."""

from datetime import timedelta
from typing import Any

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryObjects
from gateway.model.job import ExchangeJob
from gateway.model.study import StudyStatus
from gateway.services.backfill import Asked, Backfill, open_backfill
from gateway.services.follow import Follow
from gateway.services.publish import Publish
from gateway.services.rules import Rule
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.xdsi.rad68 import SiteCodes
from tests.support.clock import NOON, FixedClock
from tests.support.hl7 import HOUSE
from tests.support.region import Region
from tests.support.registered import arrived, instance, patient, series, study

WHO = patient(PatientIdentifier(value="V1", authority=HOUSE.patient_authority))
TO_REGION = ("share:Region",)


class House:
    """A house with studies, and a runner that claims what is due as time goes by."""

    def __init__(self, compute: ThreadCompute, *rules: Rule) -> None:
        self.store, self.clock, self.region, self.codes = MemoryStore(), FixedClock(), Region(), SiteCodes()
        region: Any = self.region  # as much of peers and directory as is asked
        self.publish = Publish(
            house=HOUSE, store=self.store, objects=MemoryObjects(), peers=region, directory=region, compute=compute,
            clock=self.clock, codes=lambda: self.codes,
        )  # fmt: skip
        self.rules = rules
        self.restart()

    def restart(self) -> None:
        """What was in memory is gone."""
        backfill = Backfill(store=self.store, publish=self.publish, rules=self.rules, clock=self.clock)
        nobody: Any = None  # is not asked here
        self.follow = Follow(
            store=self.store, rewrite=nobody, transfer=nobody, collect=nobody, publish=self.publish, notify=nobody,
            backfill=backfill, snapshots=nobody, inform=nobody, discover=nobody, lookup=nobody, rules=self.rules,
            synchronise=None, clock=self.clock, system="radgate",
        )  # fmt: skip

    async def have(self, count: int, modality: str = "CT", first: int = 1) -> None:
        async with self.store.unit() as work:
            await work.identity.put(WHO, NOON)
            for number in range(first, first + count):
                uid = f"1.2.50.{number}"
                one = series(f"{uid}.1", instance(f"{uid}.1.1"), modality=modality)
                began = Moment(NOON - timedelta(days=number))
                await work.studies.add(arrived(study(uid, one, of=WHO, started=began)), WHO, "", NOON)
                await work.studies.set_status(uid, StudyStatus.AVAILABLE, NOON)

    async def begin(self, **asked: Any) -> str:
        async with self.store.unit() as work:
            job = await open_backfill(work, self.clock, Asked(**{"actions": TO_REGION, "per_minute": 60_000, **asked}))
        return job.id

    async def pass_(self, seconds: int) -> None:
        """So much time, second by second, in which what is due is done."""
        for _ in range(seconds):
            while True:
                async with self.store.unit() as work:
                    due = await work.ledger.claim(self.clock.now(), "me", timedelta(seconds=60), 10)
                for job in due:
                    await self.follow.run(job)
                if not due:
                    break
            self.clock.advance(1)

    async def job(self, exchange_id: str) -> ExchangeJob:
        async with self.store.view() as work:
            found = await work.ledger.get(exchange_id)
        assert found is not None
        return found

    async def counts(self, exchange_id: str) -> dict[str, int]:
        """Without those that are nought."""
        counts: Any = (await self.job(exchange_id)).payload["counts"]
        return {named: count for named, count in counts.items() if count}
