"""An Audit Record Repository for cases: syslog over TLS, every message kept as it came, with what was read of it.

Source: RFC 5425; RFC 5424; ITI TF-2 3.20.
"""

import asyncio
import ssl as tls
import time
from collections.abc import Callable
from dataclasses import dataclass

from conformance.simulators.listener import Listener
from profiles.errors import MalformedMessage
from profiles.findings import Finding
from profiles.model.audit import AuditRecord
from profiles.wire.audit.read import decode
from profiles.wire.audit.syslog import FrameReader, SyslogMessage
from profiles.wire.audit.syslog import decode as decode_syslog

_READ_BYTES = 64 * 1024
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMessage:
    """One message: `raw` without its frame; `syslog` and `record` None where it is none, and `problem` why."""

    raw: bytes
    at: float  # time.time() of its arrival
    syslog: SyslogMessage | None = None
    record: AuditRecord | None = None
    findings: tuple[Finding, ...] = ()
    problem: str = ""


class AuditRepository(Listener):
    """Listens for syslog over TLS. `messages` are in the order in which they came; `problems` are of the framing."""

    def __init__(
        self, host: str, port: int, *, ssl: tls.SSLContext | None, edit: Edit = lambda message: message
    ) -> None:
        """`edit` changes a message before it is read (the tester's own test); b"" loses it."""
        super().__init__(host, port, ssl=ssl)
        self.edit = edit
        self.messages: list[AuditMessage] = []
        self.problems: list[str] = []
        self._arrived = asyncio.Condition()

    async def awaited(
        self, wanted: Callable[[AuditMessage], bool], after: int, timeout_s: float
    ) -> AuditMessage | None:
        """The first message from place `after` on that is wanted; None: none came in time."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                while True:
                    found = next((each for each in self.messages[after:] if wanted(each)), None)
                    if found is not None:
                        return found
                    await self._arrived.wait()
        except TimeoutError:
            return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `Listener.serve`: nothing is answered."""
        frames = FrameReader()
        try:
            while data := await reader.read(_READ_BYTES):
                for raw in frames.feed(data):
                    await self._take(raw)
            if not frames.between_frames:
                self.problems.append("a connection ended inside a frame")
        except MalformedMessage as error:
            self.problems.append(error.detail)

    async def _take(self, raw: bytes) -> None:
        raw = self.edit(raw)
        if not raw:
            return
        async with self._arrived:
            self.messages.append(_read(raw))
            self._arrived.notify_all()


def _read(raw: bytes) -> AuditMessage:
    at = time.time()
    try:
        syslog = decode_syslog(raw)
    except MalformedMessage as error:
        return AuditMessage(raw=raw, at=at, problem=error.detail)
    try:
        decoded = decode(syslog.content)
    except MalformedMessage as error:
        return AuditMessage(raw=raw, at=at, syslog=syslog, problem=error.detail)
    return AuditMessage(raw=raw, at=at, syslog=syslog, record=decoded.value, findings=decoded.findings)
