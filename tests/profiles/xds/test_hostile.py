"""Bodies that were broken on purpose: read, or refused as malformed or against a rule; nothing else ever comes out."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import MalformedMessage, PeerProtocolError, RuleViolation, UnknownQuery
from profiles.model.content import Content, Poured
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.retrieve import MAX_DOCUMENTS
from profiles.wire.ebxml.submission import MAX_OBJECTS
from tests.profiles.xds.messages import ALL
from tests.support.ebxml import VECTORS, mutations, parse, poured, soap_in, written

REFUSALS = (MalformedMessage, RuleViolation, UnknownQuery)
ATTACHED: Mapping[str, Content] = {"1.document@radgate": Content.of(b"x")}


async def feed(transaction: SoapTransaction[Any, Any], side: str, body: etree._Element) -> bool:
    """Decode, run the checks, write again; True if it could be read."""
    try:
        decoded = getattr(transaction, f"decode_{side}")(soap_in(body, dict(ATTACHED)))
    except REFUSALS as error:
        if side == "request":
            assert b"Failure" in b"".join(transaction.encode_response(transaction.refuse(error)).body)
        return False
    if isinstance(decoded.value, Poured):
        with suppress(PeerProtocolError):
            await poured(decoded.value.pour)
    if side == "request":
        findings = [finding for check in transaction.checks for finding in check(decoded.value)]
        assert all(finding.rule and finding.text for finding in findings)
        parse(b"".join(transaction.encode_request(decoded.value).body))
    return True


@pytest.mark.parametrize("name", sorted(ALL))
async def test_every_element_may_be_missing_empty_or_bare(name: str) -> None:
    transaction, side, _ = ALL[name]
    read = [await feed(transaction, side, parse(body)) for body in mutations((VECTORS / name).read_bytes())]
    assert any(read) or not read  # an answer that is one empty element has nothing that could be missing
    assert side == "response" or not all(read)  # answers are read however they are, and their contradictions reported


VALUES = [
    "",
    " ",
    "x" * 5000,
    "\u0000".replace("\u0000", "\ufffd"),
    "'",
    "('",
    "1" * 70,
    "urn:oid:",
    "^^^&&ISO",
    "-1",
    "9" * 40,
    "٣" * 8,
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", sorted(ALL))
async def test_every_text_may_be_anything(name: str, value: str) -> None:
    transaction, side, _ = ALL[name]
    body = parse((VECTORS / name).read_bytes())
    await feed(transaction, side, _everywhere(body, value))


def _everywhere(body: etree._Element, value: str) -> etree._Element:
    for element in body.iter():
        if len(element) == 0 and element.text:
            element.text = value
        for attribute in list(element.attrib):
            if attribute not in ("name", "href", "classificationScheme", "identificationScheme", "classificationNode"):
                element.set(attribute, value)
    return body


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40)
NAMES = [name for name in sorted(ALL) if "request" in name]


@given(st.sampled_from(NAMES), st.integers(0, 10_000), TEXT, st.booleans())
async def test_one_thing_may_be_anything(name: str, place: int, value: str, swap: bool) -> None:
    transaction, side, _ = ALL[name]
    body = parse((VECTORS / name).read_bytes())
    elements = list(body.iter())
    element = elements[place % len(elements)]
    if swap and len(element) > 1:
        element[:] = list(reversed(element))
    elif element.attrib:
        names = list(element.attrib)
        element.set(names[place % len(names)], value)
    else:
        element.text = value
    await feed(transaction, side, body)


def test_too_many_objects_are_malformed() -> None:
    transaction, _, message = ALL["iti42-request-folder.xml"]
    body = written(transaction.encode_request(message))
    for _ in range(MAX_OBJECTS + 1):
        etree.SubElement(body[0], "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}ObjectRef")
    with pytest.raises(MalformedMessage):
        transaction.decode_request(soap_in(body))


@pytest.mark.parametrize("name", ["iti43-request.xml", "rad69-request.xml"])
def test_too_many_documents_are_malformed(name: str) -> None:
    transaction, _, message = ALL[name]
    body = written(transaction.encode_request(message))
    parent = body if name.startswith("iti43") else body[0][0]
    for _ in range(MAX_DOCUMENTS + 1):
        etree.SubElement(parent, "{urn:ihe:iti:xds-b:2007}DocumentRequest")
    with pytest.raises(MalformedMessage):
        transaction.decode_request(soap_in(body))


@pytest.mark.parametrize("name", sorted(ALL))
def test_another_body_is_malformed(name: str) -> None:
    transaction, side, _ = ALL[name]
    with pytest.raises(MalformedMessage):
        getattr(transaction, f"decode_{side}")(soap_in(etree.Element("{urn:example}Other")))
