"""What a statement is made of says of each transaction what its value says, once."""

from collections import Counter

import pytest

from profiles.catalogue import PROFILES, TRANSACTIONS
from profiles.describe.statement import Described, Direction, Wire, described
from profiles.transaction import Actor

ALL = {each.id: each for each in described()}


def test_every_transaction_of_the_catalogue_is_described_once() -> None:
    assert Counter(each.id for each in described()) == Counter({each.id for each in TRANSACTIONS})


@pytest.mark.parametrize(
    "expected",
    [
        Described(
            id="RAD-69", name="Retrieve Imaging Document Set", section="RAD TF-2 4.69", profiles=("XDS-I.b",),
            initiator=Actor.IMAGING_DOCUMENT_CONSUMER, responder=Actor.IMAGING_DOCUMENT_SOURCE, wire=Wire.SOAP,
            direction=Direction.BOTH, actions=("urn:ihe:rad:2009:RetrieveImagingDocumentSet",), packaging="MTOM",
        ),
    ],
    ids=lambda each: each.id,
)  # fmt: skip
def test_it_is_described_as_the_framework_has_it(expected: Described) -> None:
    assert ALL[expected.id] == expected


def test_a_feed_that_has_an_action_for_each_event_lists_all_of_them() -> None:
    assert [each.rsplit(":", 1)[1] for each in ALL["ITI-44"].actions] == [
        "PRPA_IN201301UV02", "PRPA_IN201302UV02", "PRPA_IN201304UV02",
    ]  # fmt: skip
    assert {"ADT^A40", "ADT^A01"} <= set(ALL["ITI-8"].actions)
    assert ALL["ITI-8"].wire is Wire.MLLP


def test_what_we_only_answer_says_so() -> None:
    assert (ALL["RAD-107"].direction, ALL["RAD-107"].wire) == (Direction.ANSWERED, Wire.HTTP)
    assert "GET /studies/{study}" in ALL["RAD-107"].actions


def test_what_has_no_message_of_its_own_says_so() -> None:
    assert (ALL["ITI-19"].direction, ALL["ITI-19"].actions) == (Direction.ELSEWHERE, ())


def test_each_profile_that_has_it_is_named() -> None:
    shared = {id_ for id_ in ALL if sum(any(each.id == id_ for each in some) for some in PROFILES.values()) > 1}
    assert all(len(ALL[id_].profiles) > 1 for id_ in shared)
    assert described({"A": (TRANSACTIONS[0],), "B": (TRANSACTIONS[0],)})[0].profiles == ("A", "B")
