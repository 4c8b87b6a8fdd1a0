"""ITI-8 at a document registry: patients come, change and are merged, and every message has its answer.

Source: ITI TF-2 3.8, Appendix C; HL7 v2.3.1.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import Document, document, provided
from conformance.suites.pix.messages import adt, control_id, cx, ends, new_patient, pid, sent, taken
from conformance.suites.xds.documents import APPROVED, failed, found
from conformance.target import Target
from conformance.verdict import Failed
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti41 import ITI_41

REGISTRY = Actor.DOCUMENT_REGISTRY
UNKNOWN_PATIENT = "XDSUnknownPatientId"
ELSEWHERE = Oid("1.2.3.4.5.99")


@case("ITI8/ack", transaction="ITI-8", actor=REGISTRY, title="A patient is acknowledged as HL7 2.3.1 wants it")
async def acknowledged(target: Target) -> None:
    """AA, the same control id, addresses turned round."""
    message = adt(target, "A04", pid(new_patient(target)))
    ack = await sent(target, message)
    expect(ack.msa[1], "MSA-1").equals("AA")
    expect(ack.msa[2], "MSA-2").equals(control_id(message))
    sender, receiver = ends(target)
    expect("|".join(ack.msh[2:4]), "MSH-3 and MSH-4").equals(receiver)
    expect("|".join(ack.msh[4:6]), "MSH-5 and MSH-6").equals(sender)
    expect(ack.msh[8].split("^")[:2], "MSH-9.1 and MSH-9.2").equals(["ACK", "A04"])
    expect(ack.msh[9], "MSH-10").differs_from(control_id(message))
    expect(ack.msh[11].partition("^")[0], "MSH-12").equals("2.3.1")


@case("ITI8/create", transaction="ITI-8", actor=REGISTRY, title="Documents of a patient who was fed are taken")
async def created(target: Target) -> None:
    """And of one who was not, refused."""
    patient = new_patient(target)
    one = document(patient)
    failed((await target.call(ITI_41, provided(patient, one))).response, UNKNOWN_PATIENT)
    await taken(target, adt(target, "A04", pid(patient)))
    answer = await target.call(ITI_41, provided(patient, one))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)


@case("ITI8/create", transaction="ITI-8", actor=REGISTRY, title="Admission and pre-admission create patients too")
async def other_events(target: Target) -> None:
    """A01 and A05."""
    for event in ("A01", "A05"):
        patient = new_patient(target)
        await taken(target, adt(target, event, pid(patient)))
        await documented(target, patient)


@case("ITI8/update", transaction="ITI-8", actor=REGISTRY, title="An update is taken, also of somebody new")
async def updated(target: Target) -> None:
    """A08 of nobody is a creation."""
    patient = new_patient(target)
    await taken(target, adt(target, "A08", pid(patient)))
    await taken(target, adt(target, "A08", pid(patient, name="Other^Given")))
    await documented(target, patient)


@case(
    "ITI8/domain", transaction="ITI-8", actor=REGISTRY, title="An id of another domain does not become a patient here"
)
async def other_domain(target: Target) -> None:
    """The message is answered; nobody has the same value in our domain because of it."""
    ours = new_patient(target)
    await sent(target, adt(target, "A04", pid(replace(ours, authority=ELSEWHERE))))
    failed((await target.call(ITI_41, provided(ours, document(ours)))).response, UNKNOWN_PATIENT)


@case("ITI8/merge", transaction="ITI-8", actor=REGISTRY, title="After a merge the surviving id finds what both had")
async def merged(target: Target) -> None:
    """And the subsumed id finds nothing, and takes nothing."""
    stays, goes = new_patient(target), new_patient(target)
    for patient in (stays, goes):
        await taken(target, adt(target, "A04", pid(patient)))
    documents = [await documented(target, patient) for patient in (stays, goes)]
    await taken(target, adt(target, "A40", pid(stays), f"MRG|{cx(goes)}", visit=False))
    expect(await _found(target, stays), "what the surviving id finds").has_same(
        [each.entry.unique_id for each in documents]
    )
    expect(await _found(target, goes, lenient=True), "what the subsumed id finds").is_absent()
    failed((await target.call(ITI_41, provided(goes, document(goes)))).response, UNKNOWN_PATIENT)


@case("ITI8/bad-merge", transaction="ITI-8", actor=REGISTRY, title="An id cannot be merged with itself")
async def merged_with_itself(target: Target) -> None:
    """It would be gone."""
    patient = new_patient(target)
    await taken(target, adt(target, "A04", pid(patient)))
    ack = await sent(target, adt(target, "A40", pid(patient), f"MRG|{cx(patient)}", visit=False))
    expect(ack.msa[1], "MSA-1").equals("AE")
    await documented(target, patient)


@case("ITI8/bad-merge", transaction="ITI-8", actor=REGISTRY, title="An id that nobody knows cannot be merged")
async def merged_unknown(target: Target) -> None:
    """On either side; what is known stays as it is."""
    known, nobody = new_patient(target), new_patient(target)
    await taken(target, adt(target, "A04", pid(known)))
    for stays, goes in ((known, nobody), (nobody, known)):
        ack = await sent(target, adt(target, "A40", pid(stays), f"MRG|{cx(goes)}", visit=False))
        expect(ack.msa[1], "MSA-1").equals("AE")
    await documented(target, known)


@case(
    "ITI8/type",
    transaction="ITI-8",
    actor=REGISTRY,
    title="A type, an event and a version that nobody serves are rejected",
)
async def not_served(target: Target) -> None:
    """AR, with the code of table 0357."""
    patient = pid(new_patient(target))
    for message, code in (
        (adt(target, "A04", patient, type="ZZZ^Z99"), "200"),
        (adt(target, "A99", patient), "201"),
        (adt(target, "A04", patient, version="9.9"), "203"),
    ):
        ack = await sent(target, message)
        expect(ack.msa[1], "MSA-1").equals("AR")
        expect(code in ack.complaint, f"whether the acknowledgement complains of {code}").equals(True)


@case(
    "ITI8/required",
    transaction="ITI-8",
    actor=REGISTRY,
    title="A message without patient or id is an error with its place",
)
async def required(target: Target) -> None:
    """No PID, and a PID without PID-3."""
    for message, place in (
        (adt(target, "A04", ""), "PID"),
        (adt(target, "A04", "PID|||||Doe^Jane||19700101|F"), "PID^1^3"),
    ):
        ack = await sent(target, message)
        expect(ack.msa[1], "MSA-1").equals("AE")
        expect(place in ack.complaint, f"whether the acknowledgement names {place}").equals(True)


@case("ITI8/resent", transaction="ITI-8", actor=REGISTRY, title="A message that comes again gets the same answer")
async def resent(target: Target) -> None:
    """The first acknowledgement was lost."""
    message = adt(target, "A04", pid(new_patient(target)))
    first, second = await sent(target, message), await sent(target, message)
    expect(second.msa[1:3], "MSA-1 and MSA-2").equals(first.msa[1:3])
    expect(second.msa[1], "MSA-1").equals("AA")


@case("ITI8/endings", transaction="ITI-8", actor=REGISTRY, title="Lines that end otherwise are read")
async def line_endings(target: Target) -> None:
    """LF and CRLF."""
    for ending in (b"\n", b"\r\n"):
        patient = new_patient(target)
        await taken(target, adt(target, "A04", pid(patient)).replace(b"\r", ending))
        await documented(target, patient)


# --- what became of it ------------------------------------------------------------------------------------------------


async def documented(target: Target, patient: PatientIdentifier) -> Document:
    """Register a document of this patient, who must be known."""
    one = document(patient)
    answer = await target.call(ITI_41, provided(patient, one))
    expect(answer.response.status, "the status of a document of this patient").equals(ResponseStatus.SUCCESS)
    return one


async def _found(target: Target, patient: PatientIdentifier, *, lenient: bool = False) -> list[str]:
    """UniqueIds of what the patient has; `lenient`: an unknown patient has nothing."""
    try:
        answer = await found(
            target, StoredQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=(patient,), statuses=APPROVED)
        )
    except Failed:
        if not lenient:
            raise
        return []
    return [each.unique_id for each in answer.entries]
