"""Wrong consumers of patient identities by ITI-30: what of a person they overlook, and merges that they take otherwise.

Source: ITI TF-2 3.30, Appendix C; HL7 v2.5 chapters 2, 3.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.faults.edits import AnswerEdit, Fault, RequestEdit, answers, requests

SUITE = "pix.identity_management/"


def _fault(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
    return Fault(
        text=text, transactions=("ITI-30",), caught_by=tuple(SUITE + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


def _of(event: bytes, edit: Callable[[bytes], bytes]) -> RequestEdit:
    """Change messages of one event."""
    return lambda outgoing, _: (
        replace(outgoing, body=edit(outgoing.body)) if b"|ADT^" + event + b"^" in outgoing.body else outgoing
    )


def _as_update(message: bytes) -> bytes:
    """A31 of who remains."""
    return re.sub(rb"MRG[^\r]*\r", b"PV1||N\r", message.replace(b"A40^ADT_A39", b"A31^ADT_A05"))


FAULTS: Mapping[str, Fault] = {
    "ITI-30/two-components": _fault(
        "does not name the structure of its acknowledgement", "acknowledged", answer=answers(rb"ACK\^A28\^ACK", b"ACK^A28")
    ),
    "ITI-30/text-in-msa": _fault(
        "says more in MSA than 2.5 has", "acknowledged", answer=answers(rb"(MSA\|AA\|[^|\r]*)", rb"\1|fine")
    ),
    "ITI-30/other-version": _fault("answers in 2.3.1", "acknowledged", answer=answers(rb"\|P\|2\.5", b"|P|2.3.1")),
    "ITI-30/old-err": _fault(
        "writes ERR as 2.3.1 does", "refused", answer=answers(rb"ERR\|\|([^|]*)\|[^\r]*", rb"ERR|\1&101")
    ),
    "ITI-30/no-severity": _fault(
        "does not say how bad an error is", "refused", answer=answers(rb"(ERR\|\|[^|]*\|[^|]*)\|E", rb"\1|")
    ),
    "ITI-30/forgets": _fault(
        "takes a person under another id", "added", "updated", request=requests(rb"(?<=PID\|\|\|)V", b"W")
    ),
    "ITI-30/overlooks-updates": _fault(
        "keeps the old name", "updated", request=requests(rb"Updated", b"Management")
    ),
    "ITI-30/refuses-new": _fault(
        "refuses an update of somebody new", "updated", request=requests(rb"PID[^\r]*Unheard[^\r]*\r", b"")
    ),
    "ITI-30/absent-is-gone": _fault(
        "forgets what an update does not say", "unsaid", request=requests(rb"\^L\|\|\|F", b'^L||""|F')
    ),
    "ITI-30/null-is-nothing": _fault(
        "takes two double quotes for nothing said", "unsaid", request=requests(rb'\|""\|F', b"||F")
    ),
    "ITI-30/merge-is-nothing": _fault(
        "acknowledges a merge and does nothing", "merged", "merged_unknown", request=_of(b"A40", _as_update)
    ),
    "ITI-30/merges-as-a-registry": _fault(
        "refuses a merge of whom it does not know", "merged_unknown",
        request=_of(b"A40", lambda message: message.replace(b"|P|2.5", b"|P|2.3.1")),
    ),
    "ITI-30/no-change": _fault(
        "does not know A47", "changed", "changed_for_anothers",
        request=_of(b"A47", lambda message: message.replace(b"A47^ADT_A30", b"A24^ADT_A24")),
    ),
    "ITI-30/changes-into-another": _fault(
        "makes one of two persons whose ids are mixed up", "changed_for_anothers",
        request=_of(b"A47", lambda message: message.replace(b"A47^ADT_A30", b"A40^ADT_A39")),
    ),
    "ITI-30/accepts-all": _fault(
        "acknowledges whatever comes with AA", "refused", "changed_for_anothers", "not_served",
        answer=answers(rb"MSA\|A[ER]", b"MSA|AA"),
    ),
    "ITI-30/error-for-reject": _fault(
        "says AE where it is not the one to ask", "not_served", answer=answers(rb"MSA\|AR", b"MSA|AE")
    ),
    "ITI-30/latin-only": _fault(
        "reads every message as Latin 1", "character_sets", request=requests(rb"8859/7|UNICODE UTF-8", b"8859/1")
    ),
    "ITI-30/escapes-stay": _fault(
        "does not read escape sequences", "escapes", request=requests(rb"A\\T\\B", rb"A\E\T\E\B")
    ),
    "ITI-30/escapes-twice": _fault(
        "reads escape sequences twice", "escapes", request=requests(rb"\\E\\T\\E\\", rb"\T" + b"\\")
    ),
    "ITI-30/first-id": _fault(
        "reads the first id alone", "repeated_ids", request=requests(rb"(?<=ISO)~[^|]*", b"")
    ),
}  # fmt: skip
