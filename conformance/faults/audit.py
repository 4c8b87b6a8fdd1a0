"""Wrong secure nodes: audit that is lost, late or untrue. The messages are changed between the node and the repository.

Source: ITI TF-2 3.19, 3.20; DICOM PS3.15 A.5.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from conformance.faults.edits import AnswerEdit, Fault, answers

SUITE = "atna.node_audit/"


def _audit(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(
        text=text, transactions=("ITI-20",), caught_by=tuple(SUITE + name for name in caught_by), answer=answer
    )


def lost(pattern: bytes) -> AnswerEdit:
    """Messages that have this are lost."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda incoming: replace(incoming, body=b"") if compiled.search(incoming.body) else incoming


FAULTS: Mapping[str, Fault] = {
    "ITI-20/no-queries": _audit("does not audit queries", "queried", "well_formed", answer=lost(rb'"110112"')),
    "ITI-20/no-submissions": _audit("does not audit what it takes", "provided_", answer=lost(rb'"110107".*"ITI-41"')),
    "ITI-20/no-retrievals": _audit("does not audit what it hands out", "handed_out", answer=lost(rb'"110106".*"ITI-43"')),
    "ITI-20/no-images": _audit(
        "does not audit images that it hands out", "imaging", "web_retrieval", answer=lost(rb'"110104"')
    ),
    "ITI-20/no-failures": _audit(
        "audits only what went well", "refused", "partly", answer=lost(rb'EventOutcomeIndicator="(?:4|8|12)"')
    ),
    "ITI-20/all-is-well": _audit(
        "says of what failed that it went well", "refused", "partly",
        answer=answers(rb'EventOutcomeIndicator="\d+"', b'EventOutcomeIndicator="0"'),
    ),
    "ITI-20/no-reason": _audit(
        "does not say why it failed", "refused",
        answer=answers(rb"<EventOutcomeDescription>.*?</EventOutcomeDescription>", b""),
    ),
    "ITI-20/no-patients": _audit("does not audit its patients", "fed", answer=lost(rb'"110110"')),
    "ITI-20/merge-once": _audit(
        "audits only one side of a merge", "fed", answer=lost(rb'EventActionCode="D".*"110110"')
    ),
    "ITI-20/no-web": _audit(
        "does not audit searches by the web", "searched", answer=lost(rb"ImagingStudy|/studies|QIDO|110181")
    ),
    "ITI-20/other-type": _audit(
        "gives another transaction", "queried", answer=answers(rb'csd-code="ITI-18"', b'csd-code="ITI-38"')
    ),
    "ITI-20/other-action": _audit(
        "gives another action", "queried", "provided_", answer=answers(rb'EventActionCode="[CE]"', b'EventActionCode="U"')
    ),
    "ITI-20/no-patient": _audit(
        "does not say whose it was", "queried", "imaging",
        answer=answers(
            rb'<ParticipantObjectIdentification (?=[^>]*TypeCode="1")[^>]*>.*?</ParticipantObjectIdentification>', b""
        ),
    ),
    "ITI-20/no-question": _audit(
        "does not say what was asked", "queried",
        answer=answers(rb"<ParticipantObjectQuery>.*?</ParticipantObjectQuery>", b""),
    ),
    "ITI-20/no-repository": _audit(
        "does not say from which repository", "handed_out", answer=answers(rb"<ParticipantObjectDetail [^>]*/>", b"")
    ),
    "ITI-20/no-addresses": _audit(
        "does not say from where it was asked", "participants",
        answer=answers(rb' NetworkAccessPoint(?:ID|TypeCode)="[^"]*"', b""),
    ),
    "ITI-20/roles-swapped": _audit(
        "takes source for destination", "participants",
        answer=lambda incoming: replace(
            incoming,
            body=incoming.body.replace(b'"110153"', b'"#"').replace(b'"110152"', b'"110153"').replace(b'"#"', b'"110152"'),
        ),
    ),
    "ITI-20/priority": _audit("gives another priority", "well_formed", answer=answers(rb"^<\d+>", b"<13>")),
    "ITI-20/no-zone": _audit(
        "writes times without a zone", "well_formed", answer=answers(rb"^(<\d+>1 [^ ]*?)(?:Z|[+-]\d\d:\d\d) ", rb"\g<1> ")
    ),
    "ITI-20/message-id": _audit(
        "gives another MSGID", "well_formed", answer=answers(rb"IHE\+RFC-3881", b"audit")
    ),
    "ITI-20/rfc3881": _audit(
        "writes the codes of RFC 3881", "well_formed", answer=answers(rb"csd-code=", b"code=")
    ),
    "ITI-20/no-requestor": _audit(
        "does not say who asked", "well_formed",
        answer=answers(rb' UserIsRequestor="[^"]*"', b""),
    ),
    "ITI-20/late": _audit(
        "gives another time", "prompt", answer=answers(rb'EventDateTime="\d{4}', b'EventDateTime="2001')
    ),
    "ITI-20/tells-names": _audit(
        "writes the patient's name", "private",
        answer=answers(
            b"(?=</ParticipantObjectIdentification>)", b"<ParticipantObjectName>Quillfeather</ParticipantObjectName>"
        ),
    ),
}  # fmt: skip
