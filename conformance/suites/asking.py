"""What is asked of everybody who asks by SOAP, and how a system is made to ask for a study.

Source: ITI TF-2 Appendix V.
"""

from collections.abc import Callable
from typing import Any

from lxml import etree

from conformance.expect import expect
from conformance.simulators.imaging_community import Offered
from conformance.simulators.soap_server import Asked
from conformance.suites.wia.dicomweb import new_study
from conformance.target import Target
from profiles.transaction import SoapTransaction
from profiles.wire.soap.names import ENVELOPE, HEADER, MUST_UNDERSTAND, WSA

TRUE = frozenset({"1", "true"})


async def offered(target: Target, *, series: int = 2, instances: int = 3) -> Offered:
    """A study of the known patient that the community has, and the system has never seen."""
    study = await new_study(target, series=series, instances=instances)
    return target.community.offer(study, target.patient())


async def fetched(target: Target) -> tuple[Offered, int]:
    """Make the system fetch a study, once for all cases; answers it, and how many requests had come before."""

    async def make() -> tuple[Offered, int]:
        offer = await offered(target)
        patient = offer.manifest.entry.patient_id
        before = await target.provoke(
            "fetch", study=offer.study.study_instance_uid, patient=f"{patient.value}^^^&{patient.authority}&ISO"
        )
        return offer, before

    return await target.once("fetch", make)


async def asked_for(
    target: Target, transaction: SoapTransaction[Any, Any], wanted: Callable[[Asked], bool] = lambda _: True
) -> tuple[Offered, Asked]:
    """A request of this transaction that the system makes while it fetches a study."""
    offer, before = await fetched(target)
    return offer, await target.asked(transaction, before, wanted)


def well_addressed(asked: Asked, transaction: SoapTransaction[Any, Any]) -> None:
    """Action that must be understood (IHE-WSA101), ReplyTo (IHE-WSA102), MessageID, and the transaction's packaging."""
    assert asked.message is not None
    root = asked.message.body.getroottree().getroot()
    expect(str(root.tag), "the root").equals(ENVELOPE)
    header = root.find(HEADER)
    expect(header is not None, "whether there is a header").equals(True)
    assert header is not None
    action = header.find(f"{{{WSA}}}Action")
    expect(None if action is None else (action.text or "").strip(), "wsa:Action").equals(transaction.request_action)
    assert action is not None
    expect(action.get(MUST_UNDERSTAND, "") in TRUE, "whether wsa:Action must be understood").equals(True)
    expect(header.findtext(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address"), "wsa:ReplyTo").is_there()
    expect(header.findtext(f"{{{WSA}}}MessageID"), "wsa:MessageID").is_there()
    expect(asked.packaging, "the packaging").equals(transaction.packaging)


def local_names(element: etree._Element) -> list[str]:
    """The names of the children, without their namespace."""
    return [etree.QName(child).localname for child in element]
