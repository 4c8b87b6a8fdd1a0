"""Each SOAP transaction has annotated bodies of our own making: of every element that is asked with, and that is answered.

What they say is held to beside the codecs (`tests/profiles/xds`, `tests/profiles/wire/hl7v3`); here, that none is missing.
"""

from pathlib import Path

import pytest
from lxml import etree

from profiles.catalogue import TRANSACTIONS
from profiles.transaction import SoapTransaction

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
SPOKEN = [
    each
    for transaction in TRANSACTIONS
    if isinstance(transaction, SoapTransaction)
    for each in (transaction, *transaction.variants)
]


@pytest.mark.parametrize("transaction", SPOKEN, ids=lambda each: f"{each.id} {each.name}")
def test_a_question_and_an_answer_stand_in_a_vector(transaction: SoapTransaction[object, object]) -> None:
    prefix = transaction.id.lower().replace("-", "")
    elements = {etree.parse(path).getroot().tag for path in VECTORS.rglob(f"{prefix}-*.xml")}
    assert {transaction.request_element, transaction.response_element} <= elements


def test_each_vector_says_what_it_is_where_that_stands_and_what_to_look_at() -> None:
    for path in VECTORS.rglob("*.xml"):
        comment, _, _ = path.read_text(encoding="utf-8").partition("-->")
        assert comment.startswith("<!-- "), path.name
        assert "\n  Source: " in comment, path.name
        assert "\n  Look at: " in comment, path.name
