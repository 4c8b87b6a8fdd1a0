"""Stored queries: what ITI-18 and ITI-51 ask of the registry, answered from criteria and associations.

Each query has a function in `ANSWERS`. Held objects are never found, nor is any association that leads to one: who asks
must not learn that there is something to come.

Source: ITI TF-2 3.18.4.1.2.3.7.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.model.house import House
from gateway.ports.registry import Registry
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from profiles.errors import RuleViolation, TooManyResults, UnknownCommunity, UnknownPatient
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    SubmissionSet,
    availability_of,
)
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.wire.ebxml.query import AnyQuery, MultiPatientQuery
from profiles.xds.iti18 import ReturnType, StoredQuery, StoredQueryRequest, StoredQueryResponse

REFERENCES = 10
"""References that weigh as much as one object: an entry takes some 4 KiB on the wire, a reference 100 bytes."""

OPERATIONS = frozenset({AssociationType.UPDATE_AVAILABILITY_STATUS, AssociationType.SUBMIT_ASSOCIATION})
"""What an update was asked for by; kept as it came, for who asks at level 2."""

Answer = Callable[[Registry, StoredQueryRequest], Awaitable[StoredQueryResponse]]


class StoredQueries:
    """The registry, asked."""

    def __init__(self, *, house: House, store: Store, limit: int) -> None:
        """`limit`: more objects than this, or ten times as many references, are not answered (XDSTooManyResults)."""
        self._house = house
        self._store = store
        self._limit = limit

    async def answer(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find what was asked for.

        Raises:
            UnknownCommunity: The question is to another community than ours (XDSUnknownCommunity).
            UnknownPatient: The id is not of our domain, or nobody has it (XDSUnknownPatientId).
            TooManyResults: More than one answer may hold.
            RuleViolation: The answer would span several patients (XDSResultNotSinglePatient).
        """
        home = request.home_community_id
        if home is not None and home not in self._house.homes:
            raise UnknownCommunity("this registry is of another community", location=home.urn)
        exchange.learned.patients = named = tuple(
            dict.fromkeys(
                (*request.criteria.patient_ids, *request.submission_sets.patient_ids, *request.folders.patient_ids)
            )
        )
        async with self._store.view() as work:
            for identifier in named:
                if await work.identity.get(identifier) is None:
                    raise UnknownPatient(
                        "the patient id is not known in this affinity domain", code="XDSUnknownPatientId"
                    )
            response = await _visible(work.registry, await ANSWERS[request.query](work.registry, request))
            if self._house.further:
                response = await self._of_home(work.registry, response, home)
        limit = self._limit * (REFERENCES if request.return_type is ReturnType.OBJECT_REF else 1)
        if response.count > limit:
            raise TooManyResults(
                f"more than {limit} objects match", cure="Ask for ObjectRef, then GetDocuments in portions"
            )
        patients = {each.patient_id for each in _objects(response)}
        if isinstance(request.query, MultiPatientQuery):
            exchange.learned.patients = named or tuple(sorted(patients, key=str))
        elif len(patients) > 1 and request.return_type is ReturnType.LEAF_CLASS:
            raise RuleViolation("the result would span several patients", code="XDSResultNotSinglePatient")
        exchange.learned.text = f"{response.count} registry objects found"
        return response.as_references() if request.return_type is ReturnType.OBJECT_REF else response

    async def _of_home(
        self, registry: Registry, response: StoredQueryResponse, home: Oid | None
    ) -> StoredQueryResponse:
        """Every object says of which of our communities it is; only those of `home`, unless it is None.

        An association is of a community if all that it joins is.
        """
        entries = tuple(replace(each, home_community_id=self._home_of(each)) for each in response.entries)
        sets = tuple(replace(each, home_community_id=self._home_of(each)) for each in response.submission_sets)
        folders = tuple(replace(each, home_community_id=self._home_of(each)) for each in response.folders)
        told = replace(response, entries=entries, submission_sets=sets, folders=folders)
        if home is None:
            return told
        ends = _unique(end for each in response.associations for end in (each.source, each.target))
        joined = [each for each in await registry.objects(ends) if not isinstance(each, Association)] if ends else []
        apart = {each.entry_uuid for each in joined if self._home_of(each) != home}
        return replace(
            told,
            entries=tuple(each for each in entries if each.home_community_id == home),
            submission_sets=tuple(each for each in sets if each.home_community_id == home),
            folders=tuple(each for each in folders if each.home_community_id == home),
            associations=tuple(each for each in response.associations if apart.isdisjoint((each.source, each.target))),
        )

    def _home_of(self, each: DocumentEntry | SubmissionSet | Folder) -> Oid:
        """An entry is where its repository is; what brought it is where it was brought."""
        if isinstance(each, DocumentEntry):
            return self._house.repository_of(each.repository_unique_id).home_community_id
        said = each.home_community_id
        return said if said in self._house.homes and said is not None else self._house.home_community_id


def _objects(response: StoredQueryResponse) -> tuple[DocumentEntry | SubmissionSet | Folder, ...]:
    return (*response.entries, *response.submission_sets, *response.folders)


async def _visible(registry: Registry, response: StoredQueryResponse) -> StoredQueryResponse:
    """Without what is held; associations that lead to it were left out when they were looked for."""
    held = {each.entry_uuid for each in _objects(response) if each.availability_status is AvailabilityStatus.PENDING}
    if not held:
        return response
    return replace(
        response,
        entries=tuple(each for each in response.entries if each.entry_uuid not in held),
        submission_sets=tuple(each for each in response.submission_sets if each.entry_uuid not in held),
        folders=tuple(each for each in response.folders if each.entry_uuid not in held),
    )


async def _entries(registry: Registry, criteria: DocumentCriteria) -> tuple[DocumentEntry, ...]:
    return tuple([entry async for entry in registry.find(criteria)])


async def _folders(registry: Registry, criteria: FolderCriteria) -> tuple[Folder, ...]:
    return tuple(await registry.find_folders(criteria))


def _newest(request: StoredQueryRequest) -> DocumentCriteria:
    """At level 1 the newest versions are meant, but for what is named by its own entryUUID."""
    asked = request.criteria
    return replace(asked, latest=request.metadata_level == 1 and not asked.entry_uuids)


def _newest_folders(request: StoredQueryRequest) -> FolderCriteria:
    asked = request.folders
    return replace(asked, latest=request.metadata_level == 1 and not asked.entry_uuids)


async def _arrows(registry: Registry, request: StoredQueryRequest, ends: Sequence[str]) -> tuple[Association, ...]:
    """Associations of these objects, of the status that is asked for; what is held has none that anybody could see.

    At level 1 those that lead to an older version lead nowhere, unless it was named; and what an update was asked for by
    is nothing that who asks would know.
    """
    if not ends:
        return ()
    statuses = request.association_statuses or (AvailabilityStatus.APPROVED,)
    found = [each for each in await registry.associations(ends) if each.availability_status in statuses]
    if request.metadata_level == 1:
        found = [each for each in found if each.type not in OPERATIONS]
    of_them = _unique(end for each in found for end in (each.source, each.target))
    hidden = await registry.held(of_them)
    if request.metadata_level == 1:
        named = {
            *request.uuids,
            *request.criteria.entry_uuids,
            *request.submission_sets.entry_uuids,
            *request.folders.entry_uuids,
        }
        hidden |= await registry.superseded(of_them) - named
    return tuple(each for each in found if hidden.isdisjoint((each.source, each.target)))


async def _find_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    found = await _entries(registry, _newest(request))
    if request.availabilities:
        found = tuple(each for each in found if availability_of(each) in request.availabilities)
    return StoredQueryResponse(entries=found)


async def _named(registry: Registry, request: StoredQueryRequest) -> tuple[DocumentEntry, ...]:
    """The entries that a Get query names, of whatever type."""
    return await _entries(registry, replace(_newest(request), entry_types=(), statuses=()))


async def _get_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(entries=await _named(registry, request))


async def _get_associations(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(associations=await _arrows(registry, request, request.uuids))


async def _get_documents_and_associations(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    entries = await _named(registry, request)
    associations = await _arrows(registry, request, [entry.entry_uuid for entry in entries])
    return StoredQueryResponse(entries=entries, associations=associations)


async def _get_submission_sets(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    members = _of_type(await _arrows(registry, request, request.uuids), AssociationType.HAS_MEMBER)
    sets = await registry.submission_sets(_unique(each.source for each in members))
    known = {each.entry_uuid for each in sets}
    return StoredQueryResponse(
        submission_sets=sets, associations=tuple(each for each in members if each.source in known)
    )


async def _get_submission_set_and_contents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    sets = await registry.find_submission_sets(request.submission_sets)
    contents = await _contents(registry, request, [each.entry_uuid for each in sets])
    return replace(contents, submission_sets=sets)


async def _get_folder_and_contents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    folders = await _folders(registry, _newest_folders(request))
    contents = await _contents(registry, request, [each.entry_uuid for each in folders])
    return replace(contents, folders=folders)


async def _contents(registry: Registry, request: StoredQueryRequest, containers: Sequence[str]) -> StoredQueryResponse:
    """Members of these sets or folders: entries that fit, folders, and the associations that make them members."""
    members = [
        each
        for each in _of_type(await _arrows(registry, request, containers), AssociationType.HAS_MEMBER)
        if each.source in set(containers)
    ]
    targets = tuple(each.target for each in members)
    if not targets:
        return StoredQueryResponse()
    entries = await _entries(registry, replace(request.criteria, entry_uuids=targets))
    folders = await registry.folders(targets)
    return StoredQueryResponse(entries=entries, folders=folders, associations=tuple(members))


async def _named_folders(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(folders=await _folders(registry, _newest_folders(request)))


async def _find_submission_sets(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    return StoredQueryResponse(submission_sets=await registry.find_submission_sets(request.submission_sets))


async def _get_all(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    entries = await _entries(registry, _newest(request))
    sets = await registry.find_submission_sets(request.submission_sets)
    folders = await _folders(registry, _newest_folders(request))
    found = StoredQueryResponse(entries=entries, submission_sets=sets, folders=folders)
    uuids = [each.entry_uuid for each in _objects(found)]
    return replace(found, associations=await _arrows(registry, request, uuids))


async def _get_folders_for_document(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    entries = await _named(registry, request)
    associations = await _arrows(registry, request, [entry.entry_uuid for entry in entries])
    sources = _unique(each.source for each in _of_type(associations, AssociationType.HAS_MEMBER))
    return StoredQueryResponse(folders=await registry.folders(sources))


async def _get_related_documents(registry: Registry, request: StoredQueryRequest) -> StoredQueryResponse:
    named = await _named(registry, request)
    uuids = [entry.entry_uuid for entry in named]
    associations = tuple(
        each for each in await _arrows(registry, request, uuids) if each.type in request.association_types
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


ANSWERS: Mapping[AnyQuery, Answer] = {
    StoredQuery.FIND_DOCUMENTS: _find_documents,
    StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID: _find_documents,
    StoredQuery.FIND_SUBMISSION_SETS: _find_submission_sets,
    StoredQuery.FIND_FOLDERS: _named_folders,
    StoredQuery.GET_ALL: _get_all,
    StoredQuery.GET_DOCUMENTS: _get_documents,
    StoredQuery.GET_FOLDERS: _named_folders,
    StoredQuery.GET_ASSOCIATIONS: _get_associations,
    StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS: _get_documents_and_associations,
    StoredQuery.GET_SUBMISSION_SETS: _get_submission_sets,
    StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS: _get_submission_set_and_contents,
    StoredQuery.GET_FOLDER_AND_CONTENTS: _get_folder_and_contents,
    StoredQuery.GET_FOLDERS_FOR_DOCUMENT: _get_folders_for_document,
    StoredQuery.GET_RELATED_DOCUMENTS: _get_related_documents,
    MultiPatientQuery.FIND_DOCUMENTS: _find_documents,
    MultiPatientQuery.FIND_FOLDERS: _named_folders,
    MultiPatientQuery.FIND_DOCUMENTS_BY_REFERENCE_ID: _find_documents,
}
