"""ITI-18 on the wire: `query:AdhocQueryRequest` there, `query:AdhocQueryResponse` back.

The names of the parameters and how values are quoted are `profiles.wire.ebxml.query`'s; here stands which of them fills
which field of the criteria, once for both directions.

Source: ITI TF-2 3.18.4.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lxml import etree

from profiles.errors import ExchangeError, MalformedMessage, RuleViolation, UnknownQuery
from profiles.findings import Decoded, Finding, errors_of
from profiles.model.document import EntryType
from profiles.model.query import DocumentCriteria, TimeRange
from profiles.wire.ebxml.entry import Phase, extrinsic_object, home, home_of
from profiles.wire.ebxml.query import (
    PARAMETERS,
    AnyQuery,
    Groups,
    Parameter,
    ReturnType,
    StoredQuery,
    parameter_slots,
    read_parameters,
)
from profiles.wire.ebxml.response import (
    RegistryError,
    ResponseStatus,
    Speaker,
    contradictions,
    error_list,
    errors_of_findings,
    read_errors,
    read_status,
    status_of,
)
from profiles.wire.ebxml.response import errors_of as registry_errors_of
from profiles.wire.ebxml.rim import QUERY, RIM, RS, odd, uuid_urn
from profiles.wire.ebxml.submission import (
    REGISTRY_OBJECT_LIST,
    RegistryObjects,
    association,
    folder,
    object_ref,
    read_objects,
    submission_set,
)
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti18.messages import (
    FolderCriteria,
    StoredQueryRequest,
    StoredQueryResponse,
    SubmissionSetCriteria,
)

_REQUEST = f"{{{QUERY}}}AdhocQueryRequest"
_OPTION = f"{{{QUERY}}}ResponseOption"
_ADHOC_QUERY = f"{{{RIM}}}AdhocQuery"
_RESPONSE = f"{{{QUERY}}}AdhocQueryResponse"

BOTH_ENTRY_TYPES = (EntryType.STABLE, EntryType.ON_DEMAND)

# --- which parameter is which field -----------------------------------------------------------------------------------


class Shape(NamedTuple):
    """How a field of the criteria and the groups of a parameter become each other."""

    read: Callable[[Groups], Any]
    write: Callable[[Any], Groups]


def _flat(groups: Groups) -> tuple[Any, ...]:
    return tuple(value for group in groups for value in group)


OR = Shape(read=_flat, write=lambda values: (tuple(values),) if values else ())
AND_OF_OR = Shape(
    read=lambda groups: tuple(group for group in groups if group), write=lambda groups: tuple(tuple(g) for g in groups)
)
SINGLE = Shape(read=lambda groups: next(iter(_flat(groups)), ""), write=lambda value: ((value,),) if value else ())


LEVEL = Shape(read=lambda groups: next(iter(_flat(groups)), 1), write=lambda level: ((level,),) if level != 1 else ())
"""The default is not written: registries without Metadata Update do not know the parameter."""


class Field(NamedTuple):
    """A field: of which criteria (a field of the request; "": of the request itself), named how, shaped how.

    `bound` is "start" or "end" where the parameter is one end of a TimeRange.
    """

    of: str
    name: str
    shape: Shape = OR
    bound: str = ""


FIELDS: Mapping[str, Field] = {
    "$XDSDocumentEntryPatientId": Field("criteria", "patient_ids"),
    "$XDSDocumentEntryStatus": Field("criteria", "statuses"),
    "$XDSDocumentEntryClassCode": Field("criteria", "class_codes"),
    "$XDSDocumentEntryTypeCode": Field("criteria", "type_codes"),
    "$XDSDocumentEntryPracticeSettingCode": Field("criteria", "practice_setting_codes"),
    "$XDSDocumentEntryCreationTimeFrom": Field("criteria", "creation_time", bound="start"),
    "$XDSDocumentEntryCreationTimeTo": Field("criteria", "creation_time", bound="end"),
    "$XDSDocumentEntryServiceStartTimeFrom": Field("criteria", "service_start_time", bound="start"),
    "$XDSDocumentEntryServiceStartTimeTo": Field("criteria", "service_start_time", bound="end"),
    "$XDSDocumentEntryServiceStopTimeFrom": Field("criteria", "service_stop_time", bound="start"),
    "$XDSDocumentEntryServiceStopTimeTo": Field("criteria", "service_stop_time", bound="end"),
    "$XDSDocumentEntryHealthcareFacilityTypeCode": Field("criteria", "healthcare_facility_type_codes"),
    "$XDSDocumentEntryEventCodeList": Field("criteria", "event_codes", AND_OF_OR),
    "$XDSDocumentEntryConfidentialityCode": Field("criteria", "confidentiality_codes", AND_OF_OR),
    "$XDSDocumentEntryAuthorPerson": Field("criteria", "author_persons"),
    "$XDSDocumentEntryFormatCode": Field("criteria", "format_codes"),
    "$XDSDocumentEntryType": Field("criteria", "entry_types"),
    "$XDSDocumentEntryReferenceIdList": Field("criteria", "reference_ids", AND_OF_OR),
    "$XDSDocumentEntryEntryUUID": Field("criteria", "entry_uuids"),
    "$XDSDocumentEntryUniqueId": Field("criteria", "unique_ids"),
    "$XDSDocumentEntryLogicalID": Field("criteria", "logical_ids"),
    "$XDSSubmissionSetPatientId": Field("submission_sets", "patient_ids"),
    "$XDSSubmissionSetStatus": Field("submission_sets", "statuses"),
    "$XDSSubmissionSetSourceId": Field("submission_sets", "source_ids"),
    "$XDSSubmissionSetSubmissionTimeFrom": Field("submission_sets", "submission_time", bound="start"),
    "$XDSSubmissionSetSubmissionTimeTo": Field("submission_sets", "submission_time", bound="end"),
    "$XDSSubmissionSetAuthorPerson": Field("submission_sets", "author_person", SINGLE),
    "$XDSSubmissionSetContentType": Field("submission_sets", "content_type_codes"),
    "$XDSSubmissionSetEntryUUID": Field("submission_sets", "entry_uuids"),
    "$XDSSubmissionSetUniqueId": Field("submission_sets", "unique_ids"),
    "$XDSFolderPatientId": Field("folders", "patient_ids"),
    "$XDSFolderStatus": Field("folders", "statuses"),
    "$XDSFolderLastUpdateTimeFrom": Field("folders", "last_update_time", bound="start"),
    "$XDSFolderLastUpdateTimeTo": Field("folders", "last_update_time", bound="end"),
    "$XDSFolderCodeList": Field("folders", "codes", AND_OF_OR),
    "$XDSFolderEntryUUID": Field("folders", "entry_uuids"),
    "$XDSFolderUniqueId": Field("folders", "unique_ids"),
    "$XDSFolderLogicalID": Field("folders", "logical_ids"),
    "$patientId": Field("criteria", "patient_ids"),
    "$uuid": Field("", "uuids"),
    "$AssociationTypes": Field("", "association_types"),
    "$XDSAssociationStatus": Field("", "association_statuses"),
    "$XDSDocumentEntryDocumentAvailability": Field("", "availabilities"),
    "$MetadataLevel": Field("", "metadata_level", LEVEL),
}

NAMES_ENTRIES = frozenset(
    {
        StoredQuery.GET_DOCUMENTS,
        StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS,
        StoredQuery.GET_FOLDERS_FOR_DOCUMENT,
    }
)
"""Queries that name entries and have no $XDSDocumentEntryType: whatever type they are. Elsewhere the default is Stable."""


# --- request ----------------------------------------------------------------------------------------------------------


def encode_request(request: StoredQueryRequest) -> SoapOut:
    """Write the question."""
    return SoapOut(body=tuple(pieces(_request(request))))


def _request(request: StoredQueryRequest) -> Iterator[str]:
    yield (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}"><query:ResponseOption'
        f' returnComposedObjects="true" returnType="{request.return_type}"/>'
        f'<rim:AdhocQuery id="{request.query}"{home(request.home_community_id)}>'
    )
    yield from parameter_slots(_parameters(request))
    yield "</rim:AdhocQuery></query:AdhocQueryRequest>"


def _parameters(request: StoredQueryRequest) -> Iterator[tuple[Parameter, Groups]]:
    for parameter in PARAMETERS[request.query]:
        field = FIELDS[parameter.name]
        value = getattr(getattr(request, field.of) if field.of else request, field.name)
        if field.bound:
            bound = getattr(value, field.bound)
            yield parameter, ((bound,),) if bound else ()
        elif parameter.name == "$XDSDocumentEntryType" and value == (EntryType.STABLE,):
            continue  # the default; not every registry knows the parameter
        else:
            yield parameter, field.shape.write(value)


def decode_request(message: SoapIn) -> Decoded[StoredQueryRequest]:
    """Read one of the questions about a patient, or about objects that are named; see `decode_query`."""
    return decode_query(message, StoredQuery)


def decode_query(message: SoapIn, queries: type[AnyQuery]) -> Decoded[StoredQueryRequest]:
    """Read the question; `queries` are those of the transaction.

    Raises:
        MalformedMessage: It is another element, or has no query.
        UnknownQuery: There is no such query.
        RuleViolation: A parameter is missing, has too many values, or cannot be read; findings say which and carry the
            wire's code.

    Source: ITI TF-2 3.18.4.1.2.
    """
    body = message.body
    if body.tag != _REQUEST:
        raise MalformedMessage("no query:AdhocQueryRequest", location="Body")
    adhoc_query = next(body.iterchildren(_ADHOC_QUERY), None)
    if adhoc_query is None:
        raise MalformedMessage("no rim:AdhocQuery", location="AdhocQueryRequest")
    try:
        query = queries(uuid_urn(adhoc_query.get("id")))
    except ValueError as error:
        raise UnknownQuery("no such stored query", location=(adhoc_query.get("id") or "")[:80]) from error
    findings: list[Finding] = []
    return_type = _return_type(body, findings)
    found = read_parameters(query, adhoc_query, findings)
    refusing = errors_of(findings)
    if refusing:
        first = refusing[0]
        raise RuleViolation(first.text, location=first.location, code=first.code, findings=refusing)
    request = _criteria(query, found)
    return Decoded(
        StoredQueryRequest(
            query=query,
            return_type=return_type,
            home_community_id=home_of(adhoc_query, query, findings),
            **request,
        ),
        tuple(findings),
    )


def _return_type(body: etree._Element, findings: list[Finding]) -> ReturnType:
    option = next(body.iterchildren(_OPTION), None)
    text = "" if option is None else (option.get("returnType") or "").strip()
    if text in (ReturnType.LEAF_CLASS, ReturnType.OBJECT_REF):
        return ReturnType(text)
    findings.append(odd("return-type", "returnType is neither LeafClass nor ObjectRef; LeafClass is answered"))
    return ReturnType.LEAF_CLASS


def _criteria(query: AnyQuery, found: Mapping[str, Groups]) -> dict[str, Any]:
    """Found parameters as the fields of a request."""
    fields: dict[str, dict[str, Any]] = {"": {}, "criteria": {}, "submission_sets": {}, "folders": {}}
    for name, groups in found.items():
        field = FIELDS[name]
        target = fields[field.of]
        if field.bound:
            start_end = target.setdefault(field.name, {})
            start_end[field.bound] = next(iter(_flat(groups)), None)
        else:
            target[field.name] = field.shape.read(groups)
    for target in fields.values():
        target.update({name: TimeRange(**value) for name, value in target.items() if isinstance(value, dict)})
    if query in NAMES_ENTRIES:
        fields["criteria"]["entry_types"] = BOTH_ENTRY_TYPES
    if query is StoredQuery.GET_ALL:  # $patientId is everybody's
        fields["submission_sets"]["patient_ids"] = fields["folders"]["patient_ids"] = fields["criteria"]["patient_ids"]
    return {
        "criteria": DocumentCriteria(**fields["criteria"]),
        "submission_sets": SubmissionSetCriteria(**fields["submission_sets"]),
        "folders": FolderCriteria(**fields["folders"]),
        **fields[""],
    }


# --- response ---------------------------------------------------------------------------------------------------------


def encode_response(response: StoredQueryResponse) -> SoapOut:
    """Write the answer, object by object."""
    return SoapOut(body=pieces(_response(response)))


def _response(response: StoredQueryResponse) -> Iterator[str]:
    yield (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{RIM}" xmlns:rs="{RS}"'
        f' status="{response.status}">{error_list(response.errors)}<rim:RegistryObjectList>'
    )
    for entry in response.entries:
        yield extrinsic_object(entry, Phase.REGISTERED)
    for each in response.submission_sets:
        yield submission_set(each, Phase.REGISTERED)
    for one in response.folders:
        yield folder(one, Phase.REGISTERED)
    for arrow in response.associations:
        yield association(arrow, Phase.REGISTERED)
    for reference in response.object_refs:
        yield object_ref(reference.entry_uuid, reference.home_community_id)
    yield "</rim:RegistryObjectList></query:AdhocQueryResponse>"  # required even in a failure


def decode_response(message: SoapIn) -> Decoded[StoredQueryResponse]:
    """Read the answer.

    An object that cannot be read is left out and becomes an error of the response, so that what is incomplete never
    looks complete.

    Raises:
        MalformedMessage: It is another element.
    """
    body = message.body
    if body.tag != _RESPONSE:
        raise MalformedMessage("no query:AdhocQueryResponse", location="Body")
    findings: list[Finding] = []
    status, errors = read_status(body, findings), read_errors(body)
    parent = next(body.iterchildren(REGISTRY_OBJECT_LIST), None)
    objects = RegistryObjects() if parent is None else read_objects(parent, findings)
    response = StoredQueryResponse(
        status=status,
        errors=errors,
        entries=tuple(objects.entries),
        submission_sets=tuple(objects.submission_sets),
        folders=tuple(objects.folders),
        associations=tuple(objects.associations),
        object_refs=tuple(objects.references),
    )
    contradictions(status, errors, response.count, findings)
    if objects.unreadable:
        response = _incomplete(response, objects.unreadable)
        findings += objects.unreadable
    return Decoded(response, tuple(findings))


def _incomplete(response: StoredQueryResponse, unreadable: Sequence[Finding]) -> StoredQueryResponse:
    errors: tuple[RegistryError, ...] = (*response.errors, *errors_of_findings(unreadable, Speaker.REGISTRY))
    status = response.status if response.status is ResponseStatus.FAILURE else status_of(errors, response.count)
    return StoredQueryResponse(
        status=status,
        errors=errors,
        entries=response.entries,
        submission_sets=response.submission_sets,
        folders=response.folders,
        associations=response.associations,
        object_refs=response.object_refs,
    )


def refuse(error: ExchangeError) -> StoredQueryResponse:
    """An error as the registry's answer: no objects."""
    errors = registry_errors_of(error, Speaker.REGISTRY)
    return StoredQueryResponse(status=status_of(errors, 0), errors=errors)
