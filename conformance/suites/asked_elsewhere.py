"""Who asks asynchronously: a request names an address of the asker's own, and what is brought there is taken.

The system is made to fetch a study from West, and is asked for what West has as its own people ask it: all that it asks of
West is to be answered elsewhere.

Source: ITI TF-2 Appendix V.5; WS-Addressing 1.0 core 3.4.
"""

import asyncio
import uuid
from typing import Any
from urllib.parse import urlsplit

from conformance.case import case
from conformance.expect import expect
from conformance.in_flight import Incoming
from conformance.simulators.asked_later import AskedLater
from conformance.simulators.imaging_community import Offered
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import cx
from conformance.suites.elsewhere import claimed
from conformance.suites.wia.dicomweb import ANY_SYNTAX, new_study, retrieved
from conformance.suites.xcai.initiating_gateway import images_of
from conformance.target import Target
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.names import SOAP_XML
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xds.iti18 import ITI_18, StoredQueryResponse
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69

CONSUMER, IMAGING_CONSUMER = Actor.DOCUMENT_CONSUMER, Actor.IMAGING_DOCUMENT_CONSUMER
GATEWAY, IMAGING_GATEWAY = Actor.INITIATING_GATEWAY, Actor.INITIATING_IMAGING_GATEWAY


async def fetched(target: Target) -> tuple[Offered, int]:
    """Make the system fetch a study from West, once for all cases; answers it, and how many requests had come before."""
    west = target.west
    key = ("fetch", west.counterpart.edit)
    if key not in west.remembered:
        offer = west.offer(await new_study(target, series=2, instances=2), target.patient())
        before = await target.provoke(
            "fetch", west, peer=west.name, study=offer.study.study_instance_uid, patient=cx(target.patient())
        )
        west.remembered[key] = offer, before
    found: tuple[Offered, int] = west.remembered[key]
    return found


async def asked_of_west(target: Target, actor: Actor, transaction: SoapTransaction[Any, Any]) -> Asked:
    """A request that the system makes of West while it fetches."""
    claimed(target, actor)
    west = target.west
    _, before = await fetched(target)
    return await target.asked(transaction, before, at=west)


async def is_answered_elsewhere(target: Target, asked: Asked) -> None:
    """It names an address of its own, and takes with 202 what is brought there."""
    assert asked.message is not None
    addressing = asked.message.addressing
    expect(addressing.elsewhere, "whether wsa:ReplyTo is an address of its own").equals(True)
    expect(urlsplit(addressing.reply_to).scheme, "its scheme").is_one_of("http", "https")
    expect(addressing.message_id, "wsa:MessageID").is_there()
    said = await target.west.counterpart.said_of(asked, target.wait_s)
    expect(said is not None, "whether something was said of the answer that was brought").equals(True)
    assert said is not None
    expect((said.status, said.body), "what was said of it").equals((202, b""))


@case(
    "V/asks-elsewhere", "V/takes-brought", transaction="ITI-18", actor=CONSUMER,
    title="A query is answered where it says, and the answer is taken",
)  # fmt: skip
async def query(target: Target) -> None:
    """202, with nothing in it."""
    await is_answered_elsewhere(target, await asked_of_west(target, CONSUMER, ITI_18))


@case(
    "V/asks-elsewhere", "V/takes-brought", transaction="ITI-43", actor=CONSUMER,
    title="A retrieval is answered where it says, and the answer is taken",
)  # fmt: skip
async def retrieval(target: Target) -> None:
    """The manifest of the study."""
    await is_answered_elsewhere(target, await asked_of_west(target, CONSUMER, ITI_43))


@case(
    "V/asks-elsewhere", "V/takes-brought", transaction="RAD-69", actor=IMAGING_CONSUMER,
    title="A retrieval of images is answered where it says, and the answer is taken",
)  # fmt: skip
async def images(target: Target) -> None:
    """With its parts."""
    await is_answered_elsewhere(target, await asked_of_west(target, IMAGING_CONSUMER, RAD_69))


@case(
    "V/takes-brought", transaction="RAD-69", actor=IMAGING_CONSUMER,
    title="Images that were brought can be had from the consumer",
)  # fmt: skip
async def kept(target: Target) -> None:
    """By DICOMweb, with the same pixels."""
    claimed(target, IMAGING_CONSUMER)
    offer, _ = await fetched(target)
    expected = {str(each.sop_instance_uid): each.pixels_sha256 for each in offer.study.instances}
    came: dict[str, str] = {}
    try:
        async with asyncio.timeout(target.wait_s):
            while came.keys() != expected.keys():
                answer = await retrieved(target, f"/studies/{offer.study.study_instance_uid}", ANY_SYNTAX)
                came = {each.sop_instance_uid: each.pixels_sha256 for each in answer.parts}
                await asyncio.sleep(0.1)
    except TimeoutError:
        pass
    expect(came, "the instances and their pixels").equals(expected)


@case(
    "V/unasked", transaction="ITI-18", actor=CONSUMER, title="An answer that nobody awaits is not taken"
)  # fmt: skip
async def unasked(target: Target) -> None:
    """It relates to nothing that was asked."""
    asked = await asked_of_west(target, CONSUMER, ITI_18)
    assert asked.message is not None
    address = asked.message.addressing.reply_to
    expect(asked.message.addressing.elsewhere, "whether wsa:ReplyTo is an address of its own").equals(True)
    body = b"".join(
        encode_envelope(
            ITI_18.encode_response(StoredQueryResponse()).body, action=ITI_18.response_action, to=address,
            message_id=f"urn:uuid:{uuid.uuid4()}", relates_to=f"urn:uuid:{uuid.uuid4()}",
        )
    )  # fmt: skip
    answer = Incoming(headers={"content-type": f"{SOAP_XML}; charset=UTF-8"}, body=body)
    said = await target.west.counterpart.bring(ITI_18.id, address, answer)
    expect(said.status >= 400, f"whether HTTP {said.status} refuses it").equals(True)


@case(
    "V/asks-elsewhere", "V/takes-brought", transaction="ITI-39", actor=GATEWAY,
    title="A document of another community comes back from an answer that was brought",
)  # fmt: skip
async def through_gateway(target: Target) -> None:
    """Whoever asks the gateway waits for it on their own connection."""
    claimed(target, GATEWAY)
    west = target.west
    manifest = (await _offered(target, west)).manifest
    before = len(west.counterpart.asked)
    wanted = DocumentRequest(
        repository_unique_id=str(west.repository), document_unique_id=manifest.entry.unique_id,
        home_community_id=west.home,
    )  # fmt: skip
    answer = await target.call(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)), at=GATEWAY)
    await is_answered_elsewhere(target, await target.asked(ITI_39, before, at=west))
    expect(answer.response, "an answer").is_there()
    expect([each.sha1 for each in answer.received], "the documents, by their SHA-1").equals([manifest.entry.hash])


@case(
    "RAD75-006", "V/asks-elsewhere", "V/takes-brought", transaction="RAD-75", actor=IMAGING_GATEWAY,
    title="Images of another community come back from an answer that was brought",
)  # fmt: skip
async def images_through_gateway(target: Target) -> None:
    """Poured on, as they are."""
    claimed(target, IMAGING_GATEWAY)
    west = target.west
    study = (await _offered(target, west)).study
    before = len(west.counterpart.asked)
    request = await images_of(study, home=west.home, location=str(west.retrieve_location))
    answer = await target.call(RAD_69, request, at=IMAGING_GATEWAY)
    await is_answered_elsewhere(target, await target.asked(RAD_75, before, at=west))
    came = {each.sop_instance_uid: each.pixels_sha256 for each in answer.received}
    expect(came, "the instances and their pixels").equals(
        {str(each.sop_instance_uid): each.pixels_sha256 for each in study.instances}
    )


async def _offered(target: Target, west: AskedLater) -> Offered:
    return west.offer(await new_study(target, instances=2), west.patient)
