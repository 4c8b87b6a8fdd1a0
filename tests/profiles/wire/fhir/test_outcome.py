import json
from pathlib import Path

import pytest

from profiles import errors
from profiles.errors import (
    Busy,
    Condition,
    ExchangeError,
    InternalFault,
    MalformedMessage,
    OutOfResources,
    PeerTimeout,
    PeerUnavailable,
    RuleViolation,
    Unauthenticated,
    UnknownDocument,
    Unsupported,
)
from profiles.findings import Finding, Severity
from profiles.wire.fhir.outcome import EXACT, OUTCOMES, headers_of, outcome, verdict_of, warnings
from tests.support.fhir import ordered_like_the_standard, profile_issues, typed
from tests.support.judges import standards

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ExchangeError)]


def test_every_condition_has_an_answer() -> None:
    assert set(OUTCOMES) == set(Condition)


@pytest.mark.judge_standard
def test_issue_types_are_those_of_fhir() -> None:
    published = json.loads(standards("fhir-igs", "terminology", "CodeSystem-issue-type.json").read_text())

    def codes(concepts: list[dict[str, object]]) -> set[str]:
        found = {str(concept["code"]) for concept in concepts}
        return found.union(*(codes(concept.get("concept", [])) for concept in concepts))  # type: ignore[arg-type]

    assert {verdict.issue for verdict in (*OUTCOMES.values(), *EXACT.values())} | {"timeout", "incomplete"} <= codes(
        published["concept"]
    )


@pytest.mark.judge_standard
def test_every_error_is_a_valid_outcome(tmp_path: Path) -> None:
    told = [outcome(kind("what is wrong", location="ImagingStudy.started")) for kind in KINDS]
    assert profile_issues(tmp_path, *told) == []
    assert [wrong for each in told for wrong in ordered_like_the_standard(each)] == []
    for each in told:
        typed(each)


@pytest.mark.parametrize(
    ("error", "status", "issue"),
    [
        (MalformedMessage("x"), 400, "invalid"),
        (MalformedMessage("x", code="value"), 400, "value"),
        (UnknownDocument("x"), 404, "not-found"),
        (UnknownDocument("x", code="deleted"), 410, "deleted"),
        (Unsupported("x"), 400, "not-supported"),
        (Unsupported("x", code="not-acceptable"), 406, "not-supported"),
        (Unsupported("x", code="unsupported-media-type"), 415, "not-supported"),
        (Unsupported("x", code="method-not-allowed"), 405, "not-supported"),
        (Unauthenticated("x"), 401, "login"),
        (PeerUnavailable("x"), 503, "transient"),
        (PeerTimeout("x"), 504, "timeout"),
        (InternalFault("x"), 500, "exception"),
        (RuleViolation("x", code="XDSNonIdenticalHash"), 422, "business-rule"),  # another wire's code says nothing here
    ],
)
def test_the_code_wins_over_the_condition(error: ExchangeError, status: int, issue: str) -> None:
    assert verdict_of(error) == (status, issue)
    assert outcome(error)["issue"][0]["code"] == issue


def test_what_http_wants_beside_the_status() -> None:
    assert headers_of(Unauthenticated("x")) == (("WWW-Authenticate", 'Bearer realm="radgate"'),)
    assert headers_of(Busy("x")) == (("Retry-After", "5"),)
    assert headers_of(OutOfResources("x")) == (("Retry-After", "30"),)
    assert headers_of(Unsupported("x", code="method-not-allowed")) == (("Allow", "GET, HEAD"),)
    assert headers_of(MalformedMessage("x")) == ()


def test_elements_are_expressions_and_parameters_and_headers_are_locations_of_http() -> None:
    def place(location: str) -> tuple[object, object]:
        told = outcome(MalformedMessage("x", location=location))["issue"][0]
        return told.get("expression"), told.get("location")

    assert place("ImagingStudy.series[2].uid") == (["ImagingStudy.series[2].uid"], None)
    assert place("Patient.id") == (["Patient.id"], None)
    assert place("subject:Patient.identifier") == (None, ["http.subject:Patient.identifier"])
    assert place("_count") == (None, ["http._count"])
    assert place("Content-Type") == (None, ["http.Content-Type"])
    assert place("/studies/1.2") == (None, None)
    assert place("1.2.3") == (None, None)
    assert place("Müller") == (None, None)
    assert place("a" * 200) == (None, None)
    assert place("") == (None, None)


def test_findings_are_issues_of_their_own() -> None:
    found = (
        Finding(rule="a", text="first", code="required", location="identifier"),
        Finding(rule="b", text="second", severity=Severity.WARNING),
    )
    assert outcome(RuleViolation("both", findings=found))["issue"] == [
        {"severity": "error", "code": "required", "diagnostics": "first", "location": ["http.identifier"]},
        {"severity": "warning", "code": "business-rule", "diagnostics": "second"},
    ]


def test_a_foreign_code_of_a_finding_does_not_slip_into_the_outcome() -> None:
    found = (Finding(rule="a", text="first", code="XDSRegistryError"),)
    assert outcome(RuleViolation("x", findings=found))["issue"][0]["code"] == "business-rule"


def test_warnings_are_warnings() -> None:
    told = warnings((Finding(rule="index", text="the index is not complete", severity=Severity.WARNING),))
    assert told["issue"] == [{"severity": "warning", "code": "incomplete", "diagnostics": "the index is not complete"}]
