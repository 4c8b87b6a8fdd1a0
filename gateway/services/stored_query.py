"""Stored queries: what ITI-18 asks of the registry, answered from criteria and associations.

Each query that is answered has a function in `ANSWERS`; any other is UnknownQuery. Held objects are never found.

Source: ITI TF-2 3.18.4.1.2.3.7.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.model.house import House
from gateway.ports.registry import Registry
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from profiles.errors import RuleViolation, TooManyResults, UnknownPatient, UnknownQuery
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from profiles.model.query import DocumentCriteria
from profiles.xds.iti18 import ReturnType, StoredQuery, StoredQueryRequest, StoredQueryResponse

Answer = Callable[[Registry, StoredQueryRequest], Awaitable[StoredQueryResponse]]


class StoredQueries:
    """The registry, asked."""

    def __init__(self, *, house: House, store: Store, limit: int) -> None:
        """`limit`: more objects than this are not answered (XDSTooManyResults); ask for references, then by UUID."""
        self._house = house
        self._store = store
        self._limit = limit

    async def answer(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find what was asked for.

        Raises:
            UnknownQuery: We do not answer this query (XDSUnknownStoredQuery).
            UnknownPatient: The id is not of our domain, or nobody has it (XDSUnknownPatientId).
            TooManyResults: More than one answer may hold.
            RuleViolation: The answer would span several patients (XDSResultNotSinglePatient).
        """
        answer = ANSWERS.get(request.query)
        if answer is None:
            raise UnknownQuery("this stored query is not answered here", location=request.query)
        exchange.learned.patients = request.criteria.patient_ids
        async with self._store.view() as work:
            for identifier in request.criteria.patient_ids:
                if await work.identity.get(identifier) is None:
                    raise UnknownPatient(
                        "the patient id is not known in this affinity domain", code="XDSUnknownPatientId"
                    )
            response = await answer(work.registry, request)
        response = _visible(response)
        if response.count > self._limit:
            raise TooManyResults(
                f"more than {self._limit} objects match", cure="Ask for ObjectRef, then GetDocuments in portions"
            )
        patients = {entry.patient_id for entry in response.entries}
        if len(patients) > 1 and request.return_type is ReturnType.LEAF_CLASS:
            raise RuleViolation("the result would span several patients", code="XDSResultNotSinglePatient")
        exchange.learned.text = f"{response.count} registry objects found"
        return response.as_references() if request.return_type is ReturnType.OBJECT_REF else response


def _visible(response: StoredQueryResponse) -> StoredQueryResponse:
    """Without what is held, and without associations that lead to it."""
    objects: list[DocumentEntry | SubmissionSet | Folder] = [
        *response.entries,
        *response.submission_sets,
        *response.folders,
    ]
    held = {each.entry_uuid for each in objects if each.availability_status is AvailabilityStatus.PENDING}
    if not held:
        return response
    return replace(
        response,
        entries=tuple(each for each in response.entries if each.entry_uuid not in held),
        submission_sets=tuple(each for each in response.submission_sets if each.entry_uuid not in held),
        folders=tuple(each for each in response.folders if each.entry_uuid not in held),
        associations=tuple(each for each in response.associations if held.isdisjoint((each.source, each.target))),
    )


async def _entries(registry: Registry, criteria: DocumentCriteria) -> tuple[DocumentEntry, ...]:
    return tuple([entry async for entry in registry.find(criteria)])


async def _find_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(entries=await _entries(registry, request.criteria))


async def _named(registry: Registry, request: StoredQueryRequest) -> tuple[DocumentEntry, ...]:
    """The entries that a Get query names, of whatever type."""
    return await _entries(registry, replace(request.criteria, entry_types=(), statuses=()))


async def _get_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(entries=await _named(registry, request))


async def _get_associations(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(associations=await registry.associations(request.uuids))


async def _get_documents_and_associations(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    entries = await _named(registry, request)
    associations = await registry.associations([entry.entry_uuid for entry in entries]) if entries else ()
    return StoredQueryResponse(entries=entries, associations=associations)


async def _get_submission_sets(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    members = _of_type(await registry.associations(request.uuids), AssociationType.HAS_MEMBER)
    sets = await registry.submission_sets(_unique(each.source for each in members))
    known = {each.entry_uuid for each in sets}
    return StoredQueryResponse(
        submission_sets=sets, associations=tuple(each for each in members if each.source in known)
    )


async def _get_submission_set_and_contents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    sets = await registry.submission_sets(request.submission_sets.entry_uuids)
    if not sets:
        return StoredQueryResponse()
    members = [
        each
        for each in _of_type(
            await registry.associations([each.entry_uuid for each in sets]), AssociationType.HAS_MEMBER
        )
        if each.source in {found.entry_uuid for found in sets}
    ]
    targets = tuple(each.target for each in members)
    criteria = replace(request.criteria, entry_uuids=targets, statuses=(), unique_ids=())
    entries = await _entries(registry, criteria) if targets else ()
    return StoredQueryResponse(
        submission_sets=sets, entries=entries, folders=await registry.folders(targets), associations=tuple(members)
    )


async def _get_folders(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(folders=await registry.folders(request.folders.entry_uuids))


async def _get_folders_for_document(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    entries = await _named(registry, request)
    associations = await registry.associations([entry.entry_uuid for entry in entries]) if entries else ()
    sources = _unique(each.source for each in _of_type(associations, AssociationType.HAS_MEMBER))
    return StoredQueryResponse(folders=await registry.folders(sources))


async def _get_related_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    named = await _named(registry, request)
    uuids = [entry.entry_uuid for entry in named]
    associations = tuple(
        each for each in (await registry.associations(uuids) if uuids else ()) if each.type in request.association_types
    )
    if not associations:
        return StoredQueryResponse()
    ends = _unique(end for each in associations for end in (each.source, each.target))
    criteria = DocumentCriteria(entry_uuids=ends, entry_types=request.criteria.entry_types)
    return StoredQueryResponse(entries=await _entries(registry, criteria), associations=associations)


def _of_type(associations: Sequence[Association], kind: AssociationType) -> tuple[Association, ...]:
    return tuple(each for each in associations if each.type is kind)


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


ANSWERS: Mapping[StoredQuery, Answer] = {
    StoredQuery.FIND_DOCUMENTS: _find_documents,
    StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID: _find_documents,
    StoredQuery.GET_DOCUMENTS: _get_documents,
    StoredQuery.GET_FOLDERS: _get_folders,
    StoredQuery.GET_ASSOCIATIONS: _get_associations,
    StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS: _get_documents_and_associations,
    StoredQuery.GET_SUBMISSION_SETS: _get_submission_sets,
    StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS: _get_submission_set_and_contents,
    StoredQuery.GET_FOLDERS_FOR_DOCUMENT: _get_folders_for_document,
    StoredQuery.GET_RELATED_DOCUMENTS: _get_related_documents,
}
