"""Three communities on loopback: Region asks Valley and Lakeside across gateways, and answers as one.

Source: ITI TF-2 3.38, 3.39; RAD TF-2 4.75; notes on error locations 1.5.
"""

import asyncio
import json
import sqlite3
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, web

from conformance.samples import SampleStudy
from gateway.app import running
from gateway.settings import Settings
from profiles.model.content import Part, Poured
from profiles.model.document import AvailabilityStatus, EntryType
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.retrieve import DocumentRequest, RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xds.iti18 import ITI_18, ObjectRef, ReturnType, StoredQuery, SubmissionSetCriteria
from profiles.xds.iti43 import ITI_43, ResponseStatus, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest
from tests.support.communities import (
    GATEWAY,
    HOMES,
    IMAGING_GATEWAY,
    IMAGING_RESPONDING,
    LAKESIDE_HOME,
    LOCATIONS,
    NOBODY,
    REPOSITORIES,
    RESPONDING,
    VALLEY_HOME,
    Communities,
    at_home,
    communities,
    settings_of,
)
from tests.support.house import command
from tests.support.registered import folder
from tests.support.registry import brought, registrable
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    VALLEY,
    VALLEY_ID,
    ZEBEDIAH,
    SoapReply,
    Valley,
    logged,
    manifest_of,
    message_of,
    offer_of,
    rad69_request,
    read_soap,
    write_study,
)
from tests.support.stranger import answered, listening, packed


async def ask(house: Valley, path: str, transaction: Any, request: object) -> SoapReply:
    return await house.post(path, await message_of(transaction, request), peer="")


async def queried(house: Valley, path: str, transaction: Any, request: object) -> StoredQueryResponse:
    reply = await ask(house, path, transaction, request)
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    answer: StoredQueryResponse = transaction.decode_response(message.to_codec()).value
    return answer


async def keeps(here: Communities, name: str, *, seed: int = 1) -> SampleStudy:
    """A study that a house has in its archive."""
    await here[name].tell(ZEBEDIAH)
    study = write_study(here.folder / f"kept-{name}", seed=seed, series=2, instances=2)
    status, _ = await here[name].push((one.path.read_bytes() for one in study.instances), peer="")
    assert status == 200
    await here[name].rests("done", kind="store")
    return study


def of(study: SampleStudy, name: str) -> RetrieveImagingDocumentSetRequest:
    return at_home(rad69_request(study, location=LOCATIONS[name]), HOMES[name])


def together(*requests: RetrieveImagingDocumentSetRequest) -> RetrieveImagingDocumentSetRequest:
    return replace(requests[0], studies=tuple(study for request in requests for study in request.studies))


def complaints(head: RetrieveDocumentSetResponse | StoredQueryResponse) -> set[tuple[str, str]]:
    return {(error.code, error.location) for error in head.errors}


async def served(house: Valley, study: SampleStudy, name: str) -> dict[str, bytes]:
    """What the house itself hands out by RAD-69."""
    reply = await ask(house, "/soap/imaging-source", RAD_69, rad69_request(study, location=LOCATIONS[name]))
    _, bodies = await reply.retrieved()
    return bodies


# --- instances --------------------------------------------------------------------------------------------------------


async def test_region_fetches_instances_of_two_communities_bit_for_bit(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        valleys, lakesides = await keeps(here, "Valley", seed=1), await keeps(here, "Lakeside", seed=2)
        reply = await ask(
            here["Region"], IMAGING_GATEWAY, RAD_69, together(of(valleys, "Valley"), of(lakesides, "Lakeside"))
        )
        head, bodies = await reply.retrieved()
        assert (head.status, head.errors) == (ResponseStatus.SUCCESS, ())
        assert {each.home_community_id for each in head.documents} == {VALLEY_HOME, LAKESIDE_HOME}
        expected = {
            **await served(here["Valley"], valleys, "Valley"),
            **await served(here["Lakeside"], lakesides, "Lakeside"),
        }
        assert len(bodies) == 8
        assert bodies == expected
        await here["Region"].closed("RAD-75")
        asked = [step for step in here["Region"].kept().steps if step["transaction"] == "RAD-75"]
        assert {(step["peer"], step["outcome"]) for step in asked if step["outcome"] != "open"} >= {
            ("Valley", "success"),
            ("Lakeside", "success"),
        }
        assert sum(b'"RAD-75"' in record for record in here["Region"].kept().audit) == 2
        assert sum(b'"RAD-75"' in record for record in here["Valley"].kept().audit) >= 1


async def test_one_community_down_makes_a_partial_success(tmp_path: Path) -> None:
    async with communities(tmp_path, Lakeside="http://127.0.0.1:1") as here:
        study = await keeps(here, "Valley")
        other = write_study(tmp_path / "other", seed=2, series=1, instances=1)
        request = together(of(study, "Valley"), of(other, "Lakeside"))
        head, bodies = await (await ask(here["Region"], IMAGING_GATEWAY, RAD_69, request)).retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert complaints(head) == {("XDSUnavailableCommunity", LAKESIDE_HOME.urn)}
        assert bodies == await served(here["Valley"], study, "Valley")


async def test_an_unknown_home_is_named_and_the_rest_is_handed_out(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        study = await keeps(here, "Valley")
        other = write_study(tmp_path / "other", seed=2, series=1, instances=1)
        stranger = at_home(rad69_request(other), NOBODY)
        head, bodies = await (
            await ask(here["Region"], IMAGING_GATEWAY, RAD_69, together(of(study, "Valley"), stranger))
        ).retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert complaints(head) == {("XDSUnknownCommunity", NOBODY.urn)}
        assert len(bodies) == 4
        head, bodies = await (await ask(here["Region"], IMAGING_GATEWAY, RAD_69, stranger)).retrieved()
        assert (head.status, bodies) == (ResponseStatus.FAILURE, {})


@asynccontextmanager
async def stalling() -> AsyncIterator[str]:
    """A community that takes every question and says nothing."""
    leaving = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await request.read()
        await leaving.wait()
        return web.Response(status=503)

    async with listening(hang) as url:
        try:
            yield url
        finally:
            leaving.set()


async def test_a_community_that_stalls_delays_nobody_beyond_its_deadline(tmp_path: Path) -> None:
    async with stalling() as url, communities(tmp_path, deadline_s=1.0, Lakeside=url) as here:
        study = await keeps(here, "Valley")
        other = write_study(tmp_path / "other", seed=2, series=1, instances=1)
        began = time.monotonic()
        request = together(of(study, "Valley"), of(other, "Lakeside"))
        head, bodies = await (await ask(here["Region"], IMAGING_GATEWAY, RAD_69, request)).retrieved()
        assert time.monotonic() - began < 4.0  # below the idle timeout of 5 s
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert complaints(head) == {("XDSUnavailableCommunity", LAKESIDE_HOME.urn)}
        assert len(bodies) == 4
        began = time.monotonic()
        answer = await queried(here["Region"], GATEWAY, ITI_18, FIND)
        assert time.monotonic() - began < 4.0
        assert ("XDSUnavailableCommunity", LAKESIDE_HOME.urn) in complaints(answer)


async def test_a_responding_gateway_points_every_error_at_its_home(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        study = await keeps(here, "Valley")
        other = write_study(tmp_path / "other", seed=2, series=1, instances=1)
        request = together(of(study, "Valley"), of(other, "Valley"))
        reply = await ask(here["Valley"], IMAGING_RESPONDING, RAD_75, request)
        head, bodies = await reply.retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert complaints(head) == {("XDSDocumentUniqueIdError", VALLEY_HOME.urn)}
        assert len(bodies) == 4
        homeless = at_home(request, None)
        head, _ = await (await ask(here["Valley"], IMAGING_RESPONDING, RAD_75, homeless)).retrieved()
        assert head.status is ResponseStatus.FAILURE
        assert {error.code for error in head.errors} == {"XDSMissingHomeCommunityId"}


@asynccontextmanager
async def an_annex(folder: Path, **instead: Any) -> AsyncIterator[Communities]:
    """Valley with another house of its community, the Annex: an imaging source and a repository that it is told of."""
    async with running(settings_of(folder / "Annex", "Lakeside")) as addresses, ClientSession() as http:
        annex = Valley(data=folder / "Annex", addresses=addresses, http=http, log=BytesIO())
        peer = {
            "name": "Annex", "of_our_community": True, "retrieve_location_uids": [LOCATIONS["Lakeside"]],
            "repository_unique_ids": [REPOSITORIES["Lakeside"]],
            "endpoint": {
                "RAD-69": f"{annex.url}/soap/imaging-source", "ITI-43": f"{annex.url}/soap/repository",
                "ITI-18": f"{annex.url}/soap/registry",
            },
        }  # fmt: skip
        async with communities(folder, valley={"peer": [{**peer, **instead}]}, Lakeside="http://127.0.0.1:1") as here:
            yield replace(here, houses={**here.houses, "Annex": annex})


@pytest.mark.parametrize(
    ("door", "transaction"), [(IMAGING_RESPONDING, RAD_75), (IMAGING_GATEWAY, RAD_69)], ids=["RAD-75", "RAD-69"]
)
async def test_a_gateway_hands_out_instances_of_every_source_of_its_community(
    tmp_path: Path, door: str, transaction: Any
) -> None:
    async with an_annex(tmp_path) as here:
        own, annexed = await keeps(here, "Valley", seed=1), await keeps(here, "Annex", seed=2)
        there = at_home(rad69_request(annexed, location=LOCATIONS["Lakeside"]), VALLEY_HOME)
        strange = write_study(tmp_path / "strange", seed=3, series=1, instances=1)
        nowhere = at_home(rad69_request(strange, location=Oid("1.2.99.3")), VALLEY_HOME)
        request = together(of(own, "Valley"), there, nowhere)
        head, bodies = await (await ask(here["Valley"], door, transaction, request)).retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert {error.code for error in head.errors} == {"XDSUnknownRepositoryId"}
        if transaction is RAD_75:
            assert {error.location for error in head.errors} == {VALLEY_HOME.urn}
        assert {each.home_community_id for each in head.documents} == {VALLEY_HOME}
        assert {each.repository_unique_id for each in head.documents} == {LOCATIONS["Valley"], LOCATIONS["Lakeside"]}
        assert bodies == {
            **await served(here["Valley"], own, "Valley"), **await served(here["Annex"], annexed, "Lakeside")
        }  # fmt: skip
        await here["Valley"].closed("RAD-69")
        asked = [step for step in here["Valley"].kept().steps if step["peer"] == "Annex" and step["direction"] == "out"]
        assert [(step["transaction"], step["outcome"]) for step in asked] == [("RAD-69", "success")]


async def test_a_source_of_the_community_that_is_down_makes_a_partial_success(tmp_path: Path) -> None:
    down = {"endpoint": {"RAD-69": "http://127.0.0.1:1/soap/imaging-source"}}
    async with an_annex(tmp_path, **down) as here:
        own = await keeps(here, "Valley", seed=1)
        other = write_study(tmp_path / "other", seed=2, series=1, instances=2)
        there = at_home(rad69_request(other, location=LOCATIONS["Lakeside"]), VALLEY_HOME)
        reply = await ask(here["Valley"], IMAGING_RESPONDING, RAD_75, together(of(own, "Valley"), there))
        head, bodies = await reply.retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert [(each.code, each.location) for each in head.errors] == 2 * [("XDSRepositoryError", VALLEY_HOME.urn)]
        assert bodies == await served(here["Valley"], own, "Valley")


async def test_a_source_that_the_settings_do_not_put_into_the_community_is_not_asked_for_others(tmp_path: Path) -> None:
    async with an_annex(tmp_path, of_our_community=False) as here:
        annexed = await keeps(here, "Annex", seed=2)
        there = at_home(rad69_request(annexed, location=LOCATIONS["Lakeside"]), VALLEY_HOME)
        head, bodies = await (await ask(here["Valley"], IMAGING_RESPONDING, RAD_75, there)).retrieved()
        assert complaints(head) == {("XDSUnknownRepositoryId", VALLEY_HOME.urn)}
        assert bodies == {}
        assert not [step for step in here["Valley"].kept().steps if step["peer"] == "Annex"]


@pytest.mark.parametrize(("door", "transaction"), [(RESPONDING, ITI_39), (GATEWAY, ITI_43)], ids=["ITI-39", "ITI-43"])
async def test_a_gateway_hands_out_documents_of_every_repository_of_its_community(
    tmp_path: Path, door: str, transaction: Any
) -> None:
    async with an_annex(tmp_path) as here:
        body = await publishes(here, "Annex", seed=2)
        unique_id = str(decode_kos(body).value.sop_instance_uid)
        wanted = tuple(
            DocumentRequest(repository_unique_id=repository, document_unique_id=named, home_community_id=VALLEY_HOME)
            for repository, named in ((REPOSITORIES["Lakeside"], unique_id), (REPOSITORIES["Lakeside"], "1.2.3"))
        )
        reply = await ask(here["Valley"], door, transaction, RetrieveDocumentSetRequest(documents=wanted))
        head, bodies = await reply.retrieved()
        assert bodies == {unique_id: body}
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert [each.home_community_id for each in head.documents] == [VALLEY_HOME]
        assert [each.code for each in head.errors] == ["XDSDocumentUniqueIdError"]
        if transaction is ITI_39:
            assert [each.location for each in head.errors] == [f"1.2.3 {VALLEY_HOME.urn}"]


# --- documents --------------------------------------------------------------------------------------------------------

FIND = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS,
    criteria=DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,)),
)


FIND_SETS = StoredQueryRequest(
    query=StoredQuery.FIND_SUBMISSION_SETS,
    submission_sets=SubmissionSetCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,)),
)


async def publishes(here: Communities, name: str, *, seed: int) -> bytes:
    """A manifest in a house's registry and repository."""
    await here[name].tell(ZEBEDIAH)
    study = write_study(here.folder / f"published-{name}", seed=seed, series=1, instances=1)
    offer = offer_of(study, patient_id=DOMAIN_ID)
    assert await (await here[name].provide(offer, door=REPOSITORY, peer="")).codes() == ()
    return offer.body


async def test_region_finds_and_fetches_documents_of_every_community(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        await here["Region"].tell(ZEBEDIAH)
        bodies = {name: await publishes(here, name, seed=index) for index, name in enumerate(("Valley", "Lakeside"), 1)}
        answer = await queried(here["Region"], GATEWAY, ITI_18, FIND)
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())
        assert {each.home_community_id for each in answer.entries} == {VALLEY_HOME, LAKESIDE_HOME}
        wanted = tuple(
            DocumentRequest(
                repository_unique_id=str(each.repository_unique_id),
                document_unique_id=each.unique_id,
                home_community_id=each.home_community_id,
            )
            for each in answer.entries
        )
        reply = await ask(here["Region"], GATEWAY, ITI_43, RetrieveDocumentSetRequest(documents=wanted))
        head, found = await reply.retrieved()
        assert head.status is ResponseStatus.SUCCESS
        assert sorted(found.values()) == sorted(bodies.values())


@pytest.mark.parametrize("keep", [True, False])
async def test_a_document_of_an_on_demand_entry_is_made_for_another_community_and_kept_by_option(
    tmp_path: Path, keep: bool
) -> None:
    offers = {
        "rule": [{"when": "study.available", "do": ["offer"]}], "publish": {"keep_on_demand": keep},
    }  # fmt: skip
    async with communities(tmp_path, valley=offers) as here:
        await here["Region"].tell(ZEBEDIAH)
        study = await keeps(here, "Valley")
        on_demand = replace(FIND, criteria=replace(FIND.criteria, entry_types=(EntryType.ON_DEMAND,)))
        (entry,) = (await queried(here["Region"], GATEWAY, ITI_18, on_demand)).entries
        assert (entry.home_community_id, entry.entry_type) == (VALLEY_HOME, EntryType.ON_DEMAND)

        async def fetched(document: str, home: Oid | None = VALLEY_HOME) -> tuple[RetrievedDocument, bytes]:
            wanted = DocumentRequest(
                repository_unique_id=REPOSITORIES["Valley"], document_unique_id=document, home_community_id=home
            )
            reply = await ask(here["Region"], GATEWAY, ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
            head, bodies = await reply.retrieved()
            assert head.status is ResponseStatus.SUCCESS
            (told,), (body,) = head.documents, bodies.values()
            return told, body

        told, body = await fetched(entry.unique_id)
        manifest = decode_kos(body).value
        assert manifest.instance_count == len(study.instances)
        assert (told.home_community_id, told.document_unique_id) == (VALLEY_HOME, entry.unique_id)
        assert told.repository_unique_id == REPOSITORIES["Valley"]
        assert told.new_document_unique_id == manifest.sop_instance_uid
        assert told.new_repository_unique_id == (REPOSITORIES["Valley"] if keep else "")
        again, same = await fetched(entry.unique_id)
        assert (again.new_document_unique_id == told.new_document_unique_id, same == body) == (keep, keep)
        stable = (await queried(here["Region"], GATEWAY, ITI_18, FIND)).entries
        assert [each.unique_id for each in stable] == ([manifest.sop_instance_uid] if keep else [])
        if keep:
            kept, stored = await fetched(told.new_document_unique_id)
            assert (kept.new_document_unique_id, stored) == ("", body)


@pytest.mark.parametrize(("door", "transaction"), [(RESPONDING, ITI_38), (GATEWAY, ITI_18)], ids=["ITI-38", "ITI-18"])
async def test_a_gateway_finds_what_every_registry_of_its_community_has(
    tmp_path: Path, door: str, transaction: Any
) -> None:
    async with an_annex(tmp_path) as here:
        await publishes(here, "Valley", seed=1)
        alone = await queried(here["Valley"], door, transaction, FIND)  # the Annex does not know him
        assert (alone.status, alone.errors, len(alone.entries)) == (ResponseStatus.SUCCESS, (), 1)
        await publishes(here, "Annex", seed=2)
        answer = await queried(here["Valley"], door, transaction, FIND)
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())
        assert [each.home_community_id for each in answer.entries] == [VALLEY_HOME, VALLEY_HOME]
        assert {each.repository_unique_id for each in answer.entries} == {
            REPOSITORIES["Valley"], REPOSITORIES["Lakeside"]
        }  # fmt: skip


async def test_a_registry_of_the_community_that_is_down_makes_a_partial_success(tmp_path: Path) -> None:
    async with an_annex(tmp_path, endpoint={"ITI-18": "http://127.0.0.1:1/soap/registry"}) as here:
        await publishes(here, "Valley", seed=1)
        answer = await queried(here["Valley"], RESPONDING, ITI_38, FIND)
        assert (answer.status, len(answer.entries)) == (ResponseStatus.PARTIAL_SUCCESS, 1)
        assert complaints(answer) == {("XDSRegistryError", VALLEY_HOME.urn)}


async def test_references_carry_their_home_too(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        await publishes(here, "Valley", seed=1)
        answer = await queried(here["Valley"], RESPONDING, ITI_38, replace(FIND, return_type=ReturnType.OBJECT_REF))
        assert [each.home_community_id for each in answer.object_refs] == [VALLEY_HOME]


async def test_a_patient_whom_one_community_does_not_know_is_no_error(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        await publishes(here, "Valley", seed=1)
        answer = await queried(here["Region"], GATEWAY, ITI_18, FIND)
        assert (answer.status, len(answer.entries)) == (ResponseStatus.SUCCESS, 1)


async def test_a_query_without_patient_wants_a_home_that_is_known(tmp_path: Path) -> None:
    by_uuid = StoredQueryRequest(
        query=StoredQuery.GET_DOCUMENTS, criteria=DocumentCriteria(entry_uuids=(f"urn:uuid:{uuid.uuid4()}",))
    )
    async with communities(tmp_path) as here:
        for house, path, transaction in (
            (here["Region"], GATEWAY, ITI_18),
            (here["Valley"], RESPONDING, ITI_38),
        ):
            answer = await queried(house, path, transaction, by_uuid)
            assert answer.status is ResponseStatus.FAILURE
            assert {error.code for error in answer.errors} == {"XDSMissingHomeCommunityId"}
            answer = await queried(house, path, transaction, replace(by_uuid, home_community_id=NOBODY))
            assert answer.status is ResponseStatus.FAILURE
            assert {error.code for error in answer.errors} == {"XDSUnknownCommunity"}
        answer = await queried(here["Region"], GATEWAY, ITI_18, replace(by_uuid, home_community_id=VALLEY_HOME))
        assert (answer.status, answer.count) == (ResponseStatus.SUCCESS, 0)


async def test_a_document_of_a_foreign_home_is_refused_with_document_and_home(tmp_path: Path) -> None:
    request = RetrieveDocumentSetRequest(
        documents=(
            DocumentRequest(
                repository_unique_id=REPOSITORIES["Valley"], document_unique_id="1.2.3", home_community_id=VALLEY_HOME
            ),
            DocumentRequest(repository_unique_id="1.2.3.2", document_unique_id="1.2.4", home_community_id=NOBODY),
        )
    )
    async with communities(tmp_path) as here:
        head, _ = await (await ask(here["Valley"], RESPONDING, ITI_39, request)).retrieved()
        assert head.status is ResponseStatus.FAILURE
        assert complaints(head) == {
            ("XDSDocumentUniqueIdError", f"1.2.3 {VALLEY_HOME.urn}"),
            ("XDSUnknownCommunity", f"1.2.4 {VALLEY_HOME.urn}"),
        }


async def test_each_gateway_describes_itself(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        for path, action in (
            (RESPONDING, b"urn:ihe:iti:2007:CrossGatewayQuery"),
            (IMAGING_RESPONDING, b"urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"),
            (GATEWAY, b"urn:ihe:iti:2007:RegistryStoredQuery"),
            (IMAGING_GATEWAY, b"urn:ihe:rad:2009:RetrieveImagingDocumentSet"),
        ):
            status, body = await here["Valley"].get(f"{path}?wsdl")
            assert (status, action in body) == (200, True)


# --- what breaks, and what it costs -----------------------------------------------------------------------------------

PART_BYTES = 24 * 1024 * 1024


@asynccontextmanager
async def pouring(
    parts: int,
    *,
    breaks: int = 0,
    broken: int = 0,
    at: int = 8,
    other: bool = False,
    backwards: bool = False,
    heard: list[list[str]] | None = None,
) -> AsyncIterator[str]:
    """A community that pours large parts, and the first `breaks` times breaks off in one (0: the last), at this chunk.

    `other`: it has other bytes each time; `backwards`: it answers in the other order than it was asked the time after.
    `heard` gets what it was asked for.
    """
    heard = [] if heard is None else heard

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        asked = list(RAD_75.decode_request(message.to_codec()).value.instances())[:parts]
        heard.append([each.document.document_unique_id for each in asked])
        times = len(heard)
        chunk = bytes([times if other else 1]) * (256 * 1024)
        if backwards and times > 1:
            asked.reverse()
        documents = tuple(
            RetrievedDocument(
                repository_unique_id=each.document.repository_unique_id,
                document_unique_id=each.document.document_unique_id,
                home_community_id=each.document.home_community_id,
                mime_type="application/dicom",
                size_bytes=PART_BYTES,
            )
            for each in asked
        )

        async def body(last: bool) -> AsyncIterator[bytes]:
            for number in range(PART_BYTES // len(chunk)):
                if last and times <= breaks and number == at:
                    raise ConnectionResetError("as asked")
                yield chunk

        async def pour() -> AsyncIterator[Part]:
            for number, each in enumerate(documents, 1):
                yield Part(
                    key=each.document_unique_id, media_type=each.mime_type, size_bytes=PART_BYTES,
                    chunks=body(number == (broken or len(documents))),
                )  # fmt: skip

        poured = Poured(head=RetrieveDocumentSetResponse(documents=documents), pour=pour())
        content_type, pieces = packed(RAD_75, poured, message.addressing.message_id)
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    async with listening(answer) as url:
        yield url


async def test_a_community_that_breaks_in_the_middle_breaks_the_answer_and_never_makes_it_look_whole(
    tmp_path: Path,
) -> None:
    async with pouring(2, breaks=2) as url, communities(tmp_path, Lakeside=url) as here:
        other = write_study(tmp_path / "other", seed=2, series=1, instances=2)
        message = await message_of(RAD_69, of(other, "Lakeside"))
        with pytest.raises(ClientError):
            async with here["Region"].http.post(
                here["Region"].url + IMAGING_GATEWAY, data=message.body,
                headers={"Content-Type": message.content_type},
            ) as answer:  # fmt: skip
                while await answer.content.readany():
                    pass
        for transaction in ("RAD-75", "RAD-69"):
            await here["Region"].closed(transaction)
            steps = [step for step in here["Region"].kept().steps if step["transaction"] == transaction]
            assert steps[-1]["outcome"] == "failure"


async def poured(here: Communities, study: SampleStudy) -> bytes:
    """What Region answers of Lakeside's study, to its end."""
    message = await message_of(RAD_69, of(study, "Lakeside"))
    async with here["Region"].http.post(
        here["Region"].url + IMAGING_GATEWAY, data=message.body, headers={"Content-Type": message.content_type}
    ) as answer:
        return await answer.read()


@pytest.mark.parametrize("at", [0, 8], ids=["before a part", "in a part"])
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize("broken", [2, 3])
async def test_a_community_that_breaks_off_once_is_asked_for_the_rest_and_the_answer_goes_on(
    tmp_path: Path, at: int, broken: int, backwards: bool
) -> None:
    heard: list[list[str]] = []
    async with (
        pouring(3, breaks=1, broken=broken, at=at, backwards=backwards, heard=heard) as url,
        communities(tmp_path, Lakeside=url) as here,
    ):
        study = write_study(tmp_path / "other", seed=2, series=1, instances=3)
        whole = await poured(here, study)
        assert whole.count(b"\x01" * PART_BYTES) == 3
        assert len(whole) < 3 * PART_BYTES + 20_000
        first, second = heard
        assert second == first[broken - 1 :]
        await here["Region"].closed("RAD-69")
        steps = here["Region"].kept().steps
        asked = [step for step in steps if step["transaction"] == "RAD-75"]
        assert [step["outcome"] for step in asked] == ["failure", "success"]
        assert "asked for once more" in asked[1]["text"]
        assert [step["outcome"] for step in steps if step["transaction"] == "RAD-69"] == ["success"]


async def test_a_community_that_breaks_off_and_has_other_bytes_then_breaks_the_answer(tmp_path: Path) -> None:
    heard: list[list[str]] = []
    async with (
        pouring(2, breaks=1, other=True, heard=heard) as url,
        communities(tmp_path, Lakeside=url) as here,
    ):
        study = write_study(tmp_path / "other", seed=2, series=1, instances=2)
        with pytest.raises(ClientError):
            await poured(here, study)
        assert len(heard) == 2
        await here["Region"].closed("RAD-75")
        outcomes = [step["outcome"] for step in here["Region"].kept().steps if step["transaction"] == "RAD-75"]
        assert outcomes == ["failure", "failure"]


async def test_two_communities_pour_through_in_memory_that_does_not_grow_with_them(tmp_path: Path) -> None:
    async with (
        pouring(3) as valley,
        pouring(3) as lakeside,
        communities(tmp_path, Valley=valley, Lakeside=lakeside) as here,
    ):
        one = write_study(tmp_path / "one", seed=1, series=1, instances=3)
        other = write_study(tmp_path / "other", seed=2, series=1, instances=3)
        message = await message_of(RAD_69, together(of(one, "Valley"), of(other, "Lakeside")))
        tracemalloc.start()
        try:
            size = 0
            async with here["Region"].http.post(
                here["Region"].url + IMAGING_GATEWAY, data=message.body,
                headers={"Content-Type": message.content_type},
            ) as answer:  # fmt: skip
                assert answer.status == 200
                while piece := await answer.content.readany():
                    size += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size > 6 * PART_BYTES
        assert peak < PART_BYTES  # of senders, house and reader together


@asynccontextmanager
async def answering(response: StoredQueryResponse) -> AsyncIterator[tuple[str, list[StoredQueryRequest]]]:
    """A community whose registry says always the same, and what it was asked."""
    asked: list[StoredQueryRequest] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        asked.append(ITI_38.decode_request(message.to_codec()).value)
        return await answered(ITI_38, response, message.addressing.message_id)

    async with listening(answer) as url:
        yield url, asked


async def test_objects_of_no_home_or_of_another_one_are_left_out_and_their_gateway_is_named(
    tmp_path: Path,
) -> None:
    at_home = ObjectRef(entry_uuid=f"urn:uuid:{uuid.uuid4()}", home_community_id=LAKESIDE_HOME)
    homeless = ObjectRef(entry_uuid=f"urn:uuid:{uuid.uuid4()}")
    of_another = ObjectRef(entry_uuid=f"urn:uuid:{uuid.uuid4()}", home_community_id=VALLEY_HOME)
    says = StoredQueryResponse(object_refs=(at_home, homeless, of_another))
    async with answering(says) as (url, asked), communities(tmp_path, Lakeside=url) as here:
        question = replace(FIND, return_type=ReturnType.OBJECT_REF)
        answer = await queried(here["Region"], GATEWAY, ITI_18, question)
        assert asked == [question]  # every parameter goes on
        assert answer.object_refs == (at_home,)
        assert answer.status is ResponseStatus.PARTIAL_SUCCESS
        assert complaints(answer) == {("XDSMissingHomeCommunityId", LAKESIDE_HOME.urn)}


async def test_entries_sets_and_folders_of_a_home_that_a_community_does_not_speak_for_are_left_out(
    tmp_path: Path,
) -> None:
    def of_each_home(made: Any) -> tuple[Any, ...]:
        return tuple(replace(made(), home_community_id=home) for home in (LAKESIDE_HOME, None, VALLEY_HOME))

    says = StoredQueryResponse(
        entries=of_each_home(lambda: registrable(DOMAIN_ID)),
        submission_sets=of_each_home(lambda: brought(of=DOMAIN_ID).submission_set),
        folders=of_each_home(lambda: folder(DOMAIN_ID)),
    )
    async with answering(says) as (url, _), communities(tmp_path, Lakeside=url) as here:
        answer = await queried(here["Region"], GATEWAY, ITI_18, FIND)
        for told, sent in (
            (answer.entries, says.entries),
            (answer.submission_sets, says.submission_sets),
            (answer.folders, says.folders),
        ):
            assert [each.entry_uuid for each in told] == [sent[0].entry_uuid]
        assert complaints(answer) == {("XDSMissingHomeCommunityId", LAKESIDE_HOME.urn)}


async def test_a_community_is_asked_with_the_patient_id_that_it_gave(tmp_path: Path) -> None:
    async with answering(StoredQueryResponse()) as (url, asked), logged():
        settings = settings_of(tmp_path / "Region", "Region", {"Lakeside": url})
        (peer,) = settings.peer
        settings = settings.model_copy(update={"peer": (peer.model_copy(update={"patient_authority": VALLEY}),)})
        async with running(settings) as addresses, ClientSession() as http:
            region = Valley(data=tmp_path / "Region", addresses=addresses, http=http, log=BytesIO())
            await region.tell(ZEBEDIAH)
            for question in (FIND, FIND_SETS):
                answer = await queried(region, GATEWAY, ITI_18, question)
                assert answer.status is ResponseStatus.SUCCESS
        assert asked[0].criteria.patient_ids == asked[1].submission_sets.patient_ids == (VALLEY_ID,)


async def test_who_hangs_up_takes_every_community_with_them(tmp_path: Path) -> None:
    async with (
        pouring(3) as valley,
        pouring(3) as lakeside,
        communities(tmp_path, Valley=valley, Lakeside=lakeside) as here,
    ):
        one = write_study(tmp_path / "one", seed=1, series=1, instances=3)
        other = write_study(tmp_path / "other", seed=2, series=1, instances=3)
        message = await message_of(RAD_69, together(of(one, "Valley"), of(other, "Lakeside")))
        answer = await here["Region"].http.post(
            here["Region"].url + IMAGING_GATEWAY, data=message.body, headers={"Content-Type": message.content_type}
        )
        await answer.content.readany()
        answer.close()
        for transaction in ("RAD-69", "RAD-75"):
            await here["Region"].closed(transaction)
        steps = [step for step in here["Region"].kept().steps if step["transaction"] == "RAD-75"]
        assert {(step["peer"], step["outcome"]) for step in steps} == {("Valley", "failure"), ("Lakeside", "failure")}


async def test_readers_who_take_nothing_keep_nobody_from_asking_the_same_community(tmp_path: Path) -> None:
    async with pouring(1) as valley, communities(tmp_path, Valley=valley) as here, AsyncExitStack() as stack:
        one = write_study(tmp_path / "one", seed=1, series=1, instances=1)
        message = await message_of(RAD_69, of(one, "Valley"))

        async def asked() -> ClientResponse:
            address, headers = here["Region"].url + IMAGING_GATEWAY, {"Content-Type": message.content_type}
            return await stack.enter_async_context(
                here["Region"].http.post(address, data=message.body, headers=headers)
            )

        waiting = [await asked() for _ in range(20)]
        assert [answer.status for answer in waiting] == [200] * 20
        size = 0
        async for piece in (await asked()).content.iter_any():
            size += len(piece)
        assert size > PART_BYTES


@pytest.mark.parametrize("keep", [True, False])
async def test_a_study_that_another_community_offers_on_demand_is_fetched_too_and_its_snapshot_is_not_another(
    tmp_path: Path, keep: bool
) -> None:
    offers = {"rule": [{"when": "study.available", "do": ["offer"]}], "publish": {"keep_on_demand": keep}}
    async with communities(tmp_path, valley=offers) as here:
        study = await keeps(here, "Valley")
        region = here["Region"]
        await region.tell(ZEBEDIAH)
        asked = {"patient": str(DOMAIN_ID), "registry": "Valley", "study": study.study_instance_uid, "person": "ann"}
        for steps in (["ITI-38", "ITI-39", "RAD-75"], ["ITI-38", "ITI-39"]):  # the second time the images are here
            assert "error" not in await region.ask("POST", "/collect", asked)
            done = await region.rests("done", "failed", "incomplete", kind="collect")
            assert done["state"] == "done", done
            told = [step["transaction"] for step in done["steps"]]
            assert [each for each in told if each in ("ITI-38", "ITI-39", "RAD-75")] == steps
        assert await served(region, study, "Region") == await served(here["Valley"], study, "Valley")


async def test_a_study_of_another_community_is_found_taken_and_fetched_through_its_gateways(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        study = await keeps(here, "Valley")
        offer = offer_of(study, patient_id=DOMAIN_ID, manifest=manifest_of(study, LOCATIONS["Valley"]))
        assert await (await here["Valley"].provide(offer, door=REPOSITORY, peer="")).codes() == ()
        region = here["Region"]
        await region.tell(ZEBEDIAH)
        asked = {"patient": str(DOMAIN_ID), "registry": "Valley", "study": study.study_instance_uid, "person": "ann"}
        assert "error" not in await region.ask("POST", "/collect", asked)
        done = await region.rests("done", "failed", "incomplete", kind="collect")
        assert done["state"] == "done", done
        steps = [step["transaction"] for step in done["steps"]]
        assert [each for each in steps if each in ("ITI-38", "ITI-39", "RAD-75")] == ["ITI-38", "ITI-39", "RAD-75"]
        assert await served(region, study, "Region") == await served(here["Valley"], study, "Valley")


async def test_a_manifest_that_is_not_what_its_entry_says_is_not_kept_and_nothing_is_fetched_by_it(
    tmp_path: Path,
) -> None:
    async with communities(tmp_path) as here:
        study = await keeps(here, "Valley")
        offer = offer_of(study, patient_id=DOMAIN_ID, manifest=manifest_of(study, LOCATIONS["Valley"]))
        assert await (await here["Valley"].provide(offer, door=REPOSITORY, peer="")).codes() == ()
        with closing(sqlite3.connect(tmp_path / "Valley" / "radgate.db")) as database, database:
            ((body,),) = database.execute("SELECT body FROM documents").fetchall()
            database.execute("UPDATE documents SET body = ?", (b"x" + body[1:],))  # the preamble: it can be read still
        region = here["Region"]
        await region.tell(ZEBEDIAH)
        before = region.kept().rows["documents"]
        asked = {"patient": str(DOMAIN_ID), "registry": "Valley", "person": "ann"}
        assert "error" not in await region.ask("POST", "/collect", asked)
        failed = await region.rests("done", "failed", "incomplete", kind="collect")
        assert (failed["state"], "SHA-1" in failed["reason"]) == ("failed", True), failed
        assert "RAD-75" not in {step["transaction"] for step in failed["steps"]}
        assert region.kept().rows["documents"] == before


async def test_a_community_whose_repository_is_known_is_asked_through_its_gateways_if_it_has_no_other_address(
    tmp_path: Path,
) -> None:
    async with communities(tmp_path) as here:
        valley = here["Valley"]
        study = await keeps(here, "Valley")
        offer = offer_of(study, patient_id=DOMAIN_ID, manifest=manifest_of(study, LOCATIONS["Valley"]))
        assert await (await valley.provide(offer, door=REPOSITORY, peer="")).codes() == ()
        told = settings_of(tmp_path / "asking", "Region", {"Valley": valley.url}).model_dump(exclude_unset=True)
        ids = {"repository_unique_ids": [REPOSITORIES["Valley"]], "retrieve_location_uids": [LOCATIONS["Valley"]]}
        told["peer"] = [{**told["peer"][0], **ids}]
        async with running(Settings.model_validate(told)) as addresses:
            asking = replace(valley, data=tmp_path / "asking", addresses=addresses)
            await asking.tell(ZEBEDIAH)
            where = ("--at", "Valley", "--data", str(tmp_path / "asking"))
            _, found, err = await command("document", "find", "--patient", str(DOMAIN_ID), *where, "--json")
            assert found, err
            (entry,) = json.loads(found)
            taken = tmp_path / "manifest.dcm"
            code, _, err = await command("document", "get", entry["unique_id"], "--to", str(taken), *where)
            assert code == 0, err
            assert taken.stat().st_size == entry["size_bytes"]
            _, listed, _ = await command("exchange", "list", "--kind", "ask", "--json", *where[2:])
            asked = {step["transaction"] for job in json.loads(listed) for step in await steps_of(job, where[2:])}
            assert {"ITI-38", "ITI-39"} < asked
            assert not asked & {"ITI-18", "ITI-43"}
            _, _, err = await command("document", "get", "1.2.3.4", "--to", str(taken), *where)
            assert "Valley knows no such document" in err
            fetched = ("--patient", str(DOMAIN_ID), "--registry", "Valley", "--wait", "--json", *where[2:])
            code, done, err = await command("study", "fetch", *fetched)
            assert code == 0, done + err
            assert {"ITI-38", "ITI-39", "RAD-75"} < {step["transaction"] for step in json.loads(done)["steps"]}


async def steps_of(job: dict[str, Any], where: tuple[str, ...]) -> list[dict[str, Any]]:
    """What an exchange's timeline has."""
    _, shown, _ = await command("exchange", "show", job["id"], "--json", *where)
    return list(json.loads(shown)["steps"])
