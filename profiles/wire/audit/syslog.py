"""Syslog: the message that carries an audit message, and the octet-counted frames of syslog over TLS. Sans-IO.

What a newcomer gets wrong: MSG-LEN counts octets and not characters, frames have no line feed between them, and a reader
that lost the count cannot find it again: the connection must be closed.

Source: RFC 5424 6 (message), RFC 5425 4.3 (frame); ITI TF-2 3.20.4 (PRI, MSGID); DICOM PS3.15 A.6.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from profiles.errors import MalformedMessage
from profiles.wire.audit.message import date_time

PRIORITY = 85  # facility 10 (authpriv) times 8, severity 5 (notice)
PRIORITY_OF_ALERTS = 84  # severity 4 (warning)
MESSAGE_ID = "IHE+RFC-3881"
MESSAGE_ID_OF_DICOM = "DICOM+RFC3881"  # read, never written: PS3.15 names another one than IHE

BOM = b"\xef\xbb\xbf"
MAX_FRAME_BYTES = 8 * 1024 * 1024
_MAX_LENGTH_DIGITS = len(str(MAX_FRAME_BYTES))

_NOT_PRINTABLE = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who sends: HOSTNAME (a full name), APP-NAME and PROCID of every message of a process."""

    host: str
    application: str
    process_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogMessage:
    """One syslog message. `content` is as it came, without its byte order mark."""

    priority: int
    content: bytes
    at: str = ""  # as written; "" where the sender had no clock
    host: str = ""
    application: str = ""
    process_id: str = ""
    message_id: str = ""
    structured_data: str = ""


def header(origin: Origin, at: datetime, *, priority: int = PRIORITY) -> bytes:
    """All that stands before the XML, with the blank behind it."""
    return (
        f"<{priority}>1 {date_time(at)} {_field(origin.host, 255)} {_field(origin.application, 48)}"
        f" {_field(origin.process_id, 128)} {MESSAGE_ID} - "
    ).encode()


def frame(message: bytes) -> bytes:
    """One frame of RFC 5425: the number of octets, a blank, the message."""
    return b"%d %b" % (len(message), message)


def framed(xml: bytes, origin: Origin, at: datetime, *, priority: int = PRIORITY) -> bytes:
    """An audit message as one frame, ready to be written."""
    return frame(header(origin, at, priority=priority) + xml)


def _field(value: str, most: int) -> str:
    """PRINTUSASCII without blanks, `-` for nothing."""
    return _NOT_PRINTABLE.sub("_", value)[:most] or "-"


# --- reading ----------------------------------------------------------------------------------------------------------

_HEADER = re.compile(
    rb"<(\d{1,3})>([1-9]\d{0,2}) (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) "
    rb'(-|(?:\[[^ =\]"]{1,32}(?: [^ =\]"]{1,32}="(?:[^"\\\]]|\\.)*")*\])+)(?: |\Z)',
    re.DOTALL,
)


def decode(message: bytes) -> SyslogMessage:
    """Read one message of RFC 5424; any MSGID, any content.

    Raises:
        MalformedMessage: The header is not RFC 5424.
    """
    match = _HEADER.match(message)
    if match is None:
        raise MalformedMessage("not a syslog message of RFC 5424")
    priority = int(match[1])
    if priority > 191:
        raise MalformedMessage("a syslog priority above 191")
    _, _, at, host, application, process_id, message_id, structured = (
        group.decode("ascii", "replace") for group in match.groups()
    )
    return SyslogMessage(
        priority=priority,
        content=message[match.end() :].removeprefix(BOM),
        at=_said(at),
        host=_said(host),
        application=_said(application),
        process_id=_said(process_id),
        message_id=_said(message_id),
        structured_data=_said(structured),
    )


def _said(field: str) -> str:
    return "" if field == "-" else field


class FrameReader:
    """Splits a stream of RFC 5425 frames, however it is cut. After `MalformedMessage` it is of no more use: close.

    `truncated` is what stands there of a frame that did not come whole: evidence when the connection ends.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        """Wait for the first frame."""
        self._limit = max_frame_bytes
        self._buffer = bytearray()
        self._wanted: int | None = None  # octets of the frame whose length was read

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take what came; answers the messages that are whole now, in order.

        Raises:
            MalformedMessage: No length where one must stand, or a frame above the limit. Messages before that place are
                answered first: then it is the next call that raises.
        """
        self._buffer += chunk
        messages: list[bytes] = []
        try:
            messages.extend(self._whole())
        except MalformedMessage:
            if not messages:
                raise
        return messages

    @property
    def truncated(self) -> bytes:
        """What is left over: empty between frames."""
        return bytes(self._buffer)

    @property
    def between_frames(self) -> bool:
        """Whether the stream may end here."""
        return self._wanted is None and not self._buffer

    def _whole(self) -> Iterator[bytes]:
        position = 0
        try:
            while True:
                if self._wanted is None:
                    read = self._length(position)
                    if read is None:
                        return
                    self._wanted, position = read
                end = position + self._wanted
                if len(self._buffer) < end:
                    return
                yield bytes(self._buffer[position:end])
                self._wanted, position = None, end
        finally:
            del self._buffer[:position]

    def _length(self, position: int) -> tuple[int, int] | None:
        """The frame's length and where its message begins; None: not all of it is here yet."""
        blank = self._buffer.find(b" ", position, position + _MAX_LENGTH_DIGITS + 1)
        digits = self._buffer[position : blank if blank >= 0 else position + _MAX_LENGTH_DIGITS + 1]
        if digits and (not digits.isdigit() or digits[0] == ord("0")):
            raise MalformedMessage("a syslog frame without its length")
        if blank < 0:
            if len(digits) > _MAX_LENGTH_DIGITS:
                raise MalformedMessage("a syslog frame with an endless length")
            return None
        if not digits:
            raise MalformedMessage("a syslog frame without its length")
        length = int(digits)
        if length > self._limit:
            raise MalformedMessage(f"a syslog frame of more than {self._limit} bytes")
        return length, blank + 1
