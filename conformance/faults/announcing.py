"""Wrong managers of images on ORU^R01: what they do not say of a study, and messages that they lose or repeat.

Their messages are changed on their way to us; where it is about whether one comes again, what we say to it.

Source: HL7 v2.5.1 7.3.1; ITI TF-2x Appendix C.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from conformance.faults.edits import AnswerEdit, Fault, answers
from conformance.in_flight import Incoming

SUITE = "swf.announcement/"
AGAIN = ("again_without_answer", "again_after_anothers", "again_after_reject")
_HEADER = rb"^((?:[^|]*\|){%d})[^|\r]*"


def _fault(text: str, *caught_by: str, answer: AnswerEdit, what: str = "from") -> Fault:
    return Fault(
        text=text, transactions=(f"{what} ORU^R01",), caught_by=tuple(SUITE + name for name in caught_by), answer=answer
    )


def _header(field: int, value: bytes) -> AnswerEdit:
    """Another value of a field of MSH."""
    pattern = re.compile(_HEADER % (field - 1))
    return lambda incoming: replace(incoming, body=pattern.sub(rb"\g<1>" + value, incoming.body))


def _observations_first(incoming: Incoming) -> Incoming:
    """OBX before the order that they are of."""
    lines = incoming.body.split(b"\r")
    observed = [line for line in lines if line.startswith(b"OBX")]
    rest = [line for line in lines if not line.startswith(b"OBX")]
    place = next((at for at, line in enumerate(rest) if line.startswith(b"ORC")), len(rest))
    return replace(incoming, body=b"\r".join((*rest[:place], *observed, *rest[place:])))


def _when_again(edit: AnswerEdit) -> AnswerEdit:
    """Change only what was there before."""
    seen: set[bytes] = set()

    def edited(incoming: Incoming) -> Incoming:
        control_id = incoming.body.split(b"|")[9]
        if control_id in seen:
            return edit(incoming)
        seen.add(control_id)
        return incoming

    return edited


FAULTS: Mapping[str, Fault] = {
    "ORU/other-event": _fault("sends another event", "told", answer=answers(rb"\|ORU\^R01\^ORU_R01", b"|ORU^R30^ORU_R30")),
    "ORU/from-nobody": _fault("does not say who it is", "told", answer=_header(3, b"")),
    "ORU/to-nobody": _fault("does not say whom it tells", "told", answer=_header(5, b"")),
    "ORU/no-time": _fault("does not say when", "told", answer=_header(7, b"")),
    "ORU/tells-nobody": _fault(
        "does not tell of a study", "told", "control_ids", answer=lambda incoming: replace(incoming, body=b"")
    ),
    "ORU/one-control-id": _fault("has one control id for everything", "control_ids", answer=_header(10, b"1")),
    "ORU/long-control-id": _fault(
        "has control ids that are too long", "control_ids",
        answer=answers(rb"^((?:[^|]*\|){9})", rb"\g<1>abcdefghijklmnopqrstu", 1),
    ),
    "ORU/observations-first": _fault("says what is observed before the order", "structure", answer=_observations_first),
    "ORU/no-order": _fault("leaves out the order", "structure", "which_order", answer=answers(rb"OBR\|[^\r]*\r", b"")),
    "ORU/order-alone": _fault(
        "says nothing of an order", "structure", "which_study", answer=answers(rb"OBX\|[^\r]*\r", b"")
    ),
    "ORU/other-code": _fault(
        "names the study by another code", "which_study", answer=answers(rb"\|113014\^", b"|110180^")
    ),
    "ORU/other-type": _fault("names the study as a number", "which_study", answer=answers(rb"\|ST\|113014", b"|NM|113014")),
    "ORU/as-result": _fault(
        "calls the study a final result", "which_study", answer=answers(rb"(OBX\|1\|(?:[^|\r]*\|){9})O", rb"\1F")
    ),
    "ORU/no-authority": _fault(
        "does not say whose the patient's id is", "whose", answer=answers(rb"&2\.25\.71190522\.9\.4&ISO", b"")
    ),
    "ORU/other-patient": _fault(
        "names another patient", "whose", answer=answers(rb"(PID\|[^|]*\|[^|]*\|)[^^]*", rb"\1X")
    ),
    "ORU/final": _fault(
        "says that there is a report", "which_order", answer=answers(rb"(OBR\|(?:[^|\r]*\|){24})R", rb"\1F")
    ),
    "ORU/other-numbers": _fault(
        "has other numbers in ORC and in OBR", "which_order", answer=answers(rb"(ORC\|SC\|[^|]*\|)", rb"\1X")
    ),
    "ORU/no-accession": _fault(
        "does not say which order", "which_order",
        answer=answers(rb"(OBR\|1\|[^|]*\|)[^|]*(\|(?:[^|]*\|){14})[^|]*", rb"\1X\2X"),
    ),
    "ORU/plain-links": _fault("gives addresses without TLS", "links", answer=answers(rb"https://", b"http://")),
    "ORU/dead-links": _fault(
        "gives addresses where nothing is", "links", answer=answers(rb"/studies/2\.25\.", b"/studies/2.26.")
    ),
    "ORU/untyped-links": _fault(
        "does not say what is at an address", "links", answer=answers(rb"\^application\^dicom", b"^^")
    ),
    "ORU/no-charset": _fault(
        "does not say in which character set it writes", "character_set", answer=answers(rb"\|UNICODE UTF-8", b"|")
    ),
    "ORU/other-charset": _fault(
        "names a character set that is not its own", "character_set", answer=answers(rb"\|UNICODE UTF-8", b"|8859/1")
    ),
    "ORU/always-charset": _fault(
        "names a character set where everything is ASCII", "character_set",
        answer=answers(rb"(\|P\|2\.5\.1)\r", rb"\1||||||UNICODE UTF-8\r"),
    ),
    "ORU/unescaped": _fault("does not escape", "character_set", answer=answers(rb"\\T\\", b"&")),
    "ORU/new-control-id": _fault(
        "gives what comes again another control id", *AGAIN, answer=_when_again(_header(10, b"again"))
    ),
    "ORU/new-content": _fault(
        "says something else the second time", *AGAIN, answer=_when_again(answers(rb"OBX\|2", b"OBX|3"))
    ),
    "ORU/gives-up": _fault(
        "does not send again what was not answered", "again_without_answer",
        answer=_when_again(lambda incoming: replace(incoming, body=b"")),
    ),
    "ORU/believes-any": _fault(
        "takes any acknowledgement for its own", "again_after_anothers",
        answer=_when_again(lambda incoming: replace(incoming, body=b"")),
    ),
    "ORU/insists": _fault(
        "sends again what was refused for good", "rests", what="to",
        answer=answers(rb"MSA\|AE(.*\|)101", rb"MSA|AR\g<1>207"),
    ),
    "ORU/overlooks-commits": _fault(
        "takes a commit for no answer", "rests", what="to", answer=answers(rb"MSA\|CA", b"MSA|CR")
    ),
}  # fmt: skip
