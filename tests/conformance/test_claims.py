"""What we say of radgate: complete, with reasons, and the same as the front page says."""

import re
from pathlib import Path

import pytest

from conformance.claims import CLAIMS, Standing, pairs, read_claims
from conformance.suites import cases
from conformance.system import BadDescription
from profiles.catalogue import TRANSACTIONS
from tests.house.front_page import TABLE

SAID = read_claims()
NOT_DONE = {"no", "—", "codec only", "towards the archive"}


def ids_of(row: str) -> list[str]:
    """The transactions that a row of README's table is about: by number, or all of FHIR."""
    if row.startswith("FHIR"):
        return [each.id for each in TRANSACTIONS if each.id.startswith("FHIR ")]
    return [
        each.id for each in TRANSACTIONS if re.search(rf"(?<![\w-]){re.escape(each.id.partition(' ')[0])}(?!\d)", row)
    ]


ROWS = [(id, server, client) for row, server, client, _ in TABLE[1:] for id in ids_of(row)]


def test_both_ends_of_every_transaction_stand_in_the_claims() -> None:
    assert tuple(SAID.by_pair) == pairs()


def test_the_front_page_has_every_transaction_once() -> None:
    assert sorted(id for id, _, _ in ROWS) == sorted(each.id for each in TRANSACTIONS)


@pytest.mark.parametrize(("id", "server", "client"), ROWS, ids=[id for id, _, _ in ROWS])
def test_the_front_page_says_of_both_ends_what_is_claimed(id: str, server: str, client: str) -> None:
    (transaction,) = [each for each in TRANSACTIONS if each.id == id]
    ends = [(transaction.responder, server not in NOT_DONE), (transaction.initiator, client not in NOT_DONE)]
    for actor in {actor for actor, _ in ends}:
        done = any(said for each, said in ends if each is actor)
        assert SAID.by_pair[(actor, id)].standing.done is done, actor


def test_what_has_cases_is_claimed_and_what_is_claimed_has_cases() -> None:
    claimed = {pair for pair, claim in SAID.by_pair.items() if claim.standing is Standing.CLAIMED}
    assert claimed == {(case.actor, case.transaction) for case in cases()}


def test_the_cases_of_an_option_are_cases() -> None:
    assert {id for option in SAID.options for id in option.cases} <= {case.id for case in cases()}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\n[claims]\n", "\n[claim]\n", "nothing is called claim"),
        ("\n[claims]\n", "\n[claims\n", "cannot be read"),
        ('"Image Manager" = ["RAD-108"]', "", "Image Manager RAD-108 stands nowhere"),
        ('"Image Manager" = ["RAD-108"]', '"Image Manager" = ["RAD-108", "ORU^R01"]', r"in \[claims\] and \[unproved\]"),
        ('"Image Manager" = ["RAD-108"]', '"Image Manager" = ["RAD-108", "RAD-69"]', "no part in RAD-69"),
        ('"RAD-108" = "an archive', '"RAD-108" = "" # ', "RAD-108 gives no reason"),
        ('profile = "XDS.b"', 'profile = "XDS.c"', "no profile is called 'XDS.c'"),
    ],
)  # fmt: skip
def test_claims_that_do_not_fit_the_catalogue_are_refused(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    text = CLAIMS.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "claims.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadDescription, match=complaint):
        read_claims(tmp_path / "claims.toml")
