"""ITI-51: the queries about several patients, written and read as those of ITI-18 and audited for each patient."""

from dataclasses import replace

import pytest

from profiles.errors import UnknownQuery
from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.transaction import Side
from profiles.wire.audit.participants import QUERY
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti51 import ITI_51, MultiPatientQuery, StoredQueryRequest, StoredQueryResponse
from tests.profiles.xds.audited import OTHER, PATIENT, facts, ids, judge
from tests.profiles.xds.messages import FIND, NOT_FOUND
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import soap_in, written
from tests.support.registered import CT

STATUSES = (AvailabilityStatus.APPROVED,)
BOTH = (PATIENT, OTHER)
QUESTIONS = [
    StoredQueryRequest(
        query=MultiPatientQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=BOTH, statuses=STATUSES)
    ),
    StoredQueryRequest(
        query=MultiPatientQuery.FIND_DOCUMENTS,
        criteria=DocumentCriteria(statuses=STATUSES, event_codes=((replace(CT, display=""),),)),
        metadata_level=2,
    ),
    StoredQueryRequest(
        query=MultiPatientQuery.FIND_FOLDERS, folders=FolderCriteria(patient_ids=BOTH, statuses=STATUSES)
    ),
    StoredQueryRequest(
        query=MultiPatientQuery.FIND_DOCUMENTS_BY_REFERENCE_ID,
        criteria=DocumentCriteria(statuses=STATUSES, reference_ids=(("A1^%",),)),
    ),
]


@pytest.mark.judge_standard
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_valid_and_means_the_same_when_it_is_read(question: StoredQueryRequest) -> None:
    body = written(ITI_51.encode_request(question))
    judge_body(body)
    decoded = ITI_51.decode_request(soap_in(body))
    assert (decoded.value, decoded.findings) == (question, ())


def test_the_queries_of_one_transaction_are_unknown_to_the_other() -> None:
    for transaction, question in ((ITI_18, QUESTIONS[0]), (ITI_51, FIND)):
        with pytest.raises(UnknownQuery) as caught:
            transaction.decode_request(soap_in(written(ITI_18.encode_request(question))))
        assert [each.code for each in transaction.refuse(caught.value).errors] == ["XDSUnknownStoredQuery"]


@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_each_patient_that_is_named_or_was_found_has_a_record(side: Side) -> None:
    named = ITI_51.audit(side, QUESTIONS[0], StoredQueryResponse(), facts())
    found = ITI_51.audit(side, QUESTIONS[1], StoredQueryResponse(), facts(patients=BOTH))
    for records in (named, found):
        assert [ids(each)[0] for each in records] == [str(PATIENT), str(OTHER)]
        assert {each.event for each in records} == {QUERY}
        assert {code.code for each in records for code in each.types} == {"ITI-51"}
        assert {each.objects[1].id_type.code for each in records} == {"ITI-51"}
        assert all(each.objects[1].query for each in records)


@pytest.mark.judge_standard
def test_a_failure_is_audited_and_valid() -> None:
    for record in ITI_51.audit(Side.RESPONDER, QUESTIONS[0], NOT_FOUND, facts()):
        judge(record)
