"""PN and PersonName."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from profiles.model.patient import NO_NAME, PersonName
from profiles.wire.dicom.names import from_pn, to_pn

CASES = [
    # PS3.5 6.2.1.1, examples
    ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.",
     PersonName(family="Adams", given="John Robert Quincy", prefix="Rev.", suffix="B.A. M.Div.")),
    ("Morrison-Jones^Susan^^^Ph.D., Chief Executive Officer",
     PersonName(family="Morrison-Jones", given="Susan", suffix="Ph.D., Chief Executive Officer")),
    ("Doe^John", PersonName(family="Doe", given="John")),
    # PS3.5 H.3.1
    ("Yamada^Tarou=山田^太郎=やまだ^たろう",
     PersonName(family="Yamada", given="Tarou", ideographic="山田^太郎", phonetic="やまだ^たろう")),
    ("", NO_NAME),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name"), CASES)
def test_names_are_read_and_written(text: str, name: PersonName) -> None:
    assert from_pn(text) == name
    assert to_pn(name) == text


@pytest.mark.parametrize("text", ["^^^^", " ", "==", "^^=^"])
def test_a_name_of_delimiters_is_no_name(text: str) -> None:
    assert from_pn(text) == NO_NAME


def test_delimiters_in_a_part_become_spaces() -> None:
    assert to_pn(PersonName(family="A^B", given="C=D\\E")) == "A B^C D E"


def test_what_is_too_much_is_kept_in_the_suffix() -> None:
    assert from_pn("a^b^c^d^e^f").suffix == "e f"


@given(st.text(max_size=40))
@example("\\")
@example("=a^\\")
def test_any_text_is_read_and_settles(text: str) -> None:
    once = to_pn(from_pn(text))
    assert to_pn(from_pn(once)) == once
