"""The transmission wrapper: who sends what to whom, and the root element of every interaction.

What a newcomer gets wrong: the wrapper's own id names the *message*; an acknowledgement names it again as its target. The
SOAP envelope has ids of its own, which mean nothing here.

Source: HL7 V3 MCCI_MT000100UV01, MCCI_MT000200UV01, MCCI_MT000300UV01; ITI TF-2x Appendix O.1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Finding
from profiles.model.identifiers import Oid
from profiles.model.moment import Moment
from profiles.wire.hl7v3.datatypes import (
    HL7,
    INTERACTIONS,
    NO_ID,
    XSI,
    InstanceIdentifier,
    child,
    children,
    code_of,
    error,
    read_ii,
    read_oid,
    read_ts,
    warning,
    write_ii,
    write_ts,
)
from profiles.wire.soap.message import SoapOut
from profiles.wire.xml import attribute

PROCESSING = frozenset({"P", "D", "T"})  # production, debugging, training


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A system that sends or receives.

    `organization` is for whom it acts; between communities that is the home community (ITI TF-2 3.55.4.1.2.4).
    """

    id: InstanceIdentifier = NO_ID
    organization: Oid | None = None


NOBODY = Device()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmission:
    """The wrapper of one message. `UNSENT` is that of a message that nobody has carried yet."""

    id: InstanceIdentifier = NO_ID
    created: Moment | None = None
    sender: Device = NOBODY
    receiver: Device = NOBODY
    processing_code: str = "P"

    @classmethod
    def of(cls, id: str, at: datetime, sender: Device, receiver: Device) -> "Transmission":
        """That of a new message: a UUID as its id, the time to the second."""
        created = Moment(at.astimezone(UTC).replace(microsecond=0))
        return cls(id=InstanceIdentifier(root=id), created=created, sender=sender, receiver=receiver)

    def answered(self, id: str, at: datetime) -> "Transmission":
        """That of an answer: who was asked answers, for the same purpose."""
        there = Transmission.of(id, at, self.receiver, self.sender)
        return replace(there, processing_code=self.processing_code)


UNSENT = Transmission()


# --- reading ----------------------------------------------------------------------------------------------------------


def read_transmission(
    root: etree._Element, interaction: str, *, accept_acknowledgement: str, interaction_id: str = ""
) -> tuple[Transmission, list[Finding]]:
    """Read the wrapper of an interaction, such as PRPA_IN201301UV02.

    Args:
        root: The interaction.
        interaction: What it is to be.
        accept_acknowledgement: The acceptAckCode that the transaction asks for: AL of requests, NE of answers.
        interaction_id: Where the element is called otherwise than its interaction (a cancellation).

    Raises:
        MalformedMessage: It is another interaction, or has no id: nobody could tell whose answer it is.
    """
    if root.tag != f"{{{HL7}}}{interaction}":
        raise MalformedMessage(f"the body is not {interaction}", location=str(root.tag)[:200])
    at, findings = f"/{interaction}", list[Finding]()
    id_ = read_ii(child(root, "id"))
    if not id_.is_known:
        raise MalformedMessage("a message has an id", location=f"{at}/id")
    said_to_be = read_ii(child(root, "interactionId")).extension
    if not said_to_be:
        findings.append(warning("hl7v3.interaction", "interactionId is missing", f"{at}/interactionId"))
    elif said_to_be != (interaction_id or interaction):
        findings.append(error("hl7v3.interaction", "interactionId names another interaction", f"{at}/interactionId"))
    for name, wanted in (("processingModeCode", "T"), ("acceptAckCode", accept_acknowledgement)):
        if code_of(root, name) != wanted:
            findings.append(warning(f"hl7v3.{name}", f"{name} is not {wanted}", f"{at}/{name}"))
    processing = code_of(root, "processingCode")
    if processing not in PROCESSING:
        findings.append(warning("hl7v3.processingCode", "processingCode is none of P, D and T", f"{at}/processingCode"))
        processing = "P"
    if len(children(root, "receiver")) != 1:
        findings.append(warning("hl7v3.one-receiver", "a message has one receiver", f"{at}/receiver"))
    transmission = Transmission(
        id=id_,
        created=read_ts(child(root, "creationTime"), f"{at}/creationTime", findings),
        sender=_device(root, "sender", findings),
        receiver=_device(root, "receiver", findings),
        processing_code=processing,
    )
    return transmission, findings


def _device(root: etree._Element, role: str, findings: list[Finding]) -> Device:
    id_ = read_ii(child(root, f"{role}/device/id"))
    if not id_.is_known:
        findings.append(warning("hl7v3.device", f"the {role} has no id", f"/{etree.QName(root).localname}/{role}"))
    return Device(id=id_, organization=read_oid(child(root, f"{role}/device/asAgent/representedOrganization/id")))


# --- writing ----------------------------------------------------------------------------------------------------------


def write_message(
    interaction: str,
    transmission: Transmission,
    content: Iterable[str],
    *,
    accept_acknowledgement: str,
    interaction_id: str = "",
    respond_to: str = "",
) -> SoapOut:
    """A whole interaction: the wrapper, then what stands in it (an acknowledgement, a control act).

    `respond_to` is where an answer is to be sent that is not the answer to this message; "": nowhere.
    """
    texts = _texts(
        interaction, transmission, content, accept_acknowledgement, interaction_id or interaction, respond_to
    )
    return SoapOut(body=("".join(texts).encode(),))


def _texts(
    interaction: str,
    transmission: Transmission,
    content: Iterable[str],
    accept_acknowledgement: str,
    interaction_id: str,
    respond_to: str,
) -> Iterator[str]:
    yield f'<{interaction} xmlns="{HL7}" xmlns:xsi="{XSI}" ITSVersion="XML_1.0">'
    yield write_ii("id", transmission.id)
    yield write_ts("creationTime", transmission.created)
    yield f'<interactionId root="{INTERACTIONS}" extension="{interaction_id}"/>'
    yield f'<processingCode code="{attribute(transmission.processing_code)}"/><processingModeCode code="T"/>'
    yield f'<acceptAckCode code="{accept_acknowledgement}"/>'
    yield f'<receiver typeCode="RCV">{_device_text(transmission.receiver)}</receiver>'
    if respond_to:
        yield f'<respondTo typeCode="RSP"><telecom value="{attribute(respond_to)}"/>'
        yield '<entityRsp classCode="ENT" determinerCode="INSTANCE"><id nullFlavor="NA"/></entityRsp></respondTo>'
    yield f'<sender typeCode="SND">{_device_text(transmission.sender)}</sender>'
    yield from content
    yield f"</{interaction}>"


def _device_text(device: Device) -> str:
    agent = (
        '<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        f'<id root="{device.organization}"/></representedOrganization></asAgent>'
        if device.organization
        else ""
    )
    return f'<device classCode="DEV" determinerCode="INSTANCE">{write_ii("id", device.id)}{agent}</device>'


def control_act(trigger: str, content: Iterable[str]) -> Iterator[str]:
    """The control act of an interaction: its trigger event, and what it is about."""
    yield f'<controlActProcess classCode="CACT" moodCode="EVN"><code code="{trigger}" codeSystem="{INTERACTIONS}"/>'
    yield from content
    yield "</controlActProcess>"
