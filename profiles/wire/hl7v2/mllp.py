"""MLLP: where one HL7 v2 message ends and the next one begins, without any IO.

`FrameSplitter` takes bytes in whatever pieces a socket gives and yields the same events for every way of cutting them;
`join` puts a message into its frame. Listener, caller and simulators share both.

What a newcomer gets wrong: a message cannot contain 0x0B or 0x1C, so a start block inside a frame means that the sender
gave up on the message before it (it reconnected behind a proxy, it crashed): the partial one is lost, the new one counts.

Source: ITI TF-2x Appendix C.2 (HL7 v2 transport); HL7 v2 MLLP Release 1.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

START_BLOCK = b"\x0b"
END_BLOCK = b"\x1c"
CARRIAGE_RETURN = b"\x0d"

_SB, _EB, _CR = 0x0B, 0x1C, 0x0D
_QUIET = (b"\x00", b"\r", b"\n")  # what engines send between messages to keep firewalls awake

HEAD_BYTES = 4096  # enough of a message that is too long to find MSH in it: the longest MSH of the samples, times ten


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpLimits:
    """What a peer may make us hold or skip.

    `noise_bytes` counts what is neither a frame nor a keep-alive, `quiet_bytes` NUL, CR and LF; both since the last whole
    frame.
    """

    message_bytes: int = 64 * 1024 * 1024  # base64 reports in OBX-5 are the largest that are seen
    noise_bytes: int = 1024
    quiet_bytes: int = 64 * 1024
    lone_end_block: bool = True  # tolerate 0x1C without 0x0D as the end


DEFAULT_LIMITS = MllpLimits()


class FramingFault(StrEnum):
    """What was wrong with the framing. After the last three the splitter is finished: the connection has to go."""

    INTERRUPTED = "a new message began inside another; the first part is lost"
    STRAY_END_BLOCK = "an end block inside a message is not followed by a carriage return"
    CUT_OFF = "the connection ended inside a message"
    OVERSIZE = "the message is longer than this listener takes"
    NOISE = "too many bytes outside of any message"


@dataclass(frozen=True, slots=True)
class Framed:
    """One whole message, without its frame."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that never became a message. `head` is how the message began, at most `HEAD_BYTES`."""

    fault: FramingFault
    head: bytes = b""


MllpEvent = Framed | Broken


class _State(Enum):
    BETWEEN = 0
    INSIDE = 1
    ENDING = 2  # after 0x1C: one more byte tells
    SKIPPING = 3  # after a stray end block, until the next start block
    FINISHED = 4


class FrameSplitter:
    """A stream of bytes in, messages out. One per connection and direction."""

    def __init__(self, limits: MllpLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._state = _State.BETWEEN
        self._body = bytearray()
        self._noise = 0
        self._quiet = 0
        self._spoke = False  # a start block came

    @property
    def is_inside(self) -> bool:
        """A message has begun and not ended."""
        return self._state in (_State.INSIDE, _State.ENDING)

    @property
    def is_finished(self) -> bool:
        """Nothing more will be read: the stream cannot be trusted, or it would cost too much."""
        return self._state is _State.FINISHED

    @property
    def held_bytes(self) -> int:
        """How much of a message that has not ended is kept."""
        return len(self._body)

    @property
    def head(self) -> bytes:
        """How that message begins, at most `HEAD_BYTES`."""
        return bytes(self._body[:HEAD_BYTES])

    def feed(self, data: bytes) -> list[MllpEvent]:
        """Take the next bytes; 0..n events, in the order of the stream. Empty frames are keep-alives and yield nothing."""
        events: list[MllpEvent] = []
        position, end = 0, len(data)
        next_end_block = -1  # position of the next 0x1C, looked up once: the work is linear in len(data)
        while position < end:
            match self._state:
                case _State.BETWEEN | _State.SKIPPING:
                    position = self._between(data, position, events)
                case _State.INSIDE:
                    if next_end_block < position:
                        found = data.find(END_BLOCK, position)
                        next_end_block = end if found < 0 else found
                    position = self._inside(data, position, next_end_block, events)
                case _State.ENDING:
                    position = self._ending(data, position, events)
                case _State.FINISHED:
                    break
        return events

    def end(self) -> list[MllpEvent]:
        """The stream has ended: a message that is not whole is lost."""
        events: list[MllpEvent] = []
        if self._state is _State.ENDING and self._limits.lone_end_block:
            self._whole(events)
        elif self.is_inside and self._body:
            events.append(Broken(FramingFault.CUT_OFF, self.head))
        elif self._noise and not self._spoke and not self.is_finished:
            events.append(Broken(FramingFault.NOISE))  # somebody who speaks another protocol, and gave up
        self._finish()
        return events

    def _between(self, data: bytes, position: int, events: list[MllpEvent]) -> int:
        start = data.find(START_BLOCK, position)
        stop = len(data) if start < 0 else start
        if self._state is _State.BETWEEN and stop > position:
            between = data[position : min(stop, position + self._limits.noise_bytes + self._limits.quiet_bytes + 1)]
            quiet = sum(map(between.count, _QUIET))
            self._quiet += quiet
            self._noise += len(between) - quiet
            if self._noise > self._limits.noise_bytes or self._quiet > self._limits.quiet_bytes:
                events.append(Broken(FramingFault.NOISE))
                self._finish()
                return len(data)
        if start < 0:
            return len(data)
        self._state = _State.INSIDE
        self._spoke = True
        self._body.clear()
        return start + 1

    def _inside(self, data: bytes, position: int, next_end_block: int, events: list[MllpEvent]) -> int:
        start = data.find(START_BLOCK, position, next_end_block)
        stop = next_end_block if start < 0 else start
        room = self._limits.message_bytes - len(self._body)
        if stop - position > room:
            missing = max(0, HEAD_BYTES - len(self._body))
            head = self.head + data[position : position + min(missing, room + 1)]
            events.append(Broken(FramingFault.OVERSIZE, head))
            self._finish()
            return len(data)
        if start < 0 and not self._body and stop + 1 < len(data) and data[stop + 1] == _CR:
            # The usual case: the whole message is in one piece, and is cut out of it once.
            if stop > position:
                events.append(Framed(data[position:stop]))
            self._between_frames()
            return stop + 2
        self._body += data[position:stop]
        if start >= 0:
            if self._body:
                events.append(Broken(FramingFault.INTERRUPTED, self.head))
                self._body.clear()
            else:
                self._count_noise(events)  # a doubled start block loses nothing
            return start + 1
        if stop < len(data):
            self._state = _State.ENDING
            return stop + 1
        return stop

    def _ending(self, data: bytes, position: int, events: list[MllpEvent]) -> int:
        if data[position] == _CR:
            self._whole(events)
            return position + 1
        if self._limits.lone_end_block:
            self._whole(events)
            return position
        events.append(Broken(FramingFault.STRAY_END_BLOCK, self.head))
        self._body.clear()
        self._state = _State.SKIPPING
        return position

    def _whole(self, events: list[MllpEvent]) -> None:
        if self._body:
            events.append(Framed(bytes(self._body)))
            self._body = bytearray()
        self._between_frames()

    def _between_frames(self) -> None:
        self._state = _State.BETWEEN
        self._noise = self._quiet = 0

    def _count_noise(self, events: list[MllpEvent]) -> None:
        self._noise += 1
        if self._noise > self._limits.noise_bytes:
            events.append(Broken(FramingFault.NOISE))
            self._finish()

    def _finish(self) -> None:
        self._state = _State.FINISHED
        self._body = bytearray()


def join(message: bytes) -> bytes:
    """The message in its frame.

    Raises:
        ValueError: It is empty, or has a framing character in it, which the receiver would take for one.
    """
    if not message or START_BLOCK in message or END_BLOCK in message:
        raise ValueError("a message is not empty and has no framing characters in it")
    return b"".join((START_BLOCK, message, END_BLOCK, CARRIAGE_RETURN))
