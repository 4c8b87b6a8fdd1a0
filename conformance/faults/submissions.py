"""Wrong repositories and registries: what of RAD-68, ITI-42 and ITI-61 they overlook, forget or say otherwise.

Source: RAD TF-2 4.68; ITI TF-2 3.41, 3.42, 3.61; ITI TF-3 4.2.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.documents import ARROW, ENTRY, UNIQUE_ID, as_success, once_only, patient_of
from conformance.faults.edits import FAILURE, PARTIAL, SUCCESS, Fault, RequestEdit, answers, last_byte_changed, requests
from conformance.faults.envelope import envelope_faults
from conformance.in_flight import Outgoing
from conformance.suites.xds.registry_register import EXTRA
from conformance.system import System
from profiles.model.document import EntryType
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti61 import ITI_61

IMAGING = "xdsi.repository_provide/"
_IMAGING_REFUSED = (
    "another_study", "another_id", "another_patient", "no_manifest", "key_images", "media_type", "wrong_hash", "wrong_size",
    "not_sent", "unknown_patient", "replaces_nothing", "replaced_twice", "whole",
)  # fmt: skip
_STABLE, _TO_COME = EntryType.STABLE.encode(), EntryType.ON_DEMAND.encode()
_BOTH = (
    b"<rim:Slot name=\"$XDSDocumentEntryType\"><rim:ValueList><rim:Value>('%b','%b')</rim:Value></rim:ValueList></rim:Slot>"
    % (_STABLE, _TO_COME)
)
_HASH, _SIZE = (rb'<rim:Slot name="%b">.*?</rim:Slot>' % name for name in (b"hash", b"size"))
_REFERENCES = rb'<rim:Slot name="urn:ihe:iti:xds:2013:referenceIdList">.*?</rim:Slot>'
_EVENT_CODE = (
    rb'<rim:Classification (?:(?!/>|>).)*urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"[^>]*>.*?</rim:Classification>'
)
_REPLACEMENT = ARROW.replace(b"WHICH", b"AssociationType:(?:XFRM_)?RPLC")
_ADDITION = ARROW.replace(b"WHICH", b'AssociationType:(?:APND|XFRM)(?=")')
_FOLDER = rb'<rim:RegistryPackage id="Folder.*?</rim:RegistryPackage>|' + ARROW.replace(b"WHICH", b'"Folder-')
_ON_DEMAND_REFUSED = (
    "with_hash", "with_size", "with_creation_time", "no_repository", "no_language", "unknown_patient", "two_patients",
    "set_twice", "replaces_nothing",
)  # fmt: skip
_REGISTRY_REFUSED = (
    "no_hash", "no_size", "no_repository", "no_creation_time", "no_language", "reversed_times", "another_hash",
    "another_size", "unknown_patient", "two_patients", "set_twice", "twice", "replaces_nothing", "symbol_of_nothing",
    "foreign_source", "deprecated", "atomic",
)  # fmt: skip


def _imaging(text: str, *caught_by: str, transaction: str = "RAD-68", **edits: Any) -> Fault:
    return Fault(
        text=text, transactions=(transaction,), caught_by=tuple(IMAGING + name for name in caught_by), **edits
    )  # fmt: skip


DIGITS = bytes.maketrans(b"0123456789", b"9876543210")


def _registry(text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(
        text=text, transactions=("ITI-42",), caught_by=tuple("xds.registry_register/" + name for name in caught_by), **edits
    )  # fmt: skip


def _on_demand(text: str, *caught_by: str, transaction: str = "ITI-61", **edits: Any) -> Fault:
    return Fault(
        text=text, transactions=(transaction,), caught_by=tuple("xds.registry_on_demand/" + name for name in caught_by),
        **edits,
    )  # fmt: skip


def _both_types(outgoing: Outgoing, system: System) -> Outgoing:
    """Who does not say which documents are looked for is taken to look for both kinds."""
    if b"$XDSDocumentEntryType" in outgoing.body:
        return outgoing
    return requests(rb"(?=</rim:AdhocQuery>)", _BOTH)(outgoing, system)


def _second_is_of_another() -> RequestEdit:
    """What comes a second time is of a patient of nobody."""
    seen: set[bytes] = set()

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        named = set(re.findall(UNIQUE_ID, outgoing.body))
        if not named & seen:
            seen.update(named)
            return outgoing
        return requests(re.escape(patient_of(system)), b"nobody^^^&amp;1.2.3&amp;ISO")(outgoing, system)

    return edit


def _other_uuids(outgoing: Outgoing, system: System) -> Outgoing:
    """Entries that say their UUID have another one."""
    body = outgoing.body
    for uuid_ in re.findall(rb'<rim:ExtrinsicObject id="(urn:uuid:[^"]*)"', body):
        body = body.replace(uuid_, b"urn:uuid:" + uuid_[9:].translate(DIGITS))
    return replace(outgoing, body=body)


FAULTS: Mapping[str, Fault] = {
    # --- RAD-68 ---
    "RAD-68/forgets": _imaging(
        "says that it took what it did not take",
        "manifest", "by_study", "by_modality", "pdf", "cda", "wrapped_text", "together", "replaced",
        answer=answers(re.escape(FAILURE), SUCCESS),
        request=requests(rb"<xds:Document .*?</xds:Document>", b""),
    ),
    "RAD-68/partial": _imaging(
        "answers PartialSuccess", "manifest", "pdf", answer=answers(re.escape(SUCCESS), PARTIAL)
    ),
    "RAD-68/other-bytes": _imaging(
        "hands out other bytes than it took", "manifest", "pdf", "cda", "wrapped_text",
        transaction="ITI-43", answer=last_byte_changed,
    ),
    "RAD-68/success-for-failure": _imaging("refuses, and says that it took it", *_IMAGING_REFUSED, answer=as_success),
    "RAD-68/any-error-code": _imaging(
        "gives every error the same code", *(name for name in _IMAGING_REFUSED if name != "whole"),
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRepositoryBusy"'),
    ),
    "RAD-68/overlooks-hash": _imaging(
        "does not compare the hash", "wrong_hash", "whole", request=requests(_HASH, b"")
    ),
    "RAD-68/overlooks-size": _imaging("does not compare the size", "wrong_size", request=requests(_SIZE, b"")),
    "RAD-68/overlooks-patient": _imaging(
        "takes manifests of whomever", "unknown_patient",
        request=requests(rb"nobody-\d+\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "RAD-68/loses-references": _imaging(
        "does not look at referenceIdList", "another_study", "by_study", "together",
        request=requests(_REFERENCES, b""),
    ),
    "RAD-68/loses-modalities": _imaging(
        "loses the modalities", "by_modality", "manifest", request=requests(_EVENT_CODE, b"")
    ),
    "RAD-68/overlooks-replacement": _imaging(
        "takes a replacement for a new document", "replaced", "replaces_nothing", "replaced_twice",
        request=requests(_REPLACEMENT, b""),
    ),
    # --- ITI-42 ---
    **envelope_faults(ITI_42, "xds.registry_register"),
    "ITI-42/forgets": _registry(
        "says that it took what it did not take",
        "registered", "ids", "extra", "by_reference", "replaced", "additions", "inherits", "filed",
        request=requests(ENTRY, b""), answer=as_success,
    ),
    "ITI-42/partial": _registry("answers PartialSuccess", "again", answer=answers(re.escape(SUCCESS), PARTIAL)),
    "ITI-42/once-only": _registry("refuses what it was told before", "again", request=once_only()),
    "ITI-42/other-uuids": _registry("gives every entry a UUID of its own", "ids", request=_other_uuids),
    "ITI-42/loses-extra": _registry(
        "loses extra metadata and does not tell", "extra",
        request=requests(rb'<rim:Slot name="%b">.*?</rim:Slot>' % EXTRA.encode(), b""),
    ),
    "ITI-42/loses-title": _registry(
        "loses the title", "registered", request=requests(rb'<rim:LocalizedString [^>]*value="T[^>]*/>', b"")
    ),
    "ITI-42/overlooks-references": _registry(
        "takes members by reference for none", "by_reference", request=requests(ARROW.replace(b"WHICH", b"Reference"), b"")
    ),
    "ITI-42/overlooks-replacement": _registry(
        "takes a replacement for a new document",
        "replaced", "additions", "inherits", "replaces_nothing", "foreign_source", "deprecated",
        request=requests(_REPLACEMENT, b""),
    ),
    "ITI-42/keeps-additions": _registry(
        "leaves in force what was added to what is replaced", "additions", request=requests(_ADDITION, b"")
    ),
    "ITI-42/overlooks-folders": _registry(
        "registers no folder", "inherits", "filed", request=requests(_FOLDER, b"")
    ),
    "ITI-42/overlooks-times": _registry(
        "does not compare times", "reversed_times",
        request=requests(rb'<rim:Slot name="serviceStopTime">.*?</rim:Slot>', b""),
    ),
    "ITI-42/overlooks-patient": _registry(
        "takes entries of whomever", "unknown_patient", "two_patients", "atomic",
        request=requests(rb"(?:nobody-\d+|somebody-else)\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "ITI-42/success-for-failure": _registry(
        "refuses, and says that it took it", *_REGISTRY_REFUSED, "on_demand", answer=as_success
    ),
    "ITI-42/any-error-code": _registry(
        "gives every error the same code", *(name for name in _REGISTRY_REFUSED if name != "atomic"),
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"'),
    ),
    # --- ITI-61 ---
    **envelope_faults(ITI_61, "xds.registry_on_demand"),
    "ITI-61/forgets": _on_demand(
        "says that it took what it did not take", "registered", "by_type", "replaced",
        request=requests(ENTRY, b""), answer=as_success,
    ),
    "ITI-61/partial": _on_demand(
        "answers PartialSuccess", "again", "registered", answer=answers(re.escape(SUCCESS), PARTIAL)
    ),
    "ITI-61/once-only": _on_demand("refuses what it was told before", "again", request=_second_is_of_another()),
    "ITI-61/loses-title": _on_demand(
        "loses the title", "registered", request=requests(rb'<rim:LocalizedString [^>]*value="T[^>]*/>', b"")
    ),
    "ITI-61/among-stable": _on_demand(
        "finds on-demand documents among stable ones", "by_type", transaction="ITI-18",
        request=_both_types,
    ),
    "ITI-61/as-stable": _on_demand(
        "answers it as a stable document", "registered", transaction="ITI-18",
        answer=answers(rb'objectType="' + _TO_COME, rb'objectType="' + _STABLE),
    ),
    "ITI-61/overlooks-replacement": _on_demand(
        "takes a replacement for a new entry", "replaced", "replaces_nothing", request=requests(_REPLACEMENT, b"")
    ),
    "ITI-61/overlooks-bytes": _on_demand(
        "takes no notice of hash and size", "with_hash", "with_size", "atomic",
        request=requests(_HASH + b"|" + _SIZE, b""),
    ),
    "ITI-61/overlooks-patient": _on_demand(
        "takes entries of whomever", "unknown_patient", "two_patients",
        request=requests(rb"(?:nobody-\d+|somebody-else)\^\^\^&amp;[\d.]+&amp;ISO", patient_of),
    ),
    "ITI-61/success-for-failure": _on_demand(
        "refuses, and says that it took it", *_ON_DEMAND_REFUSED, "stable", "id_of_a_stable_one", "atomic",
        answer=as_success,
    ),
    "ITI-61/any-error-code": _on_demand(
        "gives every error the same code", *_ON_DEMAND_REFUSED,
        answer=answers(rb'errorCode="[^"]*"', b'errorCode="XDSRegistryBusy"'),
    ),
}  # fmt: skip
