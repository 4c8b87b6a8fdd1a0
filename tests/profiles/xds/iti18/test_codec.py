"""ITI-18: every query there and back, answers that are incomplete, and a thousand entries at a time."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage, RuleViolation, UnknownQuery
from profiles.model.codes import Code
from profiles.model.document import AssociationType, AvailabilityStatus, EntryType
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, TimeRange
from profiles.wire.ebxml.query import PARAMETERS
from profiles.wire.ebxml.rim import ENTRY_PATIENT_ID
from profiles.xds.iti18 import (
    ITI_18,
    FolderCriteria,
    ObjectRef,
    ResponseStatus,
    ReturnType,
    StoredQuery,
    StoredQueryRequest,
    StoredQueryResponse,
    SubmissionSetCriteria,
)
from profiles.xds.iti18.codec import BOTH_ENTRY_TYPES, FIELDS
from tests.profiles.xds.messages import FIND, FOUND, NOT_FOUND
from tests.support.ebxml import ENTRY, PATIENT_ID, canonical, judge, soap_in, written

STATUSES = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)
CODES = (Code(value="a", system="1.2"), Code(value="b's", system="1.3"))
TIMES = TimeRange(start=Moment.from_dtm("20260101"), end=Moment.from_dtm("20260201120000"))
FILTER = {"format_codes": CODES, "confidentiality_codes": (CODES, CODES[:1]), "entry_types": BOTH_ENTRY_TYPES}
UUIDS = tuple(f"urn:uuid:00000000-0000-4000-8000-{n:012d}" for n in range(9))
BY_UUID = DocumentCriteria(entry_uuids=UUIDS, entry_types=BOTH_ENTRY_TYPES)

QUERIES = [
    StoredQueryRequest(
        query=StoredQuery.FIND_DOCUMENTS,
        criteria=DocumentCriteria(
            patient_ids=(PATIENT_ID,),
            statuses=STATUSES,
            class_codes=CODES,
            type_codes=CODES,
            practice_setting_codes=CODES,
            healthcare_facility_type_codes=CODES,
            event_codes=(CODES, CODES[1:]),
            author_persons=("%Smitty%",),
            creation_time=TIMES,
            service_start_time=replace(TIMES, start=None),
            service_stop_time=replace(TIMES, end=None),
            **FILTER,  # type: ignore[arg-type]
        ),
    ),
    FIND,
    StoredQueryRequest(
        query=StoredQuery.FIND_SUBMISSION_SETS,
        submission_sets=SubmissionSetCriteria(
            patient_ids=(PATIENT_ID,),
            statuses=STATUSES,
            source_ids=("1.2.3", "1.2.4"),
            submission_time=TIMES,
            author_person="O'Hara%",
            content_type_codes=CODES,
        ),
    ),
    StoredQueryRequest(
        query=StoredQuery.FIND_FOLDERS,
        folders=FolderCriteria(
            patient_ids=(PATIENT_ID,), statuses=STATUSES, last_update_time=TIMES, codes=(CODES, CODES)
        ),
    ),
    StoredQueryRequest(
        query=StoredQuery.GET_ALL,
        criteria=DocumentCriteria(patient_ids=(PATIENT_ID,), statuses=STATUSES, **FILTER),  # type: ignore[arg-type]
        submission_sets=SubmissionSetCriteria(patient_ids=(PATIENT_ID,), statuses=STATUSES[:1]),
        folders=FolderCriteria(patient_ids=(PATIENT_ID,), statuses=STATUSES[1:]),
    ),
    StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=BY_UUID),
    StoredQueryRequest(
        query=StoredQuery.GET_DOCUMENTS,
        return_type=ReturnType.OBJECT_REF,
        criteria=DocumentCriteria(unique_ids=("1.2.3^x'y",), entry_types=BOTH_ENTRY_TYPES),
    ),
    StoredQueryRequest(query=StoredQuery.GET_FOLDERS, folders=FolderCriteria(entry_uuids=UUIDS)),
    StoredQueryRequest(query=StoredQuery.GET_FOLDERS, folders=FolderCriteria(unique_ids=("1.2",))),
    StoredQueryRequest(query=StoredQuery.GET_ASSOCIATIONS, uuids=UUIDS),
    StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS, criteria=BY_UUID),
    StoredQueryRequest(query=StoredQuery.GET_SUBMISSION_SETS, uuids=UUIDS[:1]),
    StoredQueryRequest(
        query=StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS,
        submission_sets=SubmissionSetCriteria(unique_ids=("1.2.3",)),
        criteria=DocumentCriteria(**FILTER),  # type: ignore[arg-type]
    ),
    StoredQueryRequest(
        query=StoredQuery.GET_FOLDER_AND_CONTENTS,
        folders=FolderCriteria(entry_uuids=UUIDS[:1]),
        criteria=DocumentCriteria(**FILTER),  # type: ignore[arg-type]
    ),
    StoredQueryRequest(
        query=StoredQuery.GET_FOLDERS_FOR_DOCUMENT,
        criteria=DocumentCriteria(unique_ids=("1.2.3",), entry_types=BOTH_ENTRY_TYPES),
    ),
    StoredQueryRequest(
        query=StoredQuery.GET_RELATED_DOCUMENTS,
        criteria=DocumentCriteria(entry_uuids=UUIDS[:1], entry_types=BOTH_ENTRY_TYPES),
        association_types=(AssociationType.REPLACE, AssociationType.APPEND),
    ),
]


def name(request: StoredQueryRequest) -> str:
    return request.query.name


def decoded(request: StoredQueryRequest) -> StoredQueryRequest:
    found = ITI_18.decode_request(soap_in(written(ITI_18.encode_request(request))))
    assert found.findings == ()
    return found.value


@pytest.mark.parametrize("request_", QUERIES, ids=name)
def test_a_query_comes_back(request_: StoredQueryRequest) -> None:
    assert decoded(request_) == request_


def test_every_query_has_its_round_trip_and_every_parameter_its_field() -> None:
    assert {request.query for request in QUERIES} == set(StoredQuery)
    assert {parameter.name for parameters in PARAMETERS.values() for parameter in parameters} == set(FIELDS)


@pytest.mark.judge_standard
@pytest.mark.parametrize("request_", QUERIES, ids=name)
def test_a_query_is_valid_by_the_published_schemas(request_: StoredQueryRequest) -> None:
    judge(written(ITI_18.encode_request(request_)))


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=30)


@given(
    st.lists(TEXT, min_size=1, max_size=12).map(tuple),
    st.lists(st.lists(TEXT, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
)
def test_any_text_comes_back(unique_ids: tuple[str, ...], patterns: tuple[tuple[str, ...], ...]) -> None:
    by_id = StoredQueryRequest(
        query=StoredQuery.GET_DOCUMENTS,
        criteria=DocumentCriteria(unique_ids=unique_ids, entry_types=BOTH_ENTRY_TYPES),
    )
    assert decoded(by_id) == by_id
    by_reference = replace(FIND, criteria=replace(FIND.criteria, reference_ids=patterns))
    assert decoded(by_reference) == by_reference


def test_the_type_of_entries_is_stable_unless_it_is_said() -> None:
    find = replace(FIND, criteria=replace(FIND.criteria, entry_types=(EntryType.STABLE,)))
    assert "EntryType'" not in b"".join(ITI_18.encode_request(find).body).decode()
    assert decoded(find).criteria.entry_types == (EntryType.STABLE,)


@pytest.mark.parametrize("id_", ["", "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f", "FindDocuments"])
def test_an_unknown_query_is_named(id_: str) -> None:
    body = written(ITI_18.encode_request(FIND))
    body[1].set("id", id_)
    with pytest.raises(UnknownQuery) as caught:
        ITI_18.decode_request(soap_in(body))
    assert caught.value.location == id_
    assert [error.code for error in ITI_18.refuse(caught.value).errors] == ["XDSUnknownStoredQuery"]


def test_a_query_s_id_is_compared_without_case() -> None:
    body = written(ITI_18.encode_request(FIND))
    body[1].set("id", f" {FIND.query.upper()} ")
    assert ITI_18.decode_request(soap_in(body)).value == FIND


def test_all_that_is_wrong_is_told_at_once() -> None:
    body = written(ITI_18.encode_request(FIND))
    query = body[1]
    for slot in list(query):
        if slot.get("name", "").endswith(("PatientId", "Status")):
            query.remove(slot)
    with pytest.raises(RuleViolation) as caught:
        ITI_18.decode_request(soap_in(body))
    answer = ITI_18.refuse(caught.value)
    assert answer.status is ResponseStatus.FAILURE
    assert [(error.code, error.location) for error in answer.errors] == [
        ("XDSStoredQueryMissingParam", "$XDSDocumentEntryPatientId"),
        ("XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus"),
    ]


def test_a_return_type_that_is_not_ours_is_answered_by_objects() -> None:
    body = written(ITI_18.encode_request(FIND))
    body[0].set("returnType", "RegistryObject")
    found = ITI_18.decode_request(soap_in(body))
    assert found.value.return_type is ReturnType.LEAF_CLASS
    assert [finding.rule for finding in found.findings] == ["ebrim/return-type"]


@pytest.mark.parametrize("tag", ["AdhocQuery", "everything"])
def test_what_is_no_query_is_malformed(tag: str) -> None:
    body = written(ITI_18.encode_request(FIND))
    if tag == "AdhocQuery":
        body.remove(body[1])
    else:
        body = body[1]
    with pytest.raises(MalformedMessage):
        ITI_18.decode_request(soap_in(body))


# --- answers ----------------------------------------------------------------------------------------------------------


def test_references_are_the_same_objects() -> None:
    references = FOUND.as_references()
    assert references.count == FOUND.count == 6
    assert references.object_refs[0] == ObjectRef(
        entry_uuid=FOUND.entries[0].entry_uuid, home_community_id=FOUND.entries[0].home_community_id
    )
    assert ITI_18.decode_response(soap_in(written(ITI_18.encode_response(references)))).value == references


def test_a_thousand_entries_are_never_one_string() -> None:
    entries = tuple(replace(ENTRY, entry_uuid=f"urn:uuid:00000000-0000-4000-8000-{n:012d}") for n in range(1000))
    pieces = list(ITI_18.encode_response(StoredQueryResponse(entries=entries)).body)
    assert len(pieces) > 100
    assert max(map(len, pieces)) < 128 * 1024


def test_an_answer_without_a_list_is_read() -> None:
    body = written(ITI_18.encode_response(NOT_FOUND))
    body.remove(body[-1])
    assert ITI_18.decode_response(soap_in(body)).value == NOT_FOUND


def test_an_answer_that_we_cannot_read_whole_is_never_a_clean_success() -> None:
    body = written(ITI_18.encode_response(FOUND))
    identifier = body.find(f".//{{*}}ExternalIdentifier[@identificationScheme='{ENTRY_PATIENT_ID}']")
    assert identifier is not None
    identifier.set("value", "nobody's")
    found = ITI_18.decode_response(soap_in(body))
    assert found.value.status is ResponseStatus.PARTIAL_SUCCESS
    assert [error.location for error in found.value.errors] == [FOUND.entries[0].entry_uuid]
    assert len(found.value.entries) == 1
    assert [finding.rule for finding in found.findings] == ["ebrim/patient-id"]


@pytest.mark.parametrize(
    ("status", "response", "rule"),
    [
        (ResponseStatus.FAILURE, FOUND, "ebrim/failure-has-reason"),
        (ResponseStatus.PARTIAL_SUCCESS, replace(NOT_FOUND, object_refs=()), "ebrim/partial-has-results"),
        (ResponseStatus.SUCCESS, NOT_FOUND, "ebrim/success-without-errors"),
    ],
)
def test_an_answer_that_contradicts_itself_is_reported(
    status: ResponseStatus, response: StoredQueryResponse, rule: str
) -> None:
    body = written(ITI_18.encode_response(replace(response, status=status)))
    assert rule in [finding.rule for finding in ITI_18.decode_response(soap_in(body)).findings]


def test_an_answer_is_written_the_same_each_time() -> None:
    first, second = (written(ITI_18.encode_response(FOUND)) for _ in range(2))
    assert canonical(first) == canonical(second)


def test_another_answer_is_malformed() -> None:
    body: Any = written(ITI_18.encode_request(FIND))
    with pytest.raises(MalformedMessage):
        ITI_18.decode_response(soap_in(body))
