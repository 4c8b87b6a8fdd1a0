"""ADT as a patient identity feed: one value and one codec for ITI-8 and ITI-30.

The two transactions say the same in two versions of HL7: a patient was created, changed, or two ids turned out to be one
patient. What differs (which events, which version, which structure) is in `FeedRules`.

What a newcomer gets wrong: in A40 PID-3 is who *remains* and MRG-1 who goes. And in an update a field that is absent says
nothing, while `""` says "delete": `PatientFeedRequest.said` tells which is which.

Source: ITI TF-2 3.8.4, 3.30.4; HL7 v2.3.1 and v2.5 chapter 3.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from profiles.errors import MalformedMessage, RuleViolation
from profiles.findings import Decoded, Finding, Severity
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.datatypes import (
    NO_SITE,
    REQUIRED,
    UNKNOWN_KEY,
    Site,
    error,
    read_moment,
    read_patient_identifiers,
    warning,
    write_moment,
    write_patient_identifier,
)
from profiles.wire.hl7v2.message import Component, Message, Segment, read_message, write_message, written
from profiles.wire.hl7v2.segments import (
    Header,
    Visit,
    read_header,
    read_patient,
    read_visit,
    write_header,
    write_patient,
    write_time,
    write_visit,
)


class FeedEvent(StrEnum):
    """What happened (MSH-9.2), of the events that a feed has."""

    ADMIT = "A01"
    REGISTER = "A04"
    PRE_ADMIT = "A05"
    UPDATE = "A08"
    ADD_PERSON = "A28"
    UPDATE_PERSON = "A31"
    MERGE = "A40"
    CHANGE_IDS = "A47"


JOINS = frozenset({FeedEvent.MERGE, FeedEvent.CHANGE_IDS})
"""Events of two ids: one that remains (PID-3), and one that goes (MRG-1)."""

CREATES = frozenset({FeedEvent.ADMIT, FeedEvent.REGISTER, FeedEvent.PRE_ADMIT, FeedEvent.ADD_PERSON})

DEMOGRAPHICS: Mapping[str, int] = {"name": 5, "birth_date": 7, "sex": 8, "address": 11}
"""The attributes of `Patient` that PID says, and in which field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFeedRequest:
    """A patient was created or changed, two ids were merged, or one was changed for another.

    `patient.identifiers` are those whose authority is known; in a merge they are the surviving ones. `said` names the
    demographics that the message spoke of, even to delete them. `address` and `control_id` (MSH-10) are how it came; for
    one of ours they may be left to the carrier. `recorded` is EVN-2.
    """

    event: FeedEvent
    patient: Patient
    subsumed_identifiers: tuple[PatientIdentifier, ...] = ()
    visit: Visit | None = None
    recorded: Moment | None = None
    said: frozenset[str] = frozenset(DEMOGRAPHICS)
    address: Hl7Address | None = None
    control_id: str = ""
    at: Moment | None = None  # MSH-7

    @property
    def merges(self) -> tuple[tuple[PatientIdentifier, PatientIdentifier], ...]:
        """(subsumed, surviving) for each authority that both sides name; one pair in a message that keeps to the book.

        Source: ITI TF-2 3.8.4.2.4 (the same assigning authority on both sides).
        """
        return self.patient.survives(self.subsumed_identifiers)

    @property
    def subsumed(self) -> PatientIdentifier | None:
        """The id that goes, of the first pair."""
        return self.merges[0][0] if self.merges else None

    @property
    def surviving(self) -> PatientIdentifier | None:
        """The id that remains, of the first pair."""
        return self.merges[0][1] if self.merges else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRules:
    """What ITI-8 and ITI-30 do not share."""

    version: str  # of what we send
    structures: Mapping[FeedEvent, str]  # MSH-9.3 by event; its keys are the events of the transaction
    names_event: bool  # EVN-1 is written: required in 2.3.1, withdrawn in 2.5
    patient_class: str  # PV1-2 where there is no visit


# --- reading ----------------------------------------------------------------------------------------------------------


def read_feed(data: bytes, rules: FeedRules, site: Site = NO_SITE) -> Decoded[PatientFeedRequest]:
    """Read an ADT message.

    Args:
        data: The message without its MLLP frame.
        rules: Those of the transaction.
        site: The table of namespaces, the default authority, the zone.

    Returns:
        The request. `patient.identifiers` is empty where no authority is known, which the findings say as an error.

    Raises:
        MalformedMessage: It is no message, or of no event of the transaction.
        RuleViolation: It has no PID: to send it again as it is would not help, so the answer is AE.

    Source: ITI TF-2 3.8.4.1.2, 3.8.4.2.2, 3.30.4; Appendix C.2.3 (a required segment that is absent).
    """
    message = read_message(data, default_codec=site.codec)
    header = read_header(message.msh)
    findings = list(message.findings)
    if header.message_code != "ADT" or header.trigger_event not in rules.structures:
        raise MalformedMessage("not an event of this transaction", code="201", location="MSH^1^9^1^2")
    event = FeedEvent(header.trigger_event)
    pid = message.first("PID")
    if pid is None:
        raise RuleViolation("an ADT message has a PID", code="100", location="PID^1")
    if sum(1 for _ in message.all("PID")) > 1:
        # One patient in a message: whose demographics are whose could not be told, and one answer is for all of it.
        findings.append(error("hl7.pid-repeated", "one message is of one patient", "100", "PID^2"))
    patient = read_patient(pid, site, findings)
    if not patient.identifiers:
        findings.append(_no_identifier(pid, 3))
    evn = message.first("EVN")
    request = PatientFeedRequest(
        event=event,
        patient=patient,
        subsumed_identifiers=_read_subsumed(message, site, findings) if event in JOINS else (),
        visit=read_visit(message.first("PV1"), site),
        recorded=read_moment(evn, 2, site, findings) if evn is not None else None,
        said=frozenset(name for name, number in DEMOGRAPHICS.items() if pid.has(number)),
        address=header.address,
        control_id=header.control_id,
        at=read_moment(message.msh, 7, site, findings),
    )
    findings += _departures(message, header, event)
    return Decoded(request, tuple(findings))


def _read_subsumed(message: Message, site: Site, findings: list[Finding]) -> tuple[PatientIdentifier, ...]:
    mrg = message.first("MRG")
    if mrg is None:
        findings.append(error("hl7.merge-without-mrg", "a merge has an MRG", "100", "MRG^1"))
        return ()
    if sum(1 for _ in message.all("MRG")) > 1:
        # ITI TF-2 3.8.4.2.2: one pair in a message; which of several were done could not be told in one answer.
        findings.append(error("hl7.merge-repeated", "one message merges one patient", "100", "MRG^2"))
    subsumed = read_patient_identifiers(mrg, 1, site, findings)
    if not subsumed:
        findings.append(_no_identifier(mrg, 1))
    return subsumed


def _no_identifier(segment: Segment, number: int) -> Finding:
    if any(value.part(1) for value in segment.values(number)):
        return error(
            "hl7.no-known-authority",
            "no identifier has an assigning authority that is known here",
            UNKNOWN_KEY,
            segment.at(number, 1, 4),
        )
    return error("hl7.no-identifier", "an identifier is required", REQUIRED, segment.at(number))


def _departures(message: Message, header: Header, event: FeedEvent) -> Iterator[Finding]:
    """What the transaction requires and real senders leave out; nothing is refused for it."""
    evn, pv1 = message.first("EVN"), message.first("PV1")
    if evn is None:
        yield warning("hl7.no-evn", "EVN is required", "100", "EVN^1")
    elif not evn.has(2):
        yield warning("hl7.no-recorded-time", "EVN-2 is required", REQUIRED, "EVN^1^2")
    if pv1 is None and event not in JOINS:
        yield warning("hl7.no-pv1", "PV1 is required", "100", "PV1^1")
    elif pv1 is not None and not pv1.has(2):
        yield warning("hl7.no-patient-class", "PV1-2 is required", REQUIRED, "PV1^1^2")
    if not header.control_id.strip():
        yield error("hl7.no-control-id", "MSH-10 is required", REQUIRED, "MSH^1^10")


# --- writing ----------------------------------------------------------------------------------------------------------


def write_feed(request: PatientFeedRequest, out: Hl7Out, rules: FeedRules, site: Site = NO_SITE) -> bytes:
    """Write an ADT message, without its MLLP frame: MSH EVN PID [MRG] [PV1].

    Source: ITI TF-2 3.8.4.1.2, 3.8.4.2.2, 3.30.4.
    """
    event = request.event
    sent = replace(out, address=request.address or out.address, control_id=request.control_id or out.control_id)
    recorded = write_moment(request.recorded) or write_time(out.at)
    segments = [
        write_header(sent, ("ADT", event.value, rules.structures[event]), rules.version),
        written("EVN", {1: event.value if rules.names_event else "", 2: recorded}),
        write_patient(request.patient, site, set_id=""),
    ]
    if event in JOINS:
        subsumed: list[str | tuple[Component, ...]] = [
            write_patient_identifier(each, site) for each in request.subsumed_identifiers
        ]
        segments.append(written("MRG", {1: subsumed}))
    if event is not FeedEvent.CHANGE_IDS:  # ADT_A30 has no PV1
        segments.append(write_visit(request.visit, default_class=rules.patient_class))
    return write_message(segments)


# --- rules of both transactions ---------------------------------------------------------------------------------------

FeedCheck = Callable[[PatientFeedRequest], Iterator[Finding]]


def both_ids_are_of_one_authority(request: PatientFeedRequest) -> Iterator[Finding]:
    """ITI TF-2 3.8.4.2.4: a merge joins two ids of the same assigning authority."""
    if request.event in JOINS and request.subsumed_identifiers and not request.merges:
        yield error(
            "iti8.merge-across-authorities",
            "MRG-1 and PID-3 are of different assigning authorities",
            UNKNOWN_KEY,
            "MRG^1^1^1^4",
        )


def the_two_ids_differ(request: PatientFeedRequest) -> Iterator[Finding]:
    """ITI TF-2 3.8.4.2.4: an id cannot be merged into itself."""
    if any(subsumed == surviving for subsumed, surviving in request.merges):
        yield error("iti8.merge-into-itself", "MRG-1 and PID-3 are the same id", "205", "MRG^1^1^1^1")


def a_new_patient_has_a_name(request: PatientFeedRequest) -> Iterator[Finding]:
    """ITI TF-2 3.8.4.1.2: PID-5 is required. Only told for updates and merges: real ones repeat only what changed."""
    name = request.patient.name
    if name.family or name.given or name.ideographic or name.phonetic:
        return
    severity = Severity.ERROR if request.event in CREATES else Severity.WARNING
    yield Finding(rule="iti8.no-name", text="PID-5 is required", severity=severity, code=REQUIRED, location="PID^1^5")


FEED_CHECKS: tuple[FeedCheck, ...] = (both_ids_are_of_one_authority, the_two_ids_differ, a_new_patient_has_a_name)
