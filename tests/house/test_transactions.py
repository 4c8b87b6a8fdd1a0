"""The catalogue, and who plays it: every transaction is answered by an actor of ours, or its absence has a reason."""

import importlib
import pkgutil
import re
from collections import Counter

import pytest

import gateway.actors
from gateway.actors.answering import answers_of
from profiles.catalogue import TRANSACTIONS
from profiles.transaction import HttpTransaction, Transaction
from tests.house.modules import modules

NOT_ANSWERED = {
    "RAD-68": "answered as ITI-41, which it is on the wire, and told apart after decoding",
    "ORU^R01": "we announce; EHR and RIS receive",
    "ITI-19": "played by TLS itself",
    "ITI-40": "an assertion inside other transactions, verified before they are",
    "ITI-20": "we report; the audit record repository receives",
}


def _answered() -> Counter[str]:
    found: Counter[str] = Counter()
    for each in pkgutil.iter_modules(gateway.actors.__path__, "gateway.actors."):
        module = importlib.import_module(each.name)
        for actor in vars(module).values():
            if isinstance(actor, type) and actor.__module__ == each.name:
                # answers_of asks an instance for bound methods; unbound ones carry the same mark
                # A set: a transaction that has an action for each event is answered by one method all the same.
                found.update({answering.transaction.id for answering in answers_of(object.__new__(actor))})
    return found


def test_every_transaction_of_the_catalogue_is_answered_or_has_its_reason() -> None:
    listed = {each.id for each in TRANSACTIONS}
    answered = set(_answered())
    assert answered <= listed
    assert listed - answered == set(NOT_ANSWERED)


def test_a_transaction_is_answered_by_one_actor_but_for_the_two_doors_of_a_submission_and_the_gateways() -> None:
    """An initiating gateway answers its own people as if it were registry, repository and imaging source, and is brought
    the answers to discoveries that were deferred."""
    twice = {name for name, number in _answered().items() if number > 1}
    assert twice == {"ITI-41", "ITI-18", "ITI-43", "RAD-69", "ITI-55"}


BOTH_SIDES = [each for each in TRANSACTIONS if not isinstance(each, HttpTransaction) and each.id not in NOT_ANSWERED]


@pytest.mark.parametrize("transaction", BOTH_SIDES, ids=str)
def test_audit_is_proved_on_both_sides(transaction: Transaction[object, object]) -> None:
    """Those that we may ask and answer: their tests hand both sides to the audit rule."""
    folder = transaction.id.lower().replace("-", "")
    named = re.compile(rf"\bprofiles\.\w+\.{folder}\b")
    told = "\n".join(each.text for each in modules("tests/profiles") if named.search(each.text) and "Side" in each.text)
    assert "Side.INITIATOR" in told and "Side.RESPONDER" in told


SERVED = [each for each in TRANSACTIONS if isinstance(each, HttpTransaction)]


@pytest.mark.parametrize("transaction", SERVED, ids=str)
def test_we_are_only_the_server_of_fhir_and_dicomweb(transaction: HttpTransaction[object, object]) -> None:
    """Archives behind us are asked by their adapter: what it reads are not answers to a transaction but an index."""
    assert transaction.encode_request is None and transaction.decode_response is None
