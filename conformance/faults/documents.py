"""Wrong registries and repositories: what of ITI-18, ITI-51, ITI-41 and ITI-43 they overlook, forget or say otherwise.

Source: ITI TF-2 3.18, 3.41, 3.43, 3.51; ITI TF-3 4.2.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

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
from conformance.in_flight import Incoming, Outgoing
from conformance.system import System
from profiles.xds.iti51 import ITI_51

SEVERAL = "xds.registry_multi_patient/"
QUERY, PROVIDE, FETCH = "xds.registry_query/", "xds.repository_provide/", "xds.repository_retrieve/"
APPROVED = b"urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED = b"urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
NOBODY = b"urn:uuid:00000000-0000-4000-8000-000000000000"
ERROR_LIST = rb"<rs:RegistryErrorList.*?</rs:RegistryErrorList>"
UNIQUE_ID = rb'value="([^"]*)"[^>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab"'
ARROW = rb"<rim:Association (?:(?!/>|</rim:Association>).)*WHICH.*?(?:/>|</rim:Association>)"
_ANY_CLASS = (
    b'<rim:Slot name="$XDSDocumentEntryClassCode"><rim:ValueList>'
    b"<rim:Value>('REPORTS^^1.3.6.1.4.1.19376.1.2.6.1')</rim:Value></rim:ValueList></rim:Slot>"
)
ENTRY = rb"<rim:ExtrinsicObject (?:(?!</rim:ExtrinsicObject>).)*</rim:ExtrinsicObject>"


def _fault(
    transaction: str, text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None
) -> Fault:
    return Fault(text=text, transactions=(transaction,), caught_by=caught_by, request=request, answer=answer)


def _query(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-18", text, *(QUERY + name for name in caught_by), **edits)


def _provide(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-41", text, *(PROVIDE + name for name in caught_by), **edits)


def _fetch(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-43", text, *(FETCH + name for name in caught_by), **edits)


def _several(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-51", text, *(SEVERAL + name for name in caught_by), **edits)


def _overlooks(slot: str) -> RequestEdit:
    """A query without this parameter."""
    return requests(rb'<rim:Slot name="\$' + slot.encode() + rb'">.*?</rim:Slot>', b"")


def own(name: str) -> Callable[[System], bytes]:
    """One of the ids that the system is known by."""
    return lambda system: str(getattr(system, name)).encode()


def patient_of(system: System) -> bytes:
    """The patient whom it knows, as an attribute has the id."""
    known = system.patients[0]
    return f"{known.value}^^^&amp;{known.authority}&amp;ISO".encode()


def as_success(incoming: Incoming) -> Incoming:
    """No errors, and Success."""
    body = re.sub(ERROR_LIST, b"", incoming.body, flags=re.DOTALL)
    return replace(incoming, body=body.replace(FAILURE, SUCCESS))


def _lacks(pattern: bytes) -> RequestEdit:
    """The registry object that has this is not sent."""
    return requests(pattern, b"")


def once_only() -> RequestEdit:
    """A document that comes a second time has a hash that is not its own."""
    seen: set[bytes] = set()

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        named = set(re.findall(UNIQUE_ID, outgoing.body))
        if not named & seen:
            seen.update(named)
            return outgoing
        slot = rb'(<rim:Slot name="hash"><rim:ValueList><rim:Value>)[0-9a-f]{4}'
        return replace(outgoing, body=re.sub(slot, rb"\g<1>0000", outgoing.body))

    return edit


FAULTS: Mapping[str, Fault] = {
    # --- registry: what is found ---
    "ITI-18/forgets-entries": _query(
        "finds nothing, and says so with success", "finds", "get_documents", "attributes",
        answer=answers(ENTRY, b""),
    ),
    "ITI-18/forgets-references": _query(
        "answers no references", "references", answer=answers(rb"<rim:ObjectRef [^>]*/>", b"")
    ),
    "ITI-18/always-leaf-class": _query(
        "answers entries where references are asked for", "references",
        request=requests(rb'returnType="ObjectRef"', b'returnType="LeafClass"'),
    ),
    "ITI-18/overlooks-status": _query(
        "finds whatever has another status", "by_status",
        request=requests(rb"(?<=StatusType:Approved')(?=\))", b",'" + DEPRECATED + b"'"),
    ),
    "ITI-18/overlooks-class": _query(
        "does not narrow by class code", "by_class", "by_scheme", request=_overlooks("XDSDocumentEntryClassCode")
    ),
    "ITI-18/overlooks-scheme": _query(
        "compares codes without their scheme", "by_scheme",
        request=requests(rb"\^\^1\.2\.3\.4\.5(?=')", b"^^1.3.6.1.4.1.19376.1.2.6.1"),
    ),
    "ITI-18/and-as-or": _query(
        "takes two conditions for alternatives", "event_codes",
        request=requests(
            rb'</rim:ValueList></rim:Slot><rim:Slot name="\$XDSDocumentEntryEventCodeList"><rim:ValueList>', b""
        ),
    ),
    "ITI-18/overlooks-times": _query(
        "does not narrow by time", "time_range", request=_overlooks("XDSDocumentEntryServiceStartTime(?:From|To)")
    ),
    "ITI-18/time-is-required": _query(
        "leaves out entries without a time", "without_time",
        answer=answers(ENTRY.replace(b"(?!", b"(?!serviceStartTime|"), b""),
    ),
    "ITI-18/no-patterns": _query(
        "compares authors and reference ids exactly", "by_author", "by_reference",
        request=requests(rb"%", b""),
    ),
    "ITI-18/any-entry-type": _query(
        "finds stable documents among on-demand ones", "stable_only", request=_overlooks("XDSDocumentEntryType")
    ),
    "ITI-18/loses-title": _query(
        "loses the title", "attributes", answer=answers(rb'<rim:LocalizedString [^>]*value="T[^>]*/>', b"")
    ),
    "ITI-18/loses-size": _query(
        "loses the size", "attributes", answer=answers(rb'<rim:Slot name="size">.*?</rim:Slot>', b"")
    ),
    "ITI-18/forgets-associations": _query(
        "answers no associations", "get_associations", "get_all",
        answer=answers(rb"<rim:Association (?:[^>]*/>|.*?</rim:Association>)", b""),
    ),
    "ITI-18/forgets-sets-and-folders": _query(
        "answers no sets and no folders", "get_sets", "get_folders", "find_sets", "get_all",
        answer=answers(rb"<rim:RegistryPackage .*?</rim:RegistryPackage>", b""),
    ),
    "ITI-18/overlooks-relation": _query(
        "finds what is related in whatever way", "get_related",
        request=requests(rb"AssociationType:APND", b"AssociationType:RPLC"),
    ),
    "ITI-18/overlooks-source": _query(
        "does not narrow by source", "find_sets", request=_overlooks("XDSSubmissionSetSourceId")
    ),
    # --- registry: what is wrong ---
    "ITI-18/invents-for-nobody": _query(
        "answers somebody's documents for a patient whom it does not know", "unknown_patient",
        request=requests(rb"nobody-\d+\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "ITI-18/missing-as-success": _query(
        "answers a question that lacks a parameter", "no_patient", "no_status", "unknown_query", "both_ids",
        answer=as_success,
    ),
    "ITI-18/any-error-code": _query(
        "gives every error the same code", "no_patient", "no_status", "both_ids", "unknown_query", "two_patients",
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"'),
    ),
    # --- registry: several patients ---
    **envelope_faults(ITI_51, "xds.registry_multi_patient"),
    "ITI-51/forgets-entries": _several(
        "finds nothing, and says so with success",
        "of_two", "of_one", "by_event", "by_class", "narrowed", "by_status", answer=answers(ENTRY, b""),
    ),
    "ITI-51/one-patient-only": _several(
        "looks for the first patient alone", "of_two", "folders",
        request=requests(rb"(?<=&amp;ISO'),'[^']*'(?=\))", b""),
    ),
    "ITI-51/overlooks-patients": _several(
        "looks for whomever", "of_one", "folders", request=_overlooks("XDS(?:DocumentEntry|Folder)PatientId")
    ),
    "ITI-51/overlooks-events": _several(
        "does not narrow by event", "by_event", request=requests(
            rb'<rim:Slot name="\$XDSDocumentEntryEventCodeList">.*?</rim:Slot>', _ANY_CLASS
        ),
    ),
    "ITI-51/overlooks-type": _several(
        "does not narrow by type", "narrowed", request=_overlooks("XDSDocumentEntryTypeCode")
    ),
    "ITI-51/overlooks-status": _several(
        "finds whatever has another status", "by_status",
        request=requests(rb"(?<=StatusType:Approved')(?=\))", b",'" + DEPRECATED + b"'"),
    ),
    "ITI-51/always-leaf-class": _several(
        "answers entries where references are asked for", "references",
        request=requests(rb'returnType="ObjectRef"', b'returnType="LeafClass"'),
    ),
    "ITI-51/forgets-folders": _several(
        "answers no folders", "folders", answer=answers(rb"<rim:RegistryPackage .*?</rim:RegistryPackage>", b"")
    ),
    "ITI-51/success-for-failure": _several(
        "answers what it cannot", "for_everything", "no_status", "unknown_query", "of_iti_18", answer=as_success
    ),
    "ITI-51/any-error-code": _several(
        "gives every error the same code", "for_everything", "no_status", "unknown_query", "of_iti_18",
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"'),
    ),
    # --- repository: what is taken ---
    "ITI-41/forgets": _provide(
        "says that it took what it did not take", "taken", "several", "filled_in", "inline", "foldered",
        answer=answers(re.escape(FAILURE), SUCCESS),
        request=requests(rb"<xds:Document .*?</xds:Document>", b""),
    ),
    "ITI-41/partial": _provide(
        "answers PartialSuccess", "taken", answer=answers(re.escape(SUCCESS), PARTIAL)
    ),
    "ITI-41/once-only": _provide("refuses what it was given before", "resent", request=once_only()),
    "ITI-41/success-for-failure": _provide(
        "refuses, and says that it took it",
        "wrong_hash", "wrong_size", "missing_document", "missing_metadata", "set_twice", "twice_in_message",
        "unknown_patient", "two_patients", "no_unique_id", "atomic", "replaces_nothing", "replaces_deprecated",
        "other_bytes",
        answer=as_success,
    ),
    "ITI-41/any-error-code": _provide(
        "gives every error the same code",
        "wrong_hash", "wrong_size", "missing_document", "missing_metadata", "set_twice", "twice_in_message",
        "unknown_patient", "two_patients", "no_unique_id", "replaces_nothing", "replaces_deprecated", "other_bytes",
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRepositoryBusy"'),
    ),
    "ITI-41/overlooks-hash": _provide(
        "does not compare the hash", "wrong_hash", "atomic", request=_lacks(rb'<rim:Slot name="hash">.*?</rim:Slot>')
    ),
    "ITI-41/overlooks-size": _provide(
        "does not compare the size", "wrong_size", request=_lacks(rb'<rim:Slot name="size">.*?</rim:Slot>')
    ),
    "ITI-41/overlooks-patient": _provide(
        "takes documents of whomever", "unknown_patient", "two_patients",
        request=requests(rb"(?:nobody-\d+|somebody-else)\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "ITI-41/overlooks-replacement": _provide(
        "takes a replacement for a new document", "replaced",
        request=_lacks(ARROW.replace(b"WHICH", b"AssociationType:RPLC")),
    ),
    "ITI-41/append-replaces": _provide(
        "deprecates what was appended to", "appended", request=requests(rb"AssociationType:APND", b"AssociationType:RPLC")
    ),
    "ITI-41/overlooks-folder": _provide(
        "registers no folder", "foldered",
        request=_lacks(
            rb'<rim:RegistryPackage id="Folder.*?</rim:RegistryPackage>|' + ARROW.replace(b"WHICH", b'"Folder-')
        ),
    ),
    # --- repository: what comes back ---
    "ITI-43/other-bytes": _fetch("hands out other bytes", "comes", answer=last_byte_changed),
    "ITI-43/media-type": _fetch(
        "says that a document is something else", "comes",
        answer=answers(rb"<xds:mimeType>[^<]*<", b"<xds:mimeType>application/octet-stream<"),
    ),
    "ITI-43/partial-as-success": _fetch(
        "reports a partial success as success", "partly", answer=answers(re.escape(PARTIAL), SUCCESS)
    ),
    "ITI-43/failure-as-success": _fetch(
        "reports a failure as success", "nothing", "another_repository", answer=answers(re.escape(FAILURE), SUCCESS)
    ),
    "ITI-43/no-location": _fetch(
        "does not say which document is missing", "partly", answer=answers(rb' location="[^"]*"', b"")
    ),
    "ITI-43/any-error-code": _fetch(
        "gives every error the same code", "partly", "nothing", "another_repository",
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRepositoryBusy"'),
    ),
    "ITI-43/any-repository": _fetch(
        "answers for whatever repository", "another_repository",
        request=requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", own("repository_unique_id")),
    ),
    "ITI-43/forgets-one": _fetch(
        "leaves a document out without a word", "several",
        answer=answers(
            rb"<xds:DocumentResponse>(?:(?!</xds:DocumentResponse>).)*</xds:DocumentResponse>(?=<xds:DocumentResponse>)",
            b"", 1,
        ),
    ),
    "ITI-43/invents-home": _fetch(
        "names a home that was not asked", "home_absent",
        answer=answers(
            rb"(?<=<xds:DocumentResponse>)(?!<xds:Home)", b"<xds:HomeCommunityId>urn:oid:1.2.3</xds:HomeCommunityId>"
        ),
    ),
    "ITI-43/forgets-home": _fetch(
        "does not repeat the home that was asked", "home_echoed",
        answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
    ),
    "ITI-43/element-order": _fetch(
        "writes mimeType behind Document", "element_order",
        answer=answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
    ),
}  # fmt: skip
