"""One MLLP connection: cuts the stream as it comes, hands its messages on one after the other, writes what is answered.

A connection persists and may be pipelined. It is read no faster than it is answered, it is not waited for for ever, and
whoever is refused is heard out for a moment, so that the refusal arrives.

What a newcomer gets wrong: the protocol's calls come from the loop and must not wait; what waits is the one task that
`serve` is.

Source: ITI TF-2x Appendix C.2.1 (MLLP); HL7 v2.5 2.9.2 (original mode).
"""

import asyncio
import socket
import ssl as tls
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from profiles.wire.hl7v2.mllp import Broken, Framed, FrameSplitter, MllpEvent, MllpLimits, join


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpListenerLimits:
    """What one listener and each of its connections may take."""

    message_bytes: int = 64 * 1024 * 1024
    held_bytes: int = 256 * 1024 * 1024  # of messages on all connections together, come in half or waiting
    connections: int = 1000
    pipelined: int = 16  # messages that wait on one connection before we stop reading from it
    pipelined_bytes: int = 1024 * 1024  # or so many bytes of them
    idle_s: float = 600.0  # peers keep connections open between messages; hl7v2 engines do so for minutes
    message_s: float = 60.0  # from the start block to the end block
    handshake_s: float = 10.0
    linger_s: float = 2.0  # how long a peer that we refused may go on talking before we hang up
    faults: int = 8  # broken frames of one connection before we hang up
    remembered: int = 4096  # acknowledgements that are kept for messages that come again
    remembered_s: float = 600.0


class Listener(Protocol):
    """Whoever answers what comes in: the listener. `held_bytes` counts what all of its connections hold together."""

    limits: MllpListenerLimits
    held_bytes: int

    async def answer(self, message: bytes, transport: asyncio.BaseTransport) -> bytes | None:
        """The acknowledgement of one message; None if there can be none, and the connection has to go."""
        ...

    async def broken(self, event: Broken, transport: asyncio.BaseTransport) -> bytes | None:
        """Note a broken frame; its sender may be told."""
        ...

    async def crowded(self, head: bytes, transport: asyncio.BaseTransport) -> bytes | None:
        """Note a message for which there was no room; its sender is asked to come back."""
        ...

    async def handshake_failed(self, address: str, reason: str) -> None:
        """Note a TLS handshake that failed."""
        ...


@dataclass(frozen=True, slots=True)
class _Crowded:
    """A message that was cut short because all connections together hold too much."""

    head: bytes


_Event = MllpEvent | _Crowded


@dataclass(eq=False, slots=True)
class Connection(asyncio.Protocol):
    """One connection: cuts the stream as it comes, answers one message after the other.

    `events` waits for the task; None in it is the end of the stream.
    """

    listener: Listener
    splitter: FrameSplitter = field(init=False)
    events: deque[_Event | None] = field(default_factory=deque)
    transport: asyncio.Transport | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    is_lost: bool = False
    is_ended: bool = False
    is_answering: bool = False
    is_paused: bool = False
    is_deaf: bool = False  # nothing more is read; what still comes is thrown away
    moved_at: float = 0.0
    began_at: float = 0.0  # of the message that is coming in
    queued_bytes: int = 0
    held_bytes: int = 0
    faults: int = 0
    timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        limits = self.listener.limits
        self.splitter = FrameSplitter(replace(MllpLimits(), message_bytes=limits.message_bytes))
        self.writable.set()

    # --- what asyncio calls -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch the time."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Cut it into messages; stop listening where all connections together hold too much."""
        now = asyncio.get_running_loop().time()
        self.moved_at = now
        if self.is_deaf:
            return
        was_inside = self.splitter.is_inside
        events = self.splitter.feed(data)
        if self.splitter.is_inside and (events or not was_inside):
            self.began_at = now
        if events:
            self._take(events)
        if self._hold() > self.listener.limits.held_bytes and self.splitter.is_inside:
            self._take([_Crowded(self.splitter.head)])
            self.is_deaf = True
            self.splitter.end()
            self._hold()

    def _hold(self) -> int:
        """Count what this connection holds, and answer what all of them do."""
        held_bytes = self.splitter.held_bytes + self.queued_bytes
        self.listener.held_bytes += held_bytes - self.held_bytes
        self.held_bytes = held_bytes
        return self.listener.held_bytes

    def eof_received(self) -> bool:
        """The peer will write no more; it may still wait for answers."""
        self._take(self.splitter.end())
        self._take([None])
        # A plain connection stays open for our answers; TLS cannot be half closed.
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """What came in whole is still worked on; nobody will hear the answer."""
        self.is_lost = True
        self.writable.set()
        if not self.is_ended:
            self._take(self.splitter.end())
            self._take([None])
        self._hold()

    def pause_writing(self) -> None:
        """The peer does not take what was written."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The peer goes on taking it."""
        self.writable.set()

    def _take(self, events: Iterable[_Event | None]) -> None:
        if self.is_ended:
            return
        for event in events:
            self.events.append(event)
            self.queued_bytes += _size(event)
        if self.events:
            self.is_ended = self.events[-1] is None
            self.came.set()
        limits = self.listener.limits
        is_full = len(self.events) >= limits.pipelined or self.queued_bytes >= limits.pipelined_bytes
        if is_full and not self.is_paused and not self.is_ended:
            assert self.transport is not None
            self.is_paused = True
            self.transport.pause_reading()

    # --- time -------------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Hang up on who is silent for too long, or does not come to the end of a message. One timer, set again lazily."""
        loop = asyncio.get_running_loop()
        limits = self.listener.limits
        now = loop.time()
        if not self.moved_at:
            self.moved_at = now
        if self.splitter.is_inside:
            deadline = self.began_at + limits.message_s
        elif self.is_answering or self.events:
            deadline = now + limits.idle_s
        else:
            deadline = self.moved_at + limits.idle_s
        if now >= deadline:
            self._hang_up()
            return
        self.timer = loop.call_later(min(deadline - now, limits.message_s), self._watch)

    # --- the task ---------------------------------------------------------------------------------------------------------

    async def serve(self, accepted: socket.socket, address: str, context: tls.SSLContext | None) -> None:
        """From handshake to hang-up."""
        try:
            if not await self._connect(accepted, address, context):
                return
            while (event := await self._next()) is not None:
                self.is_answering = True
                await self._handle(event)
                self.is_answering = False
                self.moved_at = asyncio.get_running_loop().time()
        finally:
            if self.timer is not None:
                self.timer.cancel()
            self._drop()
            self._hang_up()

    async def _connect(self, accepted: socket.socket, address: str, context: tls.SSLContext | None) -> bool:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.listener.limits.handshake_s):
                await loop.connect_accepted_socket(lambda: self, accepted, ssl=context)
        except (tls.SSLError, TimeoutError) as failed:
            await self.listener.handshake_failed(address, _reason(failed))
            return False
        except OSError:  # a probe that connects and leaves is nobody's failure
            return False
        return True

    async def _next(self) -> _Event | None:
        while not self.events:
            self.came.clear()
            await self.came.wait()
        event = self.events.popleft()
        self.queued_bytes -= _size(event)
        self._hold()
        limits = self.listener.limits
        is_low = len(self.events) < limits.pipelined // 2 and self.queued_bytes < limits.pipelined_bytes
        if self.is_paused and is_low and not self.is_lost:
            assert self.transport is not None
            self.is_paused = False
            self.transport.resume_reading()
        return event

    async def _handle(self, event: _Event) -> None:
        assert self.transport is not None
        if isinstance(event, Framed):
            await self._write(await self.listener.answer(event.message, self.transport), last=False)
            return
        if isinstance(event, _Crowded):
            await self._write(await self.listener.crowded(event.head, self.transport), last=True)
            return
        self.faults += 1
        hopeless = self.splitter.is_finished or self.faults >= self.listener.limits.faults
        answer = await self.listener.broken(event, self.transport)
        if answer is not None or hopeless:
            await self._write(answer, last=hopeless)

    async def _write(self, answer: bytes | None, *, last: bool) -> None:
        transport = self.transport
        assert transport is not None
        if answer is not None and not transport.is_closing():
            transport.write(join(answer))
            await self.writable.wait()
        if answer is None or last:
            await self._linger()

    async def _linger(self) -> None:
        """Hear the peer out for a moment: closing on unread bytes resets the connection, and the answer with it."""
        self.is_deaf = True
        self._drop()
        if self.is_paused and self.transport is not None and not self.is_lost:
            self.is_paused = False
            self.transport.resume_reading()
        if not self.is_ended:
            self.came.clear()
            try:
                async with asyncio.timeout(self.listener.limits.linger_s):
                    await self.came.wait()
            except TimeoutError:
                pass
        self._drop()
        self.is_ended = True
        self.events.append(None)

    def _drop(self) -> None:
        self.events.clear()
        self.queued_bytes = 0
        self.splitter.end()
        self._hold()

    def drain(self) -> bool:
        """Read nothing more; what came in whole is still answered. False: it is not even connected."""
        self.is_deaf = True
        self._take([None])
        return self.transport is not None

    def _hang_up(self) -> None:
        if self.transport is None or self.is_lost:
            return
        if self.transport.get_write_buffer_size():
            self.transport.close()
            asyncio.get_running_loop().call_later(self.listener.limits.linger_s, self.transport.abort)
        else:
            self.transport.close()


def _size(event: _Event | None) -> int:
    return len(event.message) if isinstance(event, Framed) else 0


def _reason(failed: Exception) -> str:
    return str(getattr(failed, "reason", "") or type(failed).__name__)
