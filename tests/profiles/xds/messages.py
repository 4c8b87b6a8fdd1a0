"""One message of each kind: the values that the golden vectors write down, for XDS and XDS-I alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from profiles.findings import Severity
from profiles.model.codes import DCM, MANIFEST_FORMAT, Code
from profiles.model.content import Content, Poured
from profiles.model.document import Association, AssociationType, AvailabilityStatus, EntryType, Submission
from profiles.model.identifiers import Oid
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, TimeRange
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.retrieve import nothing
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80
from profiles.xds.iti18 import ITI_18, ObjectRef, ReturnType, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest, RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrievedDocument, RetrieveDocumentSetRequest
from profiles.xds.iti43 import RetrieveDocumentSetResponse as Head
from profiles.xds.iti51 import ITI_51, MultiPatientQuery
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, SeriesRequest, StudyRequest
from tests.profiles.xds.updates import OLD, REMOVE, REMOVE_DOCUMENTS, RESTRICTED, UPDATE
from tests.support.ebxml import (
    ENTRY,
    FOLDER,
    MEMBER,
    OLD_ENTRY,
    PATIENT_ID,
    REPLACEMENT,
    SET,
    SOURCE_ID,
    SUBMISSION,
    WITH_FOLDER,
)

HOME = Oid("1.2.3.1")
UUID = "urn:uuid:00000000-0000-4000-8000-00000000000{}"

PROVIDE = ProvideAndRegisterRequest(submission=SUBMISSION, documents={"Document01": Content.of(b"DICM of a kind...")})
ACROSS = replace(PROVIDE, home_community_id=HOME)
UNKNOWN_RECIPIENT = RegistryResponse(
    status=ResponseStatus.FAILURE,
    errors=(
        RegistryError(code="UnknownRecipient", context="nobody of this name is served here", location=SET.unique_id),
    ),
)
REGISTER = RegisterRequest(submission=WITH_FOLDER)
FAILURE = RegistryResponse(
    status=ResponseStatus.FAILURE,
    errors=(
        RegistryError(
            code="XDSPatientIdDoesNotMatch",
            context='Patient id of "Document01" & of the submission set differ',
            location="Document01",
        ),
        RegistryError(code="XDSExtraMetadataNotSaved", context="not kept", severity=Severity.WARNING),
    ),
)
FIND = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID,
    home_community_id=HOME,
    criteria=DocumentCriteria(
        patient_ids=(PATIENT_ID,),
        statuses=(AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED),
        entry_types=(EntryType.STABLE, EntryType.ON_DEMAND),
        format_codes=(Code(value=MANIFEST_FORMAT.value, system=MANIFEST_FORMAT.system),),
        event_codes=(
            (Code(value="CT", system=DCM), Code(value="MR", system=DCM)),
            (Code(value="Children's", system="1.2.3"),),
        ),
        author_persons=("%Sm_tty%", "O'Hara%"),
        reference_ids=(("%ACC42^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession",),),
        creation_time=TimeRange(start=Moment.from_dtm("2026"), end=Moment.from_dtm("20270101")),
        service_start_time=TimeRange(start=Moment.from_dtm("202603010930")),
    ),
)
GET_ASSOCIATIONS = StoredQueryRequest(
    query=StoredQuery.GET_ASSOCIATIONS, return_type=ReturnType.OBJECT_REF, uuids=(UUID.format(1), UUID.format(2))
)
FOUND = StoredQueryResponse(
    entries=(
        replace(ENTRY, entry_uuid=UUID.format(1), home_community_id=HOME, version=2, logical_id=UUID.format(9)),
        replace(
            ENTRY,
            entry_uuid=UUID.format(2),
            entry_type=EntryType.ON_DEMAND,
            availability_status=AvailabilityStatus.DEPRECATED,
            title="",
            comments="",
            authors=(),
            event_codes=(),
            extra=(),
        ),
    ),
    submission_sets=(replace(SET, entry_uuid=UUID.format(3), home_community_id=HOME),),
    folders=(replace(FOLDER, entry_uuid=UUID.format(4), home_community_id=HOME),),
    associations=(
        replace(MEMBER, entry_uuid=UUID.format(5), source=UUID.format(3), target=UUID.format(1)),
        replace(REPLACEMENT, entry_uuid=UUID.format(6), source=UUID.format(1), target=UUID.format(2)),
    ),
)
REFERENCES = StoredQueryResponse(
    object_refs=(ObjectRef(entry_uuid=UUID.format(1), home_community_id=HOME), ObjectRef(entry_uuid=UUID.format(2)))
)
NOT_FOUND = StoredQueryResponse(
    status=ResponseStatus.FAILURE,
    errors=(
        RegistryError(
            code="XDSStoredQueryMissingParam",
            context="parameter $XDSDocumentEntryStatus is missing",
            location="$XDSDocumentEntryStatus",
        ),
    ),
)
RETRIEVE = RetrieveDocumentSetRequest(
    documents=(
        DocumentRequest(repository_unique_id="1.2.3.2", document_unique_id="1.2.826.0.1.99.2"),
        DocumentRequest(
            repository_unique_id="1.2.4.2", document_unique_id="1.2.826.0.1.99.5^x&y", home_community_id=HOME
        ),
    )
)
RETRIEVED = Head(
    documents=(
        RetrievedDocument(
            repository_unique_id="1.2.3.2", document_unique_id="1.2.826.0.1.99.2", mime_type="application/dicom"
        ),
        RetrievedDocument(
            repository_unique_id="1.2.4.2",
            document_unique_id="1.2.826.0.1.99.5^x&y",
            home_community_id=HOME,
            mime_type="text/xml",
            new_repository_unique_id="1.2.4.2",
            new_document_unique_id="1.2.826.0.1.99.6",
        ),
    )
)
RETRIEVE_IMAGES = RetrieveImagingDocumentSetRequest(
    studies=(
        StudyRequest(
            study_instance_uid="1.2.826.0.1.99.1",
            series=(
                SeriesRequest(
                    series_instance_uid="1.2.826.0.1.99.1.1",
                    documents=(
                        DocumentRequest(repository_unique_id="1.2.3.3", document_unique_id="1.2.826.0.1.99.1.1.1"),
                        DocumentRequest(repository_unique_id="1.2.3.3", document_unique_id="1.2.826.0.1.99.1.1.2"),
                    ),
                ),
                SeriesRequest(
                    series_instance_uid="1.2.826.0.1.99.1.2",
                    documents=(
                        DocumentRequest(
                            repository_unique_id="1.2.4.3",
                            document_unique_id="1.2.826.0.1.99.1.2.1",
                            home_community_id=HOME,
                        ),
                    ),
                ),
            ),
        ),
        StudyRequest(
            study_instance_uid="1.2.826.0.1.99.7",
            series=(
                SeriesRequest(
                    series_instance_uid="1.2.826.0.1.99.7.1",
                    documents=(
                        DocumentRequest(repository_unique_id="1.2.3.3", document_unique_id="1.2.826.0.1.99.7.1.1"),
                    ),
                ),
            ),
        ),
    ),
    transfer_syntax_uids=("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"),
)
PARTIAL = Head(
    status=ResponseStatus.PARTIAL_SUCCESS,
    errors=(
        RegistryError(
            code="XDSDocumentUniqueIdError",
            context="no such instance in the requested series",
            location="1.2.826.0.1.99.1.1.2",
        ),
    ),
    documents=(
        RetrievedDocument(
            repository_unique_id="1.2.3.3", document_unique_id="1.2.826.0.1.99.1.1.1", mime_type="application/dicom"
        ),
    ),
)

# --- between communities: every object and every error says whose it is ---

CROSS_FIND = replace(
    FIND,
    criteria=DocumentCriteria(patient_ids=(PATIENT_ID,), statuses=(AvailabilityStatus.APPROVED,)),
    query=StoredQuery.FIND_DOCUMENTS,
    home_community_id=None,
)
CROSS_FOUND = StoredQueryResponse(
    status=ResponseStatus.PARTIAL_SUCCESS,
    entries=(replace(ENTRY, entry_uuid=UUID.format(1), home_community_id=HOME),),
    errors=(RegistryError(code="XDSUnavailableCommunity", context="no answer in time", location="urn:oid:1.2.5.1"),),
)
CROSS_RETRIEVE = RetrieveDocumentSetRequest(
    documents=(
        DocumentRequest(home_community_id=HOME, repository_unique_id="1.2.3.2", document_unique_id="1.2.826.0.1.99.2"),
        DocumentRequest(home_community_id=HOME, repository_unique_id="1.2.3.2", document_unique_id="1.2.826.0.1.99.9"),
    )
)
CROSS_RETRIEVED = Head(
    status=ResponseStatus.PARTIAL_SUCCESS,
    documents=(
        RetrievedDocument(
            home_community_id=HOME,
            repository_unique_id="1.2.3.2",
            document_unique_id="1.2.826.0.1.99.2",
            mime_type="application/dicom",
        ),
    ),
    errors=(
        RegistryError(
            code="XDSDocumentUniqueIdError", context="there is no document 1.2.826.0.1.99.9", location="urn:oid:1.2.3.1"
        ),
    ),
)
CROSS_IMAGES = RetrieveImagingDocumentSetRequest(
    studies=(
        StudyRequest(
            study_instance_uid="1.2.826.0.1.99.1",
            series=(
                SeriesRequest(
                    series_instance_uid="1.2.826.0.1.99.1.1",
                    documents=(
                        DocumentRequest(
                            home_community_id=HOME, repository_unique_id="1.2.3.3",
                            document_unique_id="1.2.826.0.1.99.1.1.1",
                        ),
                    ),
                ),
            ),
        ),
    ),
    transfer_syntax_uids=("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"),
)  # fmt: skip
CROSS_IMAGED = Head(
    documents=(
        RetrievedDocument(
            home_community_id=HOME,
            repository_unique_id="1.2.3.3",
            document_unique_id="1.2.826.0.1.99.1.1.1",
            mime_type="application/dicom",
        ),
    ),
)

# --- what is provided, changed and removed beside manifests ---

REPORT = ProvideAndRegisterRequest(
    submission=Submission(
        submission_set=SET,
        entries=(
            replace(
                ENTRY,
                format_code=Code(value="urn:ihe:rad:PDF", system="1.3.6.1.4.1.19376.1.2.3", display="PDF report"),
                mime_type="application/pdf",
                title="CT Chest: report",
                uri="report.pdf",
            ),
        ),
        associations=(
            MEMBER,
            Association(entry_uuid="belongs", type=AssociationType.APPEND, source="Document01", target=OLD_ENTRY),
        ),
    ),
    documents={"Document01": Content.of(b"DICM of a kind...")},
)
QUEUED = RegistryResponse(
    errors=(
        RegistryError(
            code="DocumentQueued", context="whose it is will be settled by a person", severity=Severity.WARNING
        ),
    )
)
DONE = RegistryResponse()
OF_SEVERAL = StoredQueryRequest(
    query=MultiPatientQuery.FIND_DOCUMENTS,
    criteria=DocumentCriteria(
        patient_ids=(PATIENT_ID, SOURCE_ID),
        statuses=(AvailabilityStatus.APPROVED,),
        event_codes=((Code(value="CT", system=DCM),),),
    ),
)
FOUND_OF_SEVERAL = StoredQueryResponse(
    entries=(
        replace(ENTRY, entry_uuid=UUID.format(1)),
        replace(ENTRY, entry_uuid=UUID.format(2), unique_id="1.2.826.0.1.99.8", patient_id=SOURCE_ID),
    ),
)
OFFER = RegisterOnDemandRequest(
    submission=Submission(
        submission_set=SET,
        entries=(replace(ENTRY, entry_type=EntryType.ON_DEMAND, creation_time=None, hash="", size_bytes=None, uri=""),),
        associations=(MEMBER,),
    )
)


def refused(code: str, context: str, location: str) -> RegistryResponse:
    """A failure for one reason."""
    return RegistryResponse(
        status=ResponseStatus.FAILURE, errors=(RegistryError(code=code, context=context, location=location),)
    )


WRONG_VERSION = refused("XDSMetadataVersionError", f"version 1 of {OLD} is not the latest", OLD)
UNMODIFIABLE = refused("UnmodifiableMetadataError", f"{OLD}: the hash may not change", OLD)
STILL_REFERENCED = refused("ReferencesExistException", f"{OLD} is the target of an association that stays", OLD)
NO_SUCH_DOCUMENT = refused("XDSDocumentUniqueIdError", "there is no document 1.2.826.0.1.99.2", "1.2.826.0.1.99.2")

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "rad68-request-replacement.xml": (ITI_41, PROVIDE),
    "iti41-request-report.xml": (ITI_41, REPORT),
    "iti51-request.xml": (ITI_51, OF_SEVERAL),
    "iti57-request.xml": (ITI_57, UPDATE),
    "iti61-request.xml": (ITI_61, OFFER),
    "iti62-request.xml": (ITI_62, REMOVE),
    "iti86-request.xml": (ITI_86, REMOVE_DOCUMENTS),
    "iti92-request.xml": (ITI_92, RESTRICTED),
    "iti80-request.xml": (ITI_80, ACROSS),
    "iti42-request-folder.xml": (ITI_42, REGISTER),
    "iti18-request-by-reference-id.xml": (ITI_18, FIND),
    "iti18-request-get-associations.xml": (ITI_18, GET_ASSOCIATIONS),
    "iti43-request.xml": (ITI_43, RETRIEVE),
    "rad69-request.xml": (RAD_69, RETRIEVE_IMAGES),
    "iti38-request.xml": (ITI_38, CROSS_FIND),
    "iti39-request.xml": (ITI_39, CROSS_RETRIEVE),
    "rad75-request.xml": (RAD_75, CROSS_IMAGES),
}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti42-response-failure.xml": (ITI_42, FAILURE),
    "iti41-response-queued.xml": (ITI_41, QUEUED),
    "rad68-response.xml": (RAD_68, DONE),
    "iti51-response.xml": (ITI_51, FOUND_OF_SEVERAL),
    "iti57-response-version.xml": (ITI_57, WRONG_VERSION),
    "iti61-response.xml": (ITI_61, DONE),
    "iti62-response-referenced.xml": (ITI_62, STILL_REFERENCED),
    "iti86-response-unknown.xml": (ITI_86, NO_SUCH_DOCUMENT),
    "iti92-response-unmodifiable.xml": (ITI_92, UNMODIFIABLE),
    "iti18-response-objects.xml": (ITI_18, FOUND),
    "iti18-response-references.xml": (ITI_18, REFERENCES),
    "iti18-response-failure.xml": (ITI_18, NOT_FOUND),
    "iti43-response.xml": (ITI_43, Poured(head=RETRIEVED, pour=nothing())),
    "rad69-response-partial.xml": (RAD_69, Poured(head=PARTIAL, pour=nothing())),
    "iti38-response-partial.xml": (ITI_38, CROSS_FOUND),
    "iti39-response-partial.xml": (ITI_39, Poured(head=CROSS_RETRIEVED, pour=nothing())),
    "iti80-response-unknown-recipient.xml": (ITI_80, UNKNOWN_RECIPIENT),
    "rad75-response.xml": (RAD_75, Poured(head=CROSS_IMAGED, pour=nothing())),
}
ALL = {
    **{name: (transaction, "request", message) for name, (transaction, message) in REQUESTS.items()},
    **{name: (transaction, "response", message) for name, (transaction, message) in RESPONSES.items()},
}
