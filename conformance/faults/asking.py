"""Wrong consumers and sources: requests of ITI-18, ITI-43, RAD-69 and RAD-68 that are not what they should be.

The system's own requests are changed on their way to the community that it asks.

Source: ITI TF-2 Appendix V, 3.18, 3.43; RAD TF-2 4.68, 4.69.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.edits import AnswerEdit, Fault, answers, inline, mtom
from conformance.in_flight import Incoming
from conformance.suites.asking import ANOTHER, END_OF_RELATION
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.rim import RIM
from profiles.wire.soap.message import Packaging
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti43 import ITI_43
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69


def _from(transaction: str, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(text=text, transactions=(f"from {transaction}",), caught_by=caught_by, answer=answer)


def addressing(transaction: SoapTransaction[Any, Any], case: str) -> Mapping[str, Fault]:
    """What can be wrong with how a request is addressed."""
    id = transaction.id
    return {
        f"from {id}/no-must-understand": _from(
            id, "does not mark its action", case, answer=answers(rb' s:mustUnderstand="1"', b"")
        ),
        f"from {id}/no-reply-to": _from(
            id, "does not say where the answer goes", case, answer=answers(rb"<wsa:ReplyTo>.*?</wsa:ReplyTo>", b"")
        ),
        f"from {id}/no-message-id": _from(
            id, "has no message id", case, answer=answers(rb"<wsa:MessageID>.*?</wsa:MessageID>", b"")
        ),
        f"from {id}/other-action": _from(
            id, "asks by another action", case,
            answer=answers(re.escape(f">{transaction.request_action}<".encode()), b">urn:ihe:iti:2007:Other<"),
        ),
    }  # fmt: skip


def asking_faults(transaction: SoapTransaction[Any, Any], suite: str) -> Mapping[str, Fault]:
    """What can be wrong with a request by one transaction, and with what becomes of its answer: for `asking_cases`."""
    id = transaction.id
    return {
        **addressing(transaction, f"{suite}/addressed"),
        f"from {id}/packing": _from(
            id, "packs its request otherwise", f"{suite}/addressed",
            answer=inline if transaction.packaging is Packaging.MTOM else mtom,
        ),
        **answer_faults(transaction, suite, refusal_as_success(transaction)),
    }  # fmt: skip


def answer_faults(transaction: SoapTransaction[Any, Any], suite: str, refused: AnswerEdit) -> Mapping[str, Fault]:
    """What can be wrong with what becomes of an answer: for `answer_cases`. `refused` makes a success of a failure."""
    id = transaction.id

    def takes(text: str, case: str, answer: AnswerEdit) -> Fault:
        return Fault(text=text, transactions=(f"to {id}",), caught_by=(f"{suite}/{case}",), answer=answer)

    return {
        f"to {id}/failure-as-success": takes("takes a failure for success", "refusal_told", refused),
        f"to {id}/fault-as-success": takes("takes a SOAP fault for success", "broken_told", _as_success),
        f"to {id}/unended-as-success": takes(
            "takes an answer without an end for success", "broken_told",
            answers(rb"</s:Body>(?!</s:Envelope>)", b"</s:Body></s:Envelope>"),
        ),
        f"to {id}/others-as-ours": takes(
            "does not look at what is answered", "others_told", answers(ANOTHER + END_OF_RELATION, END_OF_RELATION)
        ),
    }  # fmt: skip


def refusal_as_success(transaction: SoapTransaction[Any, Any]) -> AnswerEdit:
    """A failure is the shortest answer that says yes."""
    namespace, _, name = transaction.response_element[1:].partition("}")
    found = f'<rim:RegistryObjectList xmlns:rim="{RIM}"/>' if name == "AdhocQueryResponse" else ""
    good = f'<r:{name} xmlns:r="{namespace}" status="{ResponseStatus.SUCCESS}">{found}</r:{name}></s:Body>'
    return answers(rb"<(\w+:)?(?:RegistryResponse|AdhocQueryResponse)[^>]*Type:Failure.*</s:Body>", good.encode())


def _as_success(incoming: Incoming) -> Incoming:
    """A fault is the answer that is its detail."""
    if incoming.status != 500:
        return incoming
    body = re.sub(rb"<s:Fault>.*<s:Detail>(.*)</s:Detail></s:Fault>", rb"\1", incoming.body, flags=re.DOTALL)
    return replace(incoming, status=200, body=body)


RETRIEVE, PROVIDE, CONSUMER = "xdsi.consumer_retrieve/", "xdsi.source_provide/", "xds.consumer/"
_INSTANCE = rb"<xds:DocumentRequest>(?:(?!</xds:DocumentRequest>).)*</xds:DocumentRequest>"
_FIRST_SERIES = rb"(<iherad:SeriesRequest seriesInstanceUID=\")[^\"]*"


def _slot(name: bytes) -> bytes:
    return rb'<rim:Slot name="' + name + rb'">.*?</rim:Slot>'


def _in_the_file(old: bytes, new: bytes) -> AnswerEdit:
    """Other bytes of the same length in the manifest, with hash and size as they were."""
    return lambda incoming: replace(incoming, body=incoming.body.replace(old, new))


def _provide(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return _from("RAD-68", text, *(PROVIDE + name for name in caught_by), answer=answer)


def _retrieve(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return _from("RAD-69", text, *(RETRIEVE + name for name in caught_by), answer=answer)


def _first_instance_twice(incoming: Incoming) -> Incoming:
    """The second instance is asked for by the first one's name."""
    uids = re.findall(rb"(?<=<xds:DocumentUniqueId>)[^<]*", incoming.body)
    return replace(incoming, body=incoming.body.replace(uids[1], uids[0])) if len(uids) > 1 else incoming


def _last_evidence_changed(incoming: Incoming) -> Incoming:
    """The first reference of the evidence names somebody else; the content does not."""
    place = incoming.body.find(b"\x08\x00\x55\x11UI")
    return replace(incoming, body=incoming.body[: place + 12] + b"9" + incoming.body[place + 13 :])


def _last_content_changed(incoming: Incoming) -> Incoming:
    place = incoming.body.rfind(b"\x08\x00\x55\x11UI")
    return replace(incoming, body=incoming.body[: place + 12] + b"9" + incoming.body[place + 13 :])


FAULTS: Mapping[str, Fault] = {
    **addressing(ITI_18, CONSUMER + "query_addressed"),
    **addressing(ITI_43, CONSUMER + "retrieval_addressed"),
    **addressing(RAD_69, RETRIEVE + "addressed"),
    **addressing(RAD_68, PROVIDE + "addressed"),
    "from ITI-18/other-patient": _from(
        "ITI-18", "asks for another patient", CONSUMER + "query_named", answer=answers(rb"'C\d+\^\^\^", b"'C1^^^")
    ),
    "from ITI-18/other-status": _from(
        "ITI-18", "asks only for what is deprecated", CONSUMER + "query_named",
        answer=answers(rb"StatusType:Approved", b"StatusType:Deprecated"),
    ),
    "from ITI-43/other-repository": _from(
        "ITI-43", "asks another repository", CONSUMER + "retrieval_named",
        answer=answers(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", b"1.2.3"),
    ),
    "from ITI-43/plain": _from(
        "ITI-43", "asks in plain SOAP", CONSUMER + "retrieval_addressed", answer=inline
    ),
    # --- RAD-69 ---
    "from RAD-69/forgets-one": _retrieve("does not ask for all", "everything", answer=answers(_INSTANCE, b"", 1)),
    "from RAD-69/one-twice": _retrieve("asks for one instance twice", "everything", answer=_first_instance_twice),
    "from RAD-69/other-series": _retrieve(
        "asks in another series", "everything", answer=answers(_FIRST_SERIES, rb"\g<1>1.2.3", 1)
    ),
    "from RAD-69/repository": _retrieve(
        "names the repository of the manifest", "location",
        answer=answers(rb"(?<=<xds:RepositoryUniqueId>)(2\.25\.71190522\.10)\.3", rb"\g<1>.2"),
    ),
    "from RAD-69/no-syntaxes": _retrieve(
        "names no transfer syntax", "syntaxes", "nothing_odd",
        answer=answers(rb"<iherad:TransferSyntaxUID>.*</iherad:TransferSyntaxUID>", b""),
    ),
    "from RAD-69/syntaxes-first": _retrieve(
        "names the transfer syntaxes before the studies", "syntaxes",
        answer=answers(
            rb"(<iherad:StudyRequest.*</iherad:StudyRequest>)(<iherad:TransferSyntaxUIDList>.*</iherad:TransferSyntaxUIDList>)",
            rb"\2\1",
        ),
    ),
    "from RAD-69/empty-study": _retrieve(
        "names no study", "nothing_odd", answer=answers(rb'(?<=studyInstanceUID=")[^"]*', b"")
    ),
    "from RAD-69/loses": _retrieve(
        "asks for the wrong instances and keeps nothing", "kept",
        answer=answers(rb"(?<=<xds:DocumentUniqueId>)2\.25\.", b"2.26."),
    ),
    # --- RAD-68 ---
    "from RAD-68/other-title": _provide(
        "gives the manifest the title of a note", "is_manifest", answer=_in_the_file(b"113030", b"113000")
    ),
    "from RAD-68/other-evidence": _provide("lists somebody else's instance", "evidence", answer=_last_evidence_changed),
    "from RAD-68/other-content": _provide("refers to what is not listed", "content", answer=_last_content_changed),
    "from RAD-68/other-location": _provide(
        "names another source", "retrieve_location", answer=_in_the_file(b"2.25.71190522.9.3", b"2.25.71190522.9.2")
    ),
    "from RAD-68/other-patient": _provide(
        "makes a manifest of another patient", "whose",
        answer=answers(rb"(?<=\x10\x00\x20\x00LO)(..)C", rb"\g<1>X"),
    ),
    "from RAD-68/media-type": _provide(
        "calls a manifest something else", "media_type",
        answer=answers(rb'mimeType="application/dicom"', b'mimeType="application/octet"'),
    ),
    "from RAD-68/format": _provide(
        "gives another format", "media_type",
        answer=answers(rb'nodeRepresentation="1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.59"', b'nodeRepresentation="KOS"'),
    ),
    "from RAD-68/unique-id": _provide(
        "registers the manifest by another id", "unique_id",
        answer=answers(rb'(value=")[^"]*("[^>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab")', rb"\g<1>1.2.3.4\g<2>"),
    ),
    "from RAD-68/hash": _provide(
        "gives a hash that is not the document's", "hash_and_size",
        answer=answers(rb'(<rim:Slot name="hash"><rim:ValueList><rim:Value>)[0-9a-f]{4}', rb"\g<1>0000"),
    ),
    "from RAD-68/modality": _provide(
        "does not tell the modality", "modalities", answer=answers(rb'nodeRepresentation="CT"', b'nodeRepresentation="OT"')
    ),
    "from RAD-68/no-references": _provide(
        "refers to nothing", "references", answer=answers(_slot(rb"urn:ihe:iti:xds:2013:referenceIdList"), b"")
    ),
    "from RAD-68/dicom-patient": _provide(
        "registers under its own id of the patient", "patient",
        answer=answers(rb'(value=")C(\d+\^\^\^[^"]*"[^>]*58a6f841-87b3-4a3e-92fd-a8ffeff98427)', rb"\g<1>D\g<2>"),
    ),
    "from RAD-68/no-source-patient": _provide(
        "does not say whose id the source knows", "patient", answer=answers(_slot(rb"sourcePatientId"), b"")
    ),
    "from RAD-68/no-times": _provide(
        "does not say when", "times", answer=answers(_slot(rb"(?:creationTime|serviceStartTime)"), b"")
    ),
    "from RAD-68/reference-member": _provide(
        "makes the manifest a member by reference", "membership",
        answer=answers(rb"<rim:Value>Original</rim:Value>", b"<rim:Value>Reference</rim:Value>"),
    ),
    "from RAD-68/no-language": _provide(
        "leaves out what is required", "nothing_odd", answer=answers(_slot(rb"creationTime"), b"")
    ),
    "to RAD-68/failure-as-success": Fault(
        text="takes a failure for success", transactions=("to RAD-68",), caught_by=(PROVIDE + "refusal_told",),
        answer=refusal_as_success(RAD_68),
    ),
    "RAD-69/refuses-new": Fault(
        text="submits what it cannot hand out", transactions=("RAD-69",), caught_by=(PROVIDE + "retrievable",),
        answer=answers(rb"ResponseStatusType:Success", b"ResponseStatusType:Failure"),
    ),
}  # fmt: skip
