"""A house that is several communities says which repository, home and authority is which."""

from dataclasses import replace

import pytest

from gateway.model.house import Repository
from profiles.model.identifiers import Oid
from tests.support.hl7 import HOUSE

CLINIC = Repository(
    name="clinic", unique_id=Oid("1.2.8.2"), home_community_id=Oid("1.2.8.1"), patient_authority=Oid("1.2.8.9")
)
BOTH = replace(HOUSE, further=(CLINIC,))


def test_a_house_without_further_repositories_is_one_community() -> None:
    assert HOUSE.repositories == (HOUSE.own,)
    assert HOUSE.homes == {HOUSE.home_community_id}
    assert HOUSE.domains == {HOUSE.domain_authority}


def test_a_further_repository_s_home_and_authority_are_the_house_s_too() -> None:
    assert BOTH.repositories == (HOUSE.own, CLINIC)
    assert BOTH.homes == {HOUSE.home_community_id, "1.2.8.1"}
    assert BOTH.domains == {HOUSE.domain_authority, "1.2.8.9"}
    assert BOTH.communities == ((HOUSE.home_community_id, HOUSE.domain_authority), ("1.2.8.1", "1.2.8.9"))


def test_two_repositories_of_one_home_and_authority_are_one_community() -> None:
    twice = replace(HOUSE, further=(CLINIC, replace(CLINIC, name="annex", unique_id=Oid("1.2.8.3"))))
    assert len(twice.repositories) == 3
    assert twice.communities == BOTH.communities


@pytest.mark.parametrize(
    ("named", "found"),
    [("1.2.8.2", CLINIC), (HOUSE.repository_unique_id, HOUSE.own), ("1.2.77", HOUSE.own), (None, HOUSE.own)],
)
def test_what_names_no_further_repository_counts_as_of_our_own(named: str | None, found: Repository) -> None:
    assert BOTH.repository_of(named) == found


def test_each_repository_has_an_address_of_its_own() -> None:
    assert [each.path for each in BOTH.repositories] == ["/soap/repository", "/soap/repository/clinic"]
