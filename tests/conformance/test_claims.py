"""What we say of radgate: complete, with reasons, and the same as the front page says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.claims import CLAIMS, Standing, pairs, read_claims
from conformance.front_page import BEGIN, COMMAND, END, WORDS, NoPlace, rewrite, table, written
from conformance.suites import cases
from conformance.system import BadDescription
from profiles.catalogue import TRANSACTIONS
from profiles.describe.statement import Direction, described
from profiles.transaction import Actor, Transaction
from tests.house.modules import ROOT

SAID = read_claims()


def test_both_ends_of_every_transaction_stand_in_the_claims() -> None:
    assert tuple(SAID.by_pair) == pairs()


def test_the_table_of_the_front_page_is_made_of_the_claims() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert page == written(page, SAID), f"README's table of transactions is of other claims; this mends it: {COMMAND}"


@pytest.mark.parametrize("transaction", TRANSACTIONS, ids=lambda each: each.id)
def test_the_table_says_of_both_ends_what_is_claimed(transaction: Transaction) -> None:
    (row,) = [each.split(" | ") for each in table(SAID).splitlines() if row_of(transaction.id, each)]
    ends = {transaction.responder: row[1], transaction.initiator: row[2]}
    if transaction.responder is transaction.initiator:
        ends = {transaction.responder: row[1]}
    for actor, cell in ends.items():
        standing = SAID.by_pair[(actor, transaction.id)].standing
        assert re.match(rf"{actor}: {re.escape(WORDS[standing])}(;|$)", cell)
    assert row[3] == f"{SAID.notes[transaction.id].judges} |"


def row_of(id: str, line: str) -> bool:
    return re.match(rf"\| {re.escape(id)}(:| \|)", line) is not None


def test_a_claim_that_moves_changes_the_table() -> None:
    pair = (Actor.IMAGE_MANAGER, "RAD-108")
    claim = replace(SAID.by_pair[pair], standing=Standing.UNPROVED, why="none")
    moved = replace(SAID, by_pair={**SAID.by_pair, pair: claim})
    changed = [(a, b) for a, b in zip(table(SAID).splitlines(), table(moved).splitlines(), strict=True) if a != b]
    assert [(a.replace("Image Manager: **proved**", "Image Manager: done"), b) for a, b in changed] == [
        (changed[0][1], changed[0][1])
    ]


def test_the_table_is_written_between_the_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"# é\n{BEGIN}old\n{END}\nafter\n", encoding="utf-8")
    assert rewrite(page, SAID)
    assert page.read_text(encoding="utf-8") == f"# é\n{BEGIN}\n{table(SAID)}\n{END}\nafter\n"
    assert not rewrite(page, SAID)


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, BEGIN + END + BEGIN, BEGIN + END + END])
def test_a_page_without_the_two_marks_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(NoPlace, match="these two lines must stand there once"):
        rewrite(page, SAID)
    assert page.read_text(encoding="utf-8") == text


def test_who_only_answers_by_http_does_not_claim_to_ask() -> None:
    answered = {each.id for each in described() if each.direction is Direction.ANSWERED}
    asking = {each.id: each.initiator for each in TRANSACTIONS if each.id in answered}
    assert asking
    assert not any(SAID.by_pair[(actor, id)].standing.done for id, actor in asking.items())


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
        ('"Image Manager" = ["RAD-108", "ORU^R01"]', "", "Image Manager RAD-108 stands nowhere"),
        (
            '[exempt."Report Manager"]', '[exempt."Image Manager"]\n"ORU^R01" = "no"\n[exempt."Report Manager"]',
            r"in \[claims\] and \[exempt\]",
        ),
        ('"Image Manager" = ["RAD-108", "ORU^R01"]', '"Image Manager" = ["RAD-108", "RAD-69"]', "no part in RAD-69"),
        ('"RAD-108" = "an archive', '"RAD-108" = "" # ', "RAD-108 gives no reason"),
        ('profile = "XDS.b"', 'profile = "XDS.c"', "no profile is called 'XDS.c'"),
        ('[note."RAD-69"]', '[note."RAD-96"]', "RAD-96 is no transaction"),
        ('[note."ITI-38"]\njudges', '[note."ITI-38"]\nasks', "ITI-38 names nobody else who judges it"),
        ('[note."ITI-38"]\n', '[note."ITI-38"]\nask = "x"\n', "ITI-38: nothing is called ask"),
    ],
)  # fmt: skip
def test_claims_that_do_not_fit_the_catalogue_are_refused(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    text = CLAIMS.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "claims.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadDescription, match=complaint):
        read_claims(tmp_path / "claims.toml")
