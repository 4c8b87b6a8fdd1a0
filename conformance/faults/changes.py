"""Wrong registries and repositories: what of updates and removals they overlook, do by half or say otherwise.

Source: ITI TF-2 3.57, 3.62, 3.86, 3.92.
"""

import re
from collections.abc import Mapping
from typing import Any

from conformance.faults.documents import APPROVED, ARROW, DEPRECATED, ENTRY, NOBODY, as_success, own, patient_of
from conformance.faults.edits import (
    FAILURE,
    PARTIAL,
    SUCCESS,
    AnswerEdit,
    Fault,
    RequestEdit,
    answers,
    last_byte_changed,
    requests,
)
from conformance.faults.envelope import envelope_faults
from conformance.in_flight import Outgoing
from conformance.system import System
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92

UPDATE, RESTRICTED = "xds.registry_update/", "xds.responder_update/"
METADATA, DOCUMENTS = "xds.registry_remove/", "xds.repository_remove/"
_UPDATE_REFUSED = (
    "another_number", "outdated", "no_number", "unknown_logical_id", "first_version", "nothing", "no_status",
    "status_of_nothing", "association_of_nothing", "another_patients", "unknown_patient", "set_twice",
)  # fmt: skip
_UPDATE_REFUSED_ANYHOW = (
    "another_unique_id", "another_hash", "another_repository", "another_type", "incomplete", "another_original",
    "older_version", "of_a_set", "association_of_deprecated", "atomic", "moved_from_a_folder",
)  # fmt: skip
_RESTRICTED_REFUSED = (
    "another_patients", "another_source", "another_document", "another_time", "another_repository", "another_unique_id",
    "another_type", "of_a_folder", "first_version", "another_number", "outdated", "no_number", "unknown_logical_id",
    "unknown_patient",
)  # fmt: skip
_RESTRICTED_REFUSED_ANYHOW = ("status", "incomplete", "atomic")
_METADATA_REFUSED = ("referred", "addendum_stays", "left_alone", "unknown", "twice")
_DOCUMENTS_REFUSED = ("unknown", "twice", "another_repository", "atomic")
_PREVIOUS = rb'(?<=<rim:Slot name="PreviousVersion"><rim:ValueList><rim:Value>)[^<]*'
_LEVEL_2 = b'<rim:Slot name="$MetadataLevel"><rim:ValueList><rim:Value>2</rim:Value></rim:ValueList></rim:Slot>'
_ANY_CODE = answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"')


def _as_failure(code: bytes) -> AnswerEdit:
    """What was done is said to be refused."""
    error = (
        b'<rs:RegistryError errorCode="%b" codeContext="no"'
        b' severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"/>' % code
    )
    return answers(
        rb'(<rs:RegistryResponse[^>]*status=")' + re.escape(SUCCESS) + rb'">(?=</rs:RegistryResponse>)',
        rb"\g<1>" + FAILURE + b'"><rs:RegistryErrorList>' + error + b"</rs:RegistryErrorList>",
    )


def _of(transaction: str, suite: str, text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), **edits)


def _update(text: str, *caught_by: str, transaction: str = "ITI-57", **edits: Any) -> Fault:
    return _of(transaction, UPDATE, text, *caught_by, **edits)


def _restricted(text: str, *caught_by: str, transaction: str = "ITI-92", **edits: Any) -> Fault:
    return _of(transaction, RESTRICTED, text, *caught_by, **edits)


def _metadata(text: str, *caught_by: str, transaction: str = "ITI-62", **edits: Any) -> Fault:
    return _of(transaction, METADATA, text, *caught_by, **edits)


def _documents(text: str, *caught_by: str, transaction: str = "ITI-86", **edits: Any) -> Fault:
    return _of(transaction, DOCUMENTS, text, *caught_by, **edits)


def _lacks(pattern: bytes) -> RequestEdit:
    return requests(pattern, b"")


def _all_versions(outgoing: Outgoing, system: System) -> Outgoing:
    """A query of somebody who knows of no versions is one of somebody who does."""
    if b"$MetadataLevel" in outgoing.body:
        return outgoing
    return requests(rb"</rim:AdhocQuery>", _LEVEL_2 + b"</rim:AdhocQuery>")(outgoing, system)


_TO_NOBODY = requests(rb'(?<= lid=")[^"]*|(?<= targetObject=")urn:uuid:[^"]*', NOBODY)
_OF_NOBODY = requests(rb"nobody-\d+\^\^\^&amp;[\d.]+&amp;ISO", patient_of)

FAULTS: Mapping[str, Fault] = {
    # --- ITI-57 ---
    **envelope_faults(ITI_57, "xds.registry_update"),
    "ITI-57/forgets": _update(
        "says that it did what it did not do",
        "new_version", "newest", "third_version", "propagated", "new_folder", "status", "association",
        request=_TO_NOBODY, answer=as_success,
    ),
    "ITI-57/old-in-force": _update(
        "leaves the version before in force", "new_version", "third_version", "status",
        transaction="ITI-18", answer=answers(DEPRECATED, APPROVED),
    ),
    "ITI-57/all-versions": _update(
        "tells versions to whoever knows of none", "newest", transaction="ITI-18", request=_all_versions
    ),
    "ITI-57/always-propagates": _update(
        "overlooks AssociationPropagation", "propagated",
        request=_lacks(rb'<rim:Slot name="AssociationPropagation">.*?</rim:Slot>'),
    ),
    "ITI-57/overlooks-number": _update(
        "does not compare the number of the version", "another_number", request=requests(_PREVIOUS, b"1")
    ),
    "ITI-57/keeps-patient": _update(
        "leaves a document with the patient whose it was", "moved", "moved_from_a_folder",
        request=requests(rb"C\d{5,}\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "ITI-57/overlooks-patient": _update("does updates of whomever", "unknown_patient", request=_OF_NOBODY),
    "ITI-57/by-half": _update(
        "does what is right of an update and says that it refused it", "atomic",
        request=_lacks(ARROW.replace(b"WHICH", b"UpdateAvailabilityStatus")),
        answer=_as_failure(b"XDSMetadataUpdateError"),
    ),
    "ITI-57/success-for-failure": _update(
        "refuses, and says that it did it", *_UPDATE_REFUSED, *_UPDATE_REFUSED_ANYHOW, answer=as_success
    ),
    "ITI-57/any-error-code": _update("gives every error the same code", *_UPDATE_REFUSED, answer=_ANY_CODE),
    # --- ITI-92 ---
    **envelope_faults(ITI_92, "xds.responder_update"),
    "ITI-92/forgets": _restricted(
        "says that it did what it did not do", "new_version", "attributes", request=_TO_NOBODY, answer=as_success
    ),
    "ITI-92/old-in-force": _restricted(
        "leaves the version before in force", "new_version", transaction="ITI-18", answer=answers(DEPRECATED, APPROVED)
    ),
    "ITI-92/all-versions": _restricted(
        "tells versions to whoever knows of none", "new_version", "attributes", transaction="ITI-18", request=_all_versions
    ),
    "ITI-92/overlooks-comments": _restricted(
        "changes the title alone", "attributes", request=_lacks(rb"<rim:Description>.*?</rim:Description>")
    ),
    "ITI-92/overlooks-number": _restricted(
        "does not compare the number of the version", "another_number", "atomic", request=requests(_PREVIOUS, b"1")
    ),
    "ITI-92/by-half": _restricted(
        "does what is right of an update and says that it refused it", "atomic",
        request=requests(rb"(?<=<rim:Value>)7(?=</rim:Value>)", b"1"),
        answer=_as_failure(b"XDSMetadataVersionError"),
    ),
    "ITI-92/overlooks-source": _restricted(
        "lets the source's id be changed and says that it refused it", "another_source",
        request=requests(rb"somebody-else\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
        answer=_as_failure(b"UnmodifiableMetadataError"),
    ),
    "ITI-92/success-for-failure": _restricted(
        "refuses, and says that it did it", *_RESTRICTED_REFUSED, *_RESTRICTED_REFUSED_ANYHOW, answer=as_success
    ),
    "ITI-92/any-error-code": _restricted("gives every error the same code", *_RESTRICTED_REFUSED, answer=_ANY_CODE),
    # --- ITI-62 ---
    **envelope_faults(ITI_62, "xds.registry_remove"),
    "ITI-62/forgets": _metadata(
        "says that it removed what it did not remove", "removed", "with_addendum", "one_of_two", "of_a_folder",
        request=requests(rb'(?<=<rim:ObjectRef id=")[^"]*', NOBODY), answer=as_success,
    ),
    "ITI-62/partial": _metadata(
        "answers PartialSuccess", "removed", "one_of_two", answer=answers(re.escape(SUCCESS), PARTIAL)
    ),
    "ITI-62/takes-all": _metadata(
        "removes more than was named", "one_of_two", "of_a_folder", transaction="ITI-18", answer=answers(ENTRY, b"")
    ),
    "ITI-62/takes-ties": _metadata(
        "removes what ties others, and says that it refused it", "left_alone",
        transaction="ITI-18", answer=answers(rb"<rim:Association (?:[^>]*/>|.*?</rim:Association>)", b""),
    ),
    "ITI-62/by-half": _metadata(
        "removes what is there and says that it refused it", "unknown",
        request=_lacks(rb'<rim:ObjectRef id="' + NOBODY + rb'"[^>]*/>'),
        answer=_as_failure(b"UnresolvedReferenceException"),
    ),
    "ITI-62/success-for-failure": _metadata(
        "refuses, and says that it did it", *_METADATA_REFUSED, "nothing", answer=as_success
    ),
    "ITI-62/any-error-code": _metadata("gives every error the same code", *_METADATA_REFUSED, answer=_ANY_CODE),
    # --- ITI-86 ---
    **envelope_faults(ITI_86, "xds.repository_remove"),
    "ITI-86/forgets": _documents(
        "says that it removed what it did not remove", "removed", "several", "twice",
        request=requests(rb"(?<=<xds:DocumentUniqueId>)[^<]*", b"1.2.3"), answer=as_success,
    ),
    "ITI-86/partial": _documents("answers PartialSuccess", "removed", answer=answers(re.escape(SUCCESS), PARTIAL)),
    "ITI-86/hands-out-something": _documents(
        "changes what it was not told to remove", "several", "another_repository", "atomic",
        transaction="ITI-43", answer=last_byte_changed,
    ),
    "ITI-86/gone-as-success": _documents(
        "reports what is gone as a success", "removed", transaction="ITI-43", answer=answers(re.escape(FAILURE), SUCCESS)
    ),
    "ITI-86/overlooks-repository": _documents(
        "removes for whatever repository, and says that it refused it", "another_repository",
        request=requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", own("repository_unique_id")),
        answer=_as_failure(b"XDSUnknownRepositoryId"),
    ),
    "ITI-86/by-half": _documents(
        "removes what is there and says that it refused it", "atomic",
        request=_lacks(rb"(?<=</xds:DocumentRequest>)<xds:DocumentRequest>.*?</xds:DocumentRequest>"),
        answer=_as_failure(b"XDSDocumentUniqueIdError"),
    ),
    "ITI-86/success-for-failure": _documents("refuses, and says that it did it", *_DOCUMENTS_REFUSED, answer=as_success),
    "ITI-86/any-error-code": _documents("gives every error the same code", *_DOCUMENTS_REFUSED, answer=_ANY_CODE),
}  # fmt: skip
