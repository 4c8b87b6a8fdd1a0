from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.wire.fhir import xml

F = "{http://hl7.org/fhir}"

CASES: list[tuple[str, dict[str, Any], bytes]] = [
    (
        "primitives are value attributes, booleans and numbers as JSON writes them",
        {"resourceType": "Patient", "id": "a", "active": True, "multipleBirthInteger": 2},
        b'<id value="a"/><active value="true"/><multipleBirthInteger value="2"/>',
    ),
    (
        "arrays are repeated elements",
        {"resourceType": "Patient", "name": [{"given": ["A", "B"]}, {"family": "C"}]},
        b'<name><given value="A"/><given value="B"/></name><name><family value="C"/></name>',
    ),
    (
        "the url of an extension and the id of an element are attributes",
        {"resourceType": "Patient", "extension": [{"id": "e", "url": "http://x", "valueCode": "y"}],
         "name": [{"id": "n", "family": "C"}]},
        b'<extension id="e" url="http://x"><valueCode value="y"/></extension><name id="n"><family value="C"/></name>',
    ),
    (
        "what extends a primitive stands inside it, with or without a value",
        {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"id": "b", "extension": [
            {"url": "http://x", "valueCode": "y"}]}, "_gender": {"extension": [{"url": "http://x", "valueCode": "z"}]}},
        b'<birthDate id="b" value="1970"><extension url="http://x"><valueCode value="y"/></extension></birthDate>'
        b'<gender><extension url="http://x"><valueCode value="z"/></extension></gender>',
    ),
    (
        "arrays of extended primitives stay side by side",
        {"resourceType": "Patient", "name": [{"given": ["A", None, "C"], "_given": [
            None, {"extension": [{"url": "http://x", "valueCode": "y"}]}, None]}]},
        b'<name><given value="A"/><given><extension url="http://x"><valueCode value="y"/></extension></given>'
        b'<given value="C"/></name>',
    ),
    (
        "a resource inside another is wrapped in its type",
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "a"}}]},
        b'<entry><resource><Patient><id value="a"/></Patient></resource></entry>',
    ),
    (
        "a url outside an extension is an element",
        {"resourceType": "Bundle", "link": [{"relation": "self", "url": "http://x?a=1&b=2"}]},
        b'<link><relation value="self"/><url value="http://x?a=1&amp;b=2"/></link>',
    ),
    (
        "a narrative is XHTML already",
        {"resourceType": "Patient", "text": {"status": "empty",
                                             "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'}},
        b'<text><status value="empty"/><div xmlns="http://www.w3.org/1999/xhtml">a</div></text>',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("_", "resource", "inner"), CASES, ids=[name for name, *_ in CASES])
def test_members_become_elements(_: str, resource: dict[str, Any], inner: bytes) -> None:
    name = resource["resourceType"].encode()
    assert xml.document(resource) == b'<%b xmlns="http://hl7.org/fhir">%b</%b>' % (name, inner, name)
    etree.fromstring(xml.document(resource))


@given(st.text())
def test_any_string_comes_back_but_for_what_xml_cannot_say(text: str) -> None:
    root = etree.fromstring(xml.document({"resourceType": "Patient", "language": text}))
    (element,) = root
    assert element.tag == f"{F}language"
    told = element.get("value")
    assert told is not None
    assert len(told) == len(text)
    assert all(a in (b, "\ufffd") for a, b in zip(told, text, strict=True))


def test_an_opened_resource_is_closed_by_the_rest() -> None:
    head = {"resourceType": "ImagingStudy", "id": "1"}
    parts = [{"uid": "1.1"}, {"uid": "1.2"}]
    pieces = xml.opened(head) + xml.elements("series", parts) + xml.closed(head)
    assert pieces == xml.document(head | {"series": parts})
