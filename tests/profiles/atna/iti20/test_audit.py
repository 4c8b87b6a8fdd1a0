"""Events that belong to no transaction: valid, told plainly, and with the participants that PS3.15 asks for."""

import pytest
from lxml import etree

from profiles import atna
from profiles.model.audit import AuditRecord, Outcome
from profiles.wire.audit.message import encode
from profiles.wire.audit.sentences import sentence
from tests.profiles.wire.audit.records import AT, FACTS, PATIENT
from tests.support.judges import standards

EVENTS: dict[str, tuple[tuple[AuditRecord, ...], str]] = {
    "start": (
        atna.application_started(at=AT, source_id="valley", house=FACTS.local, launcher="root"),
        "valley.example started; it succeeded.",
    ),
    "stop": (
        atna.application_stopped(at=AT, source_id="valley", house=FACTS.local),
        "valley.example stopped; it succeeded.",
    ),
    "login": (
        atna.logged_in(at=AT, source_id="valley", house=FACTS.local, person="clara", address="10.0.0.9"),
        "clara logged in to valley; it succeeded.",
    ),
    "failed login": (
        atna.logged_in(at=AT, source_id="valley", house=FACTS.local, person="clara", failure="wrong password"),
        "clara tried to log in to valley; it failed: wrong password.",
    ),
    "logout": (
        atna.logged_out(at=AT, source_id="valley", house=FACTS.local, person="clara"),
        "clara logged out of valley; it succeeded.",
    ),
    "decision about a study": (
        atna.operator_decision(
            at=AT,
            source_id="valley",
            house=FACTS.local,
            person="clara",
            text="released",
            patient=PATIENT,
            study_instance_uid="1.2",
        ),
        "clara changed the record of the study 1.2 of patient V123; it succeeded: released.",
    ),
    "decision about a patient": (
        atna.operator_decision(
            at=AT, source_id="valley", house=FACTS.local, person="clara", text="linked", patient=PATIENT
        ),
        "clara changed the record of patient V123; it succeeded: linked.",
    ),
    "decision about nothing in particular": (
        atna.operator_decision(at=AT, source_id="valley", house=FACTS.local, person="clara", text="job cancelled"),
        "clara used a restricted function: job cancelled; for information.",
    ),
    "restricted function": (
        atna.restricted_function_used(
            at=AT, source_id="valley", house=FACTS.local, person="clara", text="looked at a raw message"
        ),
        "clara used a restricted function: looked at a raw message; for information.",
    ),
    "configuration": (
        atna.configuration_changed(at=AT, source_id="valley", house=FACTS.local, person="clara", text="peer added"),
        "clara changed the settings: peer added; for information.",
    ),
    "log used": (
        atna.audit_log_used(at=AT, source_id="valley", house=FACTS.local, person="clara", query=b"patient=V123"),
        "clara looked at the audit log; it succeeded.",
    ),
    "collector down": (
        atna.forwarding_stopped(
            at=AT, source_id="valley", house=FACTS.local, collector="tls://c:6514", reason="connection refused"
        ),
        "valley.example reported for security: audit records do not reach tls://c:6514 and are kept here: connection"
        " refused; it needs attention.",
    ),
    "collector back": (
        atna.forwarding_resumed(at=AT, source_id="valley", house=FACTS.local, collector="tls://c:6514"),
        "valley.example reported for security: audit records reach tls://c:6514 again; for information.",
    ),
    "log damaged": (
        atna.log_damaged(at=AT, source_id="valley", house=FACTS.local, text="records 3 to 5 were deleted"),
        "valley.example reported for security: records 3 to 5 were deleted; the system may be compromised.",
    ),
}


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_is_told_plainly(event: str) -> None:
    ((made,), told) = EVENTS[event]
    assert sentence(made) == told


@pytest.mark.judge_standard
@pytest.mark.parametrize("event", EVENTS)
def test_each_event_is_valid(event: str) -> None:
    judge = etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd")))
    for made in EVENTS[event][0]:
        judge.assertValid(etree.fromstring(encode(made)))


@pytest.mark.parametrize("event", EVENTS)
def test_somebody_started_each_event(event: str) -> None:
    ((made,), _) = EVENTS[event]
    assert sum(who.is_requestor for who in made.participants) == (0 if event == "stop" else 1)


def test_the_search_criteria_are_kept_with_the_look_at_the_log() -> None:
    ((made,), _) = EVENTS["log used"]
    assert dict(made.objects[0].details) == {"Search Criteria": b"patient=V123"}
    assert made.objects[0].name == "Security Audit Log"


def test_only_a_damaged_log_is_a_major_failure() -> None:
    assert [name for name, ((made,), _) in EVENTS.items() if made.outcome is Outcome.MAJOR_FAILURE] == ["log damaged"]
