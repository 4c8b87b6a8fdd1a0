"""Housekeeping: what nobody needs any more is let go, in small steps, once an hour and when the house has started.

Raw messages go by age and size, questions that were answered by age, files after the document that was in them; what failed
is kept longer, and nothing that has work left or waits for a person is touched. Audit is not touched either: what happened
stays known. Then the space is given back.

Every step is a unit of work of some milliseconds with a pause behind it, so that whoever has a message to answer waits for
one step at most. What a newcomer gets wrong: nothing depends on it. A house that is stopped in the middle, or whose disk is
full, goes on where it was an hour later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from gateway.model.job import Kind, State, StepOutcome
from gateway.ports.clock import Clock
from gateway.ports.objects import Objects
from gateway.ports.store import Store, Work
from gateway.telemetry import PRUNED, RETURNED, logger, where
from profiles.errors import ExchangeError

EVERY = timedelta(hours=1)
PAUSE_S = 0.05  # between steps: they take a tenth of the time at most
MESSAGES = 100  # in one step: up to 64 KiB each
QUESTIONS = 200  # in one step, with their steps
ANSWERS = 500  # in one step: a row of some 300 bytes
FILES = 50  # in one step: a thread each
CORRELATIONS = 500  # in one step: a row of some 200 bytes
ANSWERS_KEPT = timedelta(days=7)  # a sender that was down over a weekend sends again what it had no answer to

ASKED = frozenset({Kind.ASK})
DONE = frozenset({State.DONE})
FAILED = frozenset({State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept: what went well, and what failed."""

    raw: timedelta
    raw_failed: timedelta
    raw_bytes: int  # of each of the two
    ask: timedelta
    ask_failed: timedelta


class Housekeeping:
    """Lets go of what is old."""

    def __init__(
        self,
        *,
        store: Store,
        objects: Objects,
        clock: Clock,
        retention: Retention,
        give_back: Callable[[], Awaitable[int]],
    ) -> None:
        """`give_back` gives a bounded piece of free space back to the disk; answers how many bytes, 0 at the end."""
        self._store = store
        self._objects = objects
        self._clock = clock
        self._retention = retention
        self._give_back = give_back

    async def serve(self) -> None:
        """Now and every hour, until cancelled."""
        while True:
            try:
                await self.tidy()
            except ExchangeError as failed:
                logger().error("housekeeping has to wait", condition=failed.condition.value)
            except Exception as defect:  # the house goes on without it; the defect is named
                logger().error("defect", error=type(defect).__name__, where=where(defect))
            await asyncio.sleep(EVERY.total_seconds())

    async def tidy(self) -> None:
        """Once through everything."""
        for outcome in (StepOutcome.SUCCESS, StepOutcome.FAILURE):
            await self._messages(outcome)
            await self._questions(outcome)
        await self._answers()
        await self._correlations()
        await self._files()
        returned = 0
        while given := await self._give_back():
            returned += given
            RETURNED.inc(given)
            await asyncio.sleep(PAUSE_S)
        if returned:
            logger().info("space returned", size_bytes=returned)

    async def _messages(self, outcome: StepOutcome) -> None:
        """Raw messages that are too old, or too many."""
        failed = outcome is StepOutcome.FAILURE
        oldest = self._clock.now() - (self._retention.raw_failed if failed else self._retention.raw)
        async with self._store.view() as work:
            horizon = await work.raw.horizon(oldest, self._retention.raw_bytes, failed=failed)

        async def some(work: Work) -> int:
            return await work.raw.prune(horizon, MESSAGES, failed=failed)

        await self._in_steps("raw", outcome, some)

    async def _questions(self, outcome: StepOutcome) -> None:
        """Questions that ended long ago."""
        failed = outcome is StepOutcome.FAILURE
        oldest = self._clock.now() - (self._retention.ask_failed if failed else self._retention.ask)

        async def some(work: Work) -> int:
            return await work.ledger.prune(ASKED, FAILED if failed else DONE, oldest, QUESTIONS)

        await self._in_steps("ask", outcome, some)

    async def _answers(self) -> None:
        """What was said to messages that nobody sends again."""
        oldest = self._clock.now() - ANSWERS_KEPT

        async def some(work: Work) -> int:
            return await work.answers.prune(oldest, ANSWERS)

        await self._in_steps("answer", StepOutcome.SUCCESS, some)

    async def _correlations(self) -> None:
        """By which ids other communities knew patients, where that may not be believed any more."""
        now = self._clock.now()

        async def some(work: Work) -> int:
            return await work.correlations.prune(now, CORRELATIONS)

        await self._in_steps("correlation", StepOutcome.SUCCESS, some)

    async def _files(self) -> None:
        """Files of documents that were removed; an hour later, so that whoever was reading one has ended."""
        before = self._clock.now() - EVERY
        gone = 0
        while True:
            async with self._store.unit() as work:
                paths = await work.documents.left(before, FILES)
            if not paths:
                break
            for path in paths:
                gone += await self._objects.discard(path, before)
            async with self._store.unit() as work:
                await work.documents.forget(paths)
            await asyncio.sleep(PAUSE_S)
        if gone:
            PRUNED.labels("file", StepOutcome.SUCCESS.value).inc(gone)
            logger().info("pruned", kind="file", outcome=StepOutcome.SUCCESS.value, count=gone)

    async def _in_steps(self, kind: str, outcome: StepOutcome, some: Callable[[Work], Awaitable[int]]) -> None:
        """Until nothing is left to let go; each step commits by itself."""
        gone = 0
        while True:
            async with self._store.unit() as work:
                count = await some(work)
            if not count:
                break
            gone += count
            PRUNED.labels(kind, outcome.value).inc(count)
            await asyncio.sleep(PAUSE_S)
        if gone:
            logger().info("pruned", kind=kind, outcome=outcome.value, count=gone)
