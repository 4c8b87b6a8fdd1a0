"""Jobs: the ledger is a listener too. What is due is claimed under a lease and run; polling is always enough.

A worker that dies leaves a lease that runs out; the exchange is then claimed again, in whatever state it was. Waking
(`wake`) only makes it quicker.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from gateway.model.cure import cure_of
from gateway.model.job import Event, ExchangeJob, InvalidTransition, State
from gateway.ports.clock import Clock
from gateway.ports.store import Store
from gateway.telemetry import EXCHANGES, logger, where
from profiles.errors import ExchangeError, HouseError

LEASE = timedelta(seconds=60)
COUNT = timedelta(seconds=5)  # how old the gauges may be
PUT_OFF = timedelta(seconds=5)  # after our own store failed
POLL_S = 1.0  # the longest that something waits that another process made due
SHORTEST_S = 0.01  # between two looks, for a clock that is a little behind


class Worker(Protocol):
    """Runs one attempt of an exchange, from the state it is in to the next where it rests."""

    async def run(self, job: ExchangeJob) -> None:
        """One attempt."""
        ...


class JobRunner:
    """Claims and runs, up to `parallel` exchanges at a time."""

    def __init__(self, *, store: Store, clock: Clock, worker: Worker, owner: str, parallel: int = 4) -> None:
        """`owner` names this process in leases."""
        self._store = store
        self._clock = clock
        self._worker = worker
        self._owner = owner
        self._parallel = parallel
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._count_at = clock.now()
        self._look_in_s = POLL_S

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def serve(self) -> None:
        """Until cancelled or stopped."""
        while not self._stopping:
            room = self._parallel - len(self._running)
            jobs = await self._due(room) if room else ()  # without room, whatever ends wakes us
            for job in jobs:
                task = asyncio.create_task(self._run(job), name=f"exchange {job.id}")
                self._running.add(task)
                task.add_done_callback(self._done)
            if not jobs:
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._look_in_s)

    async def stop(self, within_s: float) -> None:
        """Claim nothing more; let what runs come to a rest, then cut it (its lease runs out, another goes on)."""
        self._stopping = True
        self.wake()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake()

    async def _due(self, limit: int) -> tuple[ExchangeJob, ...]:
        """What can be claimed; nothing while the store cannot say (a full disk): the runner outlives that too."""
        self._look_in_s = POLL_S
        try:
            return await self._claim(limit)
        except ExchangeError as failed:
            logger().error("nothing can be claimed", condition=failed.condition.value)
        except Exception as defect:
            logger().error("defect", error=type(defect).__name__, where=where(defect))
        return ()

    async def _claim(self, limit: int) -> tuple[ExchangeJob, ...]:
        async with self._store.view() as work:
            due = await work.ledger.next_due()
            counts = await work.ledger.counts() if self._clock.now() >= self._count_at else None
        if counts is not None:
            self._count_at = self._clock.now() + COUNT
            for state in State:
                EXCHANGES.labels(state.value).set(counts.get(state, 0))
        until_s = POLL_S if due is None else (due - self._clock.now()).total_seconds()
        if due is None or until_s > 0:
            self._look_in_s = min(max(until_s, SHORTEST_S), POLL_S)
            return ()
        async with self._store.unit() as work:
            return tuple(await work.ledger.claim(self._clock.now(), self._owner, LEASE, limit))

    async def _run(self, job: ExchangeJob) -> None:
        keeper = asyncio.create_task(self._keep(job), name=f"lease {job.id}")
        try:
            await self._worker.run(job)
        except (
            HouseError
        ) as full:  # how the attempt went could not be written down: a full disk is not the exchange's fault
            logger().error("put off", exchange=job.id, kind=job.kind.value, condition=full.condition.value)
            await self._put_off(job, full)
        except Exception as defect:  # the runner outlives any exchange; the defect is named and counted
            detail = defect.detail if isinstance(defect, ExchangeError) else "this house has a defect; it was logged"
            logger().error(
                "defect", exchange=job.id, kind=job.kind.value, error=type(defect).__name__, where=where(defect)
            )
            await self._give_up(job, detail)
        finally:
            keeper.cancel()

    async def _keep(self, job: ExchangeJob) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            with suppress(ExchangeError):  # a full disk: two more tries before the lease runs out
                async with self._store.unit() as work:
                    if not await work.ledger.extend(job.id, self._owner, self._clock.now() + LEASE):
                        return

    async def _put_off(self, job: ExchangeJob, error: HouseError) -> None:
        """Later; where not even that can be written, the lease runs out and somebody takes it again."""
        now = self._clock.now()
        with suppress(ExchangeError, InvalidTransition):
            async with self._store.unit() as work:
                await work.ledger.advance(
                    job.id, Event.TEMPORARY, now, reason=error.detail, cure=cure_of(error), due_at=now + PUT_OFF
                )

    async def _give_up(self, job: ExchangeJob, detail: str) -> None:
        """A defect must not spin: the exchange fails with its reason and can be released again."""
        now = self._clock.now()
        with suppress(ExchangeError, InvalidTransition):
            async with self._store.unit() as work:
                await work.ledger.advance(job.id, Event.PERMANENT, now, reason=detail, cure="Release it to try again")
