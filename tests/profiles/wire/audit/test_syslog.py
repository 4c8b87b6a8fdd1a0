"""Messages of RFC 5424 and frames of RFC 5425, however they are cut."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.wire.audit import syslog
from profiles.wire.audit.syslog import FrameReader, Origin, SyslogMessage

ORIGIN = Origin(host="gw1.example.org", application="IMGGW", process_id="4711")
AT = datetime(2026, 1, 31, 10, 15, 30, 3000, tzinfo=UTC)


def test_a_message_is_these_bytes() -> None:
    """ITI TF-2 3.20.4: PRI 85, MSGID IHE+RFC-3881, no structured data, no BOM."""
    assert syslog.header(ORIGIN, AT) + b"<AuditMessage/>" == (
        b"<85>1 2026-01-31T10:15:30.003Z gw1.example.org IMGGW 4711 IHE+RFC-3881 - <AuditMessage/>"
    )


def test_a_frame_counts_octets_and_not_characters() -> None:
    assert syslog.frame("é".encode()) == b"2 \xc3\xa9"


def test_header_fields_have_no_blanks_and_their_own_lengths() -> None:
    written = syslog.header(Origin(host="", application="image gateway ä" * 9), AT)
    assert written.startswith(b"<85>1 2026-01-31T10:15:30.003Z - image_gateway__image_gateway")
    assert len(written.split(b" ")[3]) == 48


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            b"<85>1 2026-01-31T10:15:30.003Z gw1 IMGGW 4711 DICOM+RFC3881 - \xef\xbb\xbf<a/>",
            SyslogMessage(
                priority=85,
                at="2026-01-31T10:15:30.003Z",
                host="gw1",
                application="IMGGW",
                process_id="4711",
                message_id="DICOM+RFC3881",
                content=b"<a/>",
            ),
        ),
        (b"<13>1 - - - - - -", SyslogMessage(priority=13, content=b"")),
        (
            b'<13>1 - - - - x [a@1 k="v\\]"][b] any \xff bytes',
            SyslogMessage(priority=13, message_id="x", structured_data='[a@1 k="v\\]"][b]', content=b"any \xff bytes"),
        ),
    ],
)
def test_messages_of_others_are_read(wire: bytes, message: SyslogMessage) -> None:
    assert syslog.decode(wire) == message


@pytest.mark.parametrize("wire", [b"", b"<34>Oct 11 22:14:15 host su: old", b"<999>1 - - - - - -", b"<13>1 - -"])
def test_what_is_not_rfc_5424_is_refused(wire: bytes) -> None:
    with pytest.raises(MalformedMessage):
        syslog.decode(wire)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_frames_come_out_as_they_went_in_for_any_cutting(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(syslog.frame(message) for message in messages)
    reader, read, position, turn = FrameReader(), [], 0, 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        read += reader.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert read == messages
    assert reader.between_frames


@pytest.mark.parametrize(
    "stream",
    [
        b"x",
        b"<85>1 -",
        b"-5 hello",
        b"05 hello",
        b"0 ",
        b" 5 hello",
        b"99999999 x",
        b"8388609 x",
        b"123456789",
        b"5\nhello",
    ],
)
def test_a_reader_that_lost_the_count_says_so(stream: bytes) -> None:
    with pytest.raises(MalformedMessage):
        FrameReader().feed(stream)


def test_messages_before_the_garbage_are_answered_first() -> None:
    reader = FrameReader()
    assert reader.feed(b"2 ab1 cgarbage") == [b"ab", b"c"]
    with pytest.raises(MalformedMessage):
        reader.feed(b"")


def test_half_a_frame_is_evidence() -> None:
    reader = FrameReader()
    assert reader.feed(b"2 ab5 he") == [b"ab"]
    assert not reader.between_frames
    assert reader.truncated == b"he"
