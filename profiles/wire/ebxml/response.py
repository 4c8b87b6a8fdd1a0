"""RegistryResponse and its errors; the tables from `Condition` to XDS error code, and back from a peer's code.

An XDS error code depends on who says it: a registry, a repository that takes a submission, or one that hands documents
out (an Imaging Document Source is of the last kind). So the table has three columns.

Source: ITI TF-3 4.2.4 (status, error list), table 4.2.4.1-2 (error codes).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from lxml import etree

from profiles.errors import (
    Condition,
    ExchangeError,
    MalformedMessage,
    PeerError,
    PeerProtocolError,
    PeerRefused,
    PeerUnavailable,
)
from profiles.findings import Finding, Severity
from profiles.wire.ebxml.rim import MAX_ECHO, RS, wrong
from profiles.wire.xml import attribute as escape


class ResponseStatus(StrEnum):
    """How it went. Mind the other namespace of PartialSuccess."""

    SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
    PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
    FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryError:
    """One error or warning. `context` is for people and may be read by strangers; `location` is per transaction.

    Source: ITI TF-3 4.2.4.1.
    """

    code: str
    context: str
    severity: Severity = Severity.ERROR
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryResponse:
    """The answer to a submission: everything or nothing, with reasons or warnings."""

    status: ResponseStatus = ResponseStatus.SUCCESS
    errors: tuple[RegistryError, ...] = ()


def status_of(errors: Iterable[RegistryError], results: int | None = None) -> ResponseStatus:
    """The status that these errors and results add up to.

    Args:
        errors: What will be in the error list.
        results: How many objects or documents are handed out; None for a submission, which is all or nothing.

    Source: ITI TF-3 4.2.4.2.
    """
    if not any(error.severity is Severity.ERROR for error in errors):
        return ResponseStatus.SUCCESS
    return ResponseStatus.PARTIAL_SUCCESS if results else ResponseStatus.FAILURE


# --- condition -> code ------------------------------------------------------------------------------------------------


class Speaker(StrEnum):
    """Who answers, and so which column of the table."""

    REGISTRY = "registry"  # ITI-18, ITI-42 and what changes or removes metadata
    REPOSITORY = "repository"  # ITI-41, RAD-68
    SOURCE = "source"  # ITI-43, RAD-69, ITI-86


class Codes(NamedTuple):
    """A row: the code that each speaker uses."""

    registry: str
    repository: str
    source: str


CODES: Mapping[Condition, Codes] = {
    Condition.MALFORMED: Codes("XDSRegistryError", "XDSRepositoryError", "XDSRepositoryError"),
    Condition.RULE_VIOLATED: Codes("XDSRegistryMetadataError", "XDSRepositoryMetadataError", "XDSRepositoryError"),
    Condition.UNSUPPORTED: Codes("XDSRegistryError", "XDSRepositoryError", "XDSRepositoryError"),
    Condition.UNKNOWN_QUERY: Codes("XDSUnknownStoredQuery", "XDSRepositoryError", "XDSRepositoryError"),
    Condition.UNAUTHENTICATED: Codes("XDSRegistryError", "XDSRepositoryError", "XDSRepositoryError"),
    Condition.ACCESS_DENIED: Codes(
        "XDSRegistryError", "XDSRepositoryError", "XDSDocumentUniqueIdError"
    ),  # as if unknown
    Condition.UNKNOWN_PATIENT: Codes("XDSUnknownPatientId", "XDSUnknownPatientId", "XDSDocumentUniqueIdError"),
    Condition.UNKNOWN_DOCUMENT: Codes(
        "UnresolvedReferenceException", "UnresolvedReferenceException", "XDSDocumentUniqueIdError"
    ),
    Condition.UNKNOWN_REPOSITORY: Codes("XDSRegistryError", "XDSRepositoryError", "XDSUnknownRepositoryId"),
    Condition.UNKNOWN_COMMUNITY: Codes("XDSUnknownCommunity", "XDSRepositoryError", "XDSUnknownCommunity"),
    Condition.DUPLICATE: Codes(
        "XDSDuplicateUniqueIdInRegistry", "XDSDuplicateUniqueIdInRegistry", "XDSRepositoryError"
    ),
    Condition.IDENTITY_CONFLICT: Codes("XDSPatientIdDoesNotMatch", "XDSPatientIdDoesNotMatch", "XDSRepositoryError"),
    Condition.TOO_MANY_RESULTS: Codes("XDSTooManyResults", "XDSRepositoryError", "XDSTooManyResults"),
    Condition.BUSY: Codes("XDSRegistryBusy", "XDSRepositoryBusy", "XDSRepositoryBusy"),
    Condition.OUT_OF_RESOURCES: Codes(
        "XDSRegistryOutOfResources", "XDSRepositoryOutOfResources", "XDSRepositoryOutOfResources"
    ),
    Condition.PEER_UNAVAILABLE: Codes("XDSRegistryError", "XDSRegistryNotAvailable", "XDSRepositoryError"),
    Condition.INTERNAL: Codes("XDSRegistryError", "XDSRepositoryError", "XDSRepositoryError"),
}

_P, _R, _SQ, _RS = "ITI-41", "ITI-42", "ITI-18", "ITI-43"
_U, _RU, _RM, _RD = "ITI-57", "ITI-92", "ITI-62", "ITI-86"
_X = "ITI-80"
_UPDATE = frozenset({_U, _RU})
_SUBMIT = frozenset({_P, _R, _U, _RU})
_ALL = frozenset({_P, _R, _SQ, _RS, _U, _RU, _RM, _RD})

ERROR_CODES: Mapping[str, frozenset[str]] = {
    # The Framework's table and its supplements', cut to the transactions of this house; RAD-68 is in ITI-41's column,
    # RAD-69 in ITI-43's, ITI-51 in ITI-18's, ITI-61 in ITI-42's. ITI-80 is in ITI-41's, and has some that go beyond it.
    "DocumentQueued": frozenset({_P}),
    "InvalidDocumentContent": frozenset({_P}),
    "LocalPolicyRestrictionError": frozenset({_RU}),
    "PartialAppendContentNotProcessed": frozenset({_P}),
    "PartialFolderContentNotProcessed": frozenset({_P}),
    "PartialRelationshipContentNotProcessed": frozenset({_P}),
    "PartialReplaceContentNotProcessed": frozenset({_P}),
    "PartialTransformContentNotProcessed": frozenset({_P}),  # so in the text of ITI TF-2 3.41
    "PartialTransformNotProcessed": frozenset({_P}),
    "PartialTransformReplaceContentNotProcessed": frozenset({_P}),  # as well
    "PartialTransformReplaceNotProcessed": frozenset({_P}),
    "ReferencesExistException": frozenset({_RM}),
    "UnavailableRecipient": frozenset({_X}),
    "UnknownRecipient": frozenset({_X}),
    "UnmodifiableMetadataError": frozenset({_RU}),
    "UnresolvedReferenceException": _SUBMIT | {_RM},
    "XDSDocumentUniqueIdError": frozenset({_RS, _RD}),
    "XDSDuplicateUniqueIdInRegistry": _SUBMIT,
    "XDSExtraMetadataNotSaved": _SUBMIT,
    "XDSInvalidRequestException": frozenset({_RU}),
    "XDSMetadataAnnotationError": frozenset({_RU}),
    "XDSMetadataIdentifierError": frozenset({_RU}),
    "XDSMetadataUpdateError": frozenset({_U}),
    "XDSMetadataUpdateOperationError": frozenset({_U}),
    "XDSMetadataVersionError": _UPDATE,
    "XDSMissingDocument": frozenset({_P}),
    "XDSMissingDocumentMetadata": frozenset({_P}),
    "XDSMissingHomeCommunityId": frozenset({_SQ, _RS, _X}),
    "XDSNonIdenticalHash": _SUBMIT,
    "XDSNonIdenticalSize": _SUBMIT,
    "XDSObjectTypeError": frozenset({_RU}),
    "XDSPatientIDReconciliationError": _UPDATE,
    "XDSPatientIdDoesNotMatch": _SUBMIT,
    "XDSRegistryBusy": frozenset({_P, _R, _SQ, _U, _RU, _RM}),
    "XDSRemoveDocumentsError": frozenset({_RD}),
    "XDSRepositoryBusy": frozenset({_P, _RS, _RD}),
    "XDSRegistryDeprecatedDocumentError": _SUBMIT,
    "XDSRegistryDuplicateUniqueIdInMessage": _SUBMIT,
    "XDSRepositoryDuplicateUniqueIdInMessage": _SUBMIT,
    "XDSRegistryError": _ALL,
    "XDSRepositoryError": _ALL,
    "XDSRegistryMetadataError": _SUBMIT,
    "XDSRepositoryMetadataError": _SUBMIT,
    "XDSRegistryNotAvailable": frozenset({_P}),
    "XDSRegistryOutOfResources": _ALL,
    "XDSRepositoryOutOfResources": _ALL,
    "XDSResultNotSinglePatient": frozenset({_SQ, _RS}),
    "XDSStoredQueryMissingParam": frozenset({_SQ}),
    "XDSStoredQueryParamNumber": frozenset({_SQ}),
    "XDSTooManyResults": frozenset({_SQ, _RS}),
    "XDSUnavailableCommunity": frozenset({_SQ, _RS, _X}),
    "XDSUnknownCommunity": frozenset({_SQ, _RS, _X}),
    "XDSUnknownPatientId": frozenset({_P, _R, _SQ, _U, _RU}),
    "XDSUnknownRepositoryId": frozenset({_RS, _RD}),
    "XDSUnknownStoredQuery": frozenset({_SQ}),
    "XDSUnreferencedObjectException": frozenset({_RM}),
}


NAMES_IT = frozenset(
    {
        "InvalidDocumentContent",
        "LocalPolicyRestrictionError",
        "ReferencesExistException",
        "UnmodifiableMetadataError",
        "XDSInvalidRequestException",
        "XDSMetadataAnnotationError",
        "XDSMetadataIdentifierError",
        "XDSMetadataUpdateError",
        "XDSMetadataUpdateOperationError",
        "XDSMetadataVersionError",
        "XDSNonIdenticalHash",
        "XDSNonIdenticalSize",
        "XDSObjectTypeError",
        "XDSPatientIDReconciliationError",
        "XDSRemoveDocumentsError",
        "XDSUnreferencedObjectException",
    }
)
"""Codes whose codeContext has the id of the document or object concerned. Those about a patient would have the patient id
there too; we leave it out, for strangers read it.
"""


def code_of(condition: Condition, speaker: Speaker) -> str:
    """The code that this speaker uses where there is no more exact one."""
    row = CODES[condition]
    return str(getattr(row, speaker.value))


def errors_of(error: ExchangeError, speaker: Speaker) -> tuple[RegistryError, ...]:
    """An error as an error list: each of its findings, or the error itself when it has none."""
    if not any(finding.severity is Severity.ERROR for finding in error.findings):
        code = error.code or code_of(error.condition, speaker)
        own = RegistryError(code=code, context=_context(code, error.detail, error.location), location=error.location)
        return (own, *errors_of_findings(error.findings, speaker, error.condition))
    return errors_of_findings(error.findings, speaker, error.condition)


def errors_of_findings(
    findings: Iterable[Finding], speaker: Speaker, condition: Condition = Condition.RULE_VIOLATED
) -> tuple[RegistryError, ...]:
    """Findings as entries of an error list; `condition` gives the code where a finding has none of its own."""
    coded = ((finding.code or code_of(condition, speaker), finding) for finding in findings)
    return tuple(
        RegistryError(
            code=code,
            context=_context(code, finding.text, finding.location),
            severity=finding.severity,
            location=finding.location,
        )
        for code, finding in coded
    )


def _context(code: str, text: str, location: str) -> str:
    named = code not in NAMES_IT or not location or location in text
    return text if named else f"{text}: {location[:MAX_ECHO]}"


def warnings_to_tell(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What a decoder noticed that the sender is to know although all was done: warnings that the wire has a code for."""
    return tuple(each for each in findings if each.severity is Severity.WARNING and each.code in ERROR_CODES)


# --- code -> exception ------------------------------------------------------------------------------------------------

COME_BACK = frozenset(
    {
        "XDSRegistryBusy",
        "XDSRepositoryBusy",
        "XDSRegistryNotAvailable",
        "XDSRegistryOutOfResources",
        "XDSRepositoryOutOfResources",
        "XDSUnavailableCommunity",
        "UnavailableRecipient",
    }
)
"""What may be better later; everything else says that the same request would get the same answer."""

FOR_GOOD = frozenset(
    {
        "XDSDocumentUniqueIdError",
        "XDSUnknownRepositoryId",
        "XDSUnknownCommunity",
        "XDSMissingHomeCommunityId",
        "XDSIUnknownIdsUid",
        "urn:dicom:wado:0007",
    }
)
"""What a source says of one document that it will not give the next time either.

Less than what `COME_BACK` has not: a source says XDSRepositoryError of whatever has no better code, its archive being down
among it.
"""


def is_for_good(error: RegistryError) -> bool:
    """Whether asking again for what this error is about would be in vain.

    No code is prescribed for a transfer syntax that cannot be had (RAD69-005): most say it in words.
    """
    return error.code in FOR_GOOD or "transfer syntax" in error.context.lower()


IGNORED = frozenset(
    {
        "PartialAppendContentNotProcessed",
        "PartialFolderContentNotProcessed",
        "PartialRelationshipContentNotProcessed",
        "PartialReplaceContentNotProcessed",
        "PartialTransformContentNotProcessed",
        "PartialTransformNotProcessed",
        "PartialTransformReplaceContentNotProcessed",
        "PartialTransformReplaceNotProcessed",
    }
)
"""Warnings of a recipient that took the documents, and not what was said of how they hang together."""

_MEND = "Our metadata is not what the peer takes: compare the code tables with those of its affinity domain."
_AGAIN = "The same may be sent again in a while; if this lasts, ask the peer."
_NEWER = "What is registered there has changed: look at what the peer has, and do it again from that."
_BUG = "The peer and this house understand the standard differently: report it, with the message."

CURES: Mapping[str, str] = {
    "DocumentQueued": "A person at the peer decides whose it is.",
    "InvalidDocumentContent": "Document and metadata contradict each other for the peer: ask it for its log.",
    "LocalPolicyRestrictionError": "The peer's policy forbids it: agree with the peer who may change what.",
    "ReferencesExistException": "Something that was not named refers to it: look at what the peer has, remove that too.",
    "UnavailableRecipient": _AGAIN,
    "UnknownRecipient": "The peer serves nobody of this name: correct the recipient, or submit without one.",
    "UnmodifiableMetadataError": "The peer lets nobody change this attribute: submit a replacement instead.",
    "UnresolvedReferenceException": "The peer does not have what is referred to: look whether it was removed there.",
    "XDSDocumentUniqueIdError": "The peer no longer has it: ask there, or fetch the manifest that replaced this one.",
    "XDSDuplicateUniqueIdInRegistry": "The submission set was registered before: look whether it arrived after all.",
    "XDSExtraMetadataNotSaved": "It was taken; the peer keeps less of the metadata than was sent.",
    "XDSInvalidRequestException": _BUG,
    "XDSMetadataAnnotationError": _BUG,
    "XDSMetadataIdentifierError": _NEWER,
    "XDSMetadataUpdateError": _NEWER,
    "XDSMetadataUpdateOperationError": _BUG,
    "XDSMetadataVersionError": _NEWER,
    "XDSMissingDocument": "The documents did not arrive: look whether something between us strips attachments.",
    "XDSMissingDocumentMetadata": _BUG,
    "XDSMissingHomeCommunityId": "Give the [[peer]] its home_community_id; the gateway needs it on each request.",
    "XDSNonIdenticalHash": "The document was registered before with other bytes: publish it under a new unique id.",
    "XDSNonIdenticalSize": "The document was registered before with other bytes: publish it under a new unique id.",
    "XDSObjectTypeError": _NEWER,
    "XDSPatientIDReconciliationError": "What is changed is another patient's there: look at the mapping of patient ids.",
    "XDSPatientIdDoesNotMatch": "All objects of a submission carry the same patient id: look at the mapping.",
    "XDSRegistryBusy": _AGAIN,
    "XDSRegistryDeprecatedDocumentError": "What is referred to was replaced there: look at what the peer has.",
    "XDSRegistryDuplicateUniqueIdInMessage": _BUG,
    "XDSRegistryError": "The peer has no better word for it: ask it for its log.",
    "XDSRegistryMetadataError": _MEND,
    "XDSRegistryNotAvailable": "The peer's repository cannot reach its registry; this is tried again.",
    "XDSRegistryOutOfResources": _AGAIN,
    "XDSRemoveDocumentsError": "The peer keeps the document: ask it why.",
    "XDSRepositoryBusy": _AGAIN,
    "XDSRepositoryDuplicateUniqueIdInMessage": _BUG,
    "XDSRepositoryError": "The peer has no better word for it: ask it for its log.",
    "XDSRepositoryMetadataError": _MEND,
    "XDSRepositoryOutOfResources": _AGAIN,
    "XDSResultNotSinglePatient": "The answer would be about several patients: ask for one.",
    "XDSStoredQueryMissingParam": _BUG,
    "XDSStoredQueryParamNumber": _BUG,
    "XDSTooManyResults": "More matches than the peer answers: ask for less, a study or a shorter time.",
    "XDSUnavailableCommunity": _AGAIN,
    "XDSUnknownCommunity": "The peer does not know this home community id: compare the configurations.",
    "XDSUnknownPatientId": "Feed the patient to the peer first (ITI-8), or send another patient id.",
    "XDSUnknownRepositoryId": "Compare the retrieve location UID of the manifest with what the peer calls itself.",
    "XDSUnknownStoredQuery": "The peer does not serve this query: `radgate peer test` shows which ones it does.",
    "XDSUnreferencedObjectException": "An object would be left over: look at what the peer has, remove that too.",
    **dict.fromkeys(
        IGNORED, "It was taken and stands alone there: have the peer deprecate or file by hand what it belongs to."
    ),
}
"""What the operator of the house that was told a code can do about it."""

OTHERWISE = "The peer says no, in a word of its own: ask it for its log."


def ignores(errors: Iterable[RegistryError]) -> bool:
    """Whether a recipient took the documents and passed over what was said of how they hang together (XDR)."""
    return any(each.severity is Severity.WARNING and each.code in IGNORED for each in errors)


def warned(errors: Iterable[RegistryError]) -> tuple[str, str]:
    """What a peer warns of although it did what was asked, and what can be done about it; both "" where of nothing."""
    codes = dict.fromkeys(each.code[:64] for each in errors if each.severity is Severity.WARNING)
    if not codes:
        return "", ""
    cures = dict.fromkeys(CURES.get(code, OTHERWISE) for code in codes)
    return f"the peer warns: {', '.join(codes)}", " ".join(cures)


def refusal(status: ResponseStatus, errors: Iterable[RegistryError]) -> PeerError | None:
    """A peer's answer as the exception to raise; None when it did what was asked, or some of it.

    Success with an error in its list is a contradiction and never a success. The peer's own words may name a patient and
    are not repeated.
    """
    if status is ResponseStatus.PARTIAL_SUCCESS:
        return None
    first = next((error for error in errors if error.severity is Severity.ERROR), None)
    if first is None:
        if status is ResponseStatus.SUCCESS:
            return None
        return PeerRefused("the peer answered Failure and gave no reason", cure="Ask the peer for its log.")
    said = first.code[:64]
    if status is ResponseStatus.SUCCESS:
        return PeerProtocolError(
            f"the peer answered Success with the error {said}",
            code=said,
            location=first.location[:128],
            cure="Ask the peer whether it did what was asked.",
        )
    kind = PeerUnavailable if first.code in COME_BACK else PeerRefused
    cure = CURES.get(first.code, OTHERWISE)
    return kind(f"the peer answered {said}", code=said, location=first.location[:128], cure=cure)


# --- writing ----------------------------------------------------------------------------------------------------------

_SEVERITIES = {
    Severity.ERROR: "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error",
    Severity.WARNING: "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning",
}


MAX_CONTEXT = 1024  # characters; nobody reads on


def error_list(errors: tuple[RegistryError, ...]) -> str:
    """`rs:RegistryErrorList`; nothing when there are none."""
    if not errors:
        return ""
    highest = _SEVERITIES[
        Severity.ERROR if any(error.severity is Severity.ERROR for error in errors) else Severity.WARNING
    ]
    written = "".join(
        f'<rs:RegistryError errorCode="{escape(error.code)}" codeContext="{escape(error.context[:MAX_CONTEXT])}"'
        f' severity="{_SEVERITIES[error.severity]}"'
        + (f' location="{escape(error.location[:MAX_ECHO])}"/>' if error.location else "/>")
        for error in errors
    )
    return f'<rs:RegistryErrorList highestSeverity="{highest}">{written}</rs:RegistryErrorList>'


def registry_response(status: ResponseStatus, errors: tuple[RegistryError, ...]) -> Iterator[str]:
    """`rs:RegistryResponse`."""
    yield f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status}">{error_list(errors)}</rs:RegistryResponse>'


# --- reading ----------------------------------------------------------------------------------------------------------

REGISTRY_RESPONSE = f"{{{RS}}}RegistryResponse"
ERROR_LIST = f"{{{RS}}}RegistryErrorList"
_ERROR = f"{{{RS}}}RegistryError"
_WORDS = {each.rpartition(":")[2]: each for each in ResponseStatus}


def read_status(element: etree._Element, findings: list[Finding]) -> ResponseStatus:
    """`@status`. A URN of the other namespace is understood; a status that is missing or unknown counts as Failure."""
    text = (element.get("status") or "").strip()
    status = _WORDS.get(text.rpartition(":")[2])
    if status is None:
        findings.append(wrong("response-status", "the response has no status that XDS knows"))
        return ResponseStatus.FAILURE
    if text != status:
        findings.append(wrong("response-status", f"the status is written {text[:80]}"))
    return status


def read_errors(parent: etree._Element) -> tuple[RegistryError, ...]:
    """The entries of the error list below an element; a severity that is not Warning is Error."""
    found = next(parent.iterchildren(ERROR_LIST), None)
    if found is None:
        return ()
    return tuple(
        RegistryError(
            code=(error.get("errorCode") or "").strip(),
            context=(error.get("codeContext") or "").strip(),
            severity=Severity.WARNING if (error.get("severity") or "").strip().endswith(":Warning") else Severity.ERROR,
            location=(error.get("location") or "").strip(),
        )
        for error in found.iterchildren(_ERROR)
    )


def read_registry_response(element: etree._Element, findings: list[Finding]) -> RegistryResponse:
    """Read `rs:RegistryResponse`, and say where it contradicts itself.

    Raises:
        MalformedMessage: It is another element.
    """
    if element.tag != REGISTRY_RESPONSE:
        raise MalformedMessage("no rs:RegistryResponse", location="Body")
    response = RegistryResponse(status=read_status(element, findings), errors=read_errors(element))
    if response.status is ResponseStatus.PARTIAL_SUCCESS:  # whatever the peer kept, it is not what was asked
        findings.append(wrong("no-partial-submission", "PartialSuccess does not exist for submissions"))
        response = RegistryResponse(status=ResponseStatus.FAILURE, errors=response.errors)
    contradictions(response.status, response.errors, None, findings)
    return response


def contradictions(
    status: ResponseStatus, errors: tuple[RegistryError, ...], results: int | None, findings: list[Finding]
) -> None:
    """Report where status, errors and results do not go together (ITI TF-3 4.2.4.2)."""
    failed = any(error.severity is Severity.ERROR for error in errors)
    if status is ResponseStatus.SUCCESS and failed:
        findings.append(wrong("success-without-errors", "Success with an error in the list"))
    if status is not ResponseStatus.SUCCESS and not failed:
        findings.append(wrong("failure-has-reason", "the response is no Success and gives no error"))
    if status is ResponseStatus.FAILURE and results:
        findings.append(wrong("failure-without-results", "Failure together with results"))
    if status is ResponseStatus.PARTIAL_SUCCESS and results == 0:
        findings.append(wrong("partial-has-results", "PartialSuccess without results"))
