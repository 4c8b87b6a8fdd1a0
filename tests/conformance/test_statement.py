"""The statement says what is claimed and what was seen, and neither more."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from lxml import etree

from conformance.__main__ import main
from conformance.blocks import Heading, Table, as_html, as_markdown
from conformance.claims import Claims, read_claims
from conformance.report import VERSION, as_json
from conformance.rows import requirements
from conformance.runner import Run
from conformance.statement import (
    NOT_CLAIMED,
    NOT_VERIFIED,
    TITLES,
    VERIFIED,
    BadResult,
    Seen,
    problems,
    read_result,
    statement,
    worst,
)
from conformance.suites import cases
from conformance.verdict import Verdict
from profiles.catalogue import PROFILES, TRANSACTIONS
from profiles.transaction import Actor
from profiles.wire.dicom.syntaxes import RECEIVABLE

CASES = cases()
CLAIMS = read_claims()
ON = date(2026, 2, 3)
GOOD = Seen(
    system="a house", tester=VERSION, at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    verdicts={case.id: Verdict.PASS for case in CASES}, strict=True,
)  # fmt: skip
RAD_69 = [case.id for case in CASES if (case.actor, case.transaction) == (Actor.IMAGING_DOCUMENT_SOURCE, "RAD-69")]


def but(verdict: Verdict | None, id: str = RAD_69[0], seen: Seen = GOOD) -> Seen:
    """A result in which one case ended otherwise; None: was not run."""
    others = {each: was for each, was in seen.verdicts.items() if each != id}
    return replace(seen, verdicts=others if verdict is None else {**others, id: verdict})


def standing_of(transaction: str, actor: Actor, seen: Sequence[Seen], claims: Claims = CLAIMS) -> tuple[str, str]:
    """What the statement's tables say of one end."""
    ((said, evidence),) = [
        (row[3], row[4])
        for block in statement(claims, seen, CASES, ON)
        if isinstance(block, Table) and block.head[0] == "Transaction" and len(block.head) == 7
        for row in block.rows
        if row[0].partition(":")[0] == transaction and row[1] == actor
    ]
    return said, evidence


def test_what_passed_is_verified_with_its_counts() -> None:
    said = standing_of("RAD-69", Actor.IMAGING_DOCUMENT_SOURCE, [GOOD])
    assert said == (VERIFIED, f"{len(RAD_69)} pass")
    assert problems(CLAIMS, [GOOD], CASES) == ()


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.SKIP, Verdict.OMIT, Verdict.ERROR])
def test_a_claim_of_which_one_case_did_not_pass_is_not_verified(verdict: Verdict) -> None:
    said, evidence = standing_of("RAD-69", Actor.IMAGING_DOCUMENT_SOURCE, [but(verdict)])
    assert said == NOT_VERIFIED
    assert evidence in (f"{len(RAD_69) - 1} pass, 1 {verdict}", f"1 {verdict}, {len(RAD_69) - 1} pass")
    assert problems(CLAIMS, [but(verdict)], CASES) == (
        f"Imaging Document Source, RAD-69: {RAD_69[0]} ended with {verdict}",
    )


def test_a_claim_of_which_one_case_was_not_run_is_not_verified() -> None:
    said, evidence = standing_of("RAD-69", Actor.IMAGING_DOCUMENT_SOURCE, [but(None)])
    assert (said, evidence) == (NOT_VERIFIED, f"{len(RAD_69) - 1} pass, 1 not run")
    assert problems(CLAIMS, [but(None)], CASES) == (f"Imaging Document Source, RAD-69: {RAD_69[0]} was not run",)


def test_of_several_results_the_worst_counts_whichever_comes_first() -> None:
    for seen in ([GOOD, but(Verdict.FAIL)], [but(Verdict.FAIL), GOOD], [but(Verdict.FAIL), but(Verdict.SKIP)]):
        assert worst(seen)[RAD_69[0]] is Verdict.FAIL
    assert worst([but(None), GOOD])[RAD_69[0]] is Verdict.PASS


def test_a_result_of_another_version_is_a_problem() -> None:
    (problem,) = problems(CLAIMS, [replace(GOOD, tester="0.0.1")], CASES)
    assert problem == f"a result of 2026-01-02 is of version 0.0.1, and this is {VERSION}"


def test_a_claim_without_a_case_is_a_problem() -> None:
    rest = [case for case in CASES if case.id not in RAD_69]
    assert "Imaging Document Source, RAD-69: claimed, and no case judges it" in problems(CLAIMS, [GOOD], rest)


def test_what_is_exempt_is_not_claimed_and_says_why() -> None:
    said, why = standing_of("ITI-20", Actor.AUDIT_RECORD_REPOSITORY, [GOOD])
    assert (said, why) == (NOT_CLAIMED, CLAIMS.by_pair[(Actor.AUDIT_RECORD_REPOSITORY, "ITI-20")].why)


def test_an_option_is_verified_by_its_cases_and_never_without_one() -> None:
    first, *rest = CLAIMS.options
    claims = replace(CLAIMS, options=(replace(first, cases=()), *rest))
    told = {
        (row[0], row[1]): row[2]
        for block in statement(claims, [GOOD], CASES, ON)
        if isinstance(block, Table) and block.head[0] == "Option"
        for row in block.rows
    }
    assert told == {(each.name, each.actor): VERIFIED if each.cases else NOT_VERIFIED for each in claims.options}
    assert told[(first.name, first.actor)] == NOT_VERIFIED
    assert VERIFIED in told.values()


def test_it_is_dated_has_versions_and_every_profile_transaction_and_transfer_syntax() -> None:
    text = as_markdown(statement(CLAIMS, [GOOD], CASES, ON))
    assert f"| radgate | {VERSION} | 2026-02-03 |" in text
    assert f"| a house | {VERSION} | 2026-01-02 03:04 UTC | {len(CASES)} pass | yes |" in text
    assert all(f"\n### {profile}\n" in text for profile in PROFILES)
    assert all(
        (f"| {each.id}: " in text or f"| {each.id} |" in text)
        for each in TRANSACTIONS
        if not each.id.startswith("FHIR")
    )
    assert all(f"| {uid} |" in text for uid in RECEIVABLE)
    assert "| ImagingStudy | search-type |" in text


def test_without_a_result_nothing_is_verified() -> None:
    text = as_markdown(statement(CLAIMS, [], CASES, ON))
    assert "nothing here is verified" in text
    assert f"| {VERIFIED} |" not in text


def test_every_row_of_markdown_has_as_many_cells_as_its_head() -> None:
    hostile = Table(("One", "Two"), (("a | b\n| c", "<script>&"),))
    assert as_markdown([hostile]).splitlines()[2] == "| a \\| b \\| c | &lt;script>&amp; |"


class Tags(HTMLParser):
    """Which elements a page opens and does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_what_is_in_it_is_escaped() -> None:
    hostile = replace(GOOD, system='<script>alert("x")</script> & co')
    page = as_html(statement(CLAIMS, [hostile], CASES, ON))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; co" in page
    assert etree.HTML(page).findtext(".//h1") == f"radgate {VERSION}: conformance"
    assert as_html([Heading(1, "a < b")]).count("a &lt; b") == 2


def written(path: Path, verdicts: dict[str, Verdict]) -> Path:
    """A result as `run --json` has it."""
    told = json.loads(as_json(Run(system="a house", strict=True, at=GOOD.at), requirements()))
    told["results"] = [{"case": id, "verdict": verdict} for id, verdict in verdicts.items()]
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def test_a_result_is_read_as_a_run_writes_it(tmp_path: Path) -> None:
    assert read_result(written(tmp_path / "result.json", GOOD.verdicts)) == GOOD


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "yesterday"}'])
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadResult, match="is no result of"):
        read_result(tmp_path / "result.json")


def test_the_check_ends_with_1_where_a_claimed_case_failed_and_the_page_is_written_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "statement.html"
    for verdicts, code in ((GOOD.verdicts, 0), (but(Verdict.FAIL).verdicts, 1)):
        result = written(tmp_path / "result.json", verdicts)
        words = ["--result", str(result), "--output", str(page), "--check"]  # its name says that it is a page
        monkeypatch.setattr(sys, "argv", ["radgate", "conformance", "statement", *words])
        assert main() == code
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert f"{RAD_69[0]} ended with fail" in capsys.readouterr().err


def rows_of(first: str, seen: Sequence[Seen]) -> list[tuple[str, ...]]:
    """The rows of the tables whose first column is called so."""
    blocks = statement(CLAIMS, seen, CASES, ON)
    return [row for block in blocks if isinstance(block, Table) and block.head[0] == first for row in block.rows]


def test_the_summary_says_of_every_actor_how_far_it_is_verified() -> None:
    def of(seen: Sequence[Seen]) -> tuple[str, ...]:
        (row,) = [
            row
            for row in rows_of("Integration profile", seen)
            if row[0].endswith("(XDS-I.b)") and row[1] == Actor.IMAGING_DOCUMENT_SOURCE
        ]
        return row[3:]

    assert of([GOOD]) == (VERIFIED, "")
    assert of([but(Verdict.FAIL)]) == (f"in part {VERIFIED}", f"RAD-69: {NOT_VERIFIED}")
    assert of([]) == (NOT_VERIFIED, "")
    summary = rows_of("Integration profile", [GOOD])
    assert len({row[:2] for row in summary}) == len(summary)
    assert {actor for actor, _ in CLAIMS.by_pair} == {row[1] for row in summary}
    assert set(TITLES) == set(PROFILES)


def test_what_is_claimed_and_not_verified_stands_together_with_the_cases_that_are_to_blame() -> None:
    def why(seen: Sequence[Seen]) -> list[str]:
        return [
            row[2]
            for row in rows_of("Transaction or option", seen)
            if row[:2] == ("RAD-69", Actor.IMAGING_DOCUMENT_SOURCE)
        ]

    assert why([GOOD]) == []
    assert why([but(Verdict.FAIL)]) == [f"{RAD_69[0]}: fail"]
    assert why([but(None)]) == [f"{RAD_69[0]}: not run"]
    (many,) = why([])
    assert many.endswith(f"; and {len(RAD_69) - 6} more")


def test_how_many_of_its_requirements_cases_prove_stands_beside_a_claim() -> None:
    ((proved, of),) = [
        row[5].split(" of ")
        for row in rows_of("Transaction", [GOOD])
        if row[0].startswith("RAD-69:") and row[1] == Actor.IMAGING_DOCUMENT_SOURCE
    ]
    asked = [
        each
        for each in requirements().values()
        if each.transaction == "RAD-69" and each.actor in (Actor.IMAGING_DOCUMENT_SOURCE, None)
    ]
    assert int(of) == len(asked)
    assert int(proved) == sum(not each.not_tested for each in asked)


def test_the_dicom_part_says_what_is_searched_coerced_and_answered() -> None:
    text = as_markdown(statement(CLAIMS, [GOOD], CASES, ON))
    assert "AccessionNumber, " in text
    assert "| (0010,0020) | Patient ID |" in text
    assert "| unknown document | 404 | 0112 |" in text
    assert "DIMSE" in text
