"""The building blocks say exactly what the tables say, and split records by patient and by outcome."""

from dataclasses import replace

import pytest

from profiles.errors import (
    AccessDenied,
    Busy,
    ExchangeError,
    InternalFault,
    PeerTimeout,
    RuleViolation,
    UnknownDocument,
)
from profiles.model.audit import Action, ActiveParticipant, NetworkAccessPoint, Outcome, ParticipantObject
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.wire.audit import participants as p
from profiles.wire.audit.facts import Party, Side
from tests.profiles.wire.audit.records import AT, DOCTOR, FACTS, PATIENT, STUDY

OTHER = PatientIdentifier(value="W9", authority=Oid("1.2.3.4"))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("10.1.2.3", NetworkAccessPoint.ADDRESS),
        ("::1", NetworkAccessPoint.ADDRESS),
        ("[2001:db8::1]", NetworkAccessPoint.ADDRESS),
        ("fe80::1%eth0", NetworkAccessPoint.ADDRESS),
        ("gw.example", NetworkAccessPoint.NAME),
        ("", None),
    ],
)
def test_an_address_is_an_ip_address_or_a_name(address: str, kind: NetworkAccessPoint | None) -> None:
    assert p.access_point(address) is kind


def test_source_and_destination_carry_role_process_and_address() -> None:
    assert p.source(FACTS.local, requestor=True) == ActiveParticipant(
        user_id="https://valley.example/soap/repository",
        alternative_user_id="4711",
        is_requestor=True,
        roles=(p.SOURCE_ROLE,),
        network_access_point="valley.example",
        network_access_point_type=NetworkAccessPoint.NAME,
    )
    assert [role.code for role in p.destination(FACTS.remote, requestor=False).roles] == ["110152"]


def test_a_party_without_a_name_is_its_address() -> None:
    assert p.source(Party(user_id="", network_address="10.0.0.9"), requestor=True).user_id == "10.0.0.9"
    assert p.source(Party(user_id=""), requestor=True).user_id == "unknown"


def test_initiator_and_responder_depend_on_whose_record_it_is() -> None:
    assert p.initiator(Side.INITIATOR, FACTS) == p.responder(Side.RESPONDER, FACTS) == FACTS.local
    assert p.initiator(Side.RESPONDER, FACTS) == p.responder(Side.INITIATOR, FACTS) == FACTS.remote


def details(subject: ParticipantObject) -> dict[str, bytes]:
    return dict(subject.details)


@pytest.mark.parametrize(
    ("subject", "codes", "id_", "said"),
    [
        (p.patient_object(PATIENT), (1, 1, "2", "RFC-3881"), "V123^^^&1.2.3.4&ISO", {}),
        (
            p.patient_object(PATIENT, message_control_id="M1"),
            (1, 1, "2", "RFC-3881"),
            "V123^^^&1.2.3.4&ISO",
            {"MSH-10": b"M1"},
        ),
        (
            p.submission_set_object("1.2"),
            (2, 20, "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "IHE XDS Metadata"),
            "1.2",
            {},
        ),
        (
            p.document_object("1.2", "1.3", Oid("1.4")),
            (2, 3, "9", "RFC-3881"),
            "1.2",
            {"Repository Unique ID": b"1.3", "ihe:homeCommunityID": b"urn:oid:1.4"},
        ),
        (
            p.query_object("urn:uuid:1", b"q", p.transaction_code("ITI-18", "x"), encoding="UTF-8", home=Oid("1.4")),
            (2, 24, "ITI-18", "IHE Transactions"),
            "urn:uuid:1",
            {"QueryEncoding": b"UTF-8", "urn:ihe:iti:xca:2010:homeCommunityId": b"urn:oid:1.4"},
        ),
        (
            p.study_object(STUDY, documents=["1.9"], series=["1.8"], repository_unique_id="1.3", home=Oid("1.4")),
            (2, 3, "110180", "DCM"),
            "1.2.3.4.5",
            {
                "Repository Unique Id": b"1.3",
                "ihe:homeCommunityID": b"urn:oid:1.4",
                "Series Instance Unique Id": b"1.8",
                "ihe:DocumentUniqueId": b"1.9",
            },
        ),
        (p.dicom_query_object(b"/studies"), (2, 3, "110181", "DCM"), p.STUDY_ROOT_FIND, {"QueryEncoding": b"UTF-8"}),
        (p.alert_object("10.0.0.9", "why"), (2, 13, "110182", "DCM"), "10.0.0.9", {"Alert Description": b"why"}),
        (p.alert_object("https://x/y", "why"), (2, 13, "12", "RFC-3881"), "https://x/y", {"Alert Description": b"why"}),
        (p.audit_log_object("https://x/audit"), (2, 13, "12", "RFC-3881"), "https://x/audit", {}),
    ],
)
def test_objects_are_as_the_tables_have_them(
    subject: ParticipantObject, codes: tuple[int, int, str, str], id_: str, said: dict[str, bytes]
) -> None:
    assert (subject.type_code, subject.role, subject.id_type.code, subject.id_type.system) == codes
    assert subject.id == id_
    assert details(subject) == said


@pytest.mark.parametrize(
    ("error", "outcome", "description"),
    [
        (None, Outcome.SUCCESS, ""),
        (AccessDenied("not you"), Outcome.MINOR_FAILURE, "not you"),
        (RuleViolation("wrong", code="XDSNonIdenticalHash"), Outcome.MINOR_FAILURE, "XDSNonIdenticalHash: wrong"),
        (PeerTimeout("slow"), Outcome.SERIOUS_FAILURE, "slow"),
        (Busy("full"), Outcome.SERIOUS_FAILURE, "full"),
        (InternalFault("defect"), Outcome.SERIOUS_FAILURE, "defect"),
    ],
)
def test_an_outcome_says_who_must_act(error: ExchangeError | None, outcome: Outcome, description: str) -> None:
    made = p.record(p.QUERY, Action.EXECUTE, replace(FACTS, error=error), participants=())
    assert (made.outcome, made.outcome_description) == (outcome, description)


def test_a_record_takes_time_source_person_and_purpose_from_the_facts() -> None:
    made = p.record(p.QUERY, Action.EXECUTE, FACTS, participants=(p.source(FACTS.remote, requestor=True),))
    assert (made.at, made.source_id, made.enterprise_site_id) == (AT, "valley", "1.2.3.1")
    assert made.participants[-1] == p.person(DOCTOR)
    assert made.purposes == DOCTOR.purposes
    assert p.record(p.QUERY, Action.EXECUTE, replace(FACTS, user=None), participants=()).participants == ()


def test_there_is_one_record_a_patient_and_one_when_nobody_is_known() -> None:
    assert list(p.for_each_patient([PATIENT, OTHER, PATIENT])) == [
        (p.patient_object(PATIENT),),
        (p.patient_object(OTHER),),
    ]
    assert list(p.for_each_patient([])) == [()]


ERROR = PeerTimeout("slow")
REFUSED = UnknownDocument("unknown")


@pytest.mark.parametrize(
    ("delivered", "undelivered", "error", "groups"),
    [
        ((), (), None, [(0, ("a", "b"))]),
        ((), (), ERROR, [(8, ("a", "b"))]),
        (("a", "b"), (), None, [(0, ("a", "b"))]),
        (("a",), ("b",), None, [(0, ("a",)), (4, ("b",))]),
        ((), ("a", "b"), None, [(4, ("a", "b"))]),
        (("a",), (), ERROR, [(0, ("a",)), (8, ("b",))]),
        (("a",), ("b",), REFUSED, [(0, ("a",)), (4, ("b",))]),
        (("a", "b"), (), ERROR, [(0, ("a", "b")), (8, ("a", "b"))]),
    ],
)
def test_there_is_one_record_an_outcome(
    delivered: tuple[str, ...],
    undelivered: tuple[str, ...],
    error: ExchangeError | None,
    groups: list[tuple[int, tuple[str, ...]]],
) -> None:
    facts = replace(FACTS, delivered=delivered, undelivered=undelivered, error=error)
    found = list(p.for_each_outcome(facts, ("a", "b")))
    assert [(int(group.outcome), group.parts) for group in found] == groups
    assert all(bool(group.description) == (group.outcome != Outcome.SUCCESS) for group in found)


@pytest.mark.parametrize(
    ("who", "system"),
    [
        (p.source(FACTS.remote, requestor=True), True),
        (p.system(FACTS.local, requestor=True), True),
        (p.person(DOCTOR), False),
        (ActiveParticipant(user_id="HOSP|ADT", is_requestor=True), True),
        (ActiveParticipant(user_id="10.0.0.9", is_requestor=True), True),
        (ActiveParticipant(user_id="clara", is_requestor=True, network_access_point="10.0.0.9"), False),
    ],
)
def test_people_are_told_from_systems(who: ActiveParticipant, system: bool) -> None:
    assert p.is_system(who) is system
