"""Forwards the audit chain to a collector: syslog over TLS, from the database, at least once and in order.

The chain is the spool, and each destination has a cursor in it. Intents are not forwarded: they say what was only feared;
their answers are.

What a newcomer gets wrong: nothing at this level tells that the collector has a message. A write that succeeded says that
our kernel has it. So a record counts as handed over only when the other side's kernel acknowledged it and the connection
lived on for a while; when a connection is lost, all since the cursor is sent again, and the collector sees some of it
twice. And with TLS 1.3 a refusal of our certificate shows only when we read: so we always read.

Source: RFC 5425 4.3, 4.4; ITI TF-2 3.20.4.1.3 (store locally and send when able).
"""

import asyncio
import fcntl
import os
import random
import socket
import ssl
import struct
import termios
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from gateway.adapters.audit_sql import SqlAudit, Workable, cursor_of, head_of, links_after
from gateway.adapters.stored import time_of
from gateway.ports.clock import Clock
from gateway.telemetry import logger
from profiles.atna import forwarding_resumed, forwarding_stopped
from profiles.atna.iti20 import frame_of
from profiles.errors import ExchangeError
from profiles.model.audit import AuditRecord
from profiles.transaction import Party
from profiles.wire.audit.chain import Kind, Link
from profiles.wire.audit.participants import SECURITY_ALERT
from profiles.wire.audit.syslog import Origin

FRAMES_A_WRITE = 20  # rsyslog took 90 thousand a second so
LINKS_A_READ = 500  # some 1 MB, bounded by the 32 KiB of a message
CONNECT_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 30.0  # nothing moved for so long: the collector is as good as down
SETTLE_S = 0.2  # after the handshake, for a refusal to arrive
CONFIRM_S = 2.0  # how long a connection must live on before what was written counts as handed over
CURSOR_INTERVAL_S = 1.0  # between two writes of the cursor: a crash sends so much again
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
ALARM_AFTER_S = 30.0  # a collector that restarts is no alarm
ALARM_INTERVAL_S = 3600.0  # and one that is down for days is one an hour: the alarm must not feed itself

_ALERT = f'<EventID csd-code="{SECURITY_ALERT.code}"'.encode()
_HEAD_BYTES = 512  # where an EventID stands in a message of ours
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Where to. `context` has our certificate and whom we believe; None: plain TCP, for a collector on this machine."""

    host: str
    port: int
    context: ssl.SSLContext | None
    server_name: str | None = None  # None: the host

    @property
    def address(self) -> str:
        """As operators read it, and as the cursor is named."""
        return f"{'tls' if self.context else 'tcp'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """How it stands. `behind`: how many links of the chain are not handed over yet."""

    address: str
    connected: bool
    since: datetime
    cursor: int
    behind: int
    reason: str = ""


class _Lost(Exception):
    """The connection is of no more use; the text says why."""


class SyslogForwarder:
    """One destination. `start`, `wake` after commits, `stop`."""

    def __init__(
        self,
        collector: Collector,
        *,
        store: Workable,
        clock: Clock,
        origin: Origin,
        source_id: str,
        party: Party,
        enterprise_site_id: str = "",
        confirm_s: float = CONFIRM_S,
        alarm_after_s: float = ALARM_AFTER_S,
        alarm_interval_s: float = ALARM_INTERVAL_S,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        """Connect nothing yet.

        Args:
            collector: Where to.
            store: The database with the chain.
            clock: Of records about ourselves.
            origin: HOSTNAME, APP-NAME and PROCID of our messages.
            source_id: Who we are in records about ourselves; `party` and `enterprise_site_id` likewise.
            party: See above.
            enterprise_site_id: See above.
            confirm_s: How long a connection lives on before what was written counts as handed over.
            alarm_after_s: How long a collector is down before it is recorded.
            alarm_interval_s: The least time between two such records.
            first_wait_s: Before the first new attempt; each next wait is twice as long, up to a minute.
        """
        self._collector = collector
        self._store = store
        self._clock = clock
        self._origin = origin
        self._source_id = source_id
        self._party = party
        self._site = enterprise_site_id
        self._confirm_s = confirm_s
        self._alarm_after_s = alarm_after_s
        self._alarm_interval_s = alarm_interval_s
        self._first_wait_s = first_wait_s
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._cursor = 0  # handed over
        self._kept_cursor = 0  # and written down
        self._kept_at = 0.0
        self._connected = False
        self._since = clock.now()
        self._reason = "not connected yet"
        self._down_since: float | None = None
        self._alarmed_at: float | None = None
        self._alarm_is_on = False

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find the cursor and go on from there; a new destination gets all that is kept."""
        async with self._store.reading() as executor:
            self._cursor = self._kept_cursor = await cursor_of(executor, self._collector.address) or 0
        self._running = asyncio.get_running_loop().create_task(self._run(), name=f"audit to {self._collector.address}")

    def wake(self) -> None:
        """Something was committed."""
        self._news.set()

    async def stop(self, within_s: float = 10.0) -> None:
        """Hand over what is there, if that can be done in time; what is not stays for the next start."""
        self._stopping.set()
        self._news.set()
        if self._running is None:
            return
        done, _ = await asyncio.wait({self._running}, timeout=within_s)
        if not done:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._keep_cursor()

    async def state(self) -> Forwarding:
        """How it stands."""
        async with self._store.reading() as executor:
            number, _ = await head_of(executor)
        return Forwarding(
            address=self._collector.address,
            connected=self._connected,
            since=self._since,
            cursor=self._cursor,
            behind=max(0, number - self._cursor),
            reason=self._reason,
        )

    # --- connections, one after another -------------------------------------------------------------------------------

    async def _run(self) -> None:
        wait_s = self._first_wait_s
        while True:
            before = self._cursor
            try:
                await self._session()
                return  # stopped, and everything is handed over
            except (_Lost, OSError, ExchangeError, TimeoutError) as error:
                reason = _reason(error)
            await self._lost(reason)
            if self._stopping.is_set():
                return
            if self._cursor > before:
                wait_s = self._first_wait_s
            with suppress(TimeoutError):
                # jitter, so that a hundred houses do not come back at once
                async with asyncio.timeout(wait_s * random.uniform(0.75, 1.25)):  # noqa: S311  # no secret
                    await self._stopping.wait()
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _session(self) -> None:
        collector = self._collector
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                collector.host,
                collector.port,
                ssl=collector.context,
                server_hostname=(collector.server_name or collector.host) if collector.context else None,
            )
        watching = asyncio.get_running_loop().create_task(_until_closed(reader))
        try:
            _keep_alive(writer)
            await asyncio.wait({watching}, timeout=SETTLE_S if collector.context else 0)
            await self._pour(writer, watching)
        finally:
            watching.cancel()
            writer.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()

    async def _pour(self, writer: asyncio.StreamWriter, watching: "asyncio.Task[str]") -> None:
        """Write all there is and all that comes, until we stop or the connection is lost."""
        loop = asyncio.get_running_loop()
        sent = self._cursor
        unconfirmed: deque[tuple[float, int]] = deque()
        while True:
            if watching.done():
                raise _Lost(watching.result())
            self._news.clear()
            async with self._store.reading() as executor:
                links = await links_after(executor, sent, LINKS_A_READ)
            await self._write(writer, links)
            if links:
                sent = links[-1].number
                unconfirmed.append((loop.time(), sent))
            if not self._connected:
                await self._found()
            await self._confirm(writer, watching, unconfirmed)
            if links:
                continue
            if self._stopping.is_set():
                await self._flush(writer, watching, sent)
                return
            news = loop.create_task(self._news.wait())
            try:
                wait_s = self._confirm_s / 2 if unconfirmed or self._cursor != self._kept_cursor else None
                await asyncio.wait({news, watching}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()

    async def _write(self, writer: asyncio.StreamWriter, links: Sequence[Link]) -> None:
        for frames in _in_batches(self._frames(links)):
            writer.write(frames)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await writer.drain()

    def _frames(self, links: Sequence[Link]) -> Iterator[bytes]:
        for link in links:
            if link.kind != Kind.INTENT:
                alert = _ALERT in link.xml[:_HEAD_BYTES]
                yield frame_of(link.xml, self._origin, time_of(link.received_us), alert=alert)

    async def _confirm(
        self, writer: asyncio.StreamWriter, watching: "asyncio.Task[str]", unconfirmed: deque[tuple[float, int]]
    ) -> None:
        now = asyncio.get_running_loop().time()
        if unconfirmed and unconfirmed[0][0] + self._confirm_s <= now and not watching.done():
            if _unacknowledged(writer):
                if unconfirmed[0][0] + self._confirm_s + WRITE_TIMEOUT_S <= now:
                    raise _Lost("the collector acknowledges nothing any more")
                return
            while unconfirmed and unconfirmed[0][0] + self._confirm_s <= now:
                _, self._cursor = unconfirmed.popleft()
        if self._cursor != self._kept_cursor and self._kept_at + CURSOR_INTERVAL_S <= now:
            await self._keep_cursor()

    async def _flush(self, writer: asyncio.StreamWriter, watching: "asyncio.Task[str]", sent: int) -> None:
        """At the end: as soon as the other side's kernel has it, an orderly close delivers it."""
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            while _unacknowledged(writer):
                if watching.done():
                    raise _Lost(watching.result())
                await asyncio.sleep(0.01)
        self._cursor = sent

    async def _keep_cursor(self) -> None:
        if self._cursor == self._kept_cursor:
            return
        kept = self._cursor
        try:
            async with self._store.unit() as work:
                assert isinstance(work.audit, SqlAudit)
                await work.audit.move_cursor(self._collector.address, kept)
        except ExchangeError:
            return  # some is sent again after a restart, and that is all
        self._kept_cursor = kept
        self._kept_at = asyncio.get_running_loop().time()

    # --- the alarm ----------------------------------------------------------------------------------------------------

    async def _lost(self, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._connected or self._down_since is None:
            self._down_since = now
            self._since = self._clock.now()
            logger().warning("audit collector lost", address=self._collector.address, reason=reason)
        self._connected = False
        self._reason = reason
        if now - self._down_since < self._alarm_after_s:
            return
        if self._alarmed_at is not None and now - self._alarmed_at < self._alarm_interval_s:
            return
        self._alarmed_at, self._alarm_is_on = now, True
        await self._record(
            forwarding_stopped(
                at=self._clock.now(),
                source_id=self._source_id,
                house=self._party,
                collector=self._collector.address,
                reason=reason,
                enterprise_site_id=self._site,
            )
        )

    async def _found(self) -> None:
        self._connected, self._down_since, self._reason = True, None, ""
        self._since = self._clock.now()
        logger().info("audit collector found", address=self._collector.address)
        if not self._alarm_is_on:
            return
        self._alarm_is_on = False
        await self._record(
            forwarding_resumed(
                at=self._clock.now(),
                source_id=self._source_id,
                house=self._party,
                collector=self._collector.address,
                enterprise_site_id=self._site,
            )
        )

    async def _record(self, records: Sequence[AuditRecord]) -> None:
        with suppress(ExchangeError):  # the store is full or busy: that has alarms of its own
            async with self._store.unit() as work:
                await work.audit.record(records)


# --- sockets ----------------------------------------------------------------------------------------------------------


async def _until_closed(reader: asyncio.StreamReader) -> str:
    """Read, though nothing is ever said to us: this is how a refusal or an end is seen. Answers the reason."""
    try:
        while await reader.read(4096):
            pass
    except (OSError, ssl.SSLError) as error:
        return _reason(error)
    return "the collector closed the connection"


def _reason(error: BaseException) -> str:
    if isinstance(error, _Lost):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the collector's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason given').replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "nothing moved for too long"
    if isinstance(error, OSError):
        return os.strerror(error.errno).lower() if error.errno else "the connection broke"
    return error.detail if isinstance(error, ExchangeError) else type(error).__name__


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the kernel notice that the other side is gone, also while nothing is sent."""
    # drain waits until the kernel has it; not high=0, at which asyncio's TLS pauses and never resumes
    writer.transport.set_write_buffer_limits(high=1, low=0)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(WRITE_TIMEOUT_S * 1000))


def _unacknowledged(writer: asyncio.StreamWriter) -> int:
    """How many bytes are with us or under way; the other side's kernel has acknowledged the rest."""
    waiting = writer.transport.get_write_buffer_size()
    try:
        # SIOCOUTQ, which has TIOCOUTQ's number
        answered = fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except OSError:
        return waiting  # not Linux, or closed: then only time confirms
    return waiting + int(struct.unpack("i", answered)[0])


def _in_batches(frames: Iterator[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == FRAMES_A_WRITE:
            yield b"".join(batch)
            batch.clear()
    if batch:
        yield b"".join(batch)
