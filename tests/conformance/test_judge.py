"""The suite as a program: what it lists, what it says of a house, and which reports it leaves behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from conformance.case import Case, case
from conformance.evidence import Exchange, Message
from conformance.expect import expect
from conformance.house import reason_of
from conformance.report import as_html, as_json, as_junit, explained
from conformance.rows import coverage, requirements
from conformance.runner import Result, run
from conformance.suites import cases
from conformance.suites.pix.messages import adt
from conformance.system import HL7, BadDescription, System, read_system
from conformance.target import Target
from conformance.verdict import Failed, Unreachable, Verdict
from profiles.catalogue import transaction
from profiles.findings import Finding, Severity
from profiles.transaction import Actor
from profiles.wire.hl7v2.address import Hl7Address

SOURCE = Actor.IMAGING_DOCUMENT_SOURCE
ROWS = requirements()
CLAIMED = System(name="<nobody>", endpoints={}, claims=frozenset({(SOURCE, "RAD-69")}))


def of(body: object, actor: Actor = SOURCE) -> Case:
    return case("RAD69-schema", transaction="RAD-69", actor=actor, title="A case & its <title>")(body)  # type: ignore[arg-type]


async def passing(target: Target) -> None:
    expect(1, "one").equals(1)


async def failing(target: Target) -> None:
    expect("came \x00 so", "the answer").equals("otherwise")


async def breaking(target: Target) -> None:
    raise ZeroDivisionError("the tester's own")


async def nowhere(target: Target) -> None:
    target.endpoint("RAD-69")


async def warned(target: Target) -> None:
    target.findings.append(Finding(rule="a/rule", text="odd", severity=Severity.WARNING))


async def noticed(target: Target) -> None:
    target.findings.append(Finding(rule="a/rule", text="wrong"))


async def test_each_end_of_a_case_has_its_verdict(tmp_path: Path) -> None:
    bodies = (passing, failing, breaking, nowhere, warned, noticed)
    done = await run([*map(of, bodies), of(passing, Actor.FHIR_SERVER)], CLAIMED, tmp_path)
    assert [result.verdict for result in done.results] == [
        Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.SKIP, Verdict.PASS, Verdict.FAIL, Verdict.OMIT,
    ]  # fmt: skip
    assert done.results[1].detail.startswith("expected the answer to be otherwise; it is came")
    assert done.results[5].detail == "a/rule: wrong"
    assert not done.good


async def test_a_warning_fails_where_the_run_is_strict(tmp_path: Path) -> None:
    done = await run([of(warned)], CLAIMED, tmp_path, strict=True)
    assert done.results[0].verdict is Verdict.FAIL


async def test_a_claimed_case_that_cannot_be_tried_is_not_good(tmp_path: Path) -> None:
    assert not (await run([of(nowhere)], CLAIMED, tmp_path)).good
    assert (await run([of(nowhere, Actor.FHIR_SERVER)], CLAIMED, tmp_path)).good


async def test_reports_hold_every_verdict_whatever_is_in_it(tmp_path: Path) -> None:
    done = await run([of(passing), of(failing), of(nowhere), of(breaking)], CLAIMED, tmp_path)
    told = json.loads(as_json(done, ROWS))
    assert told["verdicts"] == {"pass": 1, "fail": 1, "skip": 1, "omit": 0, "error": 1}
    junit = etree.fromstring(as_junit(done, ROWS))
    suite = junit.find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "1"]
    page = as_html(done, ROWS, "evidence")
    assert "&lt;nobody&gt;" in page
    assert "<title>A case" not in page


def test_every_requirement_has_a_case_or_a_reason_and_not_both() -> None:
    for each in coverage(cases(), ROWS):
        assert bool(each.cases) is not bool(each.requirement.not_tested), each.requirement.id


def test_every_case_is_of_a_known_transaction_and_proves_rows_of_its_actor() -> None:
    ids = [each.id for each in cases()]
    assert len(set(ids)) == len(ids)
    for each in cases():
        transaction(each.transaction)
        for id in each.requirements:
            assert ROWS[id].asks(each), each.id


def test_an_expectation_says_what_is_missing_and_what_is_too_much() -> None:
    expect(["a", "b"], "letters").has_same(["b", "a"])
    with pytest.raises(Failed, match=r"letters to be the 2 that were asked for: 1 missing \(b\), 1 extra \(c\)"):
        expect(["a", "c"], "letters").has_same(["a", "b"])
    with pytest.raises(Failed, match="it is nothing"):
        expect("", "the status").is_there()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "cannot be read"),
        ("nome = 'x'", "nothing is called nome"),
        ("[claims]\n'Imaging Source' = ['RAD-69']", "no actor is called 'Imaging Source'"),
        ("[claims]\n'Imaging Document Source' = ['RAD-690']", "no transaction is called 'RAD-690'"),
        ("[endpoint]\n'RAD-690' = 'http://localhost/'", "neither a transaction"),
        ("[endpoint]\n'Initiating Gateway RAD-690' = 'http://localhost/'", "neither a transaction"),
        ("[endpoint]\n'Initiator RAD-69' = 'http://localhost/'", "neither a transaction"),
        ("[known]\nhome_community_id = 'x'", "no OID"),
        ("[known]\nhome = '1.2'", r"\[known\] takes"),
        ("[hl7]\nsending = 'A|B'", r"\[hl7\] takes sender and receiver"),
        ("[hl7]\nsender = 'A'", r"\[hl7\] sender is application\|facility"),
        ("[hl7]\nreceiver = 'A|'", r"\[hl7\] receiver is application\|facility"),
        ("[hl7]\nreceiver = 'A|B&C'", r"\[hl7\] receiver is application\|facility"),
        ('[hl7]\nreceiver = "A|B\\rC"', r"\[hl7\] receiver is application\|facility"),
        ("[[study]]\nfolder = 'nothing'", "holds 0 studies"),
        ("[tls]\ntrust = 'nothing.pem'", r"\[tls\]"),
        ("[tls]\nroot = 'nothing.pem'", r"\[tls\] takes"),
    ],
)
def test_a_description_that_cannot_be_used_says_why(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "system.toml"
    path.write_text(text)
    with pytest.raises(BadDescription, match=complaint):
        read_system(path)


def test_a_description_gives_a_system(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_text(
        "name = 'Theirs'\n[claims]\n'Imaging Document Source' = ['RAD-69']\n"
        "[endpoint]\n'RAD-69' = 'https://theirs.example/ids'\nDICOMWEB = 'https://theirs.example/web/'\n"
        "[known]\nretrieve_location_uid = 'urn:oid:1.2.3'\nother_patient_authority = '1.2.4'\n"
    )
    system = read_system(path)
    assert (system.name, system.retrieve_location_uid) == ("Theirs", "1.2.3")
    assert system.other_patient_authority == "1.2.4"
    assert system.endpoints["DICOMWEB"] == "https://theirs.example/web"
    assert system.claims_to(SOURCE, "RAD-69")
    assert system.hl7 == HL7


def test_a_description_names_who_feeds_and_who_is_fed(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_text("[hl7]\nsender = 'ADT|Clinic'\nreceiver = 'REGISTRY^1.2.3^ISO|Region'\n")
    system = read_system(path)
    assert system.hl7 == Hl7Address(
        sending_application="ADT", sending_facility="Clinic", receiving_application="REGISTRY^1.2.3^ISO",
        receiving_facility="Region",
    )  # fmt: skip
    target = Target(system, None, None)  # type: ignore[arg-type]
    assert adt(target, "A04", "PID|||1").startswith(b"MSH|^~\\&|ADT|Clinic|REGISTRY^1.2.3^ISO|Region|")


def radgate(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "conformance", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_command_line_lists_cases_and_coverage() -> None:
    told = json.loads(radgate("list", "--transaction", "rad-69", "--json").stdout)
    assert {each["id"] for each in told} == {each.id for each in cases() if each.transaction == "RAD-69"}
    assert {each["id"] for each in json.loads(radgate("coverage", "--json").stdout)} == set(ROWS)
    refused = radgate("list", "--case", "no such case")
    assert refused.returncode == 1
    assert "no case is so" in refused.stderr


def test_a_run_that_fails_says_so_with_its_evidence(tmp_path: Path) -> None:
    """A house whose messages are edited, and the files that tell of it."""
    done = radgate(
        "run", "--self", "--case", "source_retrieve/missing_instance", "--fault", "RAD-69/partial-as-success",
        "--evidence", str(tmp_path / "evidence"), "--json", str(tmp_path / "result.json"),
        "--junit", str(tmp_path / "junit.xml"), "--html", str(tmp_path / "page" / "index.html"),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads((tmp_path / "result.json").read_text())
    (result,) = told["results"]
    assert result["verdict"] == "fail"
    assert [line.partition(":")[0] for line in result["explained"]] == ["sent", "came", "asked", "asked", "look at"]
    assert b"PartialSuccess" in (tmp_path / "evidence" / result["evidence"] / "1-response.txt").read_bytes()
    assert "../evidence/" in (tmp_path / "page" / "index.html").read_text()


def test_unreachable_is_a_skip_with_what_would_help() -> None:
    with pytest.raises(Unreachable, match=r"name it below \[endpoint\]"):
        Target(CLAIMED, None, None).endpoint("RAD-69")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("came", "expected", "name", "sentence"),
    [
        (True, False, "whether a page is empty", "did not expect that a page is empty; it is so"),
        (False, True, "whether a page is empty", "expected that a page is empty; it is not so"),
        ([], ["a"], "what came", "expected what came to be [a]; it is nothing"),
        (Verdict.FAIL, Verdict.PASS, "it", "expected it to be pass; it is fail"),
        ({"a": 1}, {}, "it", "expected it to be nothing; it is a: 1"),
        (
            Hl7Address(sending_application="A", sending_facility="B", receiving_application="", receiving_facility="D"),
            None, "an answer",
            "expected an answer to be nothing; it is Hl7Address(sending_application A, sending_facility B, "
            "receiving_facility D)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_a_sentence_without_the_words_of_a_program(
    came: object, expected: object, name: str, sentence: str
) -> None:
    with pytest.raises(Failed) as failed:
        expect(came, name).equals(expected)
    assert str(failed.value) == sentence
    expect(expected, name).equals(expected)


def result_of(*exchanges: Exchange) -> Result:
    return Result(
        case=cases()[0], verdict=Verdict.FAIL, detail="x", findings=(), exchanges=exchanges, folder="a_case", ms=1.0
    )  # fmt: skip


def exchange(number: int, address: str, head: str = "", size_bytes: int = 10) -> Exchange:
    answer = Message(head=head, size_bytes=size_bytes, file=f"{number}-response.txt")
    asked = Message(size_bytes=5, file=f"{number}-request.txt") if address else Message()
    return Exchange(
        number=number, transaction="ITI-8", address=address, began_s=0.0, request=asked, response=answer, ms=7.0
    )


@pytest.mark.parametrize(
    ("exchanges", "lines"),
    [
        (
            [exchange(1, "mllp://a:1")],
            ["sent: ITI-8 to mllp://a:1, 5 bytes", "came: 10 bytes after 7 ms",
             "look at: a_case/ 1-request.txt, 1-response.txt"],
        ),
        (
            [exchange(1, "http://a", "HTTP/1.1 204 No Content\r\nA: b", 0)],
            ["sent: ITI-8 to http://a, 5 bytes", "came: HTTP 204 No Content, without a body after 7 ms",
             "look at: a_case/ 1-request.txt, 1-response.txt"],
        ),
        (
            [exchange(1, "http://a", "HTTP/1.1 202 Accepted"), exchange(2, "")],
            ["sent: ITI-8 to http://a, 5 bytes", "came: HTTP 202 Accepted, 10 bytes after 7 ms",
             "came by itself: ITI-8, 10 bytes",
             "look at: a_case/ 1-request.txt, 1-response.txt, 2-response.txt"],
        ),
        ([exchange(1, "")], ["came by itself: ITI-8, 10 bytes", "look at: a_case/ 1-response.txt"]),
        ([], []),
    ],
)  # fmt: skip
def test_a_failure_says_what_was_sent_what_came_and_where_both_are(exchanges: list[Exchange], lines: list[str]) -> None:
    said = explained(result_of(*exchanges), ROWS)
    assert [each for each in said if not each.startswith("asked: ")] == lines
    assert any(each.startswith("asked: ") for each in said)


async def test_the_page_begins_with_what_is_not_good_and_every_way_there_leads_somewhere(tmp_path: Path) -> None:
    done = await run([of(passing), of(failing), of(nowhere), of(breaking)], CLAIMED, tmp_path)
    page = etree.HTML(as_html(done, ROWS, "evidence"))
    blamed = page.findall(".//ul/li")
    assert [each.find("span").text for each in blamed] == ["fail", "error", "skip"]
    ids = {each.get("id") for each in page.iter() if each.get("id")}
    ways = [each.get("href").removeprefix("#") for each in page.iterfind(".//a") if each.get("href").startswith("#")]
    assert len(ways) == 4  # three cases, one suite
    assert set(ways) <= ids
    good = etree.HTML(as_html(await run([of(passing)], CLAIMED, tmp_path), ROWS, "evidence"))
    assert good.findall(".//ul") == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no such thing", "no such thing"),
        ('{"error": {"code": 1, "detail": "no such study", "cure": "push it"}}', "no such study push it"),
        ('{"state": "incomplete", "reason": "2 did not come", "steps": []}', "incomplete: 2 did not come"),
        ('{"state": "ready"}', '{"state": "ready"}'),
        ("[1]", "[1]"),
    ],
)
def test_of_a_command_that_failed_the_reason_is_told(said: str, reason: str) -> None:
    assert reason_of(said) == reason
