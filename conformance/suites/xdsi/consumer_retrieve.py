"""RAD-69 as an imaging document consumer asks it: all that a manifest lists, and whom it names for it.

Source: RAD TF-2 4.69.4.1.
"""

import asyncio

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import asked_for, fetched, local_names, well_addressed
from conformance.suites.wia.dicomweb import ANY_SYNTAX, retrieved
from conformance.target import Target
from profiles.transaction import Actor
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest

CONSUMER = Actor.IMAGING_DOCUMENT_CONSUMER


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="RAD-69",
    actor=CONSUMER,
    title="A retrieval of images is addressed as it must be",
)
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; MTOM."""
    _, asked = await asked_for(target, RAD_69)
    well_addressed(asked, RAD_69)


@case(
    "RAD69-008",
    transaction="RAD-69",
    actor=CONSUMER,
    title="Every instance of the manifest is asked for, in its place, once",
)
async def everything(target: Target) -> None:
    """However many requests it takes."""
    offer, before = await fetched(target)
    await target.asked(RAD_69, before)
    counterpart = target.community.counterpart

    def named() -> list[tuple[str, str, str]]:
        return [
            (each.study_instance_uid, each.series_instance_uid, each.document.document_unique_id)
            for asked in counterpart.asked[before:]
            if asked.transaction == RAD_69.id and asked.request is not None
            for each in asked.request.instances()
            if each.study_instance_uid == offer.study.study_instance_uid  # it may be after another one too
        ]

    await counterpart.awaited(lambda _: len(named()) >= len(offer.study.instances), before, target.wait_s)
    expect(named(), "what is asked for").has_same(
        [
            (str(offer.study.study_instance_uid), str(series.series_instance_uid), str(each.sop_instance_uid))
            for series in offer.study.series
            for each in series.instances
        ]
    )


@case(
    "RAD69/location",
    transaction="RAD-69",
    actor=CONSUMER,
    title="The source is named by the manifest's Retrieve Location UID",
)
async def location(target: Target) -> None:
    """Not by the id of the repository that the manifest came from."""
    _, asked = await asked_for(target, RAD_69)
    request: RetrieveImagingDocumentSetRequest = asked.request
    named = {each.document.repository_unique_id for each in request.instances()}
    expect(named, "RepositoryUniqueId").equals({str(target.community.retrieve_location)})


@case("RAD69/syntaxes", transaction="RAD-69", actor=CONSUMER, title="Transfer syntaxes are named, behind the studies")
async def syntaxes(target: Target) -> None:
    """An empty list is not "any"."""
    _, asked = await asked_for(target, RAD_69)
    request: RetrieveImagingDocumentSetRequest = asked.request
    expect(request.transfer_syntax_uids, "TransferSyntaxUID").is_there()
    assert asked.message is not None
    names = local_names(asked.message.body)
    expect(names[-1], "the last element").equals("TransferSyntaxUIDList")
    expect(set(names[:-1]), "the elements before it").equals({"StudyRequest"})


@case("RAD69/rules", transaction="RAD-69", actor=CONSUMER, title="Nothing about the request is odd")
async def nothing_odd(target: Target) -> None:
    """What the codec and the rules of the transaction notice."""
    _, asked = await asked_for(target, RAD_69)
    expect(asked.findings, "what is odd").is_absent()


@case("RAD69/kept", transaction="RAD-69", actor=CONSUMER, title="What was fetched can be had from the consumer")
async def kept(target: Target) -> None:
    """By DICOMweb, with the same pixels."""
    offer, _ = await fetched(target)
    expected = {str(each.sop_instance_uid): each.pixels_sha256 for each in offer.study.instances}
    came: dict[str, str] = {}
    try:
        async with asyncio.timeout(target.wait_s):
            while came.keys() != expected.keys():
                await asyncio.sleep(0.1)
                answer = await retrieved(target, f"/studies/{offer.study.study_instance_uid}", ANY_SYNTAX)
                came = {each.sop_instance_uid: each.pixels_sha256 for each in answer.parts}
    except TimeoutError:
        pass
    expect(came, "the instances and their pixels").equals(expected)
