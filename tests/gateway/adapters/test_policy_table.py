"""Who may ask what: by the table of peers' scopes, and by what they say of the person."""

import pytest

from gateway.adapters.policy_table import TablePolicy
from gateway.model.peer import Caller, Peer

CHANGING = ("ITI-57", "ITI-62", "ITI-86", "ITI-92")
"""What changes or removes what others brought."""


def may(transaction: str, peer: Peer | None = None, *, loopback: bool = False, via: str = "certificate") -> bool:
    policy = TablePolicy(anonymous_loopback=loopback)
    return policy.decide(Caller(peer=peer, network_address="192.0.2.7", via=via), transaction).allowed


@pytest.mark.parametrize(
    "transaction", ["ITI-18", "ITI-41", "ITI-42", "ITI-43", "ITI-61", "ITI-80", "RAD-68", "RAD-69"]
)
def test_a_peer_without_scopes_may_ask_and_submit(transaction: str) -> None:
    assert may(transaction, Peer(name="Lakeside"))


@pytest.mark.parametrize("transaction", CHANGING)
def test_what_changes_or_removes_is_for_peers_whose_scopes_name_it(transaction: str) -> None:
    assert not may(transaction, Peer(name="Lakeside"))
    assert not may(transaction, Peer(name="Lakeside", scopes=frozenset({"ITI-18", *CHANGING} - {transaction})))
    assert may(transaction, Peer(name="Lakeside", scopes=frozenset({transaction})))


def test_scopes_are_all_that_a_peer_may() -> None:
    peer = Peer(name="Viewer", scopes=frozenset({"RAD-69"}))
    assert may("RAD-69", peer)
    assert not may("ITI-18", peer)


def test_who_is_nobody_may_nothing_but_from_this_machine_where_the_settings_say_so() -> None:
    assert not may("ITI-18", via="nobody")
    assert not may("ITI-18", via="loopback")
    assert not may("ITI-18", via="nobody", loopback=True)
    assert may("ITI-18", via="loopback", loopback=True)
    assert may("FHIR capabilities", via="nobody")
