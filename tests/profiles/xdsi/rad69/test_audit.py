"""What is audited of RAD-69: transferred at the source, accessed at the consumer, by study and by outcome."""

import pytest

from profiles.model.audit import Action, Outcome
from profiles.model.content import Poured
from profiles.transaction import Side, StudyFact
from profiles.wire.audit.participants import INSTANCES_ACCESSED, INSTANCES_TRANSFERRED
from profiles.wire.ebxml.retrieve import nothing
from profiles.xdsi.rad69 import (
    RAD_69,
    DocumentRequest,
    RetrievedDocument,
    RetrieveDocumentSetResponse,
    RetrieveImagingDocumentSetRequest,
    SeriesRequest,
    StudyRequest,
)
from tests.profiles.xds.audited import DOWN, ME, OTHER, PATIENT, THEM, details, facts, ids, judge, parties
from tests.profiles.xds.messages import PARTIAL, RETRIEVE_IMAGES

UIDS = tuple(each.document.document_unique_id for each in RETRIEVE_IMAGES.instances())
FIRST, SECOND = (study.study_instance_uid for study in RETRIEVE_IMAGES.studies)
ALL = Poured(
    head=RetrieveDocumentSetResponse(
        documents=tuple(RetrievedDocument(repository_unique_id="1.2.3.3", document_unique_id=uid) for uid in UIDS)
    ),
    pour=nothing(),
)
FACT = StudyFact(
    study_instance_uid=FIRST,
    patient=PATIENT,
    accession_numbers=("ACC42",),
    sop_classes=(("1.2.840.10008.5.1.4.1.1.2", 3),),
)


def test_the_source_transfers() -> None:
    (record,) = RAD_69.audit(
        Side.RESPONDER, RETRIEVE_IMAGES, ALL, facts(patients=(PATIENT,), studies=(FACT,), delivered=UIDS)
    )
    assert (record.event, record.action, record.outcome) == (INSTANCES_TRANSFERRED, Action.READ, Outcome.SUCCESS)
    assert parties(record) == [(ME.user_id, "source", False), (THEM.user_id, "destination", True)]
    assert ids(record) == [str(PATIENT), FIRST, SECOND]
    study = record.objects[1]
    assert study.accessions == ("ACC42",)
    assert study.sop_classes == FACT.sop_classes
    assert details(study) == [
        ("Repository Unique Id", "1.2.3.3"),
        ("Series Instance Unique Id", "1.2.826.0.1.99.1.1"),
        ("Series Instance Unique Id", "1.2.826.0.1.99.1.2"),
        *(("ihe:DocumentUniqueId", uid) for uid in UIDS[:3]),
    ]


def test_the_consumer_accesses() -> None:
    (record,) = RAD_69.audit(Side.INITIATOR, RETRIEVE_IMAGES, ALL, facts(delivered=UIDS))
    assert (record.event, record.action) == (INSTANCES_ACCESSED, Action.CREATE)
    assert parties(record) == [(THEM.user_id, "source", False), (ME.user_id, "destination", True)]
    assert ids(record) == [FIRST, SECOND]


@pytest.mark.parametrize("side", Side)
def test_what_came_and_what_did_not_are_two_records(side: Side) -> None:
    known = facts(patients=(PATIENT,), studies=(FACT,), delivered=UIDS[:1], undelivered=UIDS[1:])
    good, bad = RAD_69.audit(side, RETRIEVE_IMAGES, Poured(head=PARTIAL, pour=nothing()), known)
    assert (good.outcome, ids(good)) == (Outcome.SUCCESS, [str(PATIENT), FIRST])
    assert good.objects[1].sop_classes
    assert (bad.outcome, ids(bad)) == (Outcome.MINOR_FAILURE, [str(PATIENT), FIRST, SECOND])
    assert not bad.objects[1].sop_classes  # counts tell what was handed over
    assert bad.outcome_description == "XDSDocumentUniqueIdError"


def test_what_was_never_planned_is_missing_although_all_that_was_planned_went_out() -> None:
    partial = Poured(head=PARTIAL, pour=nothing())
    good, bad = RAD_69.audit(Side.RESPONDER, RETRIEVE_IMAGES, partial, facts(delivered=UIDS[:1]))
    assert [kind for kind, uid in details(bad.objects[0]) if uid in UIDS] == ["ihe:DocumentUniqueId"] * 2
    assert (good.outcome, bad.outcome) == (Outcome.SUCCESS, Outcome.MINOR_FAILURE)


def test_studies_of_two_patients_are_two_records() -> None:
    other = StudyFact(study_instance_uid=SECOND, patient=OTHER)
    records = RAD_69.audit(Side.RESPONDER, RETRIEVE_IMAGES, ALL, facts(studies=(FACT, other), delivered=UIDS))
    assert [ids(record) for record in records] == [[str(PATIENT), FIRST], [str(OTHER), SECOND]]


def test_a_refused_request_names_what_was_asked() -> None:
    (record,) = RAD_69.audit(Side.RESPONDER, RETRIEVE_IMAGES, None, facts(error=DOWN))
    assert (record.outcome, ids(record)) == (Outcome.SERIOUS_FAILURE, [FIRST, SECOND])
    (record,) = RAD_69.audit(Side.RESPONDER, None, None, facts(error=DOWN))
    assert ids(record) == []


def test_several_patients_and_unread_request_lose_nobody() -> None:
    records = RAD_69.audit(Side.RESPONDER, None, None, facts(error=DOWN, patients=(PATIENT, OTHER)))
    assert [ids(record) for record in records] == [[str(PATIENT)], [str(OTHER)]]


def large(count: int) -> RetrieveImagingDocumentSetRequest:
    """A request for one large series."""
    return RetrieveImagingDocumentSetRequest(
        studies=(
            StudyRequest(
                study_instance_uid=FIRST,
                series=(
                    SeriesRequest(
                        series_instance_uid=f"{FIRST}.1",
                        documents=tuple(
                            DocumentRequest(repository_unique_id="1.2.3.3", document_unique_id=f"{FIRST}.1.{n}")
                            for n in range(count)
                        ),
                    ),
                ),
            ),
        ),
        transfer_syntax_uids=("1.2.840.10008.1.2.1",),
    )


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("count", [1, 4_000])
def test_the_records_are_valid_messages_however_large_the_study(side: Side, count: int) -> None:
    request = large(count)
    uids = tuple(each.document.document_unique_id for each in request.instances())
    known = facts(patients=(PATIENT,), studies=(FACT,), delivered=uids[:-1], undelivered=uids[-1:])
    judge(*RAD_69.audit(side, request, Poured(head=PARTIAL, pour=nothing()), known))
    judge(*RAD_69.audit(side, request, None, facts(error=DOWN)))
