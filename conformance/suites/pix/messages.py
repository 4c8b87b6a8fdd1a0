"""ADT as the cases send it, and its acknowledgement as they read it.

Messages are written by hand, so that nothing of ours stands between the case and the wire.

Source: HL7 v2.3.1 and v2.5 chapters 2, 3; ITI TF-2x Appendix C.
"""

import uuid
from datetime import UTC, datetime

from conformance.expect import expect
from conformance.target import Target
from conformance.verdict import Failed
from profiles.model.identifiers import PatientIdentifier


class Ack:
    """An acknowledgement: its MSH and MSA as fields (MSH-1 is the separator), and what it complains of as text.

    `complaint` is MSA from MSA-3 on and every ERR: times and control ids have digits that could be taken for a code.
    """

    def __init__(self, message: bytes) -> None:
        """Read it.

        Raises:
            Failed: It has no MSH or no MSA.
        """
        lines = message.decode("utf-8", "replace").split("\r")
        segments = {line[:3]: line.split("|") for line in lines}
        if "MSH" not in segments or "MSA" not in segments:
            raise Failed("expected an acknowledgement; what came has no MSH and MSA")
        self.msh = segments["MSH"] + [""] * 12
        self.msa = segments["MSA"] + [""] * 4
        self.complaint = "\r".join(["|".join(self.msa[3:]), *(line for line in lines if line.startswith("ERR"))])


async def sent(target: Target, message: bytes, transaction: str = "ITI-8") -> Ack:
    """Send, and read the acknowledgement."""
    return Ack(await target.send(transaction, message))


async def taken(target: Target, message: bytes, transaction: str = "ITI-8") -> None:
    """Send a message that must be taken."""
    ack = await sent(target, message, transaction)
    expect(ack.msa[1], "MSA-1").equals("AA")


def adt(
    target: Target, event: str, patient: str, *more: str, type: str = "", version: str = "2.3.1", visit: bool = True
) -> bytes:
    """A message to the system; `more` are segments behind PID."""
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    segments = [
        rf"MSH|^~\&|{'|'.join(ends(target))}|{now}||{type or f'ADT^{event}'}|{uuid.uuid4().hex[:20]}|P|{version}",
        f"EVN|{event}|{now}",
        *([patient] if patient else []),
        *more,
        *(["PV1||O"] if visit else []),
    ]
    return "\r".join([*segments, ""]).encode()


def ends(target: Target) -> tuple[str, str]:
    """MSH-3 and MSH-4 of what we send, MSH-5 and MSH-6, each as `application|facility`."""
    address = target.system.hl7
    return (
        f"{address.sending_application}|{address.sending_facility}",
        f"{address.receiving_application}|{address.receiving_facility}",
    )


def pid(patient: PatientIdentifier, name: str = "Doe^Jane") -> str:
    """PID of a patient."""
    return f"PID|||{cx(patient)}||{name}||19700101|F|||1 Main St^^Town^^12345"


def cx(patient: PatientIdentifier) -> str:
    """An id as PID-3 and MRG-1 have it."""
    return f"{patient.value}^^^&{patient.authority}&ISO"


def control_id(message: bytes) -> str:
    """MSH-10."""
    return message.split(b"|")[9].decode()


def new_patient(target: Target) -> PatientIdentifier:
    """An id of the registry's domain that nobody has used."""
    return PatientIdentifier(value=f"C{uuid.uuid4().int % 10**12}", authority=target.patient().authority)


async def another_patient(target: Target) -> PatientIdentifier:
    """A second patient whom the registry knows: one that is named, or else one that it is told of by ITI-8.

    Raises:
        Unreachable: None is named and nobody can be told.
    """
    named = target.system.patients[1:2]
    if named:
        return named[0]
    patient = new_patient(target)
    await taken(target, adt(target, "A04", pid(patient)))
    return patient
