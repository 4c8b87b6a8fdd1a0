"""Wrong repositories and registries: what of RAD-68 and ITI-42 they overlook, forget or say otherwise.

Source: RAD TF-2 4.68; ITI TF-2 3.41, 3.42; ITI TF-3 4.2.
"""

import re
from collections.abc import Mapping
from typing import Any

from conformance.faults.documents import ARROW, as_success, patient_of
from conformance.faults.edits import FAILURE, PARTIAL, SUCCESS, Fault, answers, last_byte_changed, requests

IMAGING = "xdsi.repository_provide/"
_IMAGING_REFUSED = (
    "another_study", "another_id", "another_patient", "no_manifest", "key_images", "media_type", "wrong_hash", "wrong_size",
    "not_sent", "unknown_patient", "replaces_nothing", "replaced_twice", "whole",
)  # fmt: skip
_HASH, _SIZE = (rb'<rim:Slot name="%b">.*?</rim:Slot>' % name for name in (b"hash", b"size"))
_REFERENCES = rb'<rim:Slot name="urn:ihe:iti:xds:2013:referenceIdList">.*?</rim:Slot>'
_EVENT_CODE = (
    rb'<rim:Classification (?:(?!/>|>).)*urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"[^>]*>.*?</rim:Classification>'
)
_REPLACEMENT = ARROW.replace(b"WHICH", b"AssociationType:RPLC")


def _imaging(text: str, *caught_by: str, transaction: str = "RAD-68", **edits: Any) -> Fault:
    return Fault(
        text=text, transactions=(transaction,), caught_by=tuple(IMAGING + name for name in caught_by), **edits
    )  # fmt: skip


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
}  # fmt: skip
