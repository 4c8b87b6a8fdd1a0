"""A registry from its first document to its last, over the wire: register, update, ask, remove, with our own client.

The house runs with rows in SQLite; what it answers is judged by the published schemas, what it wrote down by its audit.
"""

import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway.adapters.clock import SystemClock
from gateway.adapters.http import HttpSessions
from gateway.adapters.memory.archive import MemoryObjects
from gateway.adapters.peers_soap import SoapCarrier
from gateway.model.peer import Peer
from profiles.model.content import Content
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
)
from profiles.model.query import DocumentCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57, RegistryResponse, ResponseStatus, UpdateRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest
from tests.support.ebxml import judge
from tests.support.registered import entry_uuid, folder, relation
from tests.support.registry import brought, registrable
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Valley,
    message_of,
    outcome_of,
    read_soap,
    world,
)
from tests.support.soap import client_of

REGISTRY = "/soap/registry"
BODY = b"%PDF-1.7 " + bytes(200_000)  # more than a row takes
APPROVED, DEPRECATED = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
STATUS = AssociationType.UPDATE_AVAILABILITY_STATUS


class Client:
    """Our own client, as a stranger's: it knows an address and nothing else."""

    def __init__(self, valley: Valley, carrier: SoapCarrier) -> None:
        self.valley = valley
        self._carrier = carrier

    async def asks(self, transaction: SoapTransaction[Any, Any], request: object, path: str = REGISTRY) -> Any:
        async with self._carrier.carry(
            transaction, self.valley.url + path, request, peer=Peer(name="Valley"), message_id=str(uuid.uuid4())
        ) as carried:
            assert carried.findings == ()
            return carried.response

    async def done(self, transaction: SoapTransaction[Any, Any], request: object, path: str = REGISTRY) -> None:
        answer = await self.asks(transaction, request, path)
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())

    async def refused(self, transaction: SoapTransaction[Any, Any], request: object, path: str = REGISTRY) -> list[str]:
        async with self.valley.refusing():
            answer: RegistryResponse = await self.asks(transaction, request, path)
        assert answer.status is ResponseStatus.FAILURE
        return [each.code for each in answer.errors]

    async def versions(self, unique_id: str, level: int) -> list[DocumentEntry]:
        answer: StoredQueryResponse = await self.asks(
            ITI_18,
            StoredQueryRequest(
                query=StoredQuery.GET_DOCUMENTS, metadata_level=level,
                criteria=DocumentCriteria(unique_ids=(unique_id,), entry_types=(EntryType.STABLE, EntryType.ON_DEMAND)),
            ),
        )  # fmt: skip
        return sorted(answer.entries, key=lambda each: each.version)


@asynccontextmanager
async def client(folder: Path) -> AsyncIterator[Client]:
    async with world(folder) as here:
        await here.valley.tell(ZEBEDIAH)
        sessions = HttpSessions()
        try:
            yield Client(here.valley, SoapCarrier(sessions=sessions, objects=MemoryObjects(), clock=SystemClock()))
        finally:
            await sessions.close()


def document() -> DocumentEntry:
    sha1 = hashlib.sha1(BODY, usedforsecurity=False).hexdigest()
    return registrable(
        DOMAIN_ID, hash=sha1, size_bytes=len(BODY), mime_type="application/pdf",
        repository_unique_id=VALLEY_REPOSITORY, title="first",
    )  # fmt: skip


def version_of(old: DocumentEntry, previous: int, **fields: object) -> Submission:
    changed = {"entry_uuid": entry_uuid(), "logical_id": old.logical_id or old.entry_uuid} | fields
    whole = brought(replace(old, **changed), of=DOMAIN_ID)  # type: ignore[arg-type]
    extra = (("PreviousVersion", (str(previous),)),)
    return replace(whole, associations=tuple(replace(each, extra=extra) for each in whole.associations))


def change_of(target: str, original: AvailabilityStatus, new: AvailabilityStatus) -> Submission:
    whole = brought(of=DOMAIN_ID)
    extra = (("OriginalStatus", (str(original),)), ("NewStatus", (str(new),)))
    arrow = replace(relation(STATUS, whole.submission_set.entry_uuid, target), extra=extra)
    return replace(whole, associations=(arrow,))


async def test_a_document_is_registered_updated_found_and_removed(tmp_path: Path) -> None:
    async with client(tmp_path) as by:
        first, filed = document(), folder(DOMAIN_ID, codes=(registrable().class_code,), title="a folder")
        files = relation(AssociationType.HAS_MEMBER, filed.entry_uuid, first.entry_uuid)
        whole = brought(first, folders=(filed,), associations=(files,), of=DOMAIN_ID)
        provided = ProvideAndRegisterRequest(
            submission=whole, documents={first.entry_uuid: Content.of(BODY, "application/pdf", first.hash)}
        )
        await by.done(ITI_41, provided, REPOSITORY)

        second = version_of(first, 1, title="second")
        await by.done(ITI_57, UpdateRequest(submission=second))
        assert await by.refused(ITI_57, UpdateRequest(submission=version_of(first, 1))) == ["XDSMetadataVersionError"]
        third = version_of(second.entries[0], 2, title="third")
        await by.done(ITI_92, RestrictedUpdateRequest(submission=third))
        wrong = version_of(third.entries[0], 3, mime_type="text/plain")
        assert await by.refused(ITI_92, RestrictedUpdateRequest(submission=wrong)) == ["UnmodifiableMetadataError"]

        every = await by.versions(first.unique_id, 2)
        assert [(each.version, each.title, each.availability_status) for each in every] == [
            (1, "first", DEPRECATED), (2, "second", DEPRECATED), (3, "third", APPROVED),
        ]  # fmt: skip
        assert {each.logical_id or each.entry_uuid for each in every} == {first.entry_uuid}
        assert [each.version for each in await by.versions(first.unique_id, 1)] == [3]
        newest = every[-1].entry_uuid
        await by.done(ITI_57, UpdateRequest(submission=change_of(newest, APPROVED, DEPRECATED)))

        several = StoredQueryRequest(
            query=MultiPatientQuery.FIND_DOCUMENTS,
            criteria=DocumentCriteria(statuses=(DEPRECATED,), class_codes=(replace(first.class_code, display=""),)),
        )
        assert [each.entry_uuid for each in (await by.asks(ITI_51, several)).entries] == [newest]

        named = (DocumentRequest(repository_unique_id=VALLEY_REPOSITORY, document_unique_id=first.unique_id),)
        assert (await by.asks(ITI_43, RetrieveDocumentSetRequest(documents=named), REPOSITORY)).head.errors == ()
        await by.valley.closed("ITI-43")
        assert await by.refused(ITI_62, RemoveMetadataRequest(entry_uuids=(newest,))) == ["ReferencesExistException"]
        await by.done(ITI_62, RemoveMetadataRequest(entry_uuids=tuple(await everything_of(by, every))))
        assert await by.versions(first.unique_id, 2) == []
        await by.done(ITI_86, RemoveDocumentsRequest(documents=named), REPOSITORY)
        assert await by.refused(ITI_86, RemoveDocumentsRequest(documents=named), REPOSITORY) == [
            "XDSDocumentUniqueIdError"
        ]
        kept = by.valley.kept()
        assert kept.rows["documents"] == kept.rows["entries"] == kept.rows["associations"] == ()
        await audited(kept.audit)


async def everything_of(by: Client, entries: list[DocumentEntry]) -> list[str]:
    """Every object that hangs together with these entries."""
    reached: dict[str, None] = dict.fromkeys(each.entry_uuid for each in entries)
    while True:
        answer: StoredQueryResponse = await by.asks(
            ITI_18,
            StoredQueryRequest(
                query=StoredQuery.GET_ASSOCIATIONS, uuids=tuple(reached), metadata_level=2,
                association_statuses=(APPROVED, DEPRECATED),
            ),
        )  # fmt: skip
        arrows: list[Association] = list(answer.associations)
        found = dict.fromkeys(id for each in arrows for id in (each.entry_uuid, each.source, each.target))
        if found.keys() <= reached.keys():
            return list(reached)
        reached |= found


async def audited(records: tuple[bytes, ...]) -> None:
    """Each of these transactions was audited, those that were refused as failures."""
    outcomes: dict[str, set[int]] = {}
    for record in records:
        event = etree.fromstring(record).find("EventIdentification")
        assert event is not None
        for kind in event.findall("EventTypeCode"):
            outcomes.setdefault(kind.get("csd-code") or kind.get("code") or "", set()).add(outcome_of(record))
    assert outcomes["ITI-57"] == outcomes["ITI-92"] == outcomes["ITI-62"] == outcomes["ITI-86"] == {0, 4}
    assert outcomes["ITI-51"] == {0}


async def test_the_registry_s_own_description_names_what_it_answers(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        for path, operations in (
            (
                REGISTRY,
                {
                    "RegisterDocumentSetB", "RegistryStoredQuery", "MultiPatientStoredQuery", "UpdateDocumentSet",
                    "RestrictedUpdateDocumentSet", "RemoveMetadata", "RegisterOnDemandDocumentEntry",
                },
            ),
            (REPOSITORY, {"ProvideAndRegisterDocumentSetB", "RetrieveDocumentSet", "RemoveDocuments"}),
        ):  # fmt: skip
            status, body = await here.valley.get(f"{path}?wsdl")
            assert status == 200
            client_of(body, tmp_path)  # zeep believes it
            assert {each.split('"')[0] for each in body.decode().split('<wsdl:operation name="')[1:]} == operations


@pytest.mark.judge_standard
async def test_what_a_stranger_posts_is_answered_by_the_schemas(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        for transaction, request, path in (
            (ITI_57, UpdateRequest(submission=version_of(document(), 1)), REGISTRY),
            (ITI_92, RestrictedUpdateRequest(submission=version_of(document(), 1)), REGISTRY),
            (ITI_62, RemoveMetadataRequest(entry_uuids=(entry_uuid(),)), REGISTRY),
            (
                ITI_86,
                RemoveDocumentsRequest(
                    documents=(DocumentRequest(repository_unique_id="1.2.99", document_unique_id="1.2.3"),)
                ),
                REPOSITORY,
            ),
        ):
            reply = await here.valley.post(path, await message_of(transaction, request), peer="")
            assert reply.status == 200
            message = await read_soap(reply.content_type, reply.body)
            assert message.fault is None
            judge(message.to_codec().body)
            assert message.addressing.action == transaction.response_action
