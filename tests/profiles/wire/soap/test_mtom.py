"""Packaging: every order and name of parts that peers use; what is written is read back with the length that was said."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ExchangeError, InternalFault, MalformedMessage, PeerProtocolError, Unsupported
from profiles.model.content import Part
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.fault import VERSION_MISMATCH
from profiles.wire.soap.message import Packaging, SoapOut
from profiles.wire.soap.mtom import (
    PERCENT_ENCODED,
    START_NAMES_NOTHING,
    SoapLimits,
    SoapMessage,
    pack,
    packaging_of,
    read_message,
)
from tests.support.judges import standards
from tests.support.soap import Sinks, envelope

XOP_TYPE = 'application/xop+xml; charset=UTF-8; type="application/soap+xml"'
BODY = (
    '<b><d:Document id="1"><x:Include href="cid:one@x"/></d:Document>'
    '<d:Document id="2"><x:Include href="cid:two@x"/></d:Document></b>'
)


async def pieces(body: bytes, step: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(body), step):
        yield body[at : at + step]


def part(content_id: str, body: bytes, media_type: str = "application/dicom", extra: str = "") -> bytes:
    named = f"Content-ID: {content_id}\r\n" if content_id else ""
    return f"--b\r\nContent-Type: {media_type}\r\n{named}{extra}\r\n".encode() + body + b"\r\n"


def related(*parts: bytes, start: str = "") -> tuple[bytes, str]:
    named = f'; start="{start}"' if start else ""
    return b"".join(parts) + b"--b--", f'multipart/related; type="application/xop+xml"; boundary=b{named}'


async def read(
    body: bytes,
    content_type: str,
    *,
    as_pour: bool = False,
    step: int = 1 << 16,
    limits: SoapLimits = SoapLimits(),  # noqa: B008
) -> tuple[SoapMessage, dict[str, bytes]]:
    """The message, and its documents by key."""
    message = await read_message(pieces(body, step), content_type, limits=limits, new_sink=Sinks(), as_pour=as_pour)
    documents = {}
    if message.parts is not None:
        async for each in message.parts:
            documents[each.key] = b"".join([chunk async for chunk in each.chunks])
    else:
        documents = {key: await content.read(1_000_000) for key, content in message.attachments.items()}
    return message, documents


ROOT = part("<root@x>", envelope(BODY), XOP_TYPE)
ONE, TWO = part("<one@x>", b"first"), part("<two@x>", b"\r\n--\r\n")
DOCUMENTS = {"one@x": b"first", "two@x": b"\r\n--\r\n"}


@pytest.mark.parametrize("as_pour", [False, True])
@pytest.mark.parametrize(
    ("parts", "start", "rules"),
    [
        ((ROOT, ONE, TWO), "<root@x>", []),
        ((ROOT, TWO, ONE), "<root@x>", []),
        ((ROOT, ONE, TWO), "", []),
        ((ROOT, ONE, TWO), "root@x", []),
        ((ROOT, ONE, TWO), "<:root@x>", [START_NAMES_NOTHING]),
        ((ONE, ROOT, TWO), "<root@x>", []),
        ((ONE, TWO, ROOT), "<root@x>", []),
        ((ONE, TWO, ROOT), "<nothing>", [START_NAMES_NOTHING]),
    ],
)
@pytest.mark.parametrize("step", [3, 1 << 16])
async def test_the_root_is_found_wherever_it_stands(
    parts: tuple[bytes, ...], start: str, rules: list[str], as_pour: bool, step: int
) -> None:
    message, documents = await read(*related(*parts, start=start), as_pour=as_pour, step=step)
    assert message.packaging is Packaging.MTOM
    assert message.body_name == "b"
    assert documents == DOCUMENTS
    assert [finding.rule for finding in message.findings] == rules


async def test_start_has_the_last_word_where_all_is_read_anyway() -> None:
    other = part("<other@x>", envelope("<other/>"), XOP_TYPE)
    message, documents = await read(*related(other, ROOT, ONE, TWO, start="<root@x>"))
    assert message.body_name == "b"
    assert documents.keys() == {"other@x", "one@x", "two@x"}


async def test_a_root_without_a_name_is_the_first_part() -> None:
    unnamed = part("", envelope(BODY), XOP_TYPE)
    message, documents = await read(*related(unnamed, ONE, TWO))
    assert documents == DOCUMENTS
    assert message.findings == ()


@pytest.mark.parametrize("as_pour", [False, True])
async def test_inline_and_attached_documents_mix(as_pour: bool) -> None:
    body = envelope('<b><d:Document>aGVs bG8=</d:Document><d:Document><x:Include href="cid:one@x"/></d:Document></b>')
    message, documents = await read(*related(part("<root@x>", body, XOP_TYPE), ONE), as_pour=as_pour)
    assert documents == {"inline.0@radgate": b"hello", "one@x": b"first"}
    assert [href(message) for href in (first_href, second_href)] == ["inline.0@radgate", "one@x"]


def first_href(message: SoapMessage) -> str:
    return str(message.body[0][0].get("href")).removeprefix("cid:")


def second_href(message: SoapMessage) -> str:
    return str(message.body[1][0].get("href")).removeprefix("cid:")


@pytest.mark.parametrize("as_pour", [False, True])
@pytest.mark.parametrize(
    ("href", "content_id", "key"),
    [
        ("http%3A%2F%2Ftempuri.org%2F0", "<http://tempuri.org/0>", "http%3A%2F%2Ftempuri.org%2F0"),
        ("http://tempuri.org/0", "<http://tempuri.org/0>", "http://tempuri.org/0"),
        ("a%40b", "<a%40b>", "a%40b"),
        ("a@b", "a@b", "a@b"),
        ("a+b@c", "<a+b@c>", "a+b@c"),
    ],
)
async def test_content_ids_are_matched_as_they_stand_and_decoded(
    href: str, content_id: str, key: str, as_pour: bool
) -> None:
    body = envelope(f'<b><d:Document><x:Include href="cid:{href}"/></d:Document></b>')
    message, documents = await read(*related(part("<root@x>", body, XOP_TYPE), part(content_id, b"x")), as_pour=as_pour)
    assert documents == {key: b"x"}
    decoded = href != content_id.strip("<>") and not as_pour
    assert [finding.rule for finding in message.findings] == ([PERCENT_ENCODED] if decoded else [])


@pytest.mark.parametrize("encoding", ["binary", "8bit", "BASE64", "base64 "])
async def test_transfer_encodings_of_real_peers_are_read(encoding: str) -> None:
    written = b"Zmly\r\nc3Q=" if encoding.strip().lower() == "base64" else b"first"
    attached = part("<one@x>", written, extra=f"Content-Transfer-Encoding: {encoding}\r\n")
    _, documents = await read(*related(ROOT, attached, TWO))
    assert documents == DOCUMENTS


@pytest.mark.parametrize("as_pour", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        related(ROOT, ONE),  # a document is missing
        related(ROOT, ONE, TWO, part("<one@x>", b"again")),
        related(
            part("<root@x>", envelope("<b><d:Document>AAAA</d:Document></b>"), XOP_TYPE),
            part("<inline.0@radgate>", b""),
        ),
        related(),
        related(part("<root@x>", b"not xml", XOP_TYPE)),
        related(part("<root@x>", envelope(BODY), "text/html")),
        (related(ROOT, ONE, TWO)[0][:-9], related()[1]),
        (related(ROOT, ONE, TWO)[0][:400], related()[1]),
    ],
)
async def test_a_message_that_is_not_whole_is_malformed(body: tuple[bytes, str], as_pour: bool) -> None:
    with pytest.raises(MalformedMessage):
        await read(*body, as_pour=as_pour)


async def test_limits_are_kept() -> None:
    body, content_type = related(ROOT, ONE, TWO)
    taken = sum(map(len, DOCUMENTS.values()))
    assert await read(body, content_type, limits=SoapLimits(parts=3, message_bytes=len(body), spooled_bytes=taken))
    for limits in (
        SoapLimits(parts=2),
        SoapLimits(message_bytes=len(body) - 1),
        SoapLimits(root_bytes=100),
        SoapLimits(spooled_bytes=taken - 1),
    ):
        with pytest.raises(MalformedMessage):
            await read(body, content_type, limits=limits)


async def test_limits_are_kept_by_plain_soap_too() -> None:
    body = envelope("<b><d:Document>aGVs</d:Document><d:Document>bG8h</d:Document></b>")
    assert await read(body, "application/soap+xml", limits=SoapLimits(message_bytes=len(body), spooled_bytes=6))
    for limits in (SoapLimits(message_bytes=len(body) - 1), SoapLimits(spooled_bytes=5)):
        with pytest.raises(MalformedMessage):
            await read(body, "application/soap+xml", limits=limits)


async def test_what_is_poured_is_not_spooled_and_not_bounded() -> None:
    _, documents = await read(*related(ROOT, ONE, TWO), as_pour=True, limits=SoapLimits(spooled_bytes=0))
    assert documents == DOCUMENTS


VALID = related(ROOT, ONE, TWO, start="<root@x>")
EDIT = st.tuples(
    st.integers(0, len(VALID[0])),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [b"--b", b"\r\n--b\r\n", b"--b--", b"<x:Include href='cid:one@x'/>", b"<!DOCTYPE a>", b"</b>", b"%40"]
        ),
    ),
)


@given(st.lists(EDIT, min_size=1, max_size=3), st.booleans(), st.integers(1, 300))
async def test_a_damaged_message_is_read_or_refused_and_nothing_else(
    edits: list[tuple[int, int, bytes]], as_pour: bool, step: int
) -> None:
    body, content_type = VALID
    for at, length, put in edits:
        body = body[:at] + put + body[at + length :]
    try:
        await read(body, content_type, as_pour=as_pour, step=step)
    except (MalformedMessage, Unsupported):
        return


@pytest.mark.parametrize(
    ("content_type", "error", "code"),
    [
        ("", MalformedMessage, ""),
        ("text/html; charset=utf-8", Unsupported, ""),
        ("application/xml", Unsupported, ""),
        ("text/xml; charset=utf-8", Unsupported, VERSION_MISMATCH),
        ("multipart/form-data; boundary=b", Unsupported, ""),
        ('multipart/related; type="text/xml"; boundary=b', Unsupported, ""),
        ('multipart/related; type="application/soap+xml"; boundary=b', Unsupported, ""),  # SOAP with Attachments
    ],
)
def test_what_is_not_soap_1_2_is_named(content_type: str, error: type[ExchangeError], code: str) -> None:
    with pytest.raises(error) as refused:
        packaging_of(content_type)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("content_type", "packaging"),
    [
        ("application/soap+xml", Packaging.SIMPLE),
        ('application/soap+xml;charset=UTF-8;action="urn:x"', Packaging.SIMPLE),
        ('Multipart/Related; boundary="uuid:1+id=2"; type="application/xop+xml"; start="<http://tempuri.org/0>"; '
         'start-info="application/soap+xml; action=\\"urn:x\\""', Packaging.MTOM),
        ("multipart/related; boundary=b", Packaging.MTOM),
    ],
)  # fmt: skip
def test_packaging_is_read_from_the_content_type(content_type: str, packaging: Packaging) -> None:
    assert packaging_of(content_type) is packaging


async def test_plain_soap_is_read_with_its_inline_documents() -> None:
    message, documents = await read(envelope("<b><d:Document>aGk=</d:Document></b>"), "application/soap+xml")
    assert message.packaging is Packaging.SIMPLE
    assert documents == {"inline.0@radgate": b"hi"}


# --- writing ----------------------------------------------------------------------------------------------------------

PARTS = st.lists(st.binary(max_size=300), max_size=4)


@given(PARTS, st.booleans(), st.integers(1, 200))
async def test_what_is_packed_is_read_back(bodies: list[bytes], planned: bool, step: int) -> None:
    documents = {f"{number}@toy": body for number, body in enumerate(bodies)}
    packed = packed_of(documents, planned=planned)
    written = b"".join([chunk async for chunk in packed.chunks])
    assert packed.size_bytes == (len(written) if planned else None)
    for as_pour in (False, True):
        message, read_back = await read(written, packed.content_type, as_pour=as_pour, step=step)
        assert read_back == documents
        assert message.addressing.action == "urn:a"
        assert message.findings == ()


def packed_of(documents: dict[str, bytes], *, planned: bool, media_type: str = "application/dicom"):  # type: ignore[no-untyped-def]
    async def pour() -> AsyncIterator[Part]:
        for key, body in documents.items():
            yield Part(key=key, media_type=media_type, chunks=pieces(body))

    includes = "".join(
        f'<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:{key}"/>' for key in documents
    )
    out = SoapOut(
        body=[b"<b>", *(f"<c>{each}/></c>".encode() for each in includes.split("/>")[:-1]), b"</b>"],
        parts=pour(),
        sizes=tuple((key, "application/dicom", len(body)) for key, body in documents.items()) if planned else None,
    )
    envelope_pieces = encode_envelope(out.body, action="urn:a", message_id="urn:uuid:1")
    return pack(Packaging.MTOM, envelope_pieces, out, unique="0123456789abcdef", action="urn:a")


async def test_nothing_binary_is_packed_as_mtom_all_the_same() -> None:
    out = SoapOut(body=[b"<b/>"])
    packed = pack(Packaging.MTOM, encode_envelope(out.body, action="urn:a", message_id="1"), out, unique="u")
    written = b"".join([chunk async for chunk in packed.chunks])
    message, documents = await read(written, packed.content_type)
    assert (message.packaging, documents) == (Packaging.MTOM, {})
    assert 'start="<root.u@radgate>"' in packed.content_type
    assert 'boundary="MIMEBoundary_u"' in packed.content_type


async def test_plain_soap_is_packed_without_a_frame_and_has_no_attachments() -> None:
    out = SoapOut(body=[b"<b/>"])
    packed = pack(
        Packaging.SIMPLE, encode_envelope(out.body, action="urn:a", message_id="1"), out, unique="u", action="urn:a"
    )
    assert packed.content_type == 'application/soap+xml; charset=UTF-8; action="urn:a"'
    message, _ = await read(b"".join([chunk async for chunk in packed.chunks]), packed.content_type)
    assert message.body_name == "b"

    async def pour() -> AsyncIterator[Part]:
        return
        yield

    with pytest.raises(InternalFault):
        pack(Packaging.SIMPLE, iter(()), SoapOut(body=[], parts=pour()), unique="u")


async def test_a_pour_that_does_not_follow_its_plan_breaks_before_its_end() -> None:
    async def pour(*sizes: int) -> AsyncIterator[Part]:
        for number, size in enumerate(sizes):
            yield Part(key=str(number), media_type="m/t", chunks=pieces(bytes(size)))

    plan = (("0", "m/t", 3), ("1", "m/t", 4))
    for sizes, error in (
        ((3,), InternalFault),
        ((3, 4, 5), InternalFault),
        ((3, 5), PeerProtocolError),
        ((4, 3), PeerProtocolError),
    ):
        out = SoapOut(body=[b"<b/>"], parts=pour(*sizes), sizes=plan)
        packed = pack(Packaging.MTOM, encode_envelope(out.body, action="a", message_id="1"), out, unique="u")
        written = b""
        with pytest.raises(error):
            async for chunk in packed.chunks:
                written += chunk
        assert not written.endswith(b"--\r\n")


async def test_a_pour_may_have_an_order_of_its_own() -> None:
    async def pour() -> AsyncIterator[Part]:
        for key, size in (("1", 4), ("0", 3)):
            yield Part(key=key, media_type="m/t", chunks=pieces(bytes(size)))

    out = SoapOut(body=[b"<b/>"], parts=pour(), sizes=(("0", "m/t", 3), ("1", "m/t", 4)))
    packed = pack(Packaging.MTOM, encode_envelope(out.body, action="a", message_id="1"), out, unique="u")
    assert len(b"".join([chunk async for chunk in packed.chunks])) == packed.size_bytes


async def test_a_media_type_that_would_break_a_head_is_written_as_octets() -> None:
    packed = packed_of({"a@b": b"x"}, planned=False, media_type="x/y\r\nX-Evil: 1")
    written = b"".join([chunk async for chunk in packed.chunks])
    assert b"Evil" not in written
    assert b"application/octet-stream" in written


# --- samples of other products ----------------------------------------------------------------------------------------


@pytest.mark.judge_standard
@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize(
    ("sample", "document"),
    [
        ("mtom-xop", b"This is my document.\n\nIt is great!\n\n"),
        ("mtom-inline-base64", b"This is my document.\r\n\r\nIt is great!\r\n"),
    ],
)
async def test_mtom_samples_are_read(sample: str, document: bytes, crlf: bool) -> None:
    folder = standards("samples", "xds", "iti-41", sample)
    content_type = standards("samples", "xds", "iti-41", "mtom-xop", "content-type.txt").read_text().strip()
    body = (folder / "body.txt").read_bytes()
    if crlf:
        body = body.replace(b"\n", b"\r\n")
        document = document.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    message, documents = await read(body, content_type)
    assert message.addressing.action == "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    assert message.body_name == "{urn:ihe:iti:xds-b:2007}ProvideAndRegisterDocumentSetRequest"
    assert list(documents.values()) == [document]
    assert ("lf-only-mime" in [finding.rule for finding in message.findings]) is not crlf


@pytest.mark.judge_standard
async def test_every_envelope_among_the_samples_is_read() -> None:
    read_bytes = {path: path.read_bytes() for path in standards("samples", "xds").rglob("*.xml")}
    envelopes = {path: body for path, body in read_bytes.items() if b"Envelope" in body[:600]}
    assert len(envelopes) >= 12
    for path, body in envelopes.items():
        message, documents = await read(body, "application/soap+xml; charset=utf-8", step=100)
        assert message.addressing.action.startswith("urn:ihe:"), path
        assert len(documents) == sum(1 for _ in message.body.iter("{urn:ihe:iti:xds-b:2007}Document")), path
