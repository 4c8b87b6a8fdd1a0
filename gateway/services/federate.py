"""Federate: ask other communities, merge what they say, keep homes apart.

All communities are asked at once, each within the same deadline: one that stalls is given up alone, and delays nobody
longer. Of a retrieval the deadline ends with the head of the answer; the bytes behind it may take as long as they move.

Plan, then pour: the heads of all communities are read before the first byte of our own answer, so its status is true.
Then the communities' parts go out in the order in which they are there. A part that has begun to go out holds up all
others to its end, so while several communities are under way one is begun only when all of it has come (small ones wait
in memory, others in a file): a community that stops in the middle of a part delays nobody. The last community's parts go
straight through. Each community is one part ahead at most, so memory does not depend on sizes.

What a newcomer gets wrong: a community that breaks *after* its head was read, and cannot go on when it is asked once more
(`resume`), breaks our whole answer, and the listener cuts the connection. The status that is out already promised its
documents, and a cut body cannot be mistaken for a complete one. Whoever asks again finds it unavailable, and gets a partial
success of the others.

Source: ITI TF-2 3.38.4.1.3, 3.39.4.1.3; RAD TF-2 4.75.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.peer import Peer
from gateway.ports.objects import Objects
from gateway.ports.peers import Directory, Peers
from gateway.services.belonging import Belonging
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from gateway.services.resume import Resuming, Share
from profiles.errors import (
    Condition,
    ExchangeError,
    HouseError,
    PeerProtocolError,
    PeerTimeout,
    PeerUnavailable,
    UnknownCommunity,
)
from profiles.findings import Severity
from profiles.model.content import Part, Pour, Poured
from profiles.model.document import Association, DocumentEntry, Folder, SubmissionSet
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Transaction
from profiles.wire.ebxml.response import RegistryError, ResponseStatus, status_of
from profiles.wire.ebxml.retrieve import RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti18 import ITI_18, ObjectRef
from profiles.xds.iti43 import RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest

HELD_BYTES = 1024 * 1024  # of a part of each community in memory: a CT has half of it
SPOOLED_BYTES = 256 * 1024 * 1024  # of a part in a file; one that is larger goes out as it comes

T = TypeVar("T")
Request = TypeVar("Request")
Found = TypeVar("Found", DocumentEntry, SubmissionSet, Folder, Association, ObjectRef)
Homed = TypeVar("Homed", DocumentEntry, SubmissionSet, Folder, ObjectRef)
Retrieved = Poured[RetrieveDocumentSetResponse]


class Federate:
    """The other communities, as one."""

    def __init__(
        self,
        *,
        house: House,
        peers: Peers,
        directory: Directory,
        discover: Discover,
        objects: Objects,
        deadline_s: float,
    ) -> None:
        """`deadline_s`: how long a community may take to answer, to the head of a retrieval.

        `objects` puts parts aside that come while other communities are under way.
        """
        self._objects = objects
        self._discover = discover
        self._belonging = Belonging(peers=peers, directory=directory, discover=discover)
        self._house = house
        self._peers = peers
        self._directory = directory
        self._deadline_s = deadline_s

    def is_here(self, home: Oid) -> bool:
        """Whether a home is ours."""
        return home in self._house.homes

    def apart(self, asked: Iterable[T], home_of: Callable[[T], Oid | None]) -> tuple[list[T], dict[Oid, list[T]]]:
        """What is asked of us, or of no home, and what of each other one; in the order in which it was asked."""
        ours: list[T] = []
        theirs: dict[Oid, list[T]] = {}
        for each in asked:
            home = home_of(each)
            if home is None or self.is_here(home):
                ours.append(each)
            else:
                theirs.setdefault(home, []).append(each)
        return ours, theirs

    def registries(self, home: Oid | None = None) -> tuple[Peer, ...]:
        """The other registries of the house's community, if that is the one which is asked."""
        if home not in (None, self._house.home_community_id):
            return ()
        return tuple(peer for peer in self._directory.all() if peer.of_our_community and ITI_18.id in peer.endpoints)

    def communities(self, transaction: Transaction[Any, Any]) -> tuple[Peer, ...]:
        """All that can be asked this: those with a home and an address for it, in the order of the settings."""
        return tuple(
            peer
            for peer in self._directory.all()
            if peer.home_community_id is not None
            and not self.is_here(peer.home_community_id)
            and transaction.id in peer.endpoints
        )

    def community(self, home: Oid, transaction: Transaction[Any, Any]) -> Peer:
        """Who answers for a home.

        Raises:
            UnknownCommunity: Nobody.
        """
        found = self._directory.by_home(home, transaction.id)
        if found is None:
            raise UnknownCommunity(
                "this home community is not known here", location=home.urn,
                cure="Add a [[peer]] with this home_community_id and an endpoint",
            )  # fmt: skip
        return found

    def within(
        self,
        asked: Iterable[T],
        repository_of: Callable[[T], str],
        transaction: Transaction[Any, Retrieved],
        request_of: Callable[[list[T]], object],
        home_of: Callable[[T], Oid | None],
    ) -> tuple[list[T], list[Share]]:
        """What of our community is asked of this house, and of each other source of it the request that it is asked.

        Another source is a peer that the settings put into our community, which keeps what is asked for and has an address
        for the transaction; what nobody is known to keep is this house's to answer, and so is what is asked of a further
        home of ours, which no peer is of.
        """
        named = self._directory.by_retrieve_location if transaction is RAD_69 else self._directory.by_repository
        ours: list[T] = []
        theirs: dict[str, list[T]] = {}
        for each in asked:
            peer = named(repository_of(each)) if home_of(each) in (None, self._house.home_community_id) else None
            if peer is not None and peer.of_our_community and transaction.id in peer.endpoints:
                theirs.setdefault(peer.name, []).append(each)
            else:
                ours.append(each)
        home = self._house.home_community_id
        return ours, [
            Share(transaction, self._directory.known(name), request_of(each), home) for name, each in theirs.items()
        ]

    # --- queries ------------------------------------------------------------------------------------------------------

    async def query(
        self,
        request: StoredQueryRequest,
        here: Callable[[], Awaitable[StoredQueryResponse]] | None,
        communities: Sequence[Peer],
        exchange: Exchange,
        *,
        within: Sequence[Peer] = (),
    ) -> StoredQueryResponse:
        """Ask our registry (`here`; None: not), these communities and registries `within` our own, and merge.

        A patient whom somebody does not know is no error of the whole, and is left out (ITI TF-2 3.38.4.1.3). Objects of
        a community that do not say their home are dropped, and it is said (XDSMissingHomeCommunityId).
        """
        named = request.home_community_id
        ours = named if named in self._house.homes and named is not None else self._house.home_community_id
        own = asyncio.create_task(_local(here, ours, self._house.homes)) if here is not None else None
        asked = [(peer, asyncio.create_task(self._query_one(request, peer, exchange))) for peer in communities]
        inside = [(peer, asyncio.create_task(self._query_within(request, peer, exchange))) for peer in within]
        tasks = [task for _, task in (*asked, *inside)]
        try:
            await _until(tasks, self._deadline_s)
            answers = [] if own is None else [await own]
        finally:
            for task in (*tasks, *((own,) if own is not None else ())):
                task.cancel()
        answers += [_settled(task, peer, exchange) for peer, task in asked]
        answers += [_settled(task, peer, exchange, self._house.home_community_id) for peer, task in inside]
        merged = _merged(answers)
        exchange.learned.text = f"{merged.count} registry objects found in {len(answers)} communities"
        exchange.learned.partial = bool(merged.errors) and merged.count > 0
        exchange.learned.failed = bool(merged.errors) and not merged.count
        return merged

    async def _query_one(self, request: StoredQueryRequest, peer: Peer, exchange: Exchange) -> StoredQueryResponse:
        asked = await self._as_known_there(request, peer, exchange)
        if asked is None:
            return StoredQueryResponse()  # who has nobody of ours has nothing of theirs
        async with self._peers.call(ITI_38, peer, asked, exchange_id=exchange.id, user=exchange.user) as call:
            return _checked(call.response, peer)

    async def _query_within(self, request: StoredQueryRequest, peer: Peer, exchange: Exchange) -> StoredQueryResponse:
        """A registry of our community is asked as registries are, by the ids of the affinity domain."""
        asked = replace(request, home_community_id=None)
        async with self._peers.call(ITI_18, peer, asked, exchange_id=exchange.id, user=exchange.user) as call:
            return with_home(call.response, self._house.home_community_id)

    async def _as_known_there(
        self, request: StoredQueryRequest, peer: Peer, exchange: Exchange
    ) -> StoredQueryRequest | None:
        """With the patient ids that the community knows; None: it knows none of the patients."""
        named = (request.criteria.patient_ids, request.submission_sets.patient_ids, request.folders.patient_ids)
        there: dict[PatientIdentifier, PatientIdentifier | None] = {}
        for identifier in dict.fromkeys(each for ids in named for each in ids):
            there[identifier] = await self._discover.id_at(peer, identifier, exchange.id, exchange.user)
        known = [tuple(found for each in ids if (found := there[each]) is not None) for ids in named]
        if any(named) and not any(known):
            return None
        entries, sets, folders = known
        return replace(
            request,
            criteria=replace(request.criteria, patient_ids=entries),
            submission_sets=replace(request.submission_sets, patient_ids=sets),
            folders=replace(request.folders, patient_ids=folders),
        )

    # --- retrievals ---------------------------------------------------------------------------------------------------

    async def retrieve(
        self,
        transaction: Transaction[Request, Retrieved],
        asked: Mapping[Oid, Request],
        here: Retrieved | None,
        exchange: Exchange,
        *,
        within: Sequence[Share] = (),
    ) -> Retrieved:
        """Ask each home for its part, and sources of our own community for theirs, and merge with what is `here`.

        A home that nobody answers for is XDSUnknownCommunity; one that does not answer is XDSUnavailableCommunity; each
        with the home as location. A source of our community that does not answer is XDSRepositoryError for each document.

        Raises:
            AccessDenied: The assertion is tied to a patient, and not all that is asked for is known to be theirs.
        """
        await self._belonging.hold(asked, [share.peer.name for share in within], exchange)
        shares = list(within)
        errors: list[RegistryError] = [] if here is None else list(here.head.errors)
        documents: list[RetrievedDocument] = [] if here is None else list(here.head.documents)
        for home, request in asked.items():
            try:
                peer = self.community(home, transaction)
            except UnknownCommunity as error:
                errors.append(_error("XDSUnknownCommunity", error, home.urn))
                exchange.learned.why, exchange.learned.cure = error.detail, cure_of(error)
                continue
            shares.append(Share(transaction, peer, request, home))
        sources = [_Source(share, self._peers, exchange, self._objects, self._deadline_s) for share in shares]
        merge = _Merge(sources, None if here is None else here.pour)
        try:
            await _until([source.head for source in sources], self._deadline_s)
            kept = []
            for source in sources:
                at = source.share.home
                try:
                    head = _head_of(source)
                except ExchangeError as error:
                    errors.extend(_silent(source.share) if self.is_here(at) else (_unavailable(error, at),))
                    exchange.learned.why, exchange.learned.cure = error.detail, cure_of(error)
                    source.stop()
                    continue
                errors.extend(each if each.location else replace(each, location=at.urn) for each in head.errors)
                told = head.status if head.documents else ResponseStatus.FAILURE  # something was asked for
                errors.extend(_unexplained(told, head.errors, "XDSRepositoryError", at))
                # What was asked for is echoed (ITI TF-2 3.43.5), whatever home the community writes.
                documents.extend(replace(each, home_community_id=at) for each in head.documents)
                kept.append(source)
        except BaseException:
            merge.stop()
            raise
        merge.keep(kept)
        exchange.learned.text = f"{len(documents)} document(s) of {len(kept) + (here is not None)} communities"
        exchange.learned.partial = bool(errors and documents)
        exchange.learned.failed = not documents
        head = RetrieveDocumentSetResponse(
            status=status_of(errors, len(documents)), errors=tuple(errors), documents=tuple(documents)
        )
        return Poured(head=head, pour=merge)


# --- waiting ----------------------------------------------------------------------------------------------------------


async def _until(waiting: Iterable["asyncio.Future[Any]"], deadline_s: float) -> None:
    """Wait until all are done, or the deadline is over."""
    futures = list(waiting)
    if futures:
        await asyncio.wait(futures, timeout=deadline_s)


def _late(peer: Peer) -> PeerTimeout:
    return PeerTimeout(
        f"{peer.name} did not answer within the deadline for communities",
        cure="Ask the peer; or raise limits.community_deadline_s",
    )


async def _local(
    here: Callable[[], Awaitable[StoredQueryResponse]], home: Oid, ours: Collection[Oid]
) -> StoredQueryResponse:
    try:
        return with_home(await here(), home, ours)
    except ExchangeError as error:
        return refused_at(error, home)


def refused_at(error: ExchangeError, home: Oid) -> StoredQueryResponse:
    """An error of a community's registry, pointing at the community (ITI TF-2 3.38.4.1.3)."""
    refused: StoredQueryResponse = ITI_38.refuse(error)
    return replace(refused, errors=tuple(replace(each, location=home.urn) for each in refused.errors))


def with_home(response: StoredQueryResponse, home: Oid, ours: Collection[Oid] = ()) -> StoredQueryResponse:
    """Every object that can say where it is at home says it: here, unless it says one of `ours` already."""

    def at(each: Homed) -> Homed:
        return each if each.home_community_id in ours else replace(each, home_community_id=home)

    return replace(
        response,
        entries=tuple(map(at, response.entries)),
        submission_sets=tuple(map(at, response.submission_sets)),
        folders=tuple(map(at, response.folders)),
        object_refs=tuple(map(at, response.object_refs)),
        errors=tuple(replace(each, location=home.urn) for each in response.errors),
    )


def _settled(
    task: "asyncio.Task[StoredQueryResponse]", peer: Peer, exchange: Exchange, ours: Oid | None = None
) -> StoredQueryResponse:
    """What came of asking a peer as a community of its own, or as a registry of `ours`."""
    home = ours or peer.home_community_id
    assert home is not None
    error: ExchangeError
    if task.done() and not task.cancelled():
        raised = task.exception()
        if raised is None:
            found = task.result()
            unexplained = _unexplained(found.status, found.errors, "XDSRegistryError", home)
            return replace(found, errors=(*found.errors, *unexplained))
        if not isinstance(raised, ExchangeError):
            raise raised
        error = raised
    else:
        error = _late(peer)
    exchange.learned.why, exchange.learned.cure = error.detail, cure_of(error)
    silent = _unavailable(error, home, "XDSRegistryError")
    if ours is not None:
        silent = replace(silent, code="XDSRegistryError", context="a registry of this community did not answer")
    return replace(refused_at(error, home), errors=(silent,))


def _unexplained(
    status: ResponseStatus, errors: Iterable[RegistryError], code: str, home: Oid
) -> tuple[RegistryError, ...]:
    """What is said of an answer that is no success and gives no reason: it is never a clean one (ITI TF-3 4.2.4.2)."""
    if status is ResponseStatus.SUCCESS or any(each.severity is Severity.ERROR for each in errors):
        return ()
    return (RegistryError(code=code, context="this community failed and gave no reason", location=home.urn),)


def _checked(response: StoredQueryResponse, peer: Peer) -> StoredQueryResponse:
    """A community's answer without objects that do not say their home, or say one that it does not speak for."""
    home = peer.home_community_id
    assert home is not None
    kept = replace(
        response,
        entries=tuple(each for each in response.entries if peer.speaks_for(each.home_community_id)),
        submission_sets=tuple(each for each in response.submission_sets if peer.speaks_for(each.home_community_id)),
        folders=tuple(each for each in response.folders if peer.speaks_for(each.home_community_id)),
        object_refs=tuple(each for each in response.object_refs if peer.speaks_for(each.home_community_id)),
        errors=tuple(each if each.location else replace(each, location=home.urn) for each in response.errors),
    )
    if kept.count == response.count:
        return kept
    missing = RegistryError(
        code="XDSMissingHomeCommunityId",
        context="objects of this community did not say their home, or another one, and were left out",
        location=home.urn,
    )
    return replace(kept, errors=(*kept.errors, missing))


def _merged(answers: Sequence[StoredQueryResponse]) -> StoredQueryResponse:
    errors = tuple(each for answer in answers for each in answer.errors if each.code != "XDSUnknownPatientId")
    merged = StoredQueryResponse(
        errors=errors,
        entries=_once(each for answer in answers for each in answer.entries),
        submission_sets=_once(each for answer in answers for each in answer.submission_sets),
        folders=_once(each for answer in answers for each in answer.folders),
        associations=_once(each for answer in answers for each in answer.associations),
        object_refs=_once(each for answer in answers for each in answer.object_refs),
    )
    # Somebody who answered with nothing found answered all the same: with errors beside it is a partial success.
    answered = any(answer.count or not answer.errors for answer in answers)
    return replace(merged, status=status_of(errors, 1 if answered else 0))


def _once(objects: Iterable[Found]) -> tuple[Found, ...]:
    """Without what two registries of one community both have; the same object of two communities is two."""
    return tuple({(each.entry_uuid, getattr(each, "home_community_id", None)): each for each in objects}.values())


def _error(code: str, error: ExchangeError, location: str) -> RegistryError:
    return RegistryError(code=code, context=error.detail, location=location)


def _names(request: object) -> Iterable[str]:
    """The uniqueIds that a retrieval asks for."""
    if isinstance(request, RetrieveImagingDocumentSetRequest):
        return (each.document.document_unique_id for each in request.instances())
    assert isinstance(request, RetrieveDocumentSetRequest)
    return (each.document_unique_id for each in request.documents)


def _silent(share: Share) -> Iterable[RegistryError]:
    """What is said of each document of a source of our own community that failed."""
    context = "the source of this document could not be asked, or did not answer"
    return (RegistryError(code="XDSRepositoryError", context=context, location=name) for name in _names(share.request))


def _without_strangers(head: RetrieveDocumentSetResponse, asked: Collection[str]) -> RetrieveDocumentSetResponse:
    """An answer without what nobody asked for, which it is said of; where, is for whoever knows who was asked."""
    kept = tuple(each for each in head.documents if each.document_unique_id in asked)
    if len(kept) == len(head.documents):
        return head
    context = "what was not asked for came, and was left out"
    strange = RegistryError(code="XDSRepositoryError", context=context)
    return replace(head, documents=kept, errors=(*head.errors, strange))


def _unavailable(error: ExchangeError, home: Oid, otherwise: str = "XDSRepositoryError") -> RegistryError:
    """What strangers are told of a community that failed: which one, and no more of the way to it."""
    code = "XDSUnavailableCommunity" if error.condition is Condition.PEER_UNAVAILABLE else otherwise
    return RegistryError(code=code, context="this community could not be asked, or did not answer", location=home.urn)


# --- streams ----------------------------------------------------------------------------------------------------------


class _Offer:
    """A part of a community that can go out. What breaks while it is read is told to both: who reads, and its source."""

    def __init__(self, part: Part, others: Callable[[], bool]) -> None:
        self.part = part
        self._others = others
        self.read: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self.part.chunks:
                yield chunk
        except ExchangeError as error:
            if not self.read.done():
                self.read.set_exception(error)
            raise _broke_off(error) from error
        if self._others():
            yield b""  # the next part may be another's, and take its time
        if not self.read.done():
            self.read.set_result(None)


def _broke_off(error: ExchangeError) -> ExchangeError:
    """What the reader is told: whose community it was is not theirs to know; what is our fault is told as ours."""
    if isinstance(error, HouseError):
        return error
    return PeerUnavailable("a community broke off its answer", cure=error.cure)


async def _then(held: deque[bytes], rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    while held:
        yield held.popleft()
    if rest is not None:
        async for chunk in rest:
            yield chunk


async def _after(aside: AsyncIterator[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in aside:
        yield chunk
    async for chunk in rest:
        yield chunk


class _Source:
    """One community under way, in a task of its own: it owns the call, from the question to the last byte."""

    def __init__(
        self,
        share: Share,
        peers: Peers,
        exchange: Exchange,
        objects: Objects,
        deadline_s: float,
    ) -> None:
        self._deadline_s = deadline_s
        self.share = share
        self.peer = share.peer
        self.others: Callable[[], bool] = lambda: True  # whether any are under way; the merge knows
        self.poured = False
        self._objects = objects
        self._stopped = False
        self.head: asyncio.Future[RetrieveDocumentSetResponse] = asyncio.get_running_loop().create_future()
        self.offers: asyncio.Queue[_Offer | ExchangeError | None] = asyncio.Queue(maxsize=1)
        self.task = asyncio.create_task(self._run(peers, exchange), name=f"ask {share.peer.name}")

    def stop(self) -> None:
        """Give it up: the connection is closed, and step and audit with it. Once: a second time would disturb that."""
        if not self._stopped:
            self._stopped = True
            self.task.cancel()

    async def _run(self, peers: Peers, exchange: Exchange) -> None:
        try:
            async with Resuming(self.share, peers, self._objects, exchange, self._deadline_s) as call:
                asked = frozenset(_names(self.share.request))
                self.head.set_result(_without_strangers(call.head, asked))
                async for part in call.pour():
                    if part.key not in asked:
                        async for _ in part.chunks:
                            pass
                        continue
                    if not self.others():
                        await self._offer(part)
                        continue
                    async with self._there(part) as there:
                        await self._offer(there)
                call.ended()
        except ExchangeError as error:
            if not self.head.done():
                self.head.set_exception(error)
                self.head.exception()  # seen
                return
            await self.offers.put(_broke_off(error))
            return
        except asyncio.CancelledError:
            self.head.cancel()
            raise
        except Exception as defect:
            if not self.head.done():
                self.head.set_exception(defect)
                return
            raise
        self.poured = True
        await self.offers.put(None)

    async def _offer(self, part: Part) -> None:
        """Come back when it has been read."""
        offer = _Offer(part, self.others)
        await self.offers.put(offer)
        await offer.read

    @asynccontextmanager
    async def _there(self, part: Part) -> AsyncIterator[Part]:
        """The part when it can go out without delaying others: all of it is there, or there are no others (any more)."""
        held: deque[bytes] = deque()
        held_bytes = 0
        while self.others() and held_bytes <= HELD_BYTES:
            if (chunk := await anext(part.chunks, None)) is None:
                yield part.by(_then(held, None))
                return
            held.append(chunk)
            held_bytes += len(chunk)
        if not self.others():
            yield part.by(_then(held, part.chunks))
            return
        spool = self._objects.spool(1 << 62)  # SPOOLED_BYTES and a chunk: see below
        try:
            while held:
                spool.write(held.popleft())
            while self.others() and held_bytes <= SPOOLED_BYTES:
                if (chunk := await anext(part.chunks, None)) is None:
                    break
                spool.write(chunk)
                held_bytes += len(chunk)
            aside = spool.finish(part.media_type)
            yield part.by(_after(aside.open(), part.chunks))
        finally:
            spool.discard()


def _head_of(source: _Source) -> RetrieveDocumentSetResponse:
    if not source.head.done() or source.head.cancelled():
        raise _late(source.peer)
    raised = source.head.exception()
    if raised is not None:
        raise raised
    head = source.head.result()
    if len({each.document_unique_id for each in head.documents}) != len(head.documents):
        raise PeerProtocolError(f"{source.peer.name} names a document twice", cure="Ask the peer")
    return head


class _Merge:
    """The pour of all communities: whoever has a part ready is next. Closing it, or the end of who asks, stops all."""

    def __init__(self, sources: Sequence[_Source], here: Pour | None) -> None:
        self._sources = list(sources)
        for source in sources:
            source.others = partial(self._others, source)
        self._parts = self._run(here)
        asking = asyncio.current_task()
        if asking is not None:  # whoever never reads us may be gone: nobody is left asking for them
            asking.add_done_callback(lambda _: self.stop())

    def keep(self, sources: Sequence[_Source]) -> None:
        """Pour these only."""
        self._sources = list(sources)

    def _others(self, source: _Source) -> bool:
        """Whether another community's parts are still to come."""
        return any(each is not source and not each.poured for each in self._sources)

    def stop(self) -> None:
        """Give up every community that is still under way."""
        for source in self._sources:
            source.stop()

    def __aiter__(self) -> "_Merge":
        return self

    async def __anext__(self) -> Part:
        return await anext(self._parts)

    async def aclose(self) -> None:
        """Nobody reads on."""
        await self._parts.aclose()
        await self._ended()

    async def _ended(self) -> None:
        self.stop()
        await asyncio.gather(*(source.task for source in self._sources), return_exceptions=True)

    async def _run(self, here: Pour | None) -> AsyncGenerator[Part, None]:
        try:
            if here is not None:
                async for part in here:
                    yield part
            async with aclosing(self._offered()) as offered:
                async for offer in offered:
                    if isinstance(offer, ExchangeError):
                        raise offer
                    yield offer.part.by(offer.chunks())
        finally:
            await self._ended()

    async def _offered(self) -> AsyncGenerator[_Offer | ExchangeError, None]:
        """Whatever can go out, as it comes."""
        waiting = {_next(source): source for source in self._sources}
        try:
            while len(waiting) > 1:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for ready in done:
                    source = waiting.pop(ready)
                    if (offer := ready.result()) is None:
                        await source.task  # step and audit are closed when the pour ends
                        continue
                    yield offer
                    waiting[_next(source)] = source
            for ready, last in waiting.items():
                offer = await ready
                while offer is not None:  # a task for each part would be felt
                    yield offer
                    offer = await last.offers.get()
                await last.task
        finally:
            for task in waiting:
                task.cancel()


def _next(source: _Source) -> "asyncio.Task[_Offer | ExchangeError | None]":
    coming: Coroutine[Any, Any, _Offer | ExchangeError | None] = source.offers.get()
    return asyncio.create_task(coming)
