"""The directory of peers: found by the names that our settings give them, or refused in words."""

import pytest

from gateway.adapters.peers import StaticDirectory
from gateway.model.peer import Peer
from profiles.errors import RuleViolation

LAKESIDE = Peer(name="Lakeside")
DIRECTORY = StaticDirectory((LAKESIDE,), {})


def test_a_peer_of_the_settings_is_known() -> None:
    assert DIRECTORY.known("Lakeside") is LAKESIDE


def test_a_peer_that_no_setting_names_is_refused_with_a_cure() -> None:
    with pytest.raises(RuleViolation, match="no peer called Elsewhere") as refused:
        DIRECTORY.known("Elsewhere")
    assert "[[peer]]" in refused.value.cure
