"""ITI-44: records added, revised and merged, as we write them and as others do; rules; audit on both sides."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.catalogue import by_soap_action
from profiles.errors import MalformedMessage, UnknownPatient
from profiles.findings import Decoded, Severity
from profiles.model.audit import Action, Outcome
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import PersonName, Sex
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.transaction import Side
from profiles.wire.audit.participants import PATIENT_RECORD
from profiles.wire.hl7v3.ack import of_error
from profiles.wire.hl7v3.transmission import UNSENT
from tests.profiles.pixv3.messages import ADD, GONE, MERGE, REVISE
from tests.profiles.xds.audited import DOWN, ME, THEM, details, facts, ids, parties
from tests.profiles.xds.audited import judge as judge_audit
from tests.support.ebxml import parse, soap_in, written
from tests.support.hl7v3 import OURS, SENT, ZOE, judge, sample

ALL = [ADD, REVISE, MERGE]


def decode(body: Any, event: RecordEvent) -> Decoded[PatientRecordRequest]:
    return BY_EVENT[event].decode_request(soap_in(body))


def rules(request: PatientRecordRequest) -> list[tuple[str, str]]:
    return [(each.rule, each.code) for check in ITI_44.checks for each in check(request)]


@pytest.mark.parametrize("request_", ALL, ids=lambda each: each.event.name)
def test_a_record_is_read_as_it_was_written(request_: PatientRecordRequest) -> None:
    read = decode(written(ITI_44.encode_request(request_)), request_.event)
    assert read.value == request_
    assert read.findings == ()
    assert rules(read.value) == []


@pytest.mark.judge_standard
@pytest.mark.parametrize("request_", ALL, ids=lambda each: each.event.name)
def test_the_published_schemas_accept_it(request_: PatientRecordRequest) -> None:
    judge(written(ITI_44.encode_request(request_)))
    judge(written(ITI_44.encode_request(replace(request_, transmission=UNSENT))))


@pytest.mark.judge_standard
def test_a_new_record_of_others_is_read() -> None:
    read = decode(sample("iti-44", "PIX_FEED_REG_Maximal_Request.xml"), RecordEvent.ADD)
    patient = read.value.patient
    assert [str(each) for each in patient.identifiers] == [
        "PIX10515W3^^^&1.3.6.1.4.1.21367.2005.1.1&ISO",
        "PIX10515W4^^^&1.2.3.4.5.1000&ISO",
        "100-09-1234^^^&2.16.840.1.113883.4.1&ISO",
        "100-09-123456^^^&1.2.3&ISO",
    ]
    assert patient.name == PersonName(family="WASHINGTON", given="MARY", middle="ROSE", prefix="Dr.", suffix="II")
    assert (patient.sex, patient.birth_date and patient.birth_date.dtm) == (Sex.FEMALE, "19771208")
    assert patient.address == "100 JORIE BLVD^^CHICAGO^IL^60523^US"
    assert read.value.said == {"name", "birth_date", "sex", "address"}
    assert [each.rule for each in read.findings] == ["hl7v3.no-known-authority"]  # the id that names no OID
    assert rules(read.value) == []
    judge(written(ITI_44.encode_request(read.value)))


@pytest.mark.judge_standard
def test_a_merge_of_others_across_two_authorities_is_read_and_refused() -> None:
    read = decode(sample("iti-44", "PIX_FEED_MERGE_Maximal_Request.xml"), RecordEvent.MERGE)
    assert [str(each) for each in read.value.subsumed_identifiers] == ["120-02^^^&1.2.3.4.666&ISO"]
    assert rules(read.value) == [("iti44.merge-across-authorities", "204")]


def test_an_id_cannot_be_merged_into_itself() -> None:
    assert rules(replace(MERGE, subsumed_identifiers=ZOE.identifiers[:1])) == [("iti44.merge-into-itself", "205")]


def test_a_new_patient_has_a_name_and_a_revised_one_need_not() -> None:
    nameless = replace(ZOE, name=PersonName())
    assert rules(replace(ADD, patient=nameless)) == [("iti44.no-name", "SYN101")]
    assert rules(replace(REVISE, patient=nameless)) == []


def test_what_a_message_does_not_speak_of_is_not_said() -> None:
    bare = replace(REVISE, patient=replace(ZOE, birth_date=None, sex=Sex.UNKNOWN, address=""))
    assert decode(written(ITI_44.encode_request(bare)), RecordEvent.REVISE).value.said == {"name"}


def test_what_is_null_is_said_and_gone() -> None:
    text = b"".join(ITI_44.encode_request(REVISE).body)
    nulled = text.replace(b'<birthTime value="19700131"/>', b'<birthTime nullFlavor="UNK"/>')
    read = decode(parse(nulled), RecordEvent.REVISE).value
    assert read.patient.birth_date is None
    assert "birth_date" in read.said


def test_a_record_without_a_known_authority_is_an_error() -> None:
    nobody = replace(ADD, patient=replace(ZOE, identifiers=()))
    read = decode(written(ITI_44.encode_request(nobody)), RecordEvent.ADD)
    assert [(each.code, each.severity) for each in read.findings if each.rule == "hl7v3.no-identifier"] == [
        ("204", Severity.ERROR)
    ]


def test_a_merge_names_exactly_one_id_that_goes() -> None:
    for subsumed in ((), (GONE, replace(GONE, value="V1"))):
        body = written(ITI_44.encode_request(replace(MERGE, subsumed_identifiers=subsumed)))
        assert "iti44.one-subsumed" in [each.rule for each in decode(body, RecordEvent.MERGE).findings]


def test_a_message_that_says_to_be_another_is_refused_and_one_that_does_not_say_is_read() -> None:
    text = b"".join(ITI_44.encode_request(ADD).body)
    for old, severity in ((b'extension="PRPA_IN201301UV02"', Severity.WARNING), (b'IN201301UV02"/>', Severity.ERROR)):
        new = b"" if severity is Severity.WARNING else b'IN201302UV02"/>'
        (finding,) = decode(parse(text.replace(old, new, 1)), RecordEvent.ADD).findings
        assert (finding.rule, finding.severity) == ("hl7v3.interaction", severity)


def test_more_ids_than_one_patient_has_cannot_be_read() -> None:
    many = tuple(PatientIdentifier(value=str(number), authority=OURS) for number in range(201))
    for count, reads in ((200, True), (201, False)):
        body = written(ITI_44.encode_request(replace(ADD, patient=replace(ZOE, identifiers=many[:count]))))
        if reads:
            assert len(decode(body, RecordEvent.ADD).value.patient.identifiers) == count
        else:
            with pytest.raises(MalformedMessage):
                decode(body, RecordEvent.ADD)


def test_another_interaction_cannot_be_read() -> None:
    with pytest.raises(MalformedMessage):
        decode(written(ITI_44.encode_request(ADD)), RecordEvent.REVISE)


@pytest.mark.parametrize("event", RecordEvent)
def test_each_event_has_an_action_and_is_found_by_it(event: RecordEvent) -> None:
    assert BY_EVENT[event] in by_soap_action(f"urn:hl7-org:v3:{event}")
    assert BY_EVENT[event].response_action == "urn:hl7-org:v3:MCCI_IN000002UV01"


# --- audit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ADD, [(Action.CREATE, str(ZOE.identifiers[0]))]),
        (REVISE, [(Action.UPDATE, str(ZOE.identifiers[0]))]),
        (MERGE, [(Action.DELETE, str(GONE)), (Action.UPDATE, str(ZOE.identifiers[0]))]),
    ],
)
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_both_sides_record_what_became_of_the_patient(
    side: Side, request_: PatientRecordRequest, expected: list[tuple[Action, str]]
) -> None:
    records = ITI_44.audit(side, request_, None, facts())
    assert [(each.action, ids(each)[0]) for each in records] == expected
    asking, asked = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    for each in records:
        assert (each.event, each.types[0].code, each.outcome) == (PATIENT_RECORD, "ITI-44", Outcome.SUCCESS)
        assert parties(each) == [(asking.user_id, "source", True), (asked.user_id, "destination", False)]
        assert details(each.objects[0]) == [("II", str(SENT.id))]


def test_a_refusal_by_the_other_side_is_a_failure() -> None:
    (record,) = ITI_44.audit(Side.INITIATOR, ADD, of_error(UnknownPatient("nobody")), facts())
    assert (record.outcome, record.outcome_description) == (Outcome.MINOR_FAILURE, "204: nobody")


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_the_records_are_valid_messages(side: Side) -> None:
    for request_ in (*ALL, None, replace(MERGE, subsumed_identifiers=())):
        judge_audit(*ITI_44.audit(side, request_, None, facts(error=DOWN)))
        judge_audit(
            *ITI_44.audit(side, request_, None, facts(patients=(PatientIdentifier(value="1", authority=Oid("1.2")),)))
        )
