"""Wrong registries on the identity feed: acknowledgements that lie, merges that do not happen, and frames that are lost.

Source: ITI TF-2 3.8, Appendix C; HL7 v2 MLLP Release 1.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.faults.edits import AnswerEdit, Fault, RequestEdit, answers, requests
from conformance.in_flight import Outgoing
from conformance.system import System
from profiles.wire.hl7v2.mllp import CARRIAGE_RETURN, END_BLOCK, START_BLOCK, join

SUITE, TRANSPORT = "pix.registry_feed/", "pix.transport/"
_END = END_BLOCK + CARRIAGE_RETURN


def _feed(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
    return Fault(
        text=text, transactions=("ITI-8",), caught_by=tuple(SUITE + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


def _only_cr(outgoing: Outgoing, system: System) -> Outgoing:
    """What is not ended by CR alone is nothing that it knows."""
    if b"\n" not in outgoing.body:
        return outgoing
    return replace(outgoing, body=outgoing.body.replace(b"\r\n", b"\n").replace(b"\n", b"~"))


def _merges_the_other_way(outgoing: Outgoing, system: System) -> Outgoing:
    found = re.search(rb"PID\|\|\|([^|]*)\|.*MRG\|([^|\r]*)", outgoing.body, re.DOTALL)
    if found is None:
        return outgoing
    stays, goes = found[1], found[2]
    swapped = outgoing.body.replace(stays, b"#").replace(goes, stays).replace(b"#", goes)
    return replace(outgoing, body=swapped)


def _other_domain_is_ours(outgoing: Outgoing, system: System) -> Outgoing:
    return replace(outgoing, body=outgoing.body.replace(b"&1.2.3.4.5.99&", f"&{system.patient_authority}&".encode()))


def _remembers() -> RequestEdit:
    """A message that comes again lacks its patient."""
    seen: set[bytes] = set()

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        control_id = outgoing.body.split(b"|")[9]
        if control_id not in seen:
            seen.add(control_id)
            return outgoing
        new = outgoing.body.replace(control_id, control_id[:-1] + b"x")
        return replace(outgoing, body=re.sub(rb"PID\|[^\r]*\r", b"", new))

    return edit


def _transport(
    text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None
) -> Fault:
    return Fault(
        text=text, transactions=("ITI-8",), caught_by=tuple(TRANSPORT + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


def _packets(edit: Callable[[bytes], bytes]) -> RequestEdit:
    """Change what is sent; b"" loses a packet."""
    return lambda outgoing, _: replace(outgoing, body=edit(outgoing.body))


def _first_frame(packet: bytes) -> bytes:
    place = packet.find(_END)
    return packet if place < 0 else packet[: place + len(_END)]


def _last_frame_first(packet: bytes) -> bytes:
    return b"".join(frame + _END for frame in reversed(packet.split(_END)) if frame)


def _answers_as_before() -> RequestEdit:
    """What comes with a control id that was there before is what came then."""
    seen: dict[bytes, bytes] = {}

    def edit(packet: bytes) -> bytes:
        fields = packet.split(b"|")
        return seen.setdefault(fields[9], packet) if len(fields) > 9 else packet

    return _packets(edit)


def _without_patient(packet: bytes) -> bytes:
    return re.sub(rb"PID[|*][^\r]*\r", b"", packet)


FAULTS: Mapping[str, Fault] = {
    "ITI-8/commit-code": _feed(
        "acknowledges in enhanced mode", "acknowledged", "created", answer=answers(rb"MSA\|AA", b"MSA|CA")
    ),
    "ITI-8/other-control-id": _feed(
        "does not say which message it acknowledges", "acknowledged", answer=answers(rb"(MSA\|A[AER]\|)[^|\r]*", rb"\g<1>1")
    ),
    "ITI-8/addresses": _feed(
        "does not turn addresses round", "acknowledged",
        answer=answers(rb"(MSH\|[^|]*)\|([^|]*\|[^|]*)\|([^|]*\|[^|]*)\|", rb"\g<1>|\g<3>|\g<2>|"),
    ),
    "ITI-8/echoes-control-id": _feed(
        "gives its acknowledgement the message's control id", "acknowledged",
        answer=answers(rb"(MSH(?:\|[^|]*){8}\|)[^|]*(\|.*MSA\|A[AER]\|)([^|\r]*)", rb"\g<1>\g<3>\g<2>\g<3>"),
    ),
    "ITI-8/no-trigger": _feed(
        "does not say the trigger of what it acknowledges", "acknowledged", answer=answers(rb"\|ACK\^[^|]*", b"|ACK")
    ),
    "ITI-8/other-version": _feed(
        "answers in another version", "acknowledged", answer=answers(rb"\|P\|2\.3\.1", b"|P|2.5")
    ),
    "ITI-8/forgets": _feed(
        "acknowledges what it did not take", "created", "other_events", "updated",
        request=requests(rb"(?<=PID\|\|\|)C\d", b"CX"),
    ),
    "ITI-8/accepts-all": _feed(
        "acknowledges whatever comes with AA", "merged_with_itself", "merged_unknown", "not_served", "required",
        answer=answers(rb"MSA\|A[ER]", b"MSA|AA"),
    ),
    "ITI-8/error-for-reject": _feed(
        "says AE where it is not the one to ask", "not_served", answer=answers(rb"MSA\|AR", b"MSA|AE")
    ),
    "ITI-8/reject-for-error": _feed(
        "says AR where the message is wrong", "merged_with_itself", "merged_unknown", "required",
        answer=answers(rb"MSA\|AE", b"MSA|AR"),
    ),
    "ITI-8/no-place": _feed(
        "does not say where and what the error is", "required", "not_served", answer=answers(rb"\rERR\|[^\r]*", b"")
    ),
    "ITI-8/merge-is-nothing": _feed(
        "acknowledges a merge and does nothing", "merged",
        request=lambda outgoing, _: (
            replace(outgoing, body=re.sub(rb"MRG[^\r]*\r", b"PV1||O\r", outgoing.body.replace(b"A40", b"A08")))
        ),
    ),
    "ITI-8/merges-the-other-way": _feed("takes one id for the other", "merged", request=_merges_the_other_way),
    "ITI-8/any-domain": _feed("makes patients of other domains' ids", "other_domain", request=_other_domain_is_ours),
    "ITI-8/forgets-answers": _feed("takes a message that comes again for another", "resent", request=_remembers()),
    # --- how it comes ---
    "ITI-8/one-packet": _transport(
        "takes a message only where it comes in one packet", "split",
        request=_packets(
            lambda packet: packet if packet.startswith(START_BLOCK) == packet.endswith(_END) else b""
        ),
    ),
    "ITI-8/first-of-packet": _transport(
        "reads the first message of a packet and drops the others", "joined", "noise", request=_packets(_first_frame)
    ),
    "ITI-8/out-of-order": _transport(
        "does the last message first", "joined", request=_packets(_last_frame_first)
    ),
    "ITI-8/reads-noise": _transport(
        "takes what is between messages for one", "noise",
        request=_packets(lambda packet: packet.replace(b"hello\r\n", join(b"hello"))),
    ),
    "ITI-8/takes-what-was-given-up": _transport(
        "takes a message that never ended", "begun_anew",
        request=_packets(lambda packet: packet if _END in packet else packet + _END),
    ),
    "ITI-8/invents-control-id": _transport(
        "makes up a control id", "no_control_id", request=requests(rb"(?<=\|ADT\^A04\|)(?=\|)", b"X1")
    ),
    "ITI-8/believes-msh-15": _transport(
        "says nothing to whoever wants nothing said", "original_mode",
        request=_packets(lambda packet: b"" if b"|||NE|NE\r" in packet else packet),
    ),
    "ITI-8/commits": _transport(
        "answers with the codes of the enhanced mode", "original_mode", answer=answers(rb"MSA\|AA", b"MSA|CA")
    ),
    "ITI-8/any-processing": _transport(
        "takes tests for patients", "processing_id", request=requests(rb"\|X\|2\.3\.1", b"|P|2.3.1")
    ),
    "ITI-8/reads-others-mail": _transport(
        "takes what is for somebody else", "somebody_elses",
        request=requests(
            rb"SOMEBODY\|ELSE",
            lambda system: f"{system.hl7.receiving_application}|{system.hl7.receiving_facility}".encode(),
        ),
    ),
    "ITI-8/answers-unread": _transport(
        "answers a control id that it knows without reading on", "reused", request=_answers_as_before()
    ),
    "ITI-8/own-delimiters": _transport(
        "splits at | whatever the message says", "delimiters",
        request=_packets(lambda packet: _without_patient(packet) if packet.startswith(b"MSH*") else packet),
    ),
    "ITI-8/refuses-unknown": _transport(
        "stops reading at what it does not know", "passed_over",
        request=_packets(lambda packet: _without_patient(packet) if b"ZXX|" in packet else packet),
    ),
    "ITI-8/only-cr": _feed("reads only lines that end in CR", "line_endings", request=_only_cr),
}  # fmt: skip
