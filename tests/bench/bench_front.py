"""What 50 senders get acknowledged by a whole house: `python -m tests.bench.bench_front`.

RAD-68 and ADT by MLLP as `radgate conformance load` asks, and ITI-42, which it does not: each acknowledged when durable,
beside a bare loop: the very statements and parameters that such a turn hands to the driver (recorded in a house inside this
process), replayed on one connection, 64 units to a commit with the same `synchronous = FULL`, by somebody who reads no
message, checks nothing and answers nobody.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from conformance.around import NOTHING
from conformance.load import load
from conformance.samples import sample_patient
from conformance.system import System
from gateway.adapters.executor import Fixed, Parameters
from gateway.adapters.store_sqlite import SqliteExecutor
from gateway.app import running
from gateway.settings import AccessSection, HouseSection, ListenSection, Settings
from gateway.telemetry import configure
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.xds.iti42 import ITI_42, RegisterRequest
from tests.bench.compare import at_most, median, quicker
from tests.bench.houses import AUTHORITY, house, scratch, store_of
from tests.bench.loaded import described, loaded
from tests.support.scenario import Message, message_of, offer_of, write_study

SENDERS = 50
MESSAGES = 400
ROUNDS = 3
SECONDS = 2.0
RECORDED = 100
GROUP = 64
ELSEWHERE = Oid("1.2.3.99")
RECIPIENT, REGISTRY = "/soap/document-recipient", "/soap/registry"
NOBODY = PatientIdentifier(value="NOBODY", authority=AUTHORITY)  # whose manifests are kept, and held for a person
PATIENT = sample_patient(1, AUTHORITY)
Statements = list[tuple[str, tuple[Any, ...]]]


async def registrations(folder: Path, many: int) -> list[Message]:
    """The metadata of such manifests, of somebody known, whose bytes are in a repository elsewhere."""
    study, who = write_study(folder), PATIENT.identifiers[0]
    offered = (offer_of(study, patient_id=who).entry(repository_unique_id=ELSEWHERE) for _ in range(many))
    return [await message_of(ITI_42, RegisterRequest(submission=each.submission)) for each in offered]


async def registered(port: int, messages: Sequence[Message], senders: int) -> float:
    """Acknowledged a second, each sender on a connection of its own."""
    queue = list(reversed(messages))

    async def sender() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while queue:
            message = queue.pop()
            head = (
                f"POST {REGISTRY} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {message.content_type}\r\n"
                f"Content-Length: {len(message.body)}\r\n\r\n"
            )
            writer.write(head.encode() + message.body)
            answer = await whole_answer(reader)
            assert b"ResponseStatusType:Success" in answer, answer[:1000]
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(senders)))
    return len(messages) / (time.perf_counter() - started)


async def whole_answer(reader: asyncio.StreamReader) -> bytes:
    """Head and body, by length or by chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return head + body


# --- the bare loop ----------------------------------------------------------------------------------------------------


@contextmanager
def recording(found: Statements) -> Iterator[None]:
    """What reaches the driver of every house in this process."""
    rows, run, run_each = SqliteExecutor._rows, SqliteExecutor.run, SqliteExecutor.run_each

    def note(self: SqliteExecutor, statement: object, parameters: Parameters) -> None:
        if self.writing and isinstance(statement, Fixed):
            text, ordered = statement.sqlite()
            found.append((text, tuple(ordered(parameters))))

    def rows_too(self: SqliteExecutor, statement: Any, parameters: Parameters) -> Any:
        note(self, statement, parameters)
        return rows(self, statement, parameters)

    async def run_too(self: SqliteExecutor, statement: Any, parameters: Parameters = {}) -> int:  # noqa: B006
        note(self, statement, parameters)
        return await run(self, statement, parameters)

    async def run_each_too(self: SqliteExecutor, statement: Fixed, parameters: Any) -> int:
        for each in parameters:
            note(self, statement, each)
        return await run_each(self, statement, parameters)

    SqliteExecutor._rows, SqliteExecutor.run = rows_too, run_too  # type: ignore[method-assign]
    SqliteExecutor.run_each = run_each_too  # type: ignore[method-assign]
    try:
        yield
    finally:
        SqliteExecutor._rows, SqliteExecutor.run = rows, run  # type: ignore[method-assign]
        SqliteExecutor.run_each = run_each  # type: ignore[method-assign]


@asynccontextmanager
async def here(folder: Path) -> AsyncIterator[dict[str, str]]:
    """A house inside this process."""
    settings = Settings(
        house=HouseSection(name="Recorded", data=folder / "data", patient_authority=AUTHORITY),
        listen=ListenSection(http_port=0, mllp_port=0),
        access=AccessSection(anonymous_loopback=True),
    )
    configure("WARNING")
    async with running(settings) as addresses:
        yield addresses


def port_of(address: str) -> int:
    """The number at its end."""
    return int(address.rpartition(":")[2].partition("/")[0])


async def bare(folder: Path, statements: Statements, units: int) -> float:
    """Units a second of a loop that does nothing else."""
    async with store_of(folder):
        pass
    connection = sqlite3.connect(folder / "data" / "radgate.db", isolation_level=None, cached_statements=512)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    each = max(1, len(statements) // units)
    started = time.perf_counter()
    for start in range(0, len(statements), each * GROUP):
        connection.execute("BEGIN IMMEDIATE")
        for text, parameters in statements[start : start + each * GROUP]:
            connection.execute(text, parameters).fetchall()
        connection.execute("COMMIT")
    taken = time.perf_counter() - started
    connection.close()
    return units / taken


# --- both -------------------------------------------------------------------------------------------------------------


async def told(
    what: str, folder: Path, statements: Statements, units: int, one: Callable[[], Awaitable[float]]
) -> None:  # fmt: skip
    """Rounds in turns."""
    mine, theirs = [], []
    for number in range(ROUNDS):
        mine.append(await one())
        theirs.append(await bare(folder / f"bare-{what}-{number}", statements, units))
    quicker(f"{what}, {SENDERS} senders, durable before the answer", ours=median(mine), peer=median(theirs), unit="/s",
            beside="bare loop, same rows, nothing read", asked=0.5)  # fmt: skip
    at_most(f"{what}: statements a message", len(statements) / units, None, "")


def endpoints(http: int, mllp: int) -> dict[str, str]:
    """What is asked of a house by load."""
    return {"RAD-68": f"http://127.0.0.1:{http}{RECIPIENT}", "MLLP": f"mllp://127.0.0.1:{mllp}"}


async def measure(folder: Path) -> None:
    """RAD-68, ITI-42, then ADT."""
    messages = await registrations(folder / "study-42", RECORDED + MESSAGES * ROUNDS)
    recorded: dict[str, Statements] = {"RAD-68": [], "ITI-42": [], "ITI-8": []}
    units = {"ITI-42": RECORDED - 1}
    async with store_of(folder / "recorded") as store, store.unit() as work:
        await work.identity.put(PATIENT, datetime.now(UTC))
    async with here(folder / "recorded") as addresses:
        http, mllp = (port_of(addresses[each]) for each in ("http", "mllp"))
        system = System(
            name="recorded", endpoints=endpoints(http, mllp), claims=frozenset(), known_patients=(NOBODY,)
        )  # fmt: skip
        await registered(http, messages[:1], 1)
        with recording(recorded["ITI-42"]):
            await registered(http, messages[1:RECORDED], 1)
        for transaction in ("RAD-68", "ITI-8"):
            await load(system, NOTHING, transaction, clients=1, seconds=0.2)
            with recording(recorded[transaction]):
                done = await load(system, NOTHING, transaction, clients=1, seconds=1.0)
            assert done.good, done.problems
            units[transaction] = len(done.asked) + 1  # and the first, which load does not count
    batches = iter([messages[RECORDED + MESSAGES * each :][:MESSAGES] for each in range(ROUNDS)])
    async with house(folder / "house", knows=[PATIENT]) as ours:
        asked = described(folder / "house.toml", endpoints(ours.http, ours.mllp), NOBODY)

        async def rate(transaction: str) -> float:
            return (await loaded(asked, transaction, clients=SENDERS, seconds=SECONDS)).per_second

        async def registering() -> float:
            return await registered(ours.http, next(batches), SENDERS)

        works: dict[str, tuple[str, Callable[[], Awaitable[float]]]] = {
            "RAD-68": ("RAD-68", partial(rate, "RAD-68")),
            "ITI-42": ("ITI-42", registering),
            "ITI-8": ("ADT by MLLP", partial(rate, "ITI-8")),
        }
        for transaction, (what, one) in works.items():
            await told(what, folder, recorded[transaction], units[transaction], one)


def main() -> None:
    """Everything."""
    with scratch() as folder:
        asyncio.run(measure(folder))


if __name__ == "__main__":
    main()
