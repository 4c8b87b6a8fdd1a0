"""`load`: many clients at one system for a bounded time, every answer verified, and what it took.

A client asks, waits for its answer, reads it whole, compares it with what must come, and asks again. What a request needs
(a new study, a new patient) is made before its time begins, but takes the client's time: with few clients that is part of
the throughput. Client and a house on the same machine share it: how busy the client was is told, so that its limit is not
taken for the house's.
"""

import asyncio
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from conformance.around import NOTHING, Around
from conformance.counterparts import by_hand, standing
from conformance.evidence import Unkept
from conformance.load_works import WORKS, Prepare
from conformance.local import listening_at, taken_by
from conformance.own import own_house
from conformance.system import System
from conformance.target import Target
from conformance.verdict import Failed, Unreachable
from profiles.errors import ExchangeError
from profiles.findings import Severity

REQUEST_S = 60.0
PAUSE_S = 0.1  # after a failure: whoever is down is not asked a thousand times a second
SAMPLED_S = 0.25
HERE = frozenset({"127.0.0.1", "::1", "localhost"})
UID = re.compile(r"[0-9][0-9.]{11,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: when it began, since the load did, and how long it took; `problem` is "" where the answer was right."""

    at_s: float
    ms: float
    sent_bytes: int
    received_bytes: int
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """At a process and those that it started: memory, the sum of the most that each ever had, processor time so far."""

    at_s: float
    resident_bytes: int
    peak_bytes: int
    processor_s: float


@dataclass(slots=True, kw_only=True)
class Load:
    """What became of a load: `seconds` is until the last answer was there, `looks` is empty where nobody could look.

    `client_s` is the processor time that the client took, counterparts of the system among it.
    """

    system: str
    transaction: str
    clients: int
    at: datetime
    seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    client_s: float = 0.0

    @property
    def answered(self) -> list[Asked]:
        """Those whose answer was right."""
        return [each for each in self.asked if not each.problem]

    @property
    def problems(self) -> Mapping[str, int]:
        """What went wrong, and how often; UIDs and other long numbers are left out, so that the same is the same."""
        return Counter(UID.sub("…", each.problem) for each in self.asked if each.problem)

    @property
    def per_second(self) -> float:
        """Right answers in a second."""
        return len(self.answered) / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Of the bodies of right answers and their requests."""
        moved = sum(each.sent_bytes + each.received_bytes for each in self.answered)
        return moved / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float | None:
        """The time within which so many of the right answers came (nearest rank); None: there are none."""
        times = sorted(each.ms for each in self.answered)
        return times[max(math.ceil(len(times) * percent / 100), 1) - 1] if times else None

    @property
    def processor_ms(self) -> float | None:
        """What a right answer took of the system's processors; None: nobody could look, or there is none."""
        if len(self.looks) < 2 or not self.answered:
            return None
        return (self.looks[-1].processor_s - self.looks[0].processor_s) * 1000 / len(self.answered)

    @property
    def client_busy(self) -> float:
        """Which part of a processor the client took; near 1 it is the client that was measured."""
        return self.client_s / self.seconds if self.seconds else 0.0

    @property
    def good(self) -> bool:
        """Whether there were answers, and all of them were right."""
        return bool(self.asked) and not self.problems


async def loaded(
    target: System | None, transaction: str, *, clients: int, seconds: float, say: Callable[[str], None]
) -> Load:
    """Load a system; None is our own house, started on scratch data.

    Memory and processor time are looked at where it runs on this machine.

    Raises:
        HouseFailed: Our own house does not start.
        Unreachable: It cannot be asked, or we are not told enough of it.
        Failed: It does not take what the load begins with.
    """
    async with _whom(target, say) as (system, around, process):
        say(f"{clients} clients ask {system.name} by {transaction} for {seconds:g} s.")
        return await load(system, around, transaction, clients=clients, seconds=seconds, process=process)


async def load(
    system: System, around: Around, transaction: str, *, clients: int, seconds: float, process: int | None = None
) -> Load:
    """So many clients, each with one request under way at a time; those under way at the end are waited for.

    Args:
        system: Who is asked.
        around: Whom it speaks to itself: who submits a manifest must have its images.
        transaction: One of `WORKS`.
        clients: How many.
        seconds: For how long requests are begun.
        process: Who is looked at; None: who listens where it is asked, if that is on this machine.

    Raises:
        Unreachable: It cannot be asked, or we are not told enough of it.
        Failed: It does not take what the load begins with.
    """
    done = Load(system=system.name, transaction=transaction, clients=clients, at=datetime.now(UTC))
    connector = aiohttp.TCPConnector(ssl=system.tls if system.tls is not None else True, limit=0)
    with tempfile.TemporaryDirectory(prefix="radgate-load-") as scratch:
        async with aiohttp.ClientSession(
            connector=connector, trust_env=False, auto_decompress=False, headers={"Accept-Encoding": "identity"}
        ) as session:
            folders = (Path(scratch) / str(number) for number in range(1_000_000_000))

            def new_target() -> tuple[Target, Unkept]:
                evidence = Unkept(next(folders), 0.0)
                return Target(system, session, evidence, around=around), evidence

            async with WORKS[transaction](new_target()[0]) as prepare:
                target, evidence = new_target()
                first = await prepare(target)
                with suppress(
                    Failed, ExchangeError, TimeoutError
                ):  # counts for nothing; who cannot be asked ends it here
                    async with asyncio.timeout(REQUEST_S):
                        await first()
                looked_at = process or await asyncio.to_thread(_whose, [each.address for each in evidence.exchanges])
                began, client_began = time.perf_counter(), time.process_time()

                async def client() -> None:
                    while time.perf_counter() - began < seconds:
                        await _once(done, prepare, new_target, began)

                _look(done, looked_at, began)
                watching = asyncio.create_task(_watch(done, looked_at, began))
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(clients):
                            group.create_task(client())
                finally:
                    watching.cancel()
                done.seconds = time.perf_counter() - began
                done.client_s = time.process_time() - client_began
                _look(done, looked_at, began)
    return done


async def _once(done: Load, prepare: Prepare, new_target: Callable[[], tuple[Target, Unkept]], began: float) -> None:
    target, evidence = new_target()
    ask = await prepare(target)
    at, problem = time.perf_counter(), ""
    try:
        async with asyncio.timeout(REQUEST_S):
            await ask()
    except (Failed, Unreachable) as failed:
        problem = str(failed)
    except ExchangeError as error:
        problem = error.detail
    except TimeoutError:
        problem = f"nothing ended it within {REQUEST_S:.0f} s"
    except Exception as error:  # an answer of a shape that nobody thought of ends no load
        problem = f"the tester broke: {type(error).__name__}: {error}"
    wrong = next((each for each in target.findings if each.severity is Severity.ERROR), None)
    if not problem and wrong is not None:
        problem = f"{wrong.rule}: {wrong.text}"
    done.asked.append(
        Asked(
            at_s=at - began, ms=(time.perf_counter() - at) * 1000, problem=problem,
            sent_bytes=sum(each.request.size_bytes for each in evidence.exchanges),
            received_bytes=sum(each.response.size_bytes for each in evidence.exchanges),
        )
    )  # fmt: skip
    if problem:
        await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def _whom(target: System | None, say: Callable[[str], None]) -> AsyncIterator[tuple[System, Around, int | None]]:
    if target is None:
        say("Starting a house on scratch data.")
        async with own_house(tells_of_patients=False) as own:
            yield own.system, own.around, own.process
        return
    if target.counterpart is None:
        yield target, NOTHING, None
        return
    async with standing(target.counterpart, by_hand(say)) as around:
        yield target, around, None


# --- what the system takes --------------------------------------------------------------------------------------------


def _whose(addresses: list[str]) -> int | None:
    """The process that listens at the first of these, if that is on this machine."""
    for address in addresses:
        place = urlsplit(address)
        port = place.port or {"http": 80, "https": 443}.get(place.scheme)
        return listening_at(port) if place.hostname in HERE and port is not None else None
    return None


async def _watch(done: Load, process: int | None, began: float) -> None:
    while True:
        await asyncio.sleep(SAMPLED_S)
        _look(done, process, began)


def _look(done: Load, process: int | None, began: float) -> None:
    found = taken_by(process) if process is not None else None
    if found is not None:
        done.looks.append(
            Look(
                at_s=time.perf_counter() - began, resident_bytes=found.resident_bytes, peak_bytes=found.peak_bytes,
                processor_s=found.processor_s,
            )
        )  # fmt: skip
