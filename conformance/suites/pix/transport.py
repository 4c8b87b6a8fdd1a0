"""MLLP and acknowledgement rules at whoever is fed by HL7 v2: frames as a network cuts them, and whose answer is whose.

A registry is asked, for what became of a message is seen by the documents that it takes.

Source: HL7 v2 MLLP Release 1; ITI TF-2x Appendix C.2; HL7 v2.5 2.9.2 (original mode), 2.14.9 (MSH).
"""

from collections.abc import Sequence
from itertools import pairwise

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import document, provided
from conformance.suites.pix.messages import Ack, adt, control_id, new_patient, pid, sent, taken
from conformance.suites.pix.registry_feed import documented
from conformance.suites.xds.documents import failed
from conformance.target import Target
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor
from profiles.wire.hl7v2.mllp import CARRIAGE_RETURN, END_BLOCK, START_BLOCK, join
from profiles.xds.iti41 import ITI_41

REGISTRY = Actor.DOCUMENT_REGISTRY
UNKNOWN_PATIENT = "XDSUnknownPatientId"
KEEP_ALIVE = START_BLOCK + END_BLOCK + CARRIAGE_RETURN


def new_message(target: Target) -> tuple[PatientIdentifier, bytes]:
    """A patient whom nobody knows, and the message that tells of them."""
    patient = new_patient(target)
    return patient, adt(target, "A04", pid(patient))


@case("ITI8/framing", transaction="ITI-8", actor=REGISTRY, title="A message that comes in pieces is one message")
async def split(target: Target) -> None:
    """Cut behind the start block, in a segment, and between the two bytes of its end."""
    _, message = new_message(target)
    frame = join(message)
    cuts = (0, 1, 40, len(frame) - 1, len(frame))
    pieces = [frame[low:high] for low, high in pairwise(cuts)]
    answers(await target.converse("ITI-8", *pieces, answers=1), message)


@case(
    "ITI8/framing", transaction="ITI-8", actor=REGISTRY, title="Messages that come at once are answered in their order"
)
async def joined(target: Target) -> None:
    """Three in one packet, before there is an answer to the first."""
    messages = [new_message(target)[1] for _ in range(3)]
    answers(await target.converse("ITI-8", b"".join(map(join, messages)), answers=3), *messages)


@case("ITI8/noise", transaction="ITI-8", actor=REGISTRY, title="What is between messages is neither read nor answered")
async def noise(target: Target) -> None:
    """Line ends, NUL, other bytes and an empty frame."""
    messages = [new_message(target)[1] for _ in range(2)]
    pieces = (b"\r\n\0\0" + join(messages[0]), b"hello\r\n" + KEEP_ALIVE + join(messages[1]))
    answers(await target.converse("ITI-8", *pieces, answers=2), *messages)


@case("ITI8/restart", transaction="ITI-8", actor=REGISTRY, title="A message that is begun anew is that one message")
async def begun_anew(target: Target) -> None:
    """A start block inside a frame: what came before it is lost, and not a patient."""
    lost, given_up = new_message(target)
    patient, message = new_message(target)
    pieces = (join(given_up)[: given_up.index(b"PV1")], join(message))
    answers(await target.converse("ITI-8", *pieces, answers=1), message)
    await documented(target, patient)
    await unknown(target, lost)


@case("ITI8/control-id", transaction="ITI-8", actor=REGISTRY, title="A message without a control id is not taken")
async def no_control_id(target: Target) -> None:
    """MSH-10 is empty: nobody could tell whose acknowledgement it is."""
    patient, message = new_message(target)
    nameless = message.replace(control_id(message).encode(), b"", 1)
    for each in await target.converse("ITI-8", join(nameless), answers=1):
        expect(Ack(each).msa[1], "MSA-1").is_one_of("AE", "AR")
    await unknown(target, patient)


@case("ITI8/mode", transaction="ITI-8", actor=REGISTRY, title="Who fills in MSH-15 and MSH-16 is answered all the same")
async def original_mode(target: Target) -> None:
    """One application acknowledgement for each message: the transaction is of the original mode."""
    messages = []
    for accept, application in (("AL", "NE"), ("NE", "AL"), ("NE", "NE")):
        _, message = new_message(target)
        header, _, rest = message.partition(b"\r")
        messages.append(header + f"|||{accept}|{application}\r".encode() + rest)
    answers(await target.converse("ITI-8", *map(join, messages), answers=3), *messages)


@case("ITI8/processing", transaction="ITI-8", actor=REGISTRY, title="A processing id that is none is rejected")
async def processing_id(target: Target) -> None:
    """MSH-11 is X: AR with 202."""
    _, message = new_message(target)
    ack = await sent(target, message.replace(b"|P|2.3.1", b"|X|2.3.1"))
    expect(ack.msa[1], "MSA-1").equals("AR")
    expect("202" in ack.complaint, "whether the acknowledgement complains of 202").equals(True)


@case("ITI8/addressee", transaction="ITI-8", actor=REGISTRY, title="A message to somebody else is not taken")
async def somebody_elses(target: Target) -> None:
    """MSH-5 and MSH-6 name another application."""
    patient, message = new_message(target)
    fields = message.split(b"|")
    fields[4:6] = b"SOMEBODY", b"ELSE"
    ack = await sent(target, b"|".join(fields))
    expect(ack.msa[1], "MSA-1").is_one_of("AE", "AR")
    await unknown(target, patient)


@case(
    "ITI8/reused", transaction="ITI-8", actor=REGISTRY, title="A control id that is used again hides no other message"
)
async def reused(target: Target) -> None:
    """The second is of another patient."""
    first, message = new_message(target)
    second, other = new_message(target)
    await taken(target, message)
    await taken(target, other.replace(control_id(other).encode(), control_id(message).encode(), 1))
    for patient in (first, second):
        await documented(target, patient)


@case("ITI8/delimiters", transaction="ITI-8", actor=REGISTRY, title="Delimiters are those that the message says")
async def delimiters(target: Target) -> None:
    """All of them are others than usual, but the escape character."""
    patient, message = new_message(target)
    await taken(target, message.translate(bytes.maketrans(b"|^~&", b"*:?!")))
    await documented(target, patient)


@case(
    "ITI8/unknown", transaction="ITI-8", actor=REGISTRY, title="Segments and fields that nobody knows are passed over"
)
async def passed_over(target: Target) -> None:
    """A segment of the sender's own, and more fields than PV1 has."""
    patient, message = new_message(target)
    await taken(target, message.replace(b"PV1||O", b"ZXX|1|own\rPV1||O" + b"|" * 60 + b"more"))
    await documented(target, patient)


def answers(came: Sequence[bytes], *messages: bytes) -> None:
    """Each message has one acknowledgement, AA, in their order."""
    acks = [Ack(each) for each in came]
    expect([ack.msa[2] for ack in acks], "MSA-2 of the acknowledgements").equals([*map(control_id, messages)])
    expect([ack.msa[1] for ack in acks], "MSA-1 of the acknowledgements").equals(["AA"] * len(messages))


async def unknown(target: Target, patient: PatientIdentifier) -> None:
    """The registry knows nobody of this id."""
    failed((await target.call(ITI_41, provided(patient, document(patient)))).response, UNKNOWN_PATIENT)
