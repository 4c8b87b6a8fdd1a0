"""The annotated bodies: what is written is what stands there, and what stands there is read as what is meant."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from profiles.pdqv3.iti47 import CANCEL, CONTINUE, ITI_47
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, RecordEvent
from profiles.pixv3.iti45 import ITI_45
from profiles.pixv3.iti46 import ITI_46
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.ack import AckCode
from profiles.wire.hl7v3.query import Question
from profiles.xcpd.iti55 import DEFERRED, DEFERRED_ANSWER, ITI_55, DeferredAnswer, deferred_is_not_supported
from tests.profiles.pdqv3 import messages as pdqv3
from tests.profiles.pixv3 import messages as pixv3
from tests.profiles.xcpd import messages as xcpd
from tests.support.ebxml import canonical, parse, soap_in, written
from tests.support.hl7v3 import SENT, judge

FOLDER = Path(__file__).resolve().parents[3] / "vectors" / "hl7v3"

REQUESTS: dict[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti44-added.xml": (BY_EVENT[RecordEvent.ADD], pixv3.ADD),
    "iti44-revised.xml": (BY_EVENT[RecordEvent.REVISE], pixv3.REVISE),
    "iti44-merged.xml": (BY_EVENT[RecordEvent.MERGE], pixv3.MERGE),
    "iti45-asked.xml": (ITI_45, pixv3.IDENTIFIERS),
    "iti46-told.xml": pixv3.REQUESTS["iti46"],
    "iti47-asked.xml": (ITI_47, pdqv3.EVERYTHING),
    "iti47-continued.xml": (CONTINUE, pdqv3.MORE),
    "iti47-cancelled.xml": (CANCEL, pdqv3.ENOUGH),
    "iti55-asked.xml": (ITI_55, replace(xcpd.ASKED, keep_for=None)),  # that is said in a header
    "iti55-asked-deferred.xml": (DEFERRED, replace(xcpd.LATER, keep_for=None, message_id="")),  # and that too
    "iti55-brought.xml": (DEFERRED_ANSWER, DeferredAnswer(response=replace(xcpd.ONE, keep_for=None), relates_to="")),
}
RESPONSES: dict[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti44-accepted.xml": (ITI_44, replace(pixv3.ANSWERED, code=AckCode.COMMIT_ACCEPT)),
    "iti44-refused.xml": (
        ITI_44,
        replace(pixv3.REFUSED, code=AckCode.COMMIT_ERROR),
    ),  # a feed is answered at accept level
    "iti45-known.xml": (ITI_45, pixv3.KNOWN_AS),
    "iti46-accepted.xml": (ITI_46, replace(pixv3.ANSWERED, code=AckCode.COMMIT_ACCEPT)),
    "iti47-found.xml": (ITI_47, pdqv3.FOUND),
    "iti47-ended.xml": (CANCEL, replace(pixv3.ANSWERED, code=AckCode.COMMIT_ACCEPT)),
    "iti55-known.xml": (ITI_55, replace(xcpd.ONE, keep_for=None)),
    "iti55-more-wanted.xml": (ITI_55, xcpd.TELL_MORE),
    "iti55-not-deferred.xml": (DEFERRED, replace(deferred_is_not_supported(), target=SENT.id, transmission=SENT)),
    "iti55-taken.xml": xcpd.RESPONSES["iti55 deferred answer"],
}


def vector(name: str) -> etree._Element:
    return parse((FOLDER / name).read_bytes())


def without_text(message: Any) -> Any:
    """The same, its question by id only: its text is as it stands in the file, white space and all."""
    if isinstance(message, Question):
        return Question(id=message.id)
    if not is_dataclass(message):
        return message
    changed = {each.name: without_text(getattr(message, each.name)) for each in fields(message)}
    return replace(message, **changed)  # type: ignore[type-var]  # it is an instance


def test_every_vector_is_held_to() -> None:
    assert {path.name for path in FOLDER.glob("*.xml")} == {*REQUESTS, *RESPONSES}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_read_and_written_as_it_stands(name: str) -> None:
    transaction, message = REQUESTS[name]
    read = transaction.decode_request(soap_in(vector(name)))
    assert read.findings == ()
    assert without_text(read.value) == message
    assert canonical(written(transaction.encode_request(message))) == canonical(vector(name))


@pytest.mark.parametrize("name", RESPONSES)
def test_an_answer_is_read_and_written_as_it_stands(name: str) -> None:
    transaction, message = RESPONSES[name]
    read = transaction.decode_response(soap_in(vector(name)))
    assert read.findings == ()
    assert without_text(read.value) == message
    assert canonical(written(transaction.encode_response(read.value))) == canonical(vector(name))


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", [*REQUESTS, *RESPONSES])
def test_the_published_schemas_accept_it(name: str) -> None:
    judge(vector(name))
