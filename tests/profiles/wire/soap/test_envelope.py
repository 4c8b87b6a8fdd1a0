"""Envelopes: two ways of reading that agree, nothing hostile let through, headers held to SOAP and WS-Addressing."""

import base64
import codecs
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import ExchangeError, MalformedMessage, RuleViolation, Unsupported
from profiles.wire.soap.envelope import (
    ACTION_WHITE_SPACE,
    MAX_DEPTH,
    UNDERSTOOD_HEADERS,
    EnvelopeReader,
    Includes,
    addressing_of,
    check_header,
    encode_envelope,
    envelope_body,
    envelope_header,
    includes_of,
)
from profiles.wire.soap.fault import (
    HEADER_REQUIRED,
    INVALID_CARDINALITY,
    NOT_UNDERSTOOD,
    ONLY_ANONYMOUS,
    VERSION_MISMATCH,
)
from profiles.wire.soap.names import ANONYMOUS, WSA, WSSE, XDS_B, XOP, S
from tests.support.soap import Sinks, envelope

ENOUGH = 1024 * 1024


def read(
    document: bytes, *, root_bytes: int = ENOUGH, step: int = 1 << 16, charset: str = ""
) -> tuple[etree._Element, list[bytes]]:
    """The tree, and what was inline."""
    sinks = Sinks()
    reader = EnvelopeReader(root_bytes, sinks, charset)
    for at in range(0, len(document), step):
        reader.feed(document[at : at + step])
    root, inline = reader.close()
    assert len(inline) == len(sinks)
    return root, [sink.body for sink in sinks]


def canonical(element: etree._Element) -> bytes:
    """For comparing."""
    return etree.tostring(element, method="c14n")


# --- two ways that agree ----------------------------------------------------------------------------------------------


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    """Markup of a few elements, some of them inline documents."""
    if draw(st.integers(0, 3)) == 0:
        text = base64.b64encode(draw(st.binary(max_size=90))).decode()
        at = draw(st.integers(0, len(text)))
        return f'<d:Document id="1"> {text[:at]}\r\n{text[at:]}</d:Document>'
    escaped = draw(TEXT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    inner = "".join(draw(st.lists(elements(depth=depth - 1), max_size=2))) if depth else ""
    note = draw(st.sampled_from(["", "<!-- <d:Document>x</d:Document> -->", "<?pi x?>", "<![CDATA[<a>]]>"]))
    return f'<e xmlns="urn:{draw(st.sampled_from("ab"))}" k="v&quot;">{escaped}{note}{inner}</e>'


@given(elements(), st.integers(1, 50))
def test_the_fast_way_and_the_streaming_way_give_the_same(body: str, step: int) -> None:
    document = envelope(f"<b>{body}</b>")
    usual, usual_inline = read(document, root_bytes=len(document))
    # The limit is just what the envelope has beside its documents, so that the streaming way is taken where there are any.
    beside = len(document) - sum(
        len(each.text or "") for each in etree.fromstring(document).iter(f"{{{XDS_B}}}Document")
    )
    streamed, streamed_inline = read(document, root_bytes=beside, step=step)
    assert canonical(streamed) == canonical(usual)
    assert streamed_inline == usual_inline


def test_a_document_of_many_chunks_goes_to_its_sink_and_not_into_the_tree() -> None:
    body = bytes(range(256)) * 8000
    document = envelope(f"<b><d:Document>{base64.encodebytes(body).decode()}</d:Document></b>")
    root, inline = read(document, root_bytes=4096, step=10_000)
    assert inline == [body]
    assert len(etree.tostring(root)) < 1000
    assert includes_of(root).hrefs == ("inline.0@radgate",)


@pytest.mark.parametrize("root_bytes", [ENOUGH, 600])
def test_an_empty_document_is_a_document_of_no_bytes(root_bytes: int) -> None:
    documents = f"<d:Document/><d:Document> </d:Document><d:Document>{'AAAA' * 200}</d:Document>"
    root, inline = read(envelope(f"<b>{documents}</b>"), root_bytes=root_bytes)
    assert inline == [b"", b"", bytes(600)]
    assert includes_of(root).hrefs == ("inline.0@radgate", "inline.1@radgate", "inline.2@radgate")


@pytest.mark.parametrize("root_bytes", [ENOUGH, 900])
@pytest.mark.parametrize(
    "document",
    [
        "<d:Document>not base64!</d:Document>",
        "<d:Document>abc</d:Document>",
        "<d:Document>\u00e4\u00e4\u00e4\u00e4</d:Document>",
    ],
)
def test_an_inline_document_that_is_not_base64_is_refused(document: str, root_bytes: int) -> None:
    with pytest.raises(MalformedMessage, match="base64"):
        read(envelope(document + "<pad>" + "AAAA" * 150 + "</pad>" * 1), root_bytes=root_bytes)


@pytest.mark.parametrize(
    "document",
    [
        '<d:Document>AAAA<x:Include href="cid:a"/></d:Document>',
        '<d:Document><x:Include href="cid:a"/>AAAA</d:Document>',
    ],
)
def test_a_document_is_inline_or_attached_and_not_both(document: str) -> None:
    wide = envelope(f"<b>{document}<d:Document>{'AAAA' * 500}</d:Document></b>")
    with pytest.raises(MalformedMessage, match="both inline and attached"):
        read(wide, root_bytes=600)
    root, _ = read(wide)
    with pytest.raises(MalformedMessage, match="only child"):
        includes_of(root)


# --- hostile ----------------------------------------------------------------------------------------------------------

LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
PROLOGS = [
    LAUGHS,
    f"<?xml version='1.0'?>\n<!-- first -->{LAUGHS}",
    '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>',
    f"<?xml version='1.0'?><?pi ?>  {LAUGHS}",
    "<!ELEMENT x ANY>",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("prolog", PROLOGS)
@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_a_doctype_is_refused_in_every_encoding_and_cutting(prolog: str, encoding: str, step: int) -> None:
    document = (prolog + envelope("<b>&b;</b>").decode()).encode(encoding)
    with pytest.raises(MalformedMessage):
        read(document, step=step)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"   ",
        b"no xml at all",
        b"\x4c\x6f\xa7\x94",  # EBCDIC `<?xm`
        b"+ADw-s:Envelope/+AD4-",  # UTF-7
        b"<?xml version='1.0' encoding='utf-7'?><a/>",
        b"<?xml version='1.0' encoding='cp037'?><a/>",
        b"<?xml version='1.0'?>",
        b"<a>",
        b"<a></b>",
        b"<a>&undefined;</a>",
        b"<a>\x00</a>",
        b"<a/><b/>",
        b"<!-- " + b"x" * 20_000 + b" --><a/>",
        b"<!-" * 10,
        "<a>\ud800</a>".encode("utf-8", "surrogatepass"),
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 16])
def test_what_is_not_safe_xml_is_malformed(document: bytes, step: int) -> None:
    with pytest.raises(MalformedMessage):
        read(document, step=step)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_utf_8_and_utf_16_are_read_with_comments_before_the_envelope(encoding: str) -> None:
    document = "<!-- ä - -->\n" + envelope("<b>ä€</b>").decode()
    assert envelope_body(read(document.encode(encoding))[0]).text == "ä€"


def test_the_charset_of_the_transport_wins_over_the_declaration() -> None:
    document = b"<?xml version='1.0' encoding='utf-8'?>" + envelope("<b>\u00e4</b>").decode().encode("latin-1")
    assert envelope_body(read(document, charset="ISO-8859-1")[0]).text == "\u00e4"
    with pytest.raises(MalformedMessage):
        read(document)
    with pytest.raises(MalformedMessage):
        read(document, charset="utf-7")


@pytest.mark.parametrize("root_bytes", [ENOUGH * 40, 100])
@pytest.mark.parametrize(
    "body",
    [
        "<a>" * (MAX_DEPTH + 10) + "</a>" * (MAX_DEPTH + 10),
        "<b>" + "<a/>" * 500_001 + "</b>",
        "<b " + " ".join(f'a{number}=""' for number in range(257)) + "/>",
        "<b " + " ".join(f'a{number}=""' for number in range(1_000_002)) + "/>",
    ],
    ids=["deep", "many elements", "many attributes", "a million attributes"],
)
def test_shapes_that_cost_much_are_refused(body: str, root_bytes: int) -> None:
    with pytest.raises(MalformedMessage):
        read(envelope(body), root_bytes=root_bytes)


@pytest.mark.parametrize("root_bytes", [ENOUGH, 500])
def test_a_namespace_that_is_no_uri_is_malformed_on_both_ways(root_bytes: int) -> None:
    body = f'<b xmlns:n="urn:]]>"><d:Document>{"AAAA" * 200}</d:Document></b>'
    with pytest.raises(MalformedMessage, match="well-formed"):
        read(envelope(body), root_bytes=root_bytes)


def test_an_envelope_that_is_too_large_without_documents_is_refused() -> None:
    document = envelope(f"<b>{'x' * 5000}</b>")
    assert read(document, root_bytes=len(document))
    with pytest.raises(MalformedMessage, match="beside its documents"):
        read(document, root_bytes=len(document) - 1, step=500)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_or_malformed(document: bytes, step: int) -> None:
    for whole in (document, b"<a>" + document + b"</a>", envelope("<b><d:Document>")[:-30] + document):
        try:
            read(whole, step=step)
        except MalformedMessage:
            continue


# --- headers ----------------------------------------------------------------------------------------------------------

ACTION = '<a:Action s:mustUnderstand="1">urn:x</a:Action>'
MESSAGE_ID = "<a:MessageID>urn:uuid:1</a:MessageID>"
REPLY_TO = f"<a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>"


def check(header: str, **kwargs: Any) -> list[str]:
    """The rules that a header breaks without being refused."""
    found = envelope_header(read(envelope("<b/>", header))[0])
    return [finding.rule for finding in check_header(found, addressing_of(found), **kwargs)]


def test_a_header_by_the_book_has_no_findings() -> None:
    assert check(ACTION + MESSAGE_ID + REPLY_TO + "<a:To>http://x/</a:To>") == []


@pytest.mark.parametrize(
    ("header", "rules"),
    [
        (ACTION + MESSAGE_ID, ["IHE-WSA102"]),
        (ACTION + REPLY_TO, ["wsa-message-id"]),
        ("<a:Action>urn:x</a:Action>" + MESSAGE_ID + REPLY_TO, ["IHE-WSA101"]),
        ('<a:Action s:mustUnderstand="0">urn:x</a:Action>' + MESSAGE_ID + REPLY_TO, ["IHE-WSA101"]),
        ('<a:Action s:mustUnderstand="true">\n urn:x </a:Action>' + MESSAGE_ID + REPLY_TO, [ACTION_WHITE_SPACE]),
        (ACTION + '<a:MessageID s:mustUnderstand="true">1</a:MessageID>' + REPLY_TO, [UNDERSTOOD_HEADERS]),
        (ACTION + MESSAGE_ID + REPLY_TO + '<a:RelatesTo>1</a:RelatesTo><o xmlns="urn:o"/>', []),
        # Not for us: another role, or none.
        (ACTION + MESSAGE_ID + REPLY_TO + f'<o xmlns="urn:o" s:mustUnderstand="1" s:role="{S}/role/none"/>', []),
        (ACTION + MESSAGE_ID + REPLY_TO + '<o xmlns="urn:o" s:mustUnderstand="1" s:role="urn:proxy"/>', []),
        # mustUnderstand of another namespace means nothing (a sample of ITI-39 has it).
        ('<a:Action a:mustUnderstand="1">urn:x</a:Action>' + MESSAGE_ID + REPLY_TO, ["IHE-WSA101"]),
    ],
)
def test_oddities_of_a_header_are_found_and_read(header: str, rules: list[str]) -> None:
    assert check(header) == rules


@pytest.mark.parametrize(
    ("header", "error", "code"),
    [
        ("", MalformedMessage, HEADER_REQUIRED),
        ("<a:Action> </a:Action>", MalformedMessage, HEADER_REQUIRED),
        (ACTION + ACTION, RuleViolation, INVALID_CARDINALITY),
        (ACTION + MESSAGE_ID + MESSAGE_ID, RuleViolation, INVALID_CARDINALITY),
        (ACTION + '<o xmlns="urn:o" s:mustUnderstand="1"/>', RuleViolation, NOT_UNDERSTOOD),
        (ACTION + '<o xmlns="urn:o" s:mustUnderstand=" true " />', RuleViolation, NOT_UNDERSTOOD),
        (ACTION + f'<o xmlns="urn:o" s:mustUnderstand="1" s:role="{S}/role/next"/>', RuleViolation, NOT_UNDERSTOOD),
        (ACTION + f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="1"/>', RuleViolation, NOT_UNDERSTOOD),
        (ACTION + '<o xmlns="urn:o" s:mustUnderstand="maybe"/>', MalformedMessage, ""),
        (ACTION + "<a:ReplyTo><a:Address>http://evil/</a:Address></a:ReplyTo>", Unsupported, ONLY_ANONYMOUS),
    ],
)
def test_a_header_that_cannot_be_taken_is_refused_by_its_code(
    header: str, error: type[ExchangeError], code: str
) -> None:
    with pytest.raises(error) as refused:
        check(header)
    assert refused.value.code == code


ELSEWHERE = (
    '<a:ReplyTo><a:Address>https://there/</a:Address><a:ReferenceParameters><t:ticket xmlns:t="urn:t">7</t:ticket>'
    "</a:ReferenceParameters></a:ReplyTo>"
)


def test_an_answer_may_go_elsewhere_where_the_caller_allows_it_and_brings_the_parameters_of_the_address() -> None:
    header = envelope_header(read(envelope("<b/>", ACTION + MESSAGE_ID + ELSEWHERE))[0])
    asked = addressing_of(header)
    assert check_header(header, asked, elsewhere=True) == ()
    assert (asked.elsewhere, asked.reply_to) == (True, "https://there/")
    written = etree.fromstring(
        b"".join(
            encode_envelope([b"<b/>"], action="urn:y", message_id="urn:z", blocks=b"".join(asked.reply_parameters))
        )
    )
    (block,) = written[0].iterchildren("{urn:t}ticket")
    assert (block.text, block.get(f"{{{WSA}}}IsReferenceParameter")) == ("7", "true")


def test_an_answer_that_goes_elsewhere_needs_a_message_id_to_relate_to() -> None:
    with pytest.raises(MalformedMessage) as refused:
        check(ACTION + ELSEWHERE, elsewhere=True)
    assert refused.value.code == HEADER_REQUIRED


def test_a_security_header_counts_as_understood_where_it_was_processed() -> None:
    header = ACTION + MESSAGE_ID + REPLY_TO + f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="1"/>'
    assert check(header, understood=frozenset({f"{{{WSSE}}}Security"})) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>', Unsupported),
        (b"<html/>", MalformedMessage),
    ],
)
def test_another_envelope_is_a_version_mismatch(document: bytes, error: type[ExchangeError]) -> None:
    with pytest.raises(error) as refused:
        envelope_header(read(document)[0])
    assert refused.value.code == VERSION_MISMATCH


@pytest.mark.parametrize(
    "inside", ["", "<s:Header/>", "<s:Body/><s:Header/>", "<s:Body/><s:Body/>", "<s:Header/><s:Header/><s:Body/>"]
)
def test_an_envelope_is_a_header_and_a_body(inside: str) -> None:
    with pytest.raises(MalformedMessage):
        envelope_header(read(f'<s:Envelope xmlns:s="{S}">{inside}</s:Envelope>'.encode())[0])


def test_an_envelope_without_a_header_is_one_too() -> None:
    root, _ = read(f'<s:Envelope xmlns:s="{S}"><s:Body><b/></s:Body></s:Envelope>'.encode())
    assert envelope_header(root) is None
    assert envelope_body(root).tag == "b"
    assert addressing_of(None).action == ""


@pytest.mark.parametrize("body", ["", "<b/><c/>", "text"])
def test_a_body_has_one_child(body: str) -> None:
    with pytest.raises(MalformedMessage, match="one child"):
        envelope_body(read(envelope(body))[0])


# --- includes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '<d:Document><x:Include href="cid:a"/><x:Include href="cid:c"/></d:Document>',
        '<d:Document>text<x:Include href="cid:a"/></d:Document>',
        '<d:Document><x:Include href="cid:a"/>text</d:Document>',
        '<d:Document><x:Include href="http://elsewhere/"/></d:Document>',
        '<d:Document><x:Include href="file:///etc/passwd"/></d:Document>',
        '<d:Document><x:Include href="cid:"/></d:Document>',
        "<d:Document><x:Include/></d:Document>",
        '<b><d:Document><x:Include href="cid:a"/></d:Document><d:Document><x:Include href="cid:a"/></d:Document></b>',
    ],
)
def test_an_include_that_breaks_xop_is_refused(body: str) -> None:
    with pytest.raises(MalformedMessage):
        includes_of(read(envelope(body))[0])


def test_an_include_in_the_header_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="header"):
        includes_of(read(envelope("<b/>", '<h><x:Include href="cid:a"/></h>'))[0])


def test_white_space_around_an_include_is_nothing() -> None:
    root, _ = read(envelope('<b><d:Document>\n <x:Include href=" CID:a%40b"/>\n </d:Document></b>'))
    includes = includes_of(root)
    assert includes.hrefs == ("a%40b",)
    assert includes.key("a%40b") == "a%40b"
    assert includes.key("a@b") == "a%40b"
    assert includes.key("other") is None
    assert [each.get("href") for each in root.iter(f"{{{XOP}}}Include")] == ["cid:a%40b"]


def test_what_a_body_calls_a_part_is_found_at_once_however_many_it_names() -> None:
    includes = Includes(f"{number}%40b" for number in range(20_000))
    began = time.process_time()
    assert [includes.key(f"{number}@b") for number in range(20_000)] == list(includes.hrefs)
    assert not any(includes.key(f"{number}@c") for number in range(20_000))
    assert time.process_time() - began < 2.0, "one after the other would take minutes"


def test_a_part_that_is_named_as_it_stands_is_not_taken_for_one_that_is_named_encoded() -> None:
    includes = Includes(("a%2540b", "a%40b", "a@b"))
    assert [includes.key(each) for each in ("a@b", "a%40b", "a%2540b")] == ["a@b", "a%40b", "a%2540b"]


# --- writing ----------------------------------------------------------------------------------------------------------


@given(TEXT.filter(str.strip), TEXT, TEXT, TEXT)
def test_what_is_written_is_read_back(action: str, message_id: str, relates_to: str, to: str) -> None:
    pieces = encode_envelope(
        [b"<b/>"], action=action, message_id=message_id, relates_to=relates_to, to=to, reply_to=True
    )
    root, _ = read(b"".join(pieces))
    addressing = addressing_of(envelope_header(root))
    assert addressing.action == action.strip()
    assert addressing.message_id == message_id.strip()
    assert addressing.relates_to == relates_to.strip()
    assert addressing.to == to.strip()
    assert addressing.reply_to == ANONYMOUS
    assert envelope_body(root).tag == "b"


def test_a_byte_order_mark_is_not_markup_and_wins_over_the_charset() -> None:
    utf_16 = codecs.BOM_UTF16_LE + envelope("<b>\u00e4</b>").decode().encode("utf-16-le")
    assert envelope_body(read(utf_16, charset="utf-8", step=1)[0]).text == "\u00e4"
    assert read(codecs.BOM_UTF8 + envelope("<b/>"), step=1)[0].tag == f"{{{S}}}Envelope"
