"""What audit calls an endpoint or an application is known by the name of its house."""

import pytest

from gateway.adapters.peers import StaticDirectory
from gateway.inbound.naming import Names
from gateway.model.peer import Peer
from profiles.wire.hl7v2.address import Hl7Address
from tests.support.hl7 import HOUSE

LAKESIDE = Peer(
    name="Lakeside",
    endpoints={"RAD-69": "https://lakeside.example:8443/soap/imaging-source", "MLLP": "mllps://lakeside.example:2575"},
    hl7=Hl7Address(
        sending_application="RADGATE",
        sending_facility="Valley",
        receiving_application="ADT1",
        receiving_facility="LAKE",
    ),
)
NAMES = Names(HOUSE, StaticDirectory((LAKESIDE,), {}))


@pytest.mark.parametrize(
    ("user_id", "name"),
    [
        ("https://valley.example", "Valley"),
        ("https://valley.example/soap/registry", "Valley"),
        ("Valley|RADGATE", "Valley"),
        ("https://lakeside.example:8443/soap/imaging-source", "Lakeside"),
        ("https://lakeside.example:8443/dicomweb", "Lakeside"),
        ("mllps://lakeside.example:2575", "Lakeside"),
        ("LAKE|ADT1", "Lakeside"),
    ],
)
def test_any_address_of_a_house_has_its_name(user_id: str, name: str) -> None:
    assert NAMES[user_id] == name
    assert user_id in NAMES


@pytest.mark.parametrize(
    "user_id", ["https://lakeside.example", "https://valley.example.evil", "ADT1|LAKE", "", "anna"]
)
def test_what_is_not_known_has_no_name(user_id: str) -> None:
    assert user_id not in NAMES
    with pytest.raises(KeyError):
        NAMES[user_id]


def test_every_known_id_is_listed() -> None:
    assert len(NAMES) == len(list(NAMES)) == 5
    assert set(NAMES.values()) == {"Valley", "Lakeside"}
