"""The frame splitter: every rule, and the same events for every way of cutting the stream."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.wire.hl7v2.mllp import (
    HEAD_BYTES,
    Broken,
    Framed,
    FrameSplitter,
    FramingFault,
    MllpEvent,
    MllpLimits,
    join,
)

ONE, TWO = b"MSH|^~\\&|one\rPID|1\r", b"MSH|^~\\&|two\rPID|2\r"
SMALL = MllpLimits(message_bytes=40, noise_bytes=8, quiet_bytes=16)
STRICT = MllpLimits(message_bytes=40, noise_bytes=8, quiet_bytes=16, lone_end_block=False)

STREAMS: list[tuple[str, MllpLimits, bytes, list[MllpEvent]]] = [
    ("one message", SMALL, join(ONE), [Framed(ONE)]),
    ("two messages in a row", SMALL, join(ONE) + join(TWO), [Framed(ONE), Framed(TWO)]),
    ("noise between messages", SMALL, b"?" + join(ONE) + b"\r\n\x00.." + join(TWO), [Framed(ONE), Framed(TWO)]),
    ("keep-alive frames", SMALL, b"\x0b\x1c\r" * 50 + join(ONE), [Framed(ONE)]),
    ("keep-alive bytes", SMALL, b"\x00" * 16 + join(ONE) + b"\x00" * 16, [Framed(ONE)]),
    ("too many keep-alive bytes", SMALL, b"\x00" * 17 + join(ONE), [Broken(FramingFault.NOISE)]),
    ("as much noise as allowed", SMALL, b"12345678" + join(ONE), [Framed(ONE)]),
    ("too much noise", SMALL, b"123456789" + join(ONE), [Broken(FramingFault.NOISE)]),
    ("noise counts since the last message", SMALL, (b"12345678" + join(ONE)) * 3, [Framed(ONE)] * 3),
    ("a message inside another", SMALL, b"\x0bMSH" + join(ONE), [Broken(FramingFault.INTERRUPTED, b"MSH"), Framed(ONE)]),
    ("a doubled start block", SMALL, b"\x0b" + join(ONE), [Framed(ONE)]),
    ("start blocks without end", SMALL, b"\x0b" * 20, [Broken(FramingFault.NOISE)]),
    ("end block alone, tolerated", SMALL, b"\x0b" + ONE + b"\x1c" + join(TWO), [Framed(ONE), Framed(TWO)]),
    ("end block and line feed, tolerated", SMALL, b"\x0b" + ONE + b"\x1c\n" + join(TWO), [Framed(ONE), Framed(TWO)]),
    (
        "end block alone, strict",
        STRICT,
        b"\x0b" + ONE + b"\x1cMSH and what follows" + join(TWO),
        [Broken(FramingFault.STRAY_END_BLOCK, ONE), Framed(TWO)],
    ),
    ("as long as allowed", SMALL, join(b"x" * 40), [Framed(b"x" * 40)]),
    ("too long", SMALL, join(b"x" * 41) + join(ONE), [Broken(FramingFault.OVERSIZE, b"x" * 41)]),
    ("too long, then another", SMALL, b"\x0b" + b"x" * 41 + join(ONE), [Broken(FramingFault.OVERSIZE, b"x" * 41)]),
    ("cut off", SMALL, join(ONE) + b"\x0bMSH|half", [Framed(ONE), Broken(FramingFault.CUT_OFF, b"MSH|half")]),
    ("cut off before the carriage return", SMALL, b"\x0b" + ONE + b"\x1c", [Framed(ONE)]),
    ("cut off before the carriage return, strict", STRICT, b"\x0b" + ONE + b"\x1c", [Broken(FramingFault.CUT_OFF, ONE)]),
    ("nothing", SMALL, b"", []),
    ("a start block and nothing", SMALL, b"\x0b", []),
]  # fmt: skip


def events(limits: MllpLimits, pieces: list[bytes]) -> list[MllpEvent]:
    splitter = FrameSplitter(limits)
    return [event for piece in pieces for event in splitter.feed(piece)] + splitter.end()


@pytest.mark.parametrize(("_", "limits", "stream", "expected"), STREAMS, ids=[name for name, *_ in STREAMS])
def test_a_stream_gives_its_events_at_every_split_point(
    _: str, limits: MllpLimits, stream: bytes, expected: list[MllpEvent]
) -> None:
    assert events(limits, [stream]) == expected
    assert events(limits, [bytes([byte]) for byte in stream]) == expected
    for first in range(len(stream) + 1):
        assert events(limits, [stream[:first], stream[first:]]) == expected, f"cut at {first}"
        for second in range(first, len(stream) + 1, 7):
            assert events(limits, [stream[:first], stream[first:second], stream[second:]]) == expected


@given(
    stream=st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"\x00", b"M", b"x" * 9]), max_size=40).map(b"".join),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    lone=st.booleans(),
)  # fmt: skip
def test_any_stream_gives_the_same_events_however_it_is_cut(stream: bytes, cuts: list[int], lone: bool) -> None:
    limits = MllpLimits(message_bytes=40, noise_bytes=8, quiet_bytes=16, lone_end_block=lone)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    assert events(limits, pieces) == events(limits, [stream])


@given(st.lists(st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"\x0b", b".").replace(b"\x1c", b"."))))
def test_what_is_joined_is_split_again(messages: list[bytes]) -> None:
    stream = b"".join(map(join, messages))
    assert events(MllpLimits(), [stream]) == [Framed(message) for message in messages]


@pytest.mark.parametrize("message", [b"", b"a\x0bb", b"a\x1cb"])
def test_a_message_with_framing_characters_is_not_framed(message: bytes) -> None:
    with pytest.raises(ValueError, match="framing"):
        join(message)


def test_of_a_message_that_is_too_long_only_the_head_is_kept() -> None:
    splitter = FrameSplitter(MllpLimits(message_bytes=1_000_000))
    found: list[MllpEvent] = splitter.feed(b"\x0bMSH|")
    for _ in range(2000):
        found += splitter.feed(b"y" * 1000)
    assert [type(event) for event in found] == [Broken]
    assert isinstance(found[0], Broken)
    assert len(found[0].head) == HEAD_BYTES
    assert splitter.is_finished
    assert splitter.feed(join(ONE)) == []


def test_a_chunk_full_of_start_blocks_costs_no_more_than_its_length() -> None:
    def seconds(count: int) -> float:
        splitter = FrameSplitter(MllpLimits(noise_bytes=10**9))
        stream = b"\x0bx" * count
        started = time.process_time()
        splitter.feed(stream)
        return time.process_time() - started

    small = min(seconds(5_000) for _ in range(3))
    large = min(seconds(40_000) for _ in range(3))
    assert large < small * 8 * 4
