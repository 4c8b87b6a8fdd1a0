"""Wrong registries and repositories: what of updates and removals they overlook, do by half or say otherwise.

Source: ITI TF-2 3.57, 3.62, 3.86, 3.92.
"""

import re
from collections.abc import Mapping
from typing import Any

from conformance.faults.documents import APPROVED, ARROW, DEPRECATED, NOBODY, as_success, patient_of
from conformance.faults.edits import FAILURE, SUCCESS, AnswerEdit, Fault, RequestEdit, answers, requests
from conformance.faults.envelope import envelope_faults
from conformance.in_flight import Outgoing
from conformance.system import System
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti92 import ITI_92

UPDATE, RESTRICTED = "xds.registry_update/", "xds.responder_update/"
_UPDATE_REFUSED = (
    "another_number", "outdated", "no_number", "unknown_logical_id", "first_version", "nothing", "no_status",
    "status_of_nothing", "association_of_nothing", "another_patients", "unknown_patient", "set_twice",
)  # fmt: skip
_UPDATE_REFUSED_ANYHOW = (
    "another_unique_id", "another_hash", "another_repository", "another_type", "incomplete", "another_original",
    "older_version", "of_a_set", "association_of_deprecated", "atomic",
)  # fmt: skip
_RESTRICTED_REFUSED = (
    "another_patients", "another_source", "another_document", "another_time", "another_repository", "another_unique_id",
    "another_type", "of_a_folder", "first_version", "another_number", "outdated", "no_number", "unknown_logical_id",
    "unknown_patient",
)  # fmt: skip
_RESTRICTED_REFUSED_ANYHOW = ("status", "incomplete", "atomic")
_PREVIOUS = rb'(?<=<rim:Slot name="PreviousVersion"><rim:ValueList><rim:Value>)[^<]*'
_LEVEL_2 = b'<rim:Slot name="$MetadataLevel"><rim:ValueList><rim:Value>2</rim:Value></rim:ValueList></rim:Slot>'
_ANY_CODE = answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"')
_AS_FAILURE: AnswerEdit = answers(
    rb'(<rs:RegistryResponse[^>]*)status="' + re.escape(SUCCESS) + rb'">\s*</rs:RegistryResponse>',
    rb'\1status="'
    + FAILURE
    + rb'"><rs:RegistryErrorList><rs:RegistryError errorCode="XDSRegistryError" codeContext="no"'
    rb' severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"/></rs:RegistryErrorList></rs:RegistryResponse>',
)
"""What was done is said to be refused."""


def _of(transaction: str, suite: str, text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), **edits)


def _update(text: str, *caught_by: str, transaction: str = "ITI-57", **edits: Any) -> Fault:
    return _of(transaction, UPDATE, text, *caught_by, **edits)


def _restricted(text: str, *caught_by: str, transaction: str = "ITI-92", **edits: Any) -> Fault:
    return _of(transaction, RESTRICTED, text, *caught_by, **edits)


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
    "ITI-57/overlooks-patient": _update("does updates of whomever", "unknown_patient", request=_OF_NOBODY),
    "ITI-57/by-half": _update(
        "does what is right of an update and says that it refused it", "atomic",
        request=_lacks(ARROW.replace(b"WHICH", b"UpdateAvailabilityStatus")), answer=_AS_FAILURE,
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
        request=requests(rb"(?<=<rim:Value>)7(?=</rim:Value>)", b"1"), answer=_AS_FAILURE,
    ),
    "ITI-92/overlooks-source": _restricted(
        "lets the source's id be changed and says that it refused it", "another_source",
        request=requests(rb"somebody-else\^\^\^&amp;[\d.]+&amp;ISO", patient_of), answer=_AS_FAILURE,
    ),
    "ITI-92/success-for-failure": _restricted(
        "refuses, and says that it did it", *_RESTRICTED_REFUSED, *_RESTRICTED_REFUSED_ANYHOW, answer=as_success
    ),
    "ITI-92/any-error-code": _restricted("gives every error the same code", *_RESTRICTED_REFUSED, answer=_ANY_CODE),
}  # fmt: skip
