"""Templates write what lxml would write; what strangers send cannot reach beyond itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import MalformedMessage
from profiles.wire import xml

LEGAL = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r\x7f\x85")
)


@given(LEGAL)
def test_text_is_written_as_lxml_writes_it(value: str) -> None:
    element = etree.Element("a")
    element.text = value
    assert f"<a>{xml.text(value)}</a>".encode() == etree.tostring(element, encoding="utf-8", xml_declaration=False) or (
        value == "" and etree.tostring(element) == b"<a></a>"
    )


@given(LEGAL)
def test_attributes_are_written_as_lxml_writes_them(value: str) -> None:
    element = etree.Element("a", b=value)
    written = etree.tostring(element, encoding="utf-8", xml_declaration=False)
    assert f'<a b="{xml.attribute(value)}"/>'.encode() == written


@given(st.text())
def test_any_text_at_all_can_be_written_and_read(value: str) -> None:
    read = xml.parse(f'<a b="{xml.attribute(value)}">{xml.text(value)}</a>'.encode())
    assert read.get("b") == (read.text or "")
    assert len(read.get("b", "")) == len(value)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        b"<a>&undeclared;</a>",
        b"<a",
        b"",
        b"<a>" * 400 + b"</a>" * 400,
    ],
)
def test_dangerous_or_broken_documents_are_refused(document: bytes) -> None:
    with pytest.raises(MalformedMessage):
        xml.parse(document)


def test_a_document_above_the_limit_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        xml.parse(b"<a/>", max_bytes=3)
