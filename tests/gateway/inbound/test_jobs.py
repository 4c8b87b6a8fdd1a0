"""What is due is begun when it is due."""

import asyncio
from datetime import datetime, timedelta

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.memory import MemoryStore
from gateway.inbound import jobs
from gateway.inbound.jobs import JobRunner
from gateway.model.job import ExchangeJob, State
from tests.support.registered import exchange


class Noting:
    """A worker that notes when it was called."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self.began: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()

    async def run(self, job: ExchangeJob) -> None:
        self.began.set_result(self._clock.now())


async def test_what_is_due_before_the_next_look_is_begun_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 60.0)
    clock, store = SystemClock(), MemoryStore()
    worker, due = Noting(clock), clock.now() + timedelta(seconds=0.3)
    async with store.unit() as work:
        await work.ledger.open(exchange("one", state=State.READY, due_at=due))
    runner = JobRunner(store=store, clock=clock, worker=worker, owner="tests")
    serving = asyncio.create_task(runner.serve())
    try:
        assert due <= await asyncio.wait_for(worker.began, 20)
    finally:
        await runner.stop(1)
        await serving
