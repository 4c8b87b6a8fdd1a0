"""A registry and repository for those who ask: what is submitted is found, changed, deprecated and removed as asked."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from conformance.evidence import Evidence
from conformance.simulators.document_community import OF_DOCUMENTS, DocumentCommunity
from conformance.simulators.imaging_community import OF_IMAGES
from conformance.simulators.soap_server import SoapCounterpart
from conformance.submissions import arrow, document, provided, submission
from conformance.suites.asking import faulty, refusal, to_another, unended
from conformance.system import System
from conformance.target import Target
from conformance.verdict import Failed
from profiles.model.document import AssociationType, AvailabilityStatus, DocumentEntry
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.operations import NEW_STATUS, ORIGINAL_STATUS, PREVIOUS_VERSION
from profiles.wire.ebxml.query import StoredQuery
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti18 import ITI_18, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest

PATIENT = PatientIdentifier(value="P1", authority=Oid("1.2.3.4"))
REPOSITORY = Oid("1.2.3.5")


class Asker:
    """Asks the community as anybody would."""

    def __init__(self, target: Target, community: DocumentCommunity) -> None:
        self.target = target
        self.community = community

    async def done(self, transaction: Any, request: Any) -> None:
        answer = await self.target.call(transaction, request)
        assert answer.response.status is ResponseStatus.SUCCESS
        assert self.target.findings == []

    async def entries(self, unique_id: str) -> list[DocumentEntry]:
        criteria = DocumentCriteria(unique_ids=(unique_id,))
        return list((await self.query(query=StoredQuery.GET_DOCUMENTS, criteria=criteria)).entries)

    async def query(self, **asked: Any) -> StoredQueryResponse:
        return (await self.target.call(ITI_18, StoredQueryRequest(**asked))).response

    async def bytes_of(self, unique_id: str) -> tuple[str, ...]:
        wanted = DocumentRequest(repository_unique_id=str(REPOSITORY), document_unique_id=unique_id)
        answer = await self.target.call(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
        return tuple(each.sha1 for each in answer.received)


@pytest_asyncio.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    counterpart = SoapCounterpart("127.0.0.1", 0, ssl=None)
    community = DocumentCommunity(counterpart, repository=REPOSITORY, retrieve_location=Oid("1.2.3.6"))
    await counterpart.start()
    system = System(
        name="x",
        endpoints={each: counterpart.address(each) for each in (*OF_IMAGES, *OF_DOCUMENTS)},
        claims=frozenset(),
    )
    async with aiohttp.ClientSession() as session:
        yield Asker(Target(system, session, Evidence(tmp_path, 0.0)), community)
    await counterpart.stop()


async def test_what_is_submitted_is_found_by_an_id_of_its_own_and_retrieved(asker: Asker) -> None:
    made = document(PATIENT)
    await asker.done(ITI_41, provided(PATIENT, made))
    (entry,) = await asker.entries(made.entry.unique_id)
    assert entry.entry_uuid.startswith("urn:uuid:")
    assert (entry.repository_unique_id, entry.hash) == (REPOSITORY, made.entry.hash)
    assert await asker.bytes_of(made.entry.unique_id) == (made.entry.hash,)


async def test_a_new_version_takes_the_place_of_the_one_before_it(asker: Asker) -> None:
    held = asker.community.hold(PATIENT).entry
    new = replace(held, entry_uuid=f"urn:uuid:{uuid.uuid4()}", title="Another")
    whole = submission(PATIENT, [])
    follows = replace(
        arrow(AssociationType.HAS_MEMBER, whole.submission_set.entry_uuid, new.entry_uuid, original=True),
        extra=((PREVIOUS_VERSION, ("1",)),),
    )
    await asker.done(ITI_57, UpdateRequest(submission=replace(whole, entries=(new,), associations=(follows,))))
    assert {each.title: each.availability_status for each in await asker.entries(held.unique_id)} == {
        held.title: AvailabilityStatus.DEPRECATED, "Another": AvailabilityStatus.APPROVED,
    }  # fmt: skip


async def test_what_is_deprecated_is_there_still(asker: Asker) -> None:
    held = asker.community.hold(PATIENT).entry
    whole = submission(PATIENT, [])
    deprecates = replace(
        arrow(AssociationType.UPDATE_AVAILABILITY_STATUS, whole.submission_set.entry_uuid, held.entry_uuid),
        extra=(
            (ORIGINAL_STATUS, (str(AvailabilityStatus.APPROVED),)), (NEW_STATUS, (str(AvailabilityStatus.DEPRECATED),)),
        ),
    )  # fmt: skip
    await asker.done(ITI_57, UpdateRequest(submission=replace(whole, associations=(deprecates,))))
    (entry,) = await asker.entries(held.unique_id)
    assert entry.availability_status is AvailabilityStatus.DEPRECATED


async def test_what_hangs_on_a_document_is_told_and_goes_with_it(asker: Asker) -> None:
    held = asker.community.hold(PATIENT).entry
    arrows = (await asker.query(query=StoredQuery.GET_ASSOCIATIONS, uuids=(held.entry_uuid,))).associations
    sets = (await asker.query(query=StoredQuery.GET_SUBMISSION_SETS, uuids=(held.entry_uuid,))).submission_sets
    hanging = {held.entry_uuid, *(each.entry_uuid for each in arrows), *(each.entry_uuid for each in sets)}
    assert (len(hanging), asker.community.hanging_on(held)) == (3, hanging)
    await asker.done(ITI_62, RemoveMetadataRequest(entry_uuids=tuple(hanging)))
    assert await asker.entries(held.unique_id) == []
    assert await asker.bytes_of(held.unique_id) != ()
    named = DocumentRequest(repository_unique_id=str(REPOSITORY), document_unique_id=held.unique_id)
    await asker.done(ITI_86, RemoveDocumentsRequest(documents=(named,)))
    assert await asker.bytes_of(held.unique_id) == ()


async def test_for_a_while_it_answers_otherwise_and_then_as_before(asker: Asker) -> None:
    counterpart, request = asker.community.counterpart, RemoveMetadataRequest(entry_uuids=("urn:uuid:x",))
    no = RegistryResponse(status=ResponseStatus.FAILURE, errors=refusal("XDSRegistryError"))
    with counterpart.otherwise("ITI-62", response=no):
        assert (await asker.target.call(ITI_62, request)).response.status is ResponseStatus.FAILURE
    with counterpart.otherwise("ITI-62", spoil=faulty):
        answer = await asker.target.call(ITI_62, request)
        assert (answer.http_status, answer.fault is not None) == (500, True)
    with counterpart.otherwise("ITI-62", spoil=unended):
        try:
            await asker.target.call(ITI_62, request)
        except Failed as failed:
            assert "cannot be read" in str(failed)
        else:
            raise AssertionError("an envelope without an end was read")
    assert asker.target.findings == []
    with counterpart.otherwise("ITI-62", spoil=to_another):
        await asker.target.call(ITI_62, request)
    assert [each.rule for each in asker.target.findings] == ["IHE-WSA/relates-to"]
    asker.target.findings.clear()
    await asker.done(ITI_62, request)
