"""The audit chain in rows: the sink inside a unit of work, the archive that reviewers read, and the care of checkpoints.

`AuditTrail` is one process's part in the chain. It makes the sinks, closes what a crash left open, and tells the audit
folder after commits how far the chain has come:

    trail = AuditTrail(folder=data / "audit", clock=clock, source_id=house.name, party=house.party())
    store = SqlStore(url, audit=trail.sink, committed=trail.committed)
    await store.open()
    await trail.start(store)
    archive = SqlAuditArchive(store, data / "audit")
    ...
    await trail.stop()
    await store.close()

What a newcomer gets wrong: the head of the chain is read from the table in every unit and never remembered, because a unit
may be rolled back after its records were staged. On SQLite units are serial. On PostgreSQL a lock that lasts until the
commit makes their audit serial: the price, one commit at a time, is paid for a chain that is whole at every moment.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, func, or_, select, union_all

from gateway.adapters.audit_folder import AuditFolder, mark_of, vouched
from gateway.adapters.audit_tables import cursors, index, open_intents, records, subjects, writers
from gateway.adapters.audit_verify import LINK_COLUMNS, link_of, told
from gateway.adapters.executor import (
    POSTGRESQL,
    Executor,
    Fixed,
    Parameters,
    Row,
    insert,
    insert_new,
    insert_or_replace,
)
from gateway.adapters.stored import micros, time_of
from gateway.ports.audit import AuditCriteria, AuditSink, ChainedRecord, ChainFault
from gateway.ports.clock import Clock
from gateway.ports.store import Work
from profiles.atna import log_damaged
from profiles.errors import ExchangeError, MalformedMessage
from profiles.model.audit import AuditRecord
from profiles.transaction import Party
from profiles.wire.audit.chain import GENESIS, Fault, FaultKind, Kind, Link, Walk, hash_of
from profiles.wire.audit.message import encode
from profiles.wire.audit.participants import ROLE_PATIENT, STUDY_INSTANCE_UID, is_system
from profiles.wire.audit.read import decode

CHAIN_LOCK = 0x7261_6467  # pg_advisory_xact_lock: "radg"
PAGE = 500  # links read at once: some 1 MB
MARK_INTERVAL_S = 0.25  # between two high-water marks: how much of a tail can be cut unseen is what came in since
SEEN_INTERVAL_S = 10.0
ALIVE_S = 60.0  # a process that was not seen for so long is gone: six times the interval, for a database that was busy
FORGOTTEN_S = 86_400.0

_HEAD = Fixed(select(records.c.number, records.c.hash).order_by(records.c.number.desc()).limit(1))
_LOCK = Fixed(select(func.pg_advisory_xact_lock(CHAIN_LOCK)))
_APPEND = insert(records)
_INDEX = insert_or_replace(index)  # what is made from records gives way to records, should a chain have been cut
_SUBJECT = insert_new(subjects)
_OPEN = insert(open_intents)
_INTENT = Fixed(select(open_intents.c.exchange_id).where(open_intents.c.intent == bindparam("of_intent")))
_FORGET = Fixed(delete(open_intents).where(open_intents.c.intent == bindparam("of_intent")))
_LEFT_OPEN = Fixed(
    select(open_intents.c.intent)
    .where(
        open_intents.c.writer != bindparam("writer"),
        ~exists().where(writers.c.writer == open_intents.c.writer, writers.c.seen_at > bindparam("alive_since")),
    )
    .limit(PAGE)
    .with_for_update(skip_locked=True)
)
_SEEN = insert_or_replace(writers)
_UNSEEN = Fixed(delete(writers).where(writers.c.seen_at < bindparam("before")))
_OF_INTENT = Fixed(
    select(records.c.body)
    .where(records.c.intent == bindparam("of_intent"), records.c.kind == Kind.INTENT.value)
    .order_by(records.c.number)
)
_LINKS = Fixed(
    select(*(records.c[name] for name in LINK_COLUMNS))
    .where(records.c.number > bindparam("after"))
    .order_by(records.c.number)
    .limit(bindparam("many"))
)
_CURSOR = Fixed(select(cursors.c.number).where(cursors.c.destination == bindparam("destination")))
_MOVE_CURSOR = insert_or_replace(cursors)


class Readable(Protocol):
    """What reviewers and forwarders need of the store."""

    def reading(self) -> AbstractAsyncContextManager[Executor]:
        """A snapshot of what is committed."""
        ...


class Workable(Readable, Protocol):
    """And what the trail needs."""

    def unit(self) -> AbstractAsyncContextManager[Work]:
        """A unit of work."""
        ...


class SqlAudit:
    """`AuditSink` over one executor."""

    __slots__ = ("_clock", "_db", "_floor", "_writer")

    def __init__(self, executor: Executor, clock: Clock, writer: str, floor: tuple[int, bytes] = (0, GENESIS)) -> None:
        """Append behind the head.

        Args:
            executor: The unit's, or a view's.
            clock: When records are kept.
            writer: The process: open intents of others are not ours to answer.
            floor: A number and hash that the chain is known to have reached. Should its tail have been cut, it goes on
                behind, and the hole stays to be seen.
        """
        self._db = executor
        self._floor = floor
        self._clock = clock
        self._writer = writer

    async def record(self, records: Sequence[AuditRecord], exchange_id: str = "") -> None:
        """Keep them, chained, in this commit."""
        await self._append(records, Kind.RECORD, "", exchange_id)

    async def intend(self, records: Sequence[AuditRecord], exchange_id: str = "") -> str:
        """Keep what will have happened if we do not come back."""
        intent = uuid4().hex
        if records:
            await self._append(records, Kind.INTENT, intent, exchange_id)
        await self._db.run(
            _OPEN,
            {
                "intent": intent,
                "writer": self._writer,
                "exchange_id": exchange_id,
                "opened_at": micros(self._clock.now()),
            },
        )
        return intent

    async def close(self, intent: str, records: Sequence[AuditRecord]) -> None:
        """Answer an intent by what did happen. The intent stays in the chain; reviewers see the answer."""
        found = await self._db.rows(_INTENT, {"of_intent": intent})
        await self._append(records, Kind.CLOSING, intent, found[0][0] if found else "")
        await self._db.run(_FORGET, {"of_intent": intent})

    async def close_left_open(self) -> int:
        """Answer the intents of processes that are gone by what they said would be true; at most a page of them.

        Where several processes share the database, gone is who was not seen for `ALIVE_S`; else everybody but us.
        """
        alive_since = micros(self._clock.now()) - int(ALIVE_S * 1_000_000)
        left = [row[0] for row in await self._db.rows(_LEFT_OPEN, {"writer": self._writer, "alive_since": alive_since})]
        for intent in left:
            intended = [row[0] for row in await self._db.rows(_OF_INTENT, {"of_intent": intent})]
            await self.close(intent, [decode(body).value for body in intended])
        return len(left)

    async def be_seen(self) -> None:
        """Say that this process lives."""
        now = micros(self._clock.now())
        await self._db.run(_SEEN, {"writer": self._writer, "seen_at": now})
        await self._db.run(_UNSEEN, {"before": now - int(FORGOTTEN_S * 1_000_000)})

    async def move_cursor(self, destination: str, number: int) -> None:
        """A forwarder has handed over all up to `number`."""
        await self._db.run(_MOVE_CURSOR, {"destination": destination, "number": number})

    async def _append(self, said: Sequence[AuditRecord], kind: Kind, intent: str, exchange_id: str) -> None:
        if not said:
            return
        origin = ""
        if self._db.dialect == POSTGRESQL:
            origin = self._writer
            await self._db.rows(_LOCK)
        number, previous = max(await head_of(self._db), self._floor, key=itemgetter(0))
        now = micros(self._clock.now())
        for record in said:
            number += 1
            link = Link(
                number=number,
                received_us=now,
                xml=encode(record),
                kind=kind,
                intent=intent,
                exchange_id=exchange_id,
                origin=origin,
            )
            previous = hash_of(previous, link)
            await self._db.run(_APPEND, _row(link, previous))
            if kind is not Kind.INTENT:
                await self._db.run(_INDEX, _index_row(number, record))
                for subject in _subject_rows(number, record):
                    await self._db.run(_SUBJECT, subject)


async def head_of(executor: Executor) -> tuple[int, bytes]:
    """The last record's number and hash."""
    rows = await executor.rows(_HEAD)
    return (rows[0][0], bytes(rows[0][1])) if rows else (0, GENESIS)


async def links_after(executor: Executor, number: int, many: int = PAGE) -> list[Link]:
    """Up to `many` links behind `number`, in order."""
    return [link_of(row) for row in await executor.rows(_LINKS, {"after": number, "many": many})]


async def cursor_of(executor: Executor, destination: str) -> int | None:
    """How far a destination has come; None: it is new."""
    rows = await executor.rows(_CURSOR, {"destination": destination})
    return rows[0][0] if rows else None


def _row(link: Link, hash_: bytes) -> Parameters:
    return {
        "number": link.number,
        "received_at": link.received_us,
        "kind": link.kind.value,
        "intent": link.intent,
        "exchange_id": link.exchange_id,
        "origin": link.origin,
        "hash": hash_,
        "body": link.xml,
    }


# --- what records are searched by -------------------------------------------------------------------------------------


def _index_row(number: int, record: AuditRecord) -> Parameters:
    people: list[str] = []
    systems: list[str] = []
    for who in record.participants:
        if is_system(who):
            systems += (who.user_id, who.network_access_point)
        else:
            people += (who.user_id, who.user_name)
    return {
        "number": number,
        "event_at": micros(record.at),
        "event": record.event.code,
        "types": f" {' '.join(code.code for code in record.types)} " if record.types else "",
        "outcome": int(record.outcome),
        "people": "\n".join(people).casefold(),
        "systems": "\n".join(systems).casefold(),
    }


def _subject_rows(number: int, record: AuditRecord) -> list[Parameters]:
    terms: dict[tuple[str, str], None] = {}
    for subject in record.objects:
        if subject.role == ROLE_PATIENT and subject.id:
            terms["patient", subject.id] = None
        elif subject.id_type.code == STUDY_INSTANCE_UID.code:
            terms["study", subject.id] = None
    return [{"kind": kind, "term": term, "number": number} for kind, term in terms]


def _conditions(criteria: AuditCriteria) -> Iterable[ColumnElement[bool]]:
    if criteria.since is not None:
        yield index.c.event_at >= micros(criteria.since)
    if criteria.until is not None:
        yield index.c.event_at < micros(criteria.until)
    if criteria.patient:
        yield _among(_about("patient", *_is_patient(criteria.patient)))
    if criteria.study_instance_uid or criteria.exchange_ids:
        yield _among(_of_study(criteria))
    if criteria.user:
        yield index.c.people.contains(criteria.user.casefold(), autoescape=True)
    if criteria.organisation:
        yield index.c.systems.contains(criteria.organisation.casefold(), autoescape=True)
    if criteria.event:
        yield or_(index.c.event == criteria.event, index.c.types.contains(f" {criteria.event} ", autoescape=True))
    if criteria.outcome is not None:
        yield index.c.outcome == criteria.outcome


def _about(kind: str, *alternatives: ColumnElement[bool]) -> list[Select[tuple[int]]]:
    return [select(subjects.c.number).where(subjects.c.kind == kind, each) for each in alternatives]


def _of_study(criteria: AuditCriteria) -> list[Select[tuple[int]]]:
    asked = _about("study", subjects.c.term == criteria.study_instance_uid)
    if criteria.exchange_ids:
        of_exchanges = select(records.c.number).where(records.c.exchange_id.in_(criteria.exchange_ids))
        asked.append(of_exchanges.where(records.c.exchange_id != ""))  # as the index says
    return asked


def _among(asked: Iterable[Select[tuple[int]]]) -> ColumnElement[bool]:
    """Each is a question of its own: asked with OR, both databases would walk through all that there is."""
    return index.c.number.in_(union_all(*asked))


def _is_patient(asked: str) -> tuple[ColumnElement[bool], ...]:
    """The whole CX; or the id alone, whoever gave it: a range of the key that ends before the next character."""
    if "^" in asked:
        return (subjects.c.term == asked,)
    following = chr(ord("^") + 1)
    return subjects.c.term == asked, and_(subjects.c.term >= f"{asked}^", subjects.c.term < f"{asked}{following}")


def _chained(row: Row) -> ChainedRecord:
    number, received, body, exchange_id = row
    xml = bytes(body)
    try:
        record: AuditRecord | None = decode(xml).value
    except MalformedMessage:
        record = None
    return ChainedRecord(number=number, received_at=time_of(received), xml=xml, record=record, exchange_id=exchange_id)


class SqlAuditArchive:
    """`AuditArchive`: reading what is committed."""

    def __init__(self, store: Readable, folder: Path) -> None:
        """`folder` has the checkpoints."""
        self._store = store
        self._folder = folder

    async def list(self, criteria: AuditCriteria) -> Sequence[ChainedRecord]:
        """Newest first. Intents are not shown: they say what was only feared; their answers are."""
        chosen = self._chosen(criteria).order_by(index.c.number.desc()).limit(criteria.limit)
        if criteria.before is not None:
            chosen = chosen.where(index.c.number < criteria.before)
        async with self._store.reading() as executor:
            rows = await executor.rows(chosen, slow=True)
        return [_chained(row) for row in rows]

    async def export(self, criteria: AuditCriteria) -> AsyncIterator[ChainedRecord]:
        """All that fit, oldest first, a page at a time."""
        chosen = self._chosen(criteria).order_by(index.c.number).limit(PAGE)
        if criteria.before is not None:
            chosen = chosen.where(index.c.number < criteria.before)
        last = 0
        while True:
            async with self._store.reading() as executor:
                rows = await executor.rows(chosen.where(index.c.number > last), slow=True)
            for row in rows:
                yield _chained(row)
            if len(rows) < PAGE:
                return
            last = rows[-1][0]

    @staticmethod
    def _chosen(criteria: AuditCriteria) -> Select[Any]:
        return (
            select(records.c.number, records.c.received_at, records.c.body, records.c.exchange_id)
            .join(index, index.c.number == records.c.number)
            .where(*_conditions(criteria))
        )

    async def verify(self) -> Sequence[ChainFault]:
        """Walk the chain and its checkpoints; the house may go on working meanwhile."""
        # checkpoints first: the chain only grows, so what they say must be in what is read after them
        checkpoints, faults = await asyncio.to_thread(vouched, self._folder)
        walk = Walk(checkpoints)
        while True:
            async with self._store.reading() as executor:
                links = await links_after(executor, walk.number)
            if not links:
                break
            await asyncio.to_thread(_feed, walk, links)
        found = await asyncio.to_thread(walk.faults)
        return told((*faults, *found))


def _feed(walk: Walk, links: Iterable[Link]) -> None:
    for link in links:
        walk.feed(link)


# --- one process's part -----------------------------------------------------------------------------------------------


class AuditTrail:
    """Makes sinks, closes what was left open, tends the checkpoints."""

    def __init__(
        self,
        *,
        folder: Path,
        clock: Clock,
        source_id: str,
        party: Party,
        enterprise_site_id: str = "",
        checkpoint_records: int = 1000,
        checkpoint_s: float = 60.0,
    ) -> None:
        """Touch nothing yet; `source_id` and `party` are who we are in records of our own."""
        self._folder = AuditFolder(folder)
        self._path = folder
        self._clock = clock
        self._source_id = source_id
        self._party = party
        self._site = enterprise_site_id
        self._every = checkpoint_records
        self._interval_s = checkpoint_s
        self._writer = uuid4().hex
        self._store: Workable | None = None
        self._news = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._telling = asyncio.Lock()
        self._shared = False
        self._seen_at = 0.0
        self._marked = -1
        self._floor = (0, GENESIS)
        self.key_id = ""

    def sink(self, executor: Executor) -> AuditSink:
        """The sink of one unit: hand this to the store."""
        return SqlAudit(executor, self._clock, self._writer, self._floor)

    def committed(self) -> None:
        """Something was committed: hand this to the store."""
        self._news.set()

    def archive(self, store: Readable) -> SqlAuditArchive:
        """The reading half."""
        return SqlAuditArchive(store, self._path)

    async def start(self, store: Workable) -> Sequence[ChainFault]:
        """Answer what a crash left open and look whether the chain reaches as far as we left it.

        Returns:
            What is wrong with the chain's end; it was recorded as an alert. The whole walk is `verify`.
        """
        self._store = store
        self.key_id = await asyncio.to_thread(self._folder.open)
        faults = await self._compare()
        if faults:
            async with store.unit() as work:
                reasons = "; ".join(fault.text for fault in faults)
                await work.audit.record(
                    log_damaged(
                        at=self._clock.now(),
                        source_id=self._source_id,
                        house=self._party,
                        text=f"the audit log is not as this house left it: {reasons}",
                        enterprise_site_id=self._site,
                    )
                )
        async with store.reading() as executor:
            self._shared = executor.dialect == POSTGRESQL
        await self._look_after_intents()
        await self.checkpoint()
        self._seen_at = asyncio.get_running_loop().time()
        self._tending = asyncio.get_running_loop().create_task(self._tend(), name="audit checkpoints")
        return faults

    async def stop(self) -> None:
        """The last checkpoint. Nothing is written to the chain after this."""
        self._stopping.set()
        self._news.set()
        if self._tending is not None:
            await self._tending
            await self.checkpoint()

    async def _look_after_intents(self) -> None:
        """Be seen, where others might take us for gone, and answer for those who are."""
        assert self._store is not None
        left = 1
        while left:
            async with self._store.unit() as work:
                assert isinstance(work.audit, SqlAudit)
                if self._shared:
                    await work.audit.be_seen()
                left = await work.audit.close_left_open()
                if self._shared:
                    await work.ledger.close_open_steps(self._clock.now())

    async def _compare(self) -> Sequence[ChainFault]:
        assert self._store is not None
        mark = await asyncio.to_thread(mark_of, self._path)
        if mark is None:
            return ()
        async with self._store.reading() as executor:
            number, hash_ = await head_of(executor)
        if number < mark.number:
            self._floor = (mark.number, mark.hash)
            text = f"records {number + 1} to {mark.number} were cut off the end"
            return told([Fault(number=number + 1, kind=FaultKind.TRUNCATED, text=text)])
        if number == mark.number and hash_ != mark.hash:
            text = f"record {number} is not the one that was written last"
            return told([Fault(number=number, kind=FaultKind.REWRITTEN, text=text)])
        return ()

    async def _tend(self) -> None:
        """A mark after commits, a checkpoint every so many records or seconds."""
        loop = asyncio.get_running_loop()
        last_checkpoint = loop.time()
        while not self._stopping.is_set():
            wait_s = max(0.0, last_checkpoint + self._interval_s - loop.time())
            if self._shared:
                wait_s = min(wait_s, SEEN_INTERVAL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            self._news.clear()
            try:
                if self._shared and loop.time() - self._seen_at >= SEEN_INTERVAL_S:
                    self._seen_at = loop.time()
                    await self._look_after_intents()
                due = loop.time() - last_checkpoint >= self._interval_s
                if await self.checkpoint(every=1 if due else self._every) or due:
                    last_checkpoint = loop.time()
            except (OSError, ExchangeError):
                # a full disk, a busy store: the records are safe, and the next round tries again
                last_checkpoint = loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(MARK_INTERVAL_S):
                    await self._stopping.wait()

    async def checkpoint(self, *, every: int = 1) -> bool:
        """Tell the folder how far the chain has come: a mark, and a checkpoint where `every` records came since the last.

        Returns:
            Whether there was a checkpoint.
        """
        async with self._telling:
            number, hash_ = await self._head()
            now = self._clock.now()
            due = number - self._folder.last_number >= every
            if due:
                await asyncio.to_thread(self._folder.checkpoint, number, hash_, now)
            if number != self._marked:
                await asyncio.to_thread(self._folder.mark, number, hash_, now)
                self._marked = number
            return due

    async def _head(self) -> tuple[int, bytes]:
        assert self._store is not None
        async with self._store.reading() as executor:
            return await head_of(executor)
