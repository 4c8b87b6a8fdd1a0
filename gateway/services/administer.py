"""Administer: a person has a document's metadata changed, or it deprecated, or removed with all that hangs on it.

Here, or at a peer.

What a newcomer gets wrong: a registry removes nothing that something else refers to (ITI-62), so that everything that hangs
on a document must be named: its versions, every association that touches one of them, and the submission sets that would
have brought nothing else. That is asked for first, and the answer is the request.

Source: ITI TF-2 3.57, 3.62, 3.86, 3.92.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from gateway.model.house import House
from gateway.model.peer import Caller, Peer
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store, Work
from gateway.services.documents import BOTH_TYPES, in_force
from gateway.services.errand import errand
from gateway.services.exchange import Exchange
from gateway.services.remove import Removal
from gateway.services.update import FULL, OPERATIONS, RESTRICTED, Update
from profiles.errors import PeerRefused, RuleViolation, UnknownDocument, UnknownRepository
from profiles.model.codes import Code
from profiles.model.document import (
    DOCUMENT_AVAILABILITY,
    OFFLINE,
    ONLINE,
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
    SubmissionSet,
    logical_id_of,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria
from profiles.transaction import Facts, Party, SoapTransaction
from profiles.wire.ebxml.operations import NEW_STATUS, ORIGINAL_STATUS, PREVIOUS_VERSION
from profiles.wire.ebxml.response import RegistryResponse, refusal, warned
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, DocumentRequest, RemoveDocumentsRequest
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest
from profiles.xdsi.rad68 import CodeSet, SiteCodes

WAYS = (ITI_92.id, ITI_57.id)
BOTH_STATUSES = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)


Request = TypeVar("Request")


class _Registry(Protocol):
    """Where it is done."""

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        """Every version that is registered."""
        ...

    async def arrows(self, ids: Sequence[str]) -> Sequence[Association]:
        """Every association that starts or ends at one of these, whatever its status."""
        ...

    async def update(self, submission: Submission, by: str) -> None:
        """`by` ITI-57, or ITI-92."""
        ...

    async def remove(self, ids: Sequence[str]) -> None: ...


AVAILABILITY = {"online": ONLINE, "offline": OFFLINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an entry is to say otherwise; "", None and () leave it as it is. `availability` is a key of AVAILABILITY.

    Nothing here is of what a restricted update may not change (`profiles.xds.iti92.FIXED`).
    """

    title: str = ""
    comments: str = ""
    class_code: Code | None = None
    type_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    availability: str = ""

    def of(self, entry: DocumentEntry) -> DocumentEntry:
        """The entry with them."""
        extra = entry.extra
        if self.availability:
            extra = tuple(each for each in extra if each[0] != DOCUMENT_AVAILABILITY)
            extra += ((DOCUMENT_AVAILABILITY, (AVAILABILITY[self.availability],)),)
        return replace(
            entry, title=self.title or entry.title, comments=self.comments or entry.comments,
            class_code=self.class_code or entry.class_code, type_code=self.type_code or entry.type_code,
            confidentiality_codes=self.confidentiality_codes or entry.confidentiality_codes, extra=extra,
        )  # fmt: skip


class Administer:
    """What `radgate document deprecate`, `update` and `remove` do."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        peers: Peers,
        directory: Directory,
        compute: Compute,
        clock: Clock,
        update: Update,
        removal: Removal,
        codes: Callable[[], SiteCodes],
    ) -> None:
        """`codes` tells what the affinity domain decides; it may read a file, so it is asked in a thread."""
        self._house = house
        self._store = store
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._update = update
        self._removal = removal
        self._codes = codes

    async def deprecate(self, unique_id: str, person: str, *, at: str = "") -> int:
        """Nobody is to use it any more, and it stays known; answers how many entries it had that were in force.

        Raises:
            UnknownDocument: No entry of it is in force.
            RuleViolation: The registry refuses, or there is no such peer.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(at) if at else None
        codes = await self._compute.run(self._codes)
        async with errand(
            self._store, self._clock, self._house, person=person, text="A document deprecated", peer=at
        ) as doing:
            if peer is None:
                async with self._store.unit() as work:
                    return await self._deprecate(self._here(work, doing.exchange_id), unique_id, codes)
            return await self._deprecate(self._there(peer, doing.exchange_id), unique_id, codes)

    async def update(
        self, unique_id: str, changes: Changes, person: str, *, at: str = "", by: str = ""
    ) -> Sequence[DocumentEntry]:
        """What is registered of it says something else from now on: each entry in force gets a version that follows it.

        Args:
            unique_id: Which document.
            changes: What it says then.
            person: Who does it.
            at: The peer that has the registry; "": our own.
            by: ITI-92, which changes what may always be changed, or ITI-57; "": ITI-92, unless the peer has ITI-57 alone.

        Returns:
            1..n new versions, with their numbers.

        Raises:
            UnknownDocument: No entry of it is in force.
            RuleViolation: Nothing would change; the registry refuses; or there is no such peer or transaction.
            PeerError: As the peer answered.

        Source: ITI TF-2 3.57.4.1.2, 3.92.4.1.2.
        """
        peer = self._directory.known(at) if at else None
        if by not in ("", *WAYS):
            raise RuleViolation(f"{by} changes no metadata", cure=f"Choose {' or '.join(WAYS)}")
        if not by:
            by = next((way for way in WAYS if peer is None or way in peer.endpoints), ITI_92.id)
        codes = await self._compute.run(self._codes)
        async with errand(
            self._store, self._clock, self._house, person=person, text="A document's metadata updated", peer=at
        ) as doing:
            if peer is None:
                async with self._store.unit() as work:
                    return await self._changed(self._here(work, doing.exchange_id), unique_id, changes, codes, by)
            return await self._changed(self._there(peer, doing.exchange_id), unique_id, changes, codes, by)

    async def remove(self, unique_id: str, person: str, *, at: str = "", metadata_only: bool = False) -> int:
        """It is not registered any more, and not kept; answers how many registry objects went.

        What a peer has registered no more, and may keep, as the document did not go with it then, goes from its repository.

        Raises:
            UnknownDocument: It is not registered.
            UnknownRepository: Nobody is known at the repository that its entry names, or nothing can be removed there;
                nothing was.
            RuleViolation: The registry or the repository refuses, or there is no such peer.
            PeerError: As a peer answered.
        """
        peer = self._directory.known(at) if at else None
        async with errand(
            self._store, self._clock, self._house, person=person, text="A document removed", peer=at
        ) as doing:
            if peer is None:
                async with self._store.unit() as work:
                    here = self._here(work, doing.exchange_id)
                    _, ids = await _everything(here, unique_id)
                    await here.remove(ids)
                    if not metadata_only:
                        await here.remove_document(unique_id)
                return len(ids)
            there = self._there(peer, doing.exchange_id)
            if not metadata_only and ITI_86.id in peer.endpoints and not await there.entries(unique_id):
                await self._remove_left(unique_id, peer, doing.exchange_id)
                return 0
            entries, ids = await _everything(there, unique_id)
            repository = None if metadata_only else self._repository(entries)
            await there.remove(ids)
            if repository is not None:
                await self._remove_document(entries[-1], repository, doing.exchange_id)
            elif not metadata_only and any(self._is_ours(each) for each in entries):
                async with self._store.unit() as work:
                    await self._here(work, doing.exchange_id).remove_document(unique_id)
            return len(ids)

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _changed(
        self, registry: _Registry, unique_id: str, changes: Changes, codes: SiteCodes, by: str
    ) -> Sequence[DocumentEntry]:
        updated = []
        for old in in_force(await registry.entries(unique_id)):
            if changes.of(old) == old:
                raise RuleViolation("the entry says all of this already", cure="Say what is to be otherwise")
            new = replace(changes.of(old), entry_uuid=self._uuid(), logical_id=logical_id_of(old))
            whole = self._set(new.patient_id, _content_type(codes))
            follows = Association(
                entry_uuid=self._uuid(), source=whole.entry_uuid, target=new.entry_uuid, original=True,
                type=AssociationType.HAS_MEMBER, extra=((PREVIOUS_VERSION, (str(old.version),)),),
            )  # fmt: skip
            await registry.update(Submission(submission_set=whole, entries=(new,), associations=(follows,)), by)
            updated.append(replace(new, version=old.version + 1))
        return updated

    async def _deprecate(self, registry: _Registry, unique_id: str, codes: SiteCodes) -> int:
        entries = in_force(await registry.entries(unique_id))
        for of in dict.fromkeys(each.patient_id for each in entries):
            own = [each.entry_uuid for each in entries if each.patient_id == of]
            await registry.update(self._deprecation(own, of, _content_type(codes)), ITI_57.id)
        return len(entries)

    def _deprecation(self, ids: Sequence[str], of: PatientIdentifier, content_type: Code) -> Submission:
        whole = self._set(of, content_type)
        slots = (
            (ORIGINAL_STATUS, (str(AvailabilityStatus.APPROVED),)), (NEW_STATUS, (str(AvailabilityStatus.DEPRECATED),))
        )  # fmt: skip
        return Submission(
            submission_set=whole,
            associations=tuple(
                Association(
                    entry_uuid=self._uuid(), source=whole.entry_uuid, target=each,
                    type=AssociationType.UPDATE_AVAILABILITY_STATUS, extra=slots,
                )
                for each in ids
            ),
        )  # fmt: skip

    def _set(self, of: PatientIdentifier, content_type: Code) -> SubmissionSet:
        return SubmissionSet(
            entry_uuid=self._uuid(), unique_id=self._clock.new_uid(), source_id=self._house.source_id, patient_id=of,
            content_type_code=content_type, submission_time=Moment(self._clock.now().replace(microsecond=0)),
        )  # fmt: skip

    def _uuid(self) -> str:
        return f"urn:uuid:{self._clock.new_uuid()}"

    def _repository(self, entries: Sequence[DocumentEntry]) -> Peer | None:
        """Who keeps the bytes, where there are any; None: there are none, or we do."""
        kept = next((each for each in reversed(entries) if each.entry_type is EntryType.STABLE), None)
        if kept is None or self._is_ours(kept):
            return None
        where = str(kept.repository_unique_id or "")
        peer = self._directory.by_repository(where)
        if peer is None or ITI_86.id not in peer.endpoints:
            raise UnknownRepository(
                f"nobody is known who removes documents at repository {where or 'without an id'}",
                cure="Add its id and an ITI-86 endpoint to a [[peer]], or remove the metadata only",
            )
        return peer

    def _is_ours(self, entry: DocumentEntry) -> bool:
        return entry.repository_unique_id in {each.unique_id for each in self._house.repositories}

    async def _remove_left(self, unique_id: str, repository: Peer, exchange_id: str) -> None:
        """Its metadata went, and the document did not go with it then."""
        if len(repository.repository_unique_ids) != 1:
            raise UnknownDocument("no such document is registered", cure="`radgate document find` shows what is")
        named = DocumentRequest(
            repository_unique_id=repository.repository_unique_ids[0],
            document_unique_id=unique_id,
            home_community_id=None,
        )
        there = self._there(repository, exchange_id)
        try:
            await there.ask(ITI_86, RemoveDocumentsRequest(documents=(named,)))
        except PeerRefused as refused:
            if refused.code not in ("XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"):
                raise
            raise UnknownDocument(
                "no such document is registered there, or kept", cure="`radgate document find` shows what is"
            ) from refused

    async def _remove_document(self, entry: DocumentEntry, repository: Peer, exchange_id: str) -> None:
        named = DocumentRequest(
            repository_unique_id=str(entry.repository_unique_id or ""), document_unique_id=entry.unique_id,
            home_community_id=entry.home_community_id,
        )  # fmt: skip
        there = self._there(repository, exchange_id)
        await there.ask(ITI_86, RemoveDocumentsRequest(documents=(named,)), entry.patient_id)

    def _here(self, work: Work, exchange_id: str) -> "_Here":
        return _Here(
            work=work, house=self._house, update_=self._update, removal=self._removal,
            exchange=Exchange(
                id=exchange_id, caller=Caller(peer=None, network_address="", via="desk"), now=self._clock.now(),
                begin=lambda: _given(work),
            ),
        )  # fmt: skip

    def _there(self, peer: Peer, exchange_id: str) -> "_There":
        facts = Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name)
        )
        return _There(peers=self._peers, peer=peer, exchange_id=exchange_id, facts=facts)


async def _given(work: Work) -> Work:
    return work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """Our own registry and repository, in one unit of work."""

    work: Work
    house: House
    exchange: Exchange
    update_: Update
    removal: Removal

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        found = await self.work.registry.entries(unique_id)
        return [each for each in found if each.availability_status is not AvailabilityStatus.PENDING]

    async def arrows(self, ids: Sequence[str]) -> Sequence[Association]:
        return await self.work.registry.associations(ids)

    async def update(self, submission: Submission, by: str) -> None:
        await self.update_.update(submission, self.exchange, RESTRICTED if by == ITI_92.id else FULL)

    async def remove(self, ids: Sequence[str]) -> None:
        await self.removal.metadata(ids, self.exchange)

    async def remove_document(self, unique_id: str) -> None:
        """Where we keep it: an entry may name another repository."""
        if await self.work.documents.open(unique_id) is not None:
            ours = DocumentRequest(repository_unique_id=self.house.repository_unique_id, document_unique_id=unique_id)
            await self.removal.documents((ours,), self.exchange)


@dataclass(frozen=True, slots=True, kw_only=True)
class _There:
    """A peer's registry."""

    peers: Peers
    peer: Peer
    exchange_id: str
    facts: Facts

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        criteria = DocumentCriteria(unique_ids=(unique_id,), entry_types=BOTH_TYPES)
        asked = StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=criteria, metadata_level=2)
        return (await self._query(asked)).entries

    async def arrows(self, ids: Sequence[str]) -> Sequence[Association]:
        asked = StoredQueryRequest(
            query=StoredQuery.GET_ASSOCIATIONS, uuids=tuple(ids), association_statuses=BOTH_STATUSES, metadata_level=2
        )
        return (await self._query(asked)).associations

    async def _query(self, asked: StoredQueryRequest) -> StoredQueryResponse:
        async with self.peers.call(ITI_18, self.peer, asked, exchange_id=self.exchange_id, facts=self.facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            return call.response

    async def update(self, submission: Submission, by: str) -> None:
        of = submission.submission_set.patient_id
        if by == ITI_92.id:
            await self.ask(ITI_92, RestrictedUpdateRequest(submission=submission), of)
        else:
            await self.ask(ITI_57, UpdateRequest(submission=submission), of)

    async def remove(self, ids: Sequence[str]) -> None:
        await self.ask(ITI_62, RemoveMetadataRequest(entry_uuids=tuple(ids)))

    async def ask(
        self, transaction: SoapTransaction[Request, RegistryResponse], request: Request, *patients: PatientIdentifier
    ) -> None:
        """Whatever is answered by yes or no."""
        async with self.peers.call(
            transaction, self.peer, request, exchange_id=self.exchange_id, facts=self.facts
        ) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            why, cure = warned(call.response.errors)
            call.learned(patients=patients, why=why, cure=cure)


async def _everything(registry: _Registry, unique_id: str) -> tuple[Sequence[DocumentEntry], tuple[str, ...]]:
    """A document's versions, and the ids of all that hangs on them and on nothing else."""
    entries = await registry.entries(unique_id)
    if not entries:
        raise UnknownDocument("no such document is registered", cure="`radgate document find` shows what is")
    arrows: dict[str, Association] = {}
    ends: Sequence[str] = tuple(each.entry_uuid for each in entries)
    while ends:  # what points at an association that goes, goes with it
        found = [each for each in await registry.arrows(ends) if each.entry_uuid not in arrows]
        arrows |= {each.entry_uuid: each for each in found}
        ends = tuple(each.entry_uuid for each in found)
    gone = dict.fromkeys(each.entry_uuid for each in entries)
    sources = dict.fromkeys(
        each.source for each in arrows.values() if each.type in {AssociationType.HAS_MEMBER, *OPERATIONS}
    )
    for source in sources.keys() - gone.keys():
        if all(each.entry_uuid in arrows for each in await registry.arrows((source,))):
            gone[source] = None  # a set that has brought nothing else
    return entries, (*gone, *arrows)


def _content_type(codes: SiteCodes) -> Code:
    found = codes.defaults.get(CodeSet.CONTENT_TYPE, ())
    if not found:
        raise RuleViolation(
            "the table of codes has no default for contentTypeCode",
            cure="Add one to the file of affinity_domain.code_sets",
        )
    return found[0]
