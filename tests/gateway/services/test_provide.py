"""By which way a document goes to a peer."""

from dataclasses import replace

import pytest

from gateway.model.peer import Peer
from gateway.services.provide import addressed
from profiles.errors import RuleViolation, Unsupported
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.xds.iti41 import ProvideAndRegisterRequest
from tests.profiles.xds.messages import PROVIDE

HOME, OTHER = Oid("1.2.3.1"), Oid("1.2.4.1")
MANIFEST = PROVIDE
(ENTRY,) = PROVIDE.submission.entries
LETTER = replace(
    PROVIDE,
    submission=replace(
        PROVIDE.submission, entries=(replace(ENTRY, format_code=Code(value="urn:x:letter", system="1.2.3")),)
    ),
)


def peer(*ways: str, home: Oid | None = HOME, homes: tuple[Oid, ...] = ()) -> Peer:
    return Peer(name="Valley", home_community_id=home, homes=homes, endpoints=dict.fromkeys(ways, "https://valley"))


@pytest.mark.parametrize(
    ("request_", "ways", "chosen"),
    [
        (MANIFEST, ("RAD-68", "ITI-41", "ITI-80"), "RAD-68"),
        (MANIFEST, ("ITI-41", "ITI-80"), "ITI-41"),
        (MANIFEST, ("ITI-80",), "ITI-80"),
        (LETTER, ("RAD-68", "ITI-41", "ITI-80"), "ITI-41"),
        (LETTER, ("RAD-68", "ITI-80"), "ITI-80"),
    ],
)
def test_the_nearest_door_that_a_peer_has_is_taken(
    request_: ProvideAndRegisterRequest, ways: tuple[str, ...], chosen: str
) -> None:
    way, sent = addressed(peer(*ways), request_)
    assert way.id == chosen
    assert sent.home_community_id == (HOME if chosen == "ITI-80" else None)


def test_a_way_may_be_asked_for() -> None:
    way, sent = addressed(peer("RAD-68", "ITI-80"), MANIFEST, by="ITI-80")
    assert (way.id, sent.home_community_id) == ("ITI-80", HOME)
    with pytest.raises(RuleViolation, match="no way"):
        addressed(peer("RAD-68"), LETTER, by="RAD-68")
    with pytest.raises(Unsupported, match="ITI-41"):
        addressed(peer("RAD-68"), MANIFEST, by="ITI-41")


def test_a_peer_without_an_address_is_told_what_is_missing() -> None:
    with pytest.raises(Unsupported, match="ITI-41 or ITI-80"):
        addressed(peer("RAD-68", "ITI-18"), LETTER)


def test_a_hub_is_told_for_which_community_it_is() -> None:
    hub = peer("ITI-80", homes=(OTHER,))
    assert addressed(hub, LETTER, home=OTHER)[1].home_community_id == OTHER
    with pytest.raises(RuleViolation, match="does not speak"):
        addressed(peer("ITI-80"), LETTER, home=OTHER)
    with pytest.raises(RuleViolation, match="does not speak"):
        addressed(peer("ITI-80", home=None), LETTER)


def test_an_initiating_gateway_is_told_by_iti_41_for_which_community_it_is() -> None:
    way, sent = addressed(peer("ITI-41", home=None), LETTER, home=OTHER)
    assert (way.id, sent.home_community_id) == ("ITI-41", OTHER)
