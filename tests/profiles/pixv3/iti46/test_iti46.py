"""ITI-46: ids and a name, nothing else; audit on both sides."""

import pytest

from profiles.catalogue import by_soap_action
from profiles.errors import UnknownPatient
from profiles.model.audit import Action, Outcome
from profiles.model.patient import Sex
from profiles.pixv3.iti46 import ITI_46, notification
from profiles.transaction import Side
from profiles.wire.audit.participants import PATIENT_RECORD
from profiles.wire.hl7v3.ack import of_error
from tests.profiles.xds.audited import DOWN, ME, THEM, details, facts, ids, parties
from tests.profiles.xds.audited import judge as judge_audit
from tests.support.ebxml import soap_in, written
from tests.support.hl7v3 import SENT, ZOE, judge

TOLD = notification(ZOE.identifiers, ZOE.name, SENT)


def test_a_notification_is_read_as_it_was_written_and_says_ids_and_name_only() -> None:
    read = ITI_46.decode_request(soap_in(written(ITI_46.encode_request(TOLD))))
    assert read.value == TOLD
    assert read.findings == ()
    assert (read.value.patient.birth_date, read.value.patient.sex, read.value.patient.address) == (
        None,
        Sex.UNKNOWN,
        "",
    )


@pytest.mark.judge_standard
def test_the_published_schema_accepts_it() -> None:
    judge(written(ITI_46.encode_request(TOLD)))


def test_it_shares_its_action_with_a_record_that_was_revised() -> None:
    names = [each.id for each in by_soap_action("urn:hl7-org:v3:PRPA_IN201302UV02")]
    assert names == ["ITI-44", "ITI-46"]


@pytest.mark.parametrize(("side", "action"), [(Side.INITIATOR, Action.READ), (Side.RESPONDER, Action.UPDATE)])
def test_the_manager_reads_out_and_the_consumer_updates(side: Side, action: Action) -> None:
    (record,) = ITI_46.audit(side, TOLD, None, facts())
    asking, asked = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    assert (record.event, record.action, record.types[0].code) == (PATIENT_RECORD, action, "ITI-46")
    assert parties(record) == [(asking.user_id, "source", True), (asked.user_id, "destination", False)]
    assert ids(record) == [str(each) for each in ZOE.identifiers]
    assert details(record.objects[0]) == [("II", str(SENT.id))]


def test_a_refusal_by_the_consumer_is_a_failure() -> None:
    (record,) = ITI_46.audit(Side.INITIATOR, TOLD, of_error(UnknownPatient("nobody")), facts())
    assert record.outcome is Outcome.MINOR_FAILURE


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_the_records_are_valid_messages(side: Side) -> None:
    judge_audit(*ITI_46.audit(side, TOLD, None, facts()), *ITI_46.audit(side, None, None, facts(error=DOWN)))
