"""FindDocuments (ITI-18, LeafClass, 10 hits) in a whole house, from ten thousand entries to a million.

`python -m tests.bench.bench_documents` asks houses of 10,000 and 100,000 entries, which it fills, and one of a million if
that has been filled: `python -m tests.bench.bench_documents fill`, once, takes some minutes; it is kept in a folder of its
own and grown by nothing but what asking leaves behind. Houses are asked in turns about people all over them. Beside the
largest stands a bare query: the statements that the registry runs for the same people, run on a connection of its own by
somebody who makes nothing of the rows.
"""

import asyncio
import shutil
import sqlite3
import statistics
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter

from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from tests.bench.client import Kept
from tests.bench.compare import at_most, cpu_seconds, median, missing, sooner
from tests.bench.houses import LOCAL, House, house, scratch, store_of
from tests.gateway.adapters.plans import statements
from tests.support import crowd
from tests.support.scenario import Message, message_of

MILLION = 1_000_000
SIZES = (10_000, 100_000)
ROUNDS = 200
KEPT = LOCAL / "radgate-bench-a-million-documents"
FILLED = "filled"  # a file that says so


async def fill(folder: Path, entries: int) -> None:
    """Rows as submissions would leave them."""
    async with store_of(folder) as store:
        await crowd.populate(store, range(entries // crowd.DOCUMENTS), crowd.register)
    (folder / FILLED).touch()


def criteria(number: int) -> DocumentCriteria:
    """All that is approved of somebody."""
    return DocumentCriteria(patient_ids=(crowd.identifier(number),), statuses=(AvailabilityStatus.APPROVED,))


def people(entries: int, rounds: int) -> list[int]:
    """Whom to ask for, all over them."""
    return [(turn * 7919) % (entries // crowd.DOCUMENTS) for turn in range(rounds)]


async def message(number: int) -> Message:
    return await message_of(ITI_18, StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria(number)))


def seconds(kept: Kept, asked: Message, number: int) -> float:
    """One answer, with all ten of them."""
    started = perf_counter()
    answer = kept.post("/soap/registry", asked.body, {"Content-Type": asked.content_type})
    taken = perf_counter() - started
    assert all(f'"{crowd.document_id(number, each)}"'.encode() in answer for each in range(crowd.DOCUMENTS)), answer[
        :500
    ]
    return taken


async def bare(folder: Path, numbers: list[int]) -> list[float]:
    """Seconds of the rows alone, for each of these people."""
    async with store_of(folder) as store:
        asked = [await statements(store, lambda work, of=number: read(work, of)) for number in numbers]
    connection = sqlite3.connect(f"file:{folder}/data/radgate.db?mode=ro", uri=True)
    taken = []
    for each in asked:
        started = perf_counter()
        rows = sum(len(connection.execute(text).fetchall()) for text in each)
        taken.append(perf_counter() - started)
        assert rows >= crowd.DOCUMENTS, each
    connection.close()
    return taken


async def read(work: object, number: int) -> None:
    async for _ in work.registry.find(criteria(number)):  # type: ignore[attr-defined]
        pass


async def measure(folder: Path) -> None:
    """All sizes, in turns."""
    folders = {size: folder / str(size) for size in SIZES}
    for size, each in folders.items():
        await fill(each, size)
    if (KEPT / FILLED).exists():
        folders[MILLION] = KEPT
    else:
        missing("FindDocuments of a million entries", "fill it once: python -m tests.bench.bench_documents fill")
    taken: dict[int, list[float]] = {size: [] for size in folders}
    spent: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        houses: dict[int, tuple[House, Kept]] = {}
        for size, each in folders.items():
            ours = await stack.enter_async_context(house(each))
            houses[size] = ours, Kept(ours.http)
            await asyncio.to_thread(seconds, houses[size][1], await message(1), 1)
        before = {size: cpu_seconds(ours.pid) for size, (ours, _) in houses.items()}
        for turn in range(ROUNDS):
            for size, (_, kept) in houses.items():
                number = people(size, ROUNDS)[turn]
                taken[size].append(await asyncio.to_thread(seconds, kept, await message(number), number) * 1000)
        for size, (ours, kept) in houses.items():
            spent[size] = (cpu_seconds(ours.pid) - before[size]) / ROUNDS * 1000
            kept.close()
    smallest, largest = min(folders), max(folders)
    rows = [each * 1000 for each in await bare(folders[largest], people(largest, ROUNDS))]
    for size in folders:
        at_most(f"FindDocuments, 10 hits of {size:,} entries: p50", median(taken[size]), None, "ms")
        at_most(f"- the house's CPU, {size:,} entries", spent[size], None, "ms")
    growth = median(taken[largest]) / median(taken[smallest])
    at_most(f"- {smallest:,} to {largest:,} entries: growth of the median", growth, 1.5, "x")
    p95 = statistics.quantiles(taken[largest], n=20)[18]
    sooner(f"- {largest:,} entries: p95, turn and audit included", ours=p95, peer=statistics.quantiles(rows, n=20)[18],
           unit="ms", beside="the same rows, bare", asked=None)  # fmt: skip
    at_most(f"- {largest:,} entries: p95", p95, 10.0, "ms")


def main() -> None:
    """Fill a million, or measure."""
    if sys.argv[1:] == ["fill"]:
        shutil.rmtree(KEPT, ignore_errors=True)
        asyncio.run(fill(KEPT, MILLION))
        return
    with scratch() as folder:
        asyncio.run(measure(folder))


if __name__ == "__main__":
    main()
