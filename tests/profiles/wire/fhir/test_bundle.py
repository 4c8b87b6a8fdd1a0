import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import MalformedMessage
from profiles.model.query import PageKey
from profiles.wire.fhir.bundle import Entry, address, page_key, page_token, searchset
from profiles.wire.fhir.media import Syntax

WORDS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


@given(WORDS, WORDS)
def test_a_page_key_is_read_back_and_safe_in_a_link(value: str, uid: str) -> None:
    key = PageKey(value=value, study_instance_uid=uid)
    token = page_token(key)
    assert page_key(token) == key
    assert all(character.isalnum() or character in "-_" for character in token)


@given(st.text(max_size=60))
def test_any_token_is_a_key_or_refused(token: str) -> None:
    try:
        assert isinstance(page_key(token), PageKey)
    except MalformedMessage as refused:
        assert refused.code == "value"


def test_an_address_repeats_parameters_and_escapes_them() -> None:
    assert address("https://h", "A", []) == "https://h/A"
    assert address("https://h", "A", [("x", "a b&c"), ("x", "ü|1"), ("y:z", "urn:oid:1,2")]) == (
        "https://h/A?x=a%20b%26c&x=%C3%BC%7C1&y:z=urn:oid:1,2"
    )


def entries() -> Iterator[Entry]:
    yield Entry(mode="match", full_url="https://h/A/1?a&b", resource=iter((b'{"id":', b'"1"}')))
    yield Entry(mode="outcome", resource=(b"{}",))


def test_a_page_is_written_entry_by_entry() -> None:
    told = b"".join(
        searchset(entries(), self_url="https://h/A?x", next_url="https://h/A?y", total=5, syntax=Syntax.JSON)
    )
    assert json.loads(told) == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 5,
        "link": [{"relation": "self", "url": "https://h/A?x"}, {"relation": "next", "url": "https://h/A?y"}],
        "entry": [
            {"fullUrl": "https://h/A/1?a&b", "resource": {"id": "1"}, "search": {"mode": "match"}},
            {"resource": {}, "search": {"mode": "outcome"}},
        ],
    }


@pytest.mark.parametrize("syntax", Syntax)
def test_an_empty_page_has_no_entry_member(syntax: Syntax) -> None:
    told = b"".join(searchset((), self_url="https://h/A", syntax=syntax))
    assert b"entry" not in told
    assert b"total" not in told
    json.loads(told) if syntax is Syntax.JSON else etree.fromstring(told)


def test_nothing_is_rendered_before_it_is_asked_for() -> None:
    made: list[int] = []

    def rendering() -> Iterator[Entry]:
        for number in range(3):
            made.append(number)
            yield Entry(mode="match", resource=(b"{}",))

    pieces = searchset(rendering(), self_url="x", syntax=Syntax.JSON)
    next(pieces)
    assert made == [0]
