"""multipart/related: the same events for any cutting, and nothing but MalformedMessage for what is hostile."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage, PeerProtocolError
from profiles.model.content import Part
from profiles.wire.media_type import parse_media_type
from profiles.wire.multipart import (
    LF_ONLY,
    Base64Decoder,
    End,
    MultipartEvent,
    MultipartLimits,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    gathered,
    headers_of,
    multipart_length,
    multipart_tail,
    part_head,
    parts_of,
    poured,
)

DEFAULT = MultipartLimits()
RELATED = "multipart/related; boundary=b"
TWO_PARTS = (
    b"preamble\r\n--b\r\nContent-Type: text/plain\r\nContent-ID: <one@x>\r\n\r\nfirst\r\n--b \t\r\n"
    b"Content-Type: application/dicom\r\n\r\n\r\nsec\r\n--bb\r\nond\r\n\r\n--b--\r\nepilogue"
)


def cut(body: bytes, sizes: Iterable[int]) -> list[bytes]:
    """The body in pieces of these sizes, and the rest."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    return [*pieces, body[at:]]


def read(
    pieces: Iterable[bytes], content_type: str = RELATED, limits: MultipartLimits = DEFAULT
) -> list[tuple[object, bytes]]:
    """Heads with their bodies, cutting forgotten; raises as the reader does."""
    reader = MultipartReader(content_type, limits)
    parts: list[tuple[object, bytes]] = []
    ended = 0
    last: MultipartEvent | None = None
    for piece in pieces:
        for event in reader.receive(piece):
            match event:
                case PartBegin(headers):
                    assert last is None or isinstance(last, PartEnd)
                    parts.append((headers, b""))
                case PartData(data):
                    assert data
                    assert isinstance(last, PartBegin | PartData)
                    parts[-1] = (parts[-1][0], parts[-1][1] + data)
                case PartEnd():
                    assert isinstance(last, PartBegin | PartData)
                case End():
                    ended += 1
            last = event
    reader.close()
    assert ended == 1
    return parts


def outcome(pieces: Iterable[bytes], limits: MultipartLimits = DEFAULT) -> object:
    """What was read, or the sentence of the refusal."""
    try:
        return read(pieces, limits=limits)
    except MalformedMessage as error:
        return error.detail


def test_parts_are_read_with_heads_and_exact_bodies() -> None:
    assert read([TWO_PARTS]) == [
        ((("content-type", "text/plain"), ("content-id", "<one@x>")), b"first"),
        ((("content-type", "application/dicom"),), b"\r\nsec\r\n--bb\r\nond\r\n"),
    ]


def test_every_single_cut_gives_the_same_parts() -> None:
    whole = read([TWO_PARTS])
    for at in range(len(TWO_PARTS) + 1):
        assert read([TWO_PARTS[:at], TWO_PARTS[at:]]) == whole
    assert read([TWO_PARTS[at : at + 1] for at in range(len(TWO_PARTS))]) == whole


def test_a_whole_chunk_of_a_body_is_passed_through_and_not_copied() -> None:
    reader = MultipartReader(RELATED)
    list(reader.receive(b"--b\r\n\r\n."))
    chunk = bytes(range(14, 250)) * 1000
    (event,) = reader.receive(chunk)
    assert isinstance(event, PartData)
    assert event.data is chunk


def test_a_part_without_headers_and_a_part_without_a_body() -> None:
    assert read([b"--b\r\n\r\nx\r\n--b\r\n\r\n--b\r\nA: 1\r\n\r\n\r\n--b--"]) == [
        ((), b"x"),
        ((), b""),
        ((("a", "1"),), b""),
    ]


def test_folded_headers_and_trailing_blanks_are_read() -> None:
    ((headers, _),) = read([b"--b\r\nContent-Type: application/xop+xml;\r\n type=x  \r\nX :  y \r\n\r\n.\r\n--b--"])
    assert headers == (("content-type", "application/xop+xml; type=x"), ("x", "y"))


LENGTHS = MultipartLimits(lengths=True)


def of_lengths(
    *told: str, bodies: tuple[bytes, ...] = (b"one\r\n", b"t\r\n--wo", b"\r\n\r\n--b--\r\n", b"four")
) -> bytes:
    """Parts whose heads tell these lengths ("": none)."""
    heads = [f"Content-Length: {each}\r\n" if each else "" for each in told]
    parts = [f"--b\r\n{head}\r\n".encode() + body + b"\r\n" for head, body in zip(heads, bodies, strict=True)]
    return b"".join(parts) + b"--b--"


def test_lengths_of_parts_are_believed_once_the_first_was_right() -> None:
    body = of_lengths("5", "7", "11", "")  # the third holds what looks like the end
    whole = [(((("content-length", "5"),)), b"one\r\n"), ((("content-length", "7"),), b"t\r\n--wo"),
             ((("content-length", "11"),), b"\r\n\r\n--b--\r\n"), ((), b"four")]  # fmt: skip
    for size in range(1, len(body) + 1):
        assert read([body[at : at + size] for at in range(0, len(body), size)], limits=LENGTHS) == whole
    for at in range(len(body) + 1):
        assert read([body[:at], body[at:]], limits=LENGTHS) == whole


@pytest.mark.parametrize(
    "told", [("6", "99", "4"), ("", "", ""), ("x", "y", "z"), ("0", "0", "0"), ("-5", "+7", "1e1")]
)
def test_a_body_whose_first_length_is_none_is_read_by_its_boundaries(told: tuple[str, ...]) -> None:
    body = of_lengths(*told, bodies=(b"one\r\n", b"t\r\n--wo", b"four"))
    for size in range(1, len(body) + 1):
        parts = read([body[at : at + size] for at in range(0, len(body), size)], limits=LENGTHS)
        assert [data for _, data in parts] == [b"one\r\n", b"t\r\n--wo", b"four"]


@pytest.mark.parametrize("told", ["6", "8", "900"])
def test_a_length_that_is_wrong_after_a_right_one_is_refused(told: str) -> None:
    body = of_lengths("5", told, bodies=(b"one\r\n", b"t\r\n--wo"))
    for size in range(1, len(body) + 1):
        refused = outcome([body[at : at + size] for at in range(0, len(body), size)], limits=LENGTHS)
        assert refused in (
            "part 1 is not as long as its head tells",
            "the multipart body ends without its final boundary",
        )
    assert [data for _, data in read([body])] == [b"one\r\n", b"t\r\n--wo"]  # strangers' lengths are never believed


def test_empty_parts_are_read_among_those_that_tell_lengths() -> None:
    body = of_lengths("5", "0", "7", bodies=(b"one\r\n", b"", b"t\r\n--wo"))
    for size in range(1, len(body) + 1):
        parts = read([body[at : at + size] for at in range(0, len(body), size)], limits=LENGTHS)
        assert [data for _, data in parts] == [b"one\r\n", b"", b"t\r\n--wo"]


def test_lines_that_end_in_lf_are_read_and_reported() -> None:
    reader = MultipartReader(RELATED)
    events = list(reader.receive(b"--b\nA: 1\n\nx\r\n\n--b--\n"))
    assert events == [PartBegin((("a", "1"),)), PartData(b"x\r\n"), PartEnd(), End()]
    assert [finding.rule for finding in reader.findings] == [LF_ONLY]
    strict = MultipartReader(RELATED)
    list(strict.receive(TWO_PARTS))
    assert strict.findings == ()


def test_a_bare_lf_before_a_boundary_is_data_where_lines_end_in_crlf() -> None:
    assert read([b"--b\r\n\r\nx\n--b\r\ny\r\n--b--"]) == [((), b"x\n--b\r\ny")]


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/related; boundary=simple", "simple"),
        ('multipart/related; boundary="quoted one"; type="a;b"', "quoted one"),
        ("Multipart/Related;Boundary=uuid:2f3e+id=17;start-info=x", "uuid:2f3e+id=17"),
        ('multipart/related; type="application/xop+xml";boundary="uuid:1-2;id=1"', "uuid:1-2;id=1"),
        ("multipart/related; boundary=a_b/c'(d),.?=:+-", "a_b/c'(d),.?=:+-"),
        ('multipart/related; boundary="es\\"caped"', 'es"caped'),
        ("multipart/related ; ; boundary = spaced ;", "spaced"),
        (f"multipart/related; boundary={'x' * 70}", "x" * 70),
    ],
)
def test_boundaries_of_every_shape_are_understood(content_type: str, boundary: str) -> None:
    assert boundary_of(content_type) == boundary
    body = f"--{boundary}\r\n\r\n.\r\n--{boundary}--".encode()
    assert read([body], content_type) == [((), b".")]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain; boundary=b",
        "multipart/related",
        "multipart/related; boundary=",
        'multipart/related; boundary=""',
        f"multipart/related; boundary={'x' * 71}",
        'multipart/related; boundary="ends in blank "',
        "multipart/related; boundary=a; boundary=b",
        'multipart/related; boundary="open',
        "multipart/related; boundary=böse",
        'multipart/related; boundary="a\r\nb"',
        "multipart/related; =",
    ],
)
def test_a_content_type_without_a_usable_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(MalformedMessage):
        MultipartReader(content_type)


def test_media_type_names_fold_and_values_do_not() -> None:
    read_back = parse_media_type('Application/XOP+xml; Charset=UTF-8; type="application/soap+xml; action=\\"urn:A\\""')
    assert read_back.name == "application/xop+xml"
    assert read_back.parameters == {"charset": "UTF-8", "type": 'application/soap+xml; action="urn:A"'}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "final boundary"),
        (b"--b\r\n\r\nx", "final boundary"),
        (b"--b\r\n\r\nx\r\n--b", "final boundary"),
        (b"--b\r\nA: 1\r\n", "final boundary"),
        (b"no boundary here" * 1000, "does not open"),
        (b"--b\r\nno colon\r\n\r\n\r\n--b--", "name: value"),
        (b"--b\r\n: empty\r\n\r\n\r\n--b--", "name: value"),
        (b"--b\r\nA: 1\nB: 2\r\n\r\n\r\n--b--", "control"),
        (b"--b\r\nA: \x00\r\n\r\n\r\n--b--", "control"),
        (b"--b\r\nContent-ID: <a>\r\n\r\n\r\n--b\r\nContent-ID: a\r\n\r\n\r\n--b--", "same Content-ID"),
        (b"--b\r\nContent-ID: <a>\r\n\r\n\r\n--b\r\nContent-ID: <a>\r\n\r\n\r\n--b--", "same Content-ID"),
        (b"--b\r\nContent-ID: <a>\r\nContent-id: <c>\r\n\r\n\r\n--b--", "twice"),
        (b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\r\n--b--", "inside a multipart"),
        (b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\r\n--b--", "not binary"),
        (b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\n--b--", "not binary"),
        (b"--b\r\nA: " + b"x" * 9000 + b"\r\n\r\n\r\n--b--", "exceed"),
        (b"--b\r\n\r\n\r\n--b--" + b"x" * 9000, "follows the final"),
    ],
)
def test_hostile_framing_is_refused_however_it_is_cut(body: bytes, sentence: str) -> None:
    with pytest.raises(MalformedMessage, match=sentence):
        read([body])
    with pytest.raises(MalformedMessage, match=sentence):
        read([body[at : at + 1] for at in range(len(body))])


def test_limits_are_kept_by_the_byte() -> None:
    body = b"--b\r\nA: 1\r\n\r\n12345\r\n--b\r\n\r\n\r\n--b--"
    exact = MultipartLimits(parts=2, header_bytes=len(b"\r\nA: 1"), part_bytes=5, total_bytes=len(body))
    assert len(read([body], limits=exact)) == 2
    for limits in (
        MultipartLimits(parts=1),
        MultipartLimits(header_bytes=5),
        MultipartLimits(part_bytes=4),
        MultipartLimits(total_bytes=len(body) - 1),
    ):
        for step in (1, 7, len(body)):
            with pytest.raises(MalformedMessage):
                read([body[at : at + step] for at in range(0, len(body), step)], limits=limits)


FRAGMENTS = st.sampled_from(
    [b"--b", b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--", b"--", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"A: 1", b"x", b" "]
)
HOSTILE = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=8)), max_size=24).map(b"".join)


@given(HOSTILE, st.lists(st.integers(0, 9), max_size=30))
@example(b"\r\n--b\r\n\r\n--b--", [2])
@example(b"--b\r\n\r\n\r", [])
def test_any_bytes_in_any_cutting_give_one_outcome(body: bytes, sizes: list[int]) -> None:
    limits = MultipartLimits(parts=3, header_bytes=20, preamble_bytes=10)
    assert outcome(cut(body, sizes), limits) == outcome([body], limits)


PARTS = st.lists(st.tuples(st.text("abc<>@%", max_size=5), st.binary(max_size=200)), min_size=1, max_size=4)


@given(PARTS, st.lists(st.integers(0, 40), max_size=20))
async def test_what_is_written_is_read_back_and_has_the_length_that_was_said(
    parts: list[tuple[str, bytes]], sizes: list[int]
) -> None:
    boundary = "MIME_0123456789abcdef"
    content_type = f"multipart/related; boundary={boundary}"
    given_parts = [
        Part(
            key=f"{position}.{name}",
            media_type="application/dicom",
            size_bytes=len(body),
            chunks=each(body[:9], body[9:]),
            headers=(("Content-ID", f"<{position}.{name}>"),),
        )
        for position, (name, body) in enumerate(parts)
    ]
    written = b"".join([chunk async for chunk in poured(each(*given_parts), boundary)])
    heads = [(headers_of(part), part.size_bytes or 0) for part in given_parts]
    assert len(written) == multipart_length(boundary, heads)
    read_back = [
        (part.key, b"".join([chunk async for chunk in part.chunks]))
        async for part in parts_of(each(*cut(written, sizes)), content_type)
    ]
    assert read_back == [(part.key, body) for part, (_, body) in zip(given_parts, parts, strict=True)]


async def each(*values: Any) -> AsyncIterator[Any]:
    """Of anything, as it comes."""
    for value in values:
        yield value


async def test_no_parts_are_a_body_too() -> None:
    written = b"".join([chunk async for chunk in poured(each(), "b")])
    assert written == b"--b--\r\n"
    assert len(written) == multipart_length("b", [])
    assert read([written]) == []


async def test_a_part_that_nobody_read_is_passed_over() -> None:
    pour = parts_of(each(TWO_PARTS[:60], TWO_PARTS[60:]), RELATED)
    first = await anext(pour)
    second = await anext(pour)
    assert (first.key, second.key) == ("one@x", "1")
    assert b"".join([chunk async for chunk in second.chunks]) == b"\r\nsec\r\n--bb\r\nond\r\n"
    with pytest.raises(RuntimeError):
        await anext(first.chunks)
    with pytest.raises(StopAsyncIteration):
        await anext(pour)
    assert pour.ended


async def test_a_part_that_was_left_half_way_is_passed_over() -> None:
    pour = parts_of(each(*(TWO_PARTS[at : at + 1] for at in range(len(TWO_PARTS)))), RELATED)
    first = await anext(pour)
    assert await anext(first.chunks) == b"f"
    await first.chunks.aclose()  # type: ignore[attr-defined]  # as `async for` with a break may do
    assert (await anext(pour)).key == "1"


async def test_a_body_that_is_cut_off_raises_and_keeps_raising() -> None:
    pour = parts_of(each(TWO_PARTS[:-20]), RELATED)
    await anext(pour)
    part = await anext(pour)
    with pytest.raises(MalformedMessage, match="final boundary"):
        async for _ in part.chunks:
            pass
    with pytest.raises(MalformedMessage):
        await anext(pour)
    assert not pour.ended


async def test_what_the_connection_raises_passes_through_and_is_never_taken_for_the_end() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield TWO_PARTS[:70]
        raise ConnectionResetError("gone")

    pour = parts_of(broken(), RELATED)
    with pytest.raises(ConnectionResetError):
        await anext(pour)
        await anext(pour)
    with pytest.raises(MalformedMessage):
        await anext(pour)


async def test_base64_parts_are_decoded_where_that_is_allowed() -> None:
    body = b"--b\r\nContent-Transfer-Encoding: BASE64\r\n\r\naGVs\r\nbG8=\r\n\r\n--b--"
    pour = parts_of(each(*(body[at : at + 1] for at in range(len(body)))), RELATED, MultipartLimits(base64_parts=True))
    part = await anext(pour)
    assert b"".join([chunk async for chunk in part.chunks]) == b"hello"


@given(st.binary(max_size=100), st.lists(st.integers(0, 9), max_size=30), st.integers(1, 76))
def test_base64_is_decoded_in_any_cutting(body: bytes, sizes: list[int], width: int) -> None:
    import base64

    text = base64.b64encode(body)
    wrapped = b"\r\n ".join(text[at : at + width] for at in range(0, len(text), width))
    decoder = Base64Decoder()
    assert b"".join(map(decoder.decode, cut(wrapped, sizes))) == body
    decoder.close()


@pytest.mark.parametrize("text", [b"a", b"abc", b"ab=c", b"abcd=", b"ab==abcd", b"a===", b"ab!d", b"\xff\xff\xff\xff"])
def test_what_is_not_base64_is_refused(text: bytes) -> None:
    for pieces in ([text], [text[at : at + 1] for at in range(len(text))]):
        decoder = Base64Decoder()
        with pytest.raises(MalformedMessage):
            for piece in pieces:
                decoder.decode(piece)
            decoder.close()


async def test_a_part_of_another_size_than_was_said_breaks_the_pour_before_its_end() -> None:
    part = Part(key="k", size_bytes=4, chunks=each(b"abc"))
    written = []
    with pytest.raises(PeerProtocolError):
        async for chunk in poured(each(part), "b"):
            written.append(chunk)  # what came before the break is looked at
    assert multipart_tail("b") not in written


@pytest.mark.parametrize("headers", [(("A", "x\r\nB: y"),), (("A", "x\x00"),), (("A B", "x"),)])
def test_a_header_that_would_break_its_head_is_not_written(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        part_head("b", headers, first=True)


async def test_what_is_gathered_is_not_held_back_for_what_may_take_its_time() -> None:
    pieces = [b"a" * 10, b"b", b"", b"", b"c" * 20, b"", b"d"]

    async def coming() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    chunks = coming()
    told = [await gathered(chunks, 20) for _ in range(3)]
    assert told == [((b"a" * 10 + b"b",), False), ((b"c" * 20,), False), ((b"d",), True)]
