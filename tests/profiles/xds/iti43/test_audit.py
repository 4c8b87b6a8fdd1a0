"""What is audited of ITI-43: the repository is the source, the consumer the requestor, and outcomes are apart."""

import pytest

from profiles.model.audit import Action, Outcome
from profiles.model.content import Poured
from profiles.transaction import Side
from profiles.wire.audit.participants import EXPORT, IMPORT
from profiles.wire.ebxml.retrieve import nothing
from profiles.xds.iti43 import (
    ITI_43,
    RegistryError,
    ResponseStatus,
    RetrievedDocument,
    RetrieveDocumentSetResponse,
)
from tests.profiles.xds.audited import DOWN, ME, OTHER, PATIENT, THEM, details, facts, ids, judge, parties
from tests.profiles.xds.messages import RETRIEVE, RETRIEVED

A, B = (document.document_unique_id for document in RETRIEVE.documents)
ALL = Poured(head=RETRIEVED, pour=nothing())
ONE = Poured(
    head=RetrieveDocumentSetResponse(
        status=ResponseStatus.PARTIAL_SUCCESS,
        errors=(RegistryError(code="XDSDocumentUniqueIdError", context="Mrs Test's is gone", location=B),),
        documents=(RetrievedDocument(repository_unique_id="1.2.3.2", document_unique_id=A),),
    ),
    pour=nothing(),
)
NONE = Poured(
    head=RetrieveDocumentSetResponse(
        status=ResponseStatus.FAILURE, errors=(RegistryError(code="XDSRepositoryBusy", context=""),)
    ),
    pour=nothing(),
)


def test_the_repository_exports_and_is_the_source() -> None:
    (record,) = ITI_43.audit(Side.RESPONDER, RETRIEVE, ALL, facts(patients=(PATIENT,), delivered=(A, B)))
    assert (record.event, record.action, record.outcome) == (EXPORT, Action.READ, Outcome.SUCCESS)
    assert parties(record) == [(ME.user_id, "source", False), (THEM.user_id, "destination", True)]
    assert ids(record) == [str(PATIENT), A, B]
    assert details(record.objects[1]) == [("Repository Unique ID", "1.2.3.2")]
    assert details(record.objects[2]) == [
        ("Repository Unique ID", "1.2.4.2"),
        ("ihe:homeCommunityID", "urn:oid:1.2.3.1"),
    ]


def test_the_consumer_imports_from_the_source() -> None:
    (record,) = ITI_43.audit(Side.INITIATOR, RETRIEVE, ALL, facts(delivered=(A, B)))
    assert (record.event, record.action) == (IMPORT, Action.CREATE)
    assert parties(record) == [(THEM.user_id, "source", False), (ME.user_id, "destination", True)]


@pytest.mark.parametrize("side", Side)
def test_what_came_and_what_did_not_are_two_records(side: Side) -> None:
    good, bad = ITI_43.audit(side, RETRIEVE, ONE, facts(delivered=(A,), undelivered=(B,)))
    assert (good.outcome, ids(good)) == (Outcome.SUCCESS, [A])
    assert (bad.outcome, ids(bad)) == (Outcome.MINOR_FAILURE, [B])
    assert bad.outcome_description == "XDSDocumentUniqueIdError"


def test_what_was_never_planned_is_missing_although_all_that_was_planned_went_out() -> None:
    good, bad = ITI_43.audit(Side.RESPONDER, RETRIEVE, ONE, facts(delivered=(A,)))
    assert (good.outcome, ids(good)) == (Outcome.SUCCESS, [A])
    assert (bad.outcome, ids(bad)) == (Outcome.MINOR_FAILURE, [B])


def test_without_a_count_the_response_tells() -> None:
    assert [ids(record) for record in ITI_43.audit(Side.INITIATOR, RETRIEVE, ONE, facts())] == [[A], [B]]
    (none,) = ITI_43.audit(Side.INITIATOR, RETRIEVE, NONE, facts())
    assert (none.outcome, ids(none)) == (Outcome.SERIOUS_FAILURE, [A, B])


def test_a_pour_that_broke_is_a_failure_of_what_was_left() -> None:
    good, bad = ITI_43.audit(Side.RESPONDER, RETRIEVE, ALL, facts(delivered=(A,), undelivered=(B,), error=DOWN))
    assert (good.outcome, ids(good)) == (Outcome.SUCCESS, [A])
    assert (bad.outcome, ids(bad)) == (Outcome.SERIOUS_FAILURE, [B])
    assert bad.outcome_description == "the connection broke"


def test_a_refused_request_names_what_was_asked() -> None:
    (record,) = ITI_43.audit(Side.RESPONDER, RETRIEVE, None, facts(error=DOWN))
    assert ids(record) == [A, B]
    (record,) = ITI_43.audit(Side.RESPONDER, None, None, facts(error=DOWN))
    assert ids(record) == []


def test_one_patient_a_record() -> None:
    records = ITI_43.audit(Side.RESPONDER, RETRIEVE, ALL, facts(patients=(PATIENT, OTHER), delivered=(A, B)))
    assert [ids(record)[0] for record in records] == [str(PATIENT), str(OTHER)]


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    for response, known in (
        (ALL, facts()),
        (ONE, facts(patients=(PATIENT,))),
        (NONE, facts()),
        (None, facts(error=DOWN)),
    ):
        judge(*ITI_43.audit(side, RETRIEVE, response, known))
