"""ORU^R01 as "images are available": both ways, what others send, the audit record."""

import json
from dataclasses import replace

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage, PeerTimeout
from profiles.findings import errors_of
from profiles.model.audit import Action, Outcome
from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from profiles.swf.oru_r01 import ACCEPTED, ORU_R01, StudyAvailable
from profiles.swf.profile import TRANSACTIONS
from profiles.transaction import Facts, Party, Side, StudyFact
from profiles.wire.audit.message import encode as write_audit
from tests.profiles.swf.oru_r01.announced import AVAILABLE, STUDY, UID
from tests.support.hl7 import ADDRESS, AT, person, sent
from tests.support.judges import standards

WIRE = (
    b"MSH|^~\\&|ADT1|HOSP|RADGATE|Valley|20260314120000+0000||ORU^R01^ORU_R01|MSG1|P|2.5.1\r"
    b"PID|1||4711^^^&1.2.3.4&ISO||Sample^Anna^M^Jr.^Dr.^^L||19710523|F|||Main St 1^^Town^^12345^DEU^H\r"
    b"PV1||O|||||||||||||||||V123^^^&1.2.5&ISO^VN||||||||||||||||||||||||||||||||V\r"
    b"ORC|SC||FI90||CM\r"
    b"TQ1|1||||||20260305101000+0000||R^Routine^HL70078\r"
    b"OBR|1||FI90|DERMPHOTO^Dermatology photo^L|||20260305101000+0000|||||||||||GWACC0001|&1.2.8&ISO|||||DERM|R"
    b"||^^^^^R|||||||||||||||||DERMPHOTO^Dermatology photo^L\r"
    b"OBX|1|ST|113014^DICOM Study^DCM||1.2.826.0.1.3680043.9.9999.10.7||||||O\r"
)
"""As the notification of encounter images lays it out: OBR-18 accession number, OBR-19 its issuer, OBX-5 the study."""


def test_an_announcement_reads_and_writes_the_same() -> None:
    assert ORU_R01.encode_request(AVAILABLE, sent()) == WIRE
    decoded = ORU_R01.decode_request(WIRE)
    assert decoded.findings == ()
    assert decoded.value == replace(AVAILABLE, address=ADDRESS, control_id="MSG1", at=Moment(AT))


def test_the_hl7_library_finds_what_we_wrote_where_it_belongs() -> None:
    linked = replace(
        AVAILABLE, viewer_url="https://view.example/open?a=1&study=2", retrieve_url="https://v.example/s/1"
    )
    judged = hl7.parse(ORU_R01.encode_request(linked, sent()).decode())
    assert judged.extract_field("MSH", 1, 9, 1, 3) == "ORU_R01"
    assert judged.extract_field("OBR", 1, 18) == "GWACC0001"
    assert judged.extract_field("OBR", 1, 25) == "R"
    assert judged.extract_field("OBX", 1, 5) == UID
    assert judged.extract_field("OBX", 2, 2) == "RP"
    assert judged.unescape(judged.extract_field("OBX", 2, 5, 1, 1)) == "https://view.example/open?a=1&study=2"
    assert judged.extract_field("OBX", 3, 5, 1, 4) == "dicom"


def test_addresses_come_back() -> None:
    linked = replace(
        AVAILABLE, viewer_url="https://view.example/open?a=1&study=2", retrieve_url="https://v.example/s/1"
    )
    value = ORU_R01.decode_request(ORU_R01.encode_request(linked, sent())).value
    assert (value.viewer_url, value.retrieve_url) == (linked.viewer_url, linked.retrieve_url)


def test_each_order_of_a_study_is_a_group_that_names_the_study() -> None:
    orders = tuple(AccessionNumber(value=value, authority=Oid("1.2.8")) for value in ("A1", "A2"))
    placers = (AccessionNumber(value="P1"), AccessionNumber(value="P2"))
    available = StudyAvailable(study=replace(STUDY, accession_numbers=orders, placer_orders=placers))
    data = ORU_R01.encode_request(available, sent())
    assert [line[:3] for line in data.split(b"\r")][3:-1] == [b"ORC", b"TQ1", b"OBR", b"OBX"] * 2
    value = ORU_R01.decode_request(data).value
    assert value.study.accession_numbers == orders
    assert value.study.placer_orders == placers
    assert value.filler_order == orders[0]  # what we call the order, unless told otherwise


def test_a_study_without_an_order_is_announced_under_its_own_uid() -> None:
    bare = StudyAvailable(study=Study(study_instance_uid=UID, patient=person()))
    data = ORU_R01.encode_request(bare, sent())
    assert f"OBR|1||{UID}|113014^DICOM Study^DCM|".encode() in data
    assert b"PV1||U\r" in data
    value = ORU_R01.decode_request(data).value
    assert value.study == bare.study


def test_a_study_with_only_a_description_is_described() -> None:
    described = StudyAvailable(study=Study(study_instance_uid=UID, patient=person(), description="CT Head"))
    data = ORU_R01.encode_request(described, sent())
    assert b"|^CT Head|" in data
    assert ORU_R01.decode_request(data).value.study.description == "CT Head"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip).filter(lambda t: t != '""')
SAID = TEXT.filter(bool)
NUMBERS = st.builds(AccessionNumber, value=SAID, authority=st.none() | st.just(Oid("1.2.8")))


@given(
    st.lists(NUMBERS, max_size=3, unique=True).map(tuple),
    st.builds(PersonName, family=SAID, given=TEXT, prefix=TEXT),
    st.builds(Code, value=SAID, system=SAID.filter(lambda t: t not in {"DCM", "SCT", "LN"}), display=TEXT),
)
def test_any_study_comes_back(numbers: tuple[AccessionNumber, ...], name: PersonName, code: Code) -> None:
    patient = Patient(identifiers=(PatientIdentifier(value="1", authority=Oid("1.2")),), name=name)
    study = Study(study_instance_uid=UID, patient=patient, accession_numbers=numbers, procedure_codes=(code,))
    decoded = ORU_R01.decode_request(ORU_R01.encode_request(StudyAvailable(study=study), sent()))
    assert decoded.value.study == study
    assert errors_of(decoded.findings) == ()


@pytest.mark.parametrize(
    ("change", "code", "location"),
    [
        ((b"ORU^R01^ORU_R01", b"ORU^R30^ORU_R30"), "201", "MSH^1^9^1^2"),
        ((b"PID|1", b"ZPI|1"), "100", "PID^1"),
        ((b"113014", b"999"), "101", "OBX^1^5"),
        ((b"1.2.826.0.1.3680043.9.9999.10.7|", b"not a uid|"), "102", "OBX^1^5"),
    ],
)
def test_what_names_no_study_is_malformed(change: tuple[bytes, bytes], code: str, location: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        ORU_R01.decode_request(WIRE.replace(*change))
    assert (refused.value.code, refused.value.location) == (code, location)


@given(st.data())
def test_a_damaged_announcement_is_read_or_malformed(data: st.DataObject) -> None:
    body = bytearray(WIRE)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(body)))
        damage = data.draw(st.sampled_from([b"", b"|", b"^", b"~", b"\\", b"&", b"\r", b'""', b"\xff", b"\\X0D\\"]))
        body[position : position + data.draw(st.integers(0, 8))] = damage
    try:
        decoded = ORU_R01.decode_request(bytes(body))
    except MalformedMessage:
        return
    for check in ORU_R01.checks:
        list(check(decoded.value))


def found(wire: bytes) -> set[str]:
    decoded = ORU_R01.decode_request(wire)
    return {each.rule for each in (*decoded.findings, *(e for check in ORU_R01.checks for e in check(decoded.value)))}


def test_oddities_are_told() -> None:
    assert found(WIRE) == set()
    assert found(WIRE.replace(b"|DERM|R|", b"|DERM|?|")) == {"oru.result-status"}
    plain = replace(AVAILABLE, viewer_url="http://view.example")
    assert found(ORU_R01.encode_request(plain, sent())) == {"oru.plain-address"}
    assert "oru.no-known-authority" in found(WIRE.replace(b"&1.2.3.4&ISO", b"ELSE"))


@pytest.mark.judge_standard
def test_announcements_of_others_are_read() -> None:
    folder = standards("samples", "hl7v2")
    expected = json.loads(folder.joinpath("expected.json").read_text())
    seen = 0
    for name, entry in expected.items():
        listed = entry["fields"].get("obx", [])
        uids = [each.get("value") for each in listed if isinstance(each, dict) and each["code"] == "113014"]
        if entry["fields"]["type"] != "ORU" or not uids:
            continue
        value = ORU_R01.decode_request(folder.joinpath(name).read_bytes().replace(b"\n", b"\r")).value
        order = entry["fields"]["orders"][0]
        assert value.study.study_instance_uid == uids[0], name
        assert [number.value for number in value.study.accession_numbers] == [order["accession_OBR18"]], name
        assert value.status == order["resultStatus"], name
        assert value.filler_order is not None, name
        assert value.filler_order.value == (order.get("filler") or order["obrFiller"]), name
        seen += 1
    assert seen >= 3


def test_a_study_that_is_named_and_not_coded_is_read() -> None:
    """RAD TF-2 4.28: the exported structured report says HD and a name."""
    wire = WIRE.replace(b"ST|113014^DICOM Study^DCM", b"HD|^Study Instance UID")
    assert ORU_R01.decode_request(wire).value.study.study_instance_uid == UID


FACTS = Facts(
    at=AT,
    source_id="valley",
    local=Party(user_id="https://valley.example", network_address="192.0.2.1"),
    remote=Party(user_id="mllps://ehr.example:2575", network_address="192.0.2.9"),
)


@pytest.mark.parametrize("side", list(Side))
def test_an_announcement_is_a_procedure_record_of_study_and_patient(side: Side) -> None:
    (record,) = ORU_R01.audit(side, replace(AVAILABLE, address=ADDRESS, control_id="MSG1"), ACCEPTED, FACTS)
    assert (record.event.code, record.action, record.outcome) == ("110111", Action.CREATE, Outcome.SUCCESS)
    assert [(each.user_id, each.is_requestor) for each in record.participants] == [
        ("HOSP|ADT1", True), ("Valley|RADGATE", False),
    ]  # fmt: skip
    patient, study = record.objects
    assert patient.id == "4711^^^&1.2.3.4&ISO"
    assert (study.id, study.accessions) == (UID, ("GWACC0001",))
    assert b"Sample" not in write_audit(record)


def test_an_announcement_that_was_not_taken_is_recorded_as_a_failure() -> None:
    facts = replace(
        FACTS, error=PeerTimeout("no acknowledgement within 30 s"), studies=(StudyFact(study_instance_uid="1.2"),)
    )
    (record,) = ORU_R01.audit(Side.INITIATOR, AVAILABLE, None, facts)
    assert (record.outcome, record.outcome_description) == (Outcome.SERIOUS_FAILURE, "no acknowledgement within 30 s")
    assert record.participants[1].user_id == "mllps://ehr.example:2575"
    assert record.objects[1].id == "1.2"


def test_an_announcement_that_could_not_be_read_is_recorded_too() -> None:
    (record,) = ORU_R01.audit(Side.RESPONDER, None, None, replace(FACTS, error=MalformedMessage("no OBX")))
    assert record.objects == ()
    assert [each.id for each in TRANSACTIONS] == ["ORU^R01"]
