"""hl7apy as a second judge: it knows the structure of every message, segment and field of each version.

It is a dependency of the tests only: it judges what we build.
"""

from dataclasses import replace
from typing import Any

import pytest
from hl7apy import consts, parser, validation

from profiles.pix.iti8 import ITI_8, FeedEvent, PatientFeedRequest
from profiles.pix.iti30 import ITI_30
from profiles.swf.oru_r01 import ORU_R01, StudyAvailable
from profiles.wire.hl7v2.ack import ACCEPTED, AckCode, AckError, Acknowledgement, write_acknowledgement
from profiles.wire.hl7v2.adt import JOINS
from tests.profiles.swf.oru_r01.announced import AVAILABLE
from tests.support.hl7 import SUBSUMED, feed, registration, sent


def valid(data: bytes) -> Any:
    message = parser.parse_message(data.decode(), validation_level=consts.VALIDATION_LEVEL.TOLERANT, find_groups=True)
    assert validation.Validator.validate(message)
    return message


def _request(event: FeedEvent) -> PatientFeedRequest:
    request = feed(event)
    return replace(request, subsumed_identifiers=(SUBSUMED,)) if event in JOINS else request


@pytest.mark.parametrize(
    ("transaction", "event"),
    [
        (transaction, FeedEvent(event))
        for transaction in (ITI_8, ITI_30)
        for _, event in transaction.triggers
        if not (transaction is ITI_8 and event in {"A28", "A31"})  # read and never sent; 2.3.1 has no ADT_A05
    ],
)
def test_every_feed_message_is_of_the_structure_that_it_names(transaction: Any, event: FeedEvent) -> None:
    data = transaction.encode_request(_request(event), sent())
    named = data.split(b"|")[8].split(b"^")[2].decode()
    assert valid(data).name == named


@pytest.mark.parametrize("available", [AVAILABLE, replace(AVAILABLE, viewer_url="https://v.example/?a&b")])
def test_the_announcement_is_an_oru_r01(available: StudyAvailable) -> None:
    message = valid(ORU_R01.encode_request(available, sent()))
    assert message.name == "ORU_R01"


@pytest.mark.parametrize(
    "acknowledgement",
    [ACCEPTED, Acknowledgement(code=AckCode.ERROR, text="missing", errors=(AckError(code="101", location="PID^1^3"),))],
)
@pytest.mark.parametrize("transaction", [ITI_8, ITI_30])
def test_our_acknowledgements_are_acks(transaction: Any, acknowledgement: Acknowledgement) -> None:
    request = transaction.encode_request(feed(), sent()) if transaction is ITI_30 else registration()
    answer = write_acknowledgement(acknowledgement, request, sent("K1"))
    # 2.3.1 has no MSH-9.3 in its ACK, and this judge goes by nothing else.
    message = valid(answer.replace(b"ACK^A04|", b"ACK^A04^ACK|"))
    assert message.msa.msa_1.value == acknowledgement.code
