"""Golden bodies: what is written, what is read, and what the published schemas say of both."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.model.content import Content, Poured
from profiles.transaction import SoapTransaction
from tests.profiles.xds.messages import ALL, REQUESTS, RESPONSES
from tests.support.ebxml import VECTORS, canonical, judge, pour_of, poured, soap_in, vector, written

ATTACHED = {"1.document@radgate": Content.of(b"DICM of a kind...")}
SUBMISSIONS = ("rad68-request-replacement.xml", "iti41-request-report.xml", "iti80-request.xml")


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_message_is_written_as_its_vector(name: str) -> None:
    transaction, side, message = ALL[name]
    assert canonical(written(getattr(transaction, f"encode_{side}")(message))) == canonical(vector(name))


@pytest.mark.parametrize("name", sorted(set(REQUESTS) - set(SUBMISSIONS)))
def test_a_request_is_read_from_its_vector(name: str) -> None:
    transaction, message = REQUESTS[name]
    decoded = transaction.decode_request(soap_in(vector(name)))
    assert decoded.value == message
    assert decoded.findings == ()


@pytest.mark.parametrize("name", SUBMISSIONS)
async def test_a_submission_is_read_from_its_vector_with_its_document(name: str) -> None:
    transaction, message = REQUESTS[name]
    decoded = transaction.decode_request(soap_in(vector(name), ATTACHED))
    assert decoded.findings == ()
    assert replace(decoded.value, documents=message.documents) == message
    assert await decoded.value.documents["Document01"].read(100) == b"DICM of a kind..."


@pytest.mark.parametrize("name", sorted(RESPONSES))
async def test_a_response_is_read_from_its_vector(name: str) -> None:
    transaction, message = RESPONSES[name]
    parts = (("1.document@radgate", b"one"), ("2.document@radgate", b"two"))
    if not isinstance(message, Poured):
        decoded = transaction.decode_response(soap_in(vector(name)))
        assert decoded.value == message
    else:
        here = parts[: len(message.head.documents)]
        decoded = transaction.decode_response(soap_in(vector(name), parts=pour_of(*here)))
        assert decoded.value.head == message.head
        assert await poured(decoded.value.pour) == [
            (document.document_unique_id, body)
            for document, (_, body) in zip(message.head.documents, here, strict=True)
        ]
    assert decoded.findings == ()


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", sorted(ALL))
def test_what_is_written_is_valid_by_the_published_schemas(name: str) -> None:
    transaction, side, message = ALL[name]
    judge(written(getattr(transaction, f"encode_{side}")(message)))


def test_every_vector_says_what_it_is() -> None:
    assert {path.name for path in VECTORS.glob("*.xml")} == set(ALL)
    for path in VECTORS.glob("*.xml"):
        assert path.read_text().startswith("<!-- "), path.name
        assert "Source: " in path.read_text().partition("-->")[0], path.name


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_request_that_was_read_passes_its_own_checks(name: str) -> None:
    transaction: SoapTransaction[Any, Any]
    transaction, _ = REQUESTS[name]
    value = transaction.decode_request(soap_in(vector(name), ATTACHED if name in SUBMISSIONS else {})).value
    assert [finding for check in transaction.checks for finding in check(value)] == []
