"""The store beside a bare loop that writes the same rows as durably; by hand: `python tests/bench/bench_store.py [FOLDER]`.

What is written is what a RAD-68 leaves behind: a submission of one document, the document itself, an exchange and its step.
The bare loop replays the very statements and parameters, one after another, 64 units to a commit: nobody can be quicker.
"""

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.adapters.executor import Fixed, Parameters
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.store_sqlite import SqliteExecutor
from gateway.model.job import Event
from gateway.ports.objects import StagedObject
from gateway.ports.store import Work
from profiles.model.content import Content
from profiles.model.document import DocumentEntry, ReferenceId, Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, StudyCriteria, TimeRange
from tests.bench.compare import at_most, quicker
from tests.gateway.adapters.stores import no_audit
from tests.support.registered import (
    CT,
    DOMAIN,
    HEAD,
    NOW,
    arrived,
    entry,
    exchange,
    instance,
    patient,
    series,
    step,
    study,
    submission,
)

UNITS = 2000
SENDERS = 50
MANIFEST = b"\x00" * 6000
SIZES = (10_000, 200_000)
PER_PATIENT = 5
ACCESSION = ReferenceId(value="A1", type="urn:ihe:iti:xds:2013:accession", authority="1.2.3.5")


def document(patient_id: PatientIdentifier) -> DocumentEntry:
    return entry(
        patient_id,
        event_codes=(CT, HEAD),
        reference_ids=(ACCESSION, ReferenceId(value="1.2.3", type="urn:ihe:iti:xds:2016:studyInstanceUID")),
        title="CT head",
        service_start_time=Moment(NOW),
        mime_type="application/dicom",
    )


def who(number: int) -> PatientIdentifier:
    return PatientIdentifier(value=f"p{number}", authority=DOMAIN)


async def receive(work: Work, brought: Submission) -> None:
    """What a RAD-68 leaves behind."""
    (one,) = brought.entries
    id_ = one.entry_uuid
    content = Content.of(MANIFEST, "application/dicom", one.hash)
    await work.documents.keep(one.unique_id, StagedObject(content=content, inline=MANIFEST, path=None))
    await work.registry.put(brought, NOW)
    await work.ledger.open(exchange(id_))
    await work.ledger.advance(id_, Event.SETTLED, NOW)
    await work.ledger.note(step(id_))


async def ours(folder: Path, units: int, senders: int) -> float:
    """Units a second with so many senders, each waiting for its own commit."""
    store = SqlStore(f"sqlite:///{folder}/ours.db", audit=no_audit)
    await store.open()
    brought = [submission(document(who(number)), patient_id=who(number)) for number in range(units)]
    numbers = iter(range(units))

    async def sender() -> None:
        for number in numbers:
            async with store.unit() as work:
                await receive(work, brought[number])

    begin = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(senders)))
    took = time.perf_counter() - begin
    await store.close()
    return units / took


async def recorded(folder: Path, units: int) -> list[list[tuple[str, list[Any]]]]:
    """The statements of each unit as they reach the driver, reads too."""
    store = SqlStore(f"sqlite:///{folder}/recorded.db", audit=no_audit)
    await store.open()
    found: list[list[tuple[str, list[Any]]]] = []
    rows, run, run_each = SqliteExecutor._rows, SqliteExecutor.run, SqliteExecutor.run_each

    def note(statement: object, parameters: Parameters) -> None:
        assert isinstance(statement, Fixed)
        text, ordered = statement.sqlite()
        found[-1].append((text, ordered(parameters)))

    def rows_too(self: SqliteExecutor, statement: Any, parameters: Parameters) -> Any:
        if isinstance(statement, Fixed):
            note(statement, parameters)
        return rows(self, statement, parameters)

    async def run_too(self: SqliteExecutor, statement: Any, parameters: Parameters = {}) -> int:  # noqa: B006
        note(statement, parameters)
        return await run(self, statement, parameters)

    async def run_each_too(self: SqliteExecutor, statement: Fixed, parameters: Any) -> int:
        for each in parameters:
            note(statement, each)
        return await run_each(self, statement, parameters)

    SqliteExecutor._rows, SqliteExecutor.run = rows_too, run_too  # type: ignore[method-assign]
    SqliteExecutor.run_each = run_each_too  # type: ignore[method-assign]
    try:
        for number in range(units):
            async with store.unit() as work:
                found.append([])
                await receive(work, submission(document(who(number)), patient_id=who(number)))
    finally:
        SqliteExecutor._rows, SqliteExecutor.run = rows, run  # type: ignore[method-assign]
        SqliteExecutor.run_each = run_each  # type: ignore[method-assign]
    await store.close()
    return found


async def bare(folder: Path, statements: list[list[tuple[str, list[Any]]]]) -> float:
    """Units a second of a loop that does nothing else."""
    store = SqlStore(f"sqlite:///{folder}/bare.db", audit=no_audit)
    await store.open()
    await store.close()
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, cached_statements=512)
    connection.execute("pragma journal_mode = WAL")
    connection.execute("pragma synchronous = FULL")
    begin = time.perf_counter()
    for start in range(0, len(statements), 64):
        connection.execute("begin immediate")
        for unit in statements[start : start + 64]:
            for text, parameters in unit:
                connection.execute(text, parameters).fetchall()
        connection.execute("commit")
    took = time.perf_counter() - begin
    connection.close()
    return len(statements) / took


async def filled(folder: Path, entries: int) -> SqlStore:
    """A store with so many entries, and a study for each patient."""
    store = SqlStore(f"sqlite:///{folder}/{entries}.db", audit=no_audit)
    await store.open()
    for start in range(0, entries // PER_PATIENT, 200):
        async with store.unit() as work:
            for number in range(start, min(start + 200, entries // PER_PATIENT)):
                of = who(number)
                await work.registry.put(submission(*(document(of) for _ in range(PER_PATIENT)), patient_id=of), NOW)
                uid = f"1.2.3.60.{number}"
                whole = study(uid, series(f"{uid}.1", instance(f"{uid}.1.1")), of=patient(of))
                await work.studies.add(arrived(whole), whole.patient, "", NOW)
    return store


async def asked(store: SqlStore, entries: int) -> dict[str, float]:
    """Median microseconds of each question."""

    async def find(work: Work, **criteria: Any) -> int:
        return len([each async for each in work.registry.find(DocumentCriteria(**criteria))])

    questions: dict[str, Any] = {
        "FindDocuments by patient": lambda work, of: find(work, patient_ids=(of,)),
        "FindDocuments by patient, codes and time": lambda work, of: find(
            work,
            patient_ids=(of,),
            event_codes=((CT,),),
            service_start_time=TimeRange(start=Moment.from_dtm("2020")),
        ),
        "studies by patient, counted": lambda work, of: work.studies.search(
            StudyCriteria(patient_ids=((of.value, str(of.authority)),))
        ),
        "a view, empty": lambda work, of: asyncio.sleep(0),
    }
    found = {}
    for name, ask in questions.items():
        times = []
        for number in range(400):
            of = who(number * 7919 % (entries // PER_PATIENT))
            begin = time.perf_counter()
            async with store.view() as work:
                await ask(work, of)
            times.append((time.perf_counter() - begin) * 1e6)
        found[name] = statistics.median(times[100:])
    return found


async def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        statements = await recorded(folder, UNITS)
        peer = max([await bare(_fresh(folder), statements) for _ in range(3)])
        print(f"{'bare loop, 64 units a commit':44} {peer:9.0f} units/s")
        for senders in (1, SENDERS):
            figure = max([await ours(_fresh(folder), UNITS if senders > 1 else 300, senders) for _ in range(3)])
            quicker(
                f"the store alone, {senders} sender{'s' if senders > 1 else ''}",
                ours=figure,
                peer=peer,
                unit="units/s",
                beside="bare loop, 64 units a commit",
                asked=0.5 if senders > 1 else None,
            )
        figures = {}
        for size in SIZES:
            store = await filled(folder, size)
            figures[size] = await asked(store, size)
            await store.close()
        for question in figures[SIZES[0]]:
            small, large = (figures[size][question] for size in SIZES)
            print(f"{question:44} {small:7.0f} us at {SIZES[0]:,} {large:7.0f} us at {SIZES[1]:,}")
            at_most(f"{question}, {SIZES[0]} to {SIZES[1]}: growth", large / small, 1.5, "x")


def _fresh(folder: Path) -> Path:
    made = folder / uuid.uuid4().hex
    made.mkdir()
    return made


if __name__ == "__main__":
    asyncio.run(main())
