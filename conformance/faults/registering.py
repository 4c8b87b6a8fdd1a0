"""Wrong repositories and on-demand sources: what they register is not what they have.

Source: ITI TF-2 3.42, 3.61.
"""

from collections.abc import Mapping

from conformance.faults.asking import asking_faults
from conformance.faults.edits import Fault, answers
from conformance.faults.submitting import PARTIAL_AS_SUCCESS, FaultsOf
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti61 import ITI_61

_REPOSITORY = rb'(<rim:Slot name="repositoryUniqueId"><rim:ValueList><rim:Value>)[^<]*'
_PATIENT_OF_ENTRY = rb'(value=")C(\d+\^\^\^[^"]*"[^>]*58a6f841-87b3-4a3e-92fd-a8ffeff98427)'
_PATIENT_OF_SET = rb'(value=")C(\d+\^\^\^[^"]*"[^>]*6b5aea1a-874d-4603-a4bc-96a0a7b38446)'
_STABLE, _ON_DEMAND = b"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", b"urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"


def _slot(name: bytes) -> bytes:
    return rb'<rim:Slot name="' + name + rb'">.*?</rim:Slot>'


_register = FaultsOf("ITI-42", "xds.repository_register")
_offer = FaultsOf("ITI-61", "xds.on_demand_source")

FAULTS: Mapping[str, Fault] = {
    # --- ITI-42 ---
    **asking_faults(ITI_42, "xds.repository_register"),
    "to ITI-42/partial-as-success": _register.told(
        "takes a registration in part for a whole one", "refusal_told", answer=PARTIAL_AS_SUCCESS
    ),
    "from ITI-42/no-repository": _register.sent(
        "does not say where the document is", "place", "nothing_odd", answer=answers(_slot(b"repositoryUniqueId"), b"")
    ),
    "from ITI-42/other-repository": _register.sent(
        "says that the document is elsewhere", "place", answer=answers(_REPOSITORY, rb"\g<1>1.2.3")
    ),
    "from ITI-42/no-hash": _register.sent(
        "does not add the hash", "hash_and_size", "nothing_odd", answer=answers(_slot(b"hash"), b"")
    ),
    "from ITI-42/size": _register.sent(
        "counts the bytes otherwise", "hash_and_size",
        answer=answers(rb'(<rim:Slot name="size"><rim:ValueList><rim:Value>)', rb"\g<1>1"),
    ),
    "from ITI-42/other-patient": _register.sent(
        "registers it as another patient's", "as_submitted", answer=answers(_PATIENT_OF_ENTRY, rb"\g<1>D\g<2>")
    ),
    "from ITI-42/media-type": _register.sent(
        "says another media type than its source", "as_submitted",
        answer=answers(rb'mimeType="text/plain"', b'mimeType="text/html"'),
    ),
    "from ITI-42/on-demand": _register.sent(
        "registers what is there as made on demand", "as_submitted", "nothing_odd", answer=answers(_STABLE, _ON_DEMAND)
    ),
    "from ITI-42/reference-member": _register.sent(
        "makes a new document a member by reference", "membership",
        answer=answers(rb"<rim:Value>Original</rim:Value>", b"<rim:Value>Reference</rim:Value>"),
    ),
    "from ITI-42/set-patient": _register.sent(
        "registers the set as another patient's", "membership", answer=answers(_PATIENT_OF_SET, rb"\g<1>D\g<2>")
    ),
    # --- ITI-61 ---
    **asking_faults(ITI_61, "xds.on_demand_source"),
    "to ITI-61/partial-as-success": _offer.told(
        "takes a registration in part for a whole one", "refusal_told", answer=PARTIAL_AS_SUCCESS
    ),
    "from ITI-61/stable": _offer.sent(
        "registers what is made on demand as what is there", "kind", "nothing_odd", answer=answers(_ON_DEMAND, _STABLE)
    ),
    "from ITI-61/hash": _offer.sent(
        "gives the hash of what is not there yet", "no_bytes",
        answer=answers(
            rb'(<rim:Slot name="repositoryUniqueId">)',
            b'<rim:Slot name="hash"><rim:ValueList><rim:Value>'
            + b"da39a3ee5e6b4b0d3255bfef95601890afd80709" + rb"</rim:Value></rim:ValueList></rim:Slot>\1",
        ),
    ),
    "from ITI-61/other-repository": _offer.sent(
        "says that the document is had elsewhere", "place", answer=answers(_REPOSITORY, rb"\g<1>1.2.3")
    ),
    "from ITI-61/other-patient": _offer.sent(
        "offers it as another patient's", "described", answer=answers(_PATIENT_OF_ENTRY, rb"\g<1>D\g<2>")
    ),
    "from ITI-61/media-type": _offer.sent(
        "calls a manifest something else", "described",
        answer=answers(rb'mimeType="application/dicom"', b'mimeType="application/octet"'),
    ),
    "from ITI-61/no-study": _offer.sent(
        "does not say which study", "described",
        answer=answers(rb"urn:ihe:iti:xds:2016:studyInstanceUID", b"urn:ihe:iti:xds:2013:order"),
    ),
    "from ITI-61/unique-id": _offer.sent(
        "offers by an id that it does not know itself", "retrievable",
        answer=answers(rb'(value=")[^"]*("[^>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab)', rb"\g<1>1.2.3.4\g<2>"),
    ),
}  # fmt: skip
