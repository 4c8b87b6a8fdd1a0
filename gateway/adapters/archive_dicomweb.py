"""An archive behind us that speaks DICOMweb: Orthanc, dcm4chee or any other.

In by STOW-RS: small instances are read whole, checked and sent some at a time; a large one is sent while it comes, alone,
so that cutting the connection takes back nothing but itself. A coercion is applied on the way in: what the archive keeps is
what it serves. Out by WADO-RS: whole series in one answer where most of it is wanted, single instances otherwise. Where the
archive has an address of its own for an instance's file (Orthanc), listings and large objects go there: several times
faster.

What a newcomer gets wrong: an archive that already has an instance may answer STOW-RS with success and keep what it had.
So what is there is asked for first, and compared. And a merge (`rewrite`) does not change the archive, whose patients are
its own affair (its ADT feed); it is kept here, as an overlay of the heads that pass through.

Source: DICOM PS3.18 10.4, 10.5, 10.6, 8.7; PS3.18 Annex I (Store Instances Response Module).
"""

import asyncio
import hashlib
import uuid
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any, Final, TypeAlias, TypeVar

import aiohttp

from gateway.adapters.arrival import (
    Coerced,
    Identity,
    Reading,
    arrived,
    behind,
    cannot_be_had,
    coerced,
    file_meta_of,
    identity_of,
    is_compressed,
    refused,
    same_but_coerced,
    syntax_for,
    written_in,
)
from gateway.adapters.dicomweb_answers import (
    StoreAnswer,
    arrived_of,
    first_value,
    json_of,
    refusal,
)
from gateway.adapters.http import body_of, calling, hop_of, idle_timeout
from gateway.adapters.overlays import Overlay, Overlays
from gateway.ports.archive import Coercion, Plan, PlannedInstance, Stored, StoreOutcome, Wanted
from gateway.ports.clock import Clock
from gateway.ports.studies import ArrivedInstance
from profiles.errors import (
    Duplicate,
    ExchangeError,
    MalformedMessage,
    PeerError,
    PeerProtocolError,
    PeerRefused,
    PeerUnavailable,
    RequestError,
    UnknownDocument,
)
from profiles.model.content import DICOM, Part, Pour
from profiles.model.imaging import Study
from profiles.wire.dicom.part10 import Part10Head, Part10Reader
from profiles.wire.dicom.syntaxes import EXPLICIT_LE, media_type_of
from profiles.wire.multipart import MultipartLimits, multipart_tail, part_head, parts_of

T = TypeVar("T")

WHOLE_BYTES: Final = 4 * 1024 * 1024  # instances up to this size are read whole before anything is sent
BATCH_PARTS: Final = 10  # of one STOW-RS: an archive answers when it has kept them all
BATCH_BYTES: Final = 8 * 1024 * 1024
CONNECTIONS: Final = 4  # batches, listings or single instances at once
LARGE_BYTES: Final = 8 * 1024 * 1024  # from here on a file of its own is faster than a part among others
PAGE: Final = 500  # matches asked for at once
IDLE_TIMEOUT_S: Final = 60.0  # an archive that reads from tape is slow to begin, never slower than this
READY_TIMEOUT_S: Final = 5.0
REMEMBERED: Final = 50_000  # instances whose place is remembered, or their transfer syntax: some 10 MB of each
META_BYTES: Final = 1024  # of a file: its meta information begins with what names it
LIMITS: Final = MultipartLimits(parts=10_000_000)

JSON: Final = "application/dicom+json"
AS_STORED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
DECOMPRESSED: Final = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT_LE}'
FRAMES_AS_STORED: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class _Listed:
    """An instance that the archive has. `series` tells it from those of other series, by a UID or an id of the archive's.

    `native` is its path below the native address; `size` None where nobody tells.
    """

    series: str = ""
    native: str | None = None
    size: int | None = None


_Listing: TypeAlias = dict[str, _Listed]
"""By SOP Instance UID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One GET and the instances that are taken from its answer. `native`: the answer is the file itself."""

    address: str
    wanted: tuple[str, ...]
    accept: str = AS_STORED
    native: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomwebPlan(Plan):
    """A plan with the ways to what is in it, and what is laid over the heads of each study."""

    sources: tuple[_Source, ...]
    overlays: Mapping[str, Overlay]


@dataclass(slots=True)
class _Ready:
    """An instance that was read whole and is to be sent."""

    key: str
    identity: Identity
    served: Part10Head
    chunks: list[bytes]
    size: int
    sha256: str


@dataclass(slots=True)
class _Call:
    """What one `store` knows and has under way."""

    coercion: Coercion | None
    here: dict[str, _Listing] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    batch: list[_Ready] = field(default_factory=list)
    batch_bytes: int = 0
    posting: set[asyncio.Task[list[StoreOutcome]]] = field(default_factory=set)


class DicomwebArchive:
    """`Archive` over DICOMweb."""

    def __init__(
        self,
        base_url: str,
        *,
        session: Callable[[], aiohttp.ClientSession],
        overlays: Overlays,
        clock: Clock,
        reading: Reading,
        native_url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say where it is.

        Args:
            base_url: The DICOMweb service, such as `http://orthanc:8042/dicom-web`.
            session: The client's session, made inside the running loop.
            overlays: Where `rewrite` keeps what it lays over the archive's heads.
            clock: When a coercion happened.
            reading: How headers are understood.
            native_url: Orthanc's own REST interface, such as `http://orthanc:8042`, with or without `/instances`. None:
                there is none.
            headers: Sent with every request, such as Authorization.
        """
        self._base = base_url.rstrip("/")
        self._native = native_url.rstrip("/").removesuffix("/instances") if native_url else None
        self._session = session
        self._overlays = overlays
        self._clock = clock
        self._reading = reading
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._limit = asyncio.Semaphore(CONNECTIONS)
        self._decompressing: dict[str, bool] = {}
        self._syntaxes: dict[str, str] = {}  # by SOP Instance UID; an archive keeps what it got
        self._listings: dict[tuple[str, str | None], _Listing] = {}  # by study and series, the oldest first

    # --- calls --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _get(
        self, address: str, accept: str, *, idle_s: float = IDLE_TIMEOUT_S
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """One GET; the answer is 200, 204 or 206.

        Raises:
            UnknownDocument: 404, 410.
            PeerError: Anything else.
        """

        async def asked() -> aiohttp.ClientResponse:
            with calling(address):
                return await self._session().get(
                    address,
                    headers={**self._headers, "Accept": accept},
                    timeout=idle_timeout(idle_s),
                    allow_redirects=False,
                )

        response = await _twice(asked)
        try:
            if response.status not in (200, 204, 206):
                raise refusal(response.status, address)
            yield response
        finally:
            response.close() if not response.content.at_eof() else response.release()

    async def _json(self, address: str, *, idle_s: float = IDLE_TIMEOUT_S) -> Any:
        """A JSON answer; None where there is none (204)."""
        async with self._get(address, JSON, idle_s=idle_s) as response:
            return await json_of(response, address)

    async def _listing(self, study: str, series: str | None = None) -> _Listing:
        """What the archive has of a study or a series, by SOP Instance UID."""
        async with self._limit:
            if self._native is not None:
                return await self._native_listing(study, series)
            below = f"/series/{series}" if series is not None else ""
            found: _Listing = {}
            while True:
                address = (
                    f"{self._base}/studies/{study}{below}/instances"
                    f"?includefield=00080018&includefield=0020000E&limit={PAGE}&offset={len(found)}"
                )
                try:
                    page = await self._json(address) or []
                except UnknownDocument:  # some answer 404 where 204 is meant
                    return found
                before = len(found)
                for each in page:
                    if uid := first_value(each, "00080018"):
                        found[uid] = _Listed(first_value(each, "0020000E"))
                if len(page) < PAGE or len(found) == before:
                    return found

    async def _native_listing(self, study: str, series: str | None) -> _Listing:
        """The same by Orthanc's own interface, with sizes: some milliseconds where QIDO-RS takes hundreds."""
        wanted, uid = ("Series", series) if series is not None else ("Study", study)
        path = {"Series": "series", "Study": "studies"}[wanted]
        found: _Listing = {}
        for each in await self._lookup(str(uid)):
            if each.get("Type") != wanted:
                continue
            for instance in await self._json(f"{self._native}/{path}/{each['ID']}/instances?expand") or []:
                sop = str(instance.get("MainDicomTags", {}).get("SOPInstanceUID", ""))
                found[sop] = _Listed(
                    str(instance["ParentSeries"]), f"/instances/{instance['ID']}", int(instance["FileSize"])
                )
        return found

    async def _remembered(self, study: str, series: str | None) -> _Listing:
        """The same for a plan: the last listing, as long as the archive tells the same number of instances.

        Listing 500 instances takes an archive longer than sending them. One that went while another came is not noticed
        here: then the pour breaks, and what was remembered is forgotten.
        """
        before = self._listings.get((study, series))
        if before is not None and await self._count(study, series) == len(before):
            return before
        listing = await self._listing(study, series)
        self._listings.pop((study, series), None)
        held = sum(map(len, self._listings.values()))
        while self._listings and held + len(listing) > REMEMBERED:
            held -= len(self._listings.pop(next(iter(self._listings))))
        self._listings[study, series] = listing
        return listing

    def _forget(self, plan: Plan) -> None:
        studies = {each.wanted.study_instance_uid for each in plan.available}
        for key in [each for each in self._listings if each[0] in studies]:
            del self._listings[key]

    async def _count(self, study: str, series: str | None) -> int | None:
        """How many instances the archive tells of a study or a series (0020,1208; 0020,1209). None: it does not tell."""
        if series is None:
            address, tag = f"{self._base}/studies?StudyInstanceUID={study}&includefield=00201208", "00201208"
        else:
            address = f"{self._base}/studies/{study}/series?SeriesInstanceUID={series}&includefield=00201209"
            tag = "00201209"
        try:
            async with self._limit:
                found = await self._json(address)
        except (UnknownDocument, PeerRefused):  # not every archive searches by UID; the listing will tell
            return None
        told = first_value(found[0], tag) if isinstance(found, list) and len(found) == 1 else ""
        return int(told) if told.isdecimal() else None

    async def _lookup(self, uid: str) -> list[dict[str, Any]]:
        address = f"{self._native}/tools/lookup"

        async def asked() -> list[dict[str, Any]]:
            with calling(address):
                async with self._session().post(
                    address, data=uid.encode("ascii"), headers=self._headers, timeout=idle_timeout(IDLE_TIMEOUT_S)
                ) as response:
                    if response.status != 200:
                        raise refusal(response.status, address)
                    return await json_of(response, address) or []

        return await _twice(asked)

    # --- in -----------------------------------------------------------------------------------------------------------

    async def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in; outcomes come batch by batch, when the archive has answered."""
        call = _Call(coercion)
        broken: Exception | None = None
        try:
            try:
                async with aclosing(self._stored(pour, call)) as outcomes:
                    async for outcome in outcomes:
                        yield outcome
                        for done in _finished(call):
                            yield done
            except Exception as error:  # what is already on its way is still told of
                broken = error
            self._post_batch(call)
            while call.posting:
                finished, call.posting = await asyncio.wait(call.posting, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    failed = task.exception()
                    if isinstance(failed, Exception):
                        broken = broken or failed
                    else:
                        for done in task.result():
                            yield done
            if broken is not None:
                raise broken
        finally:
            for task in call.posting:
                task.cancel()
            await asyncio.gather(*call.posting, return_exceptions=True)

    async def _stored(self, pour: Pour, call: _Call) -> AsyncGenerator[StoreOutcome, None]:
        """Outcomes of what was sent alone or refused; the rest is in `call.posting`.

        A pour that breaks raises what broke the part that it broke in: the rest is only its echo.
        """
        cause: Exception | None = None
        while True:
            try:
                part = await anext(pour)
            except StopAsyncIteration:
                return
            except Exception as error:
                if cause is not None and cause is not error:
                    raise cause from error
                raise
            incoming = _Incoming(part)
            try:
                outcome = await self._take(incoming, call)
            except RequestError as error:
                outcome = refused(part.key, incoming.reader.head, error)
            cause = incoming.cause
            if cause is not None:
                told = cause if isinstance(cause, ExchangeError) else MalformedMessage("the part stopped early")
                outcome = refused(part.key, incoming.reader.head, told)
            if outcome is not None:
                yield outcome
            for done in _finished(call):
                yield done

    async def _take(self, incoming: "_Incoming", call: _Call) -> StoreOutcome | None:
        """One part. None: it will be told of with its batch.

        Raises:
            RequestError: It is to be refused.
        """
        whole = await incoming.begin()
        if incoming.cause is not None:
            return None
        head = incoming.reader.finish() if whole else incoming.reader.head
        if head is None:
            raise MalformedMessage("the header has no end")
        identity = identity_of(head)
        study, uid = identity.study_instance_uid, identity.sop_instance_uid
        if uid in call.sent:  # the same instance twice in one pour: what was sent first decides
            self._post_batch(call)
            if call.posting:
                await asyncio.wait(call.posting)
            call.here.pop(study, None)
            call.sent.discard(uid)
        if study not in call.here:
            call.here[study] = await self._listing(study)
        if uid in call.here[study]:
            return await self._compared(incoming, head, identity)
        new = None if call.coercion is None else coerced(head, call.coercion, self._reading, self._clock.now())
        served = head if new is None else new.head
        call.sent.add(uid)
        if not whole:
            return await self._sent_alone(incoming, head, identity, new)
        tail = head.tail_offset if head.tail_offset is not None else incoming.size
        chunks = list(incoming.held) if new is None else [new.raw, *behind(incoming.held, tail)]
        ready = _Ready(incoming.part.key, identity, served, chunks, incoming.size, incoming.sha256)
        call.batch.append(ready)
        call.batch_bytes += incoming.size
        if len(call.batch) >= BATCH_PARTS or call.batch_bytes >= BATCH_BYTES:
            self._post_batch(call)
            if len(call.posting) >= CONNECTIONS:
                await asyncio.wait(call.posting, return_when=asyncio.FIRST_COMPLETED)
        return None

    def _post_batch(self, call: _Call) -> None:
        if call.batch:
            call.posting.add(asyncio.create_task(self._posted(call.batch)))
            call.batch, call.batch_bytes = [], 0

    async def _posted(self, batch: list[_Ready]) -> list[StoreOutcome]:
        """One STOW-RS of instances that are in memory."""
        boundary = uuid.uuid4().hex
        heads = [part_head(boundary, (("Content-Type", DICOM),), first=at == 0) for at in range(len(batch))]
        tail = multipart_tail(boundary)
        length = sum(map(len, heads)) + sum(len(each) for ready in batch for each in ready.chunks) + len(tail)

        async def body() -> AsyncIterator[bytes]:
            for head, ready in zip(heads, batch, strict=True):
                yield head
                for chunk in ready.chunks:
                    yield chunk
            yield tail

        told = await _twice(lambda: self._stow(body(), boundary, length))
        return [
            self._outcome(each.key, each.identity, each.served, told, size=each.size, sha256=each.sha256)
            for each in batch
        ]

    async def _stow(self, body: AsyncIterator[bytes], boundary: str, length: int | None) -> StoreAnswer:
        address = f"{self._base}/studies"
        headers = {
            **self._headers,
            "Accept": JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        }
        if length is not None:
            headers["Content-Length"] = str(length)
        with calling(address):
            async with self._session().post(
                address, data=body, headers=headers, timeout=idle_timeout(IDLE_TIMEOUT_S), allow_redirects=False
            ) as response:
                # 200, 202 and 409 have a Store Instances Response; some send one with 400 (PS3.18 10.5.3).
                if response.status not in (200, 202, 400, 409):
                    raise refusal(response.status, address)
                try:
                    return StoreAnswer.read(await json_of(response, address))
                except PeerProtocolError:
                    if response.status in (200, 202):
                        raise
                    raise refusal(response.status, address) from None

    def _outcome(
        self, key: str, identity: Identity, served: Part10Head, told: StoreAnswer, *, size: int, sha256: str
    ) -> StoreOutcome:
        uid = identity.sop_instance_uid
        if uid not in told.stored:
            return refused(key, served, told.error(uid))
        return StoreOutcome(
            key=key,
            stored=Stored.NEW,
            arrived=arrived(served, self._reading, size_bytes=size, sha256=sha256),
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=uid,
        )

    async def _sent_alone(
        self, incoming: "_Incoming", head: Part10Head, identity: Identity, new: Coerced | None
    ) -> StoreOutcome | None:
        """A large instance: sent while it comes. If it breaks off, so does the connection, and nothing was kept."""
        boundary = uuid.uuid4().hex

        begun = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal begun
            yield part_head(boundary, (("Content-Type", DICOM),), first=True)
            if new is not None:
                yield new.raw
            offset = 0 if new is None else head.tail_offset
            if offset is not None:
                for chunk in behind(incoming.held, offset):
                    yield chunk
            begun = True
            incoming.held.clear()
            async for chunk in incoming.rest():
                if offset is not None:
                    yield chunk
            yield multipart_tail(boundary)

        try:
            told = await _twice(lambda: self._stow(body(), boundary, None), lambda: not begun)
        except PeerError:  # the connection was cut: by them, or by us because of what came
            if incoming.cause is not None:
                return None
            if incoming.refusal is not None:
                raise incoming.refusal from None
            raise
        served = head if new is None else new.head
        return self._outcome(incoming.part.key, identity, served, told, size=incoming.size, sha256=incoming.sha256)

    async def _compared(self, incoming: "_Incoming", head: Part10Head, identity: Identity) -> StoreOutcome | None:
        """An instance that the archive has already: the two are read side by side.

        Raises:
            Duplicate: They differ in more than in what a coercion changes.
        """
        try:
            async with self._open(_instance(identity)) as there:
                ours, rest = await _head_and_rest(there)
                same = same_but_coerced(head, ours)
                begin = head.tail_offset if same and head.tail_offset is not None else incoming.size
                async for chunk in incoming.tail(begin):  # to its end, even if they differ: it may be broken
                    same = same and await _goes_on(rest, chunk)
                same = same and not await rest.take(1)
        except Exception:
            if incoming.cause is not None:
                return None
            raise
        if not same:
            raise Duplicate(
                "an instance of this UID is archived with other content",
                location=identity.sop_instance_uid,
                cure="compare the two with the sender: a changed instance needs a new SOP Instance UID",
            )
        return StoreOutcome(
            key=incoming.part.key,
            stored=Stored.SAME,
            arrived=arrived(ours, self._reading, size_bytes=incoming.size, sha256=incoming.sha256),
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
        )

    @asynccontextmanager
    async def _open(self, path: str, accept: str = AS_STORED) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """One instance as it is archived."""
        address = f"{self._base}{path}"
        async with self._get(address, accept) as response:
            part = await anext(self._parts(response, address), None)
            if part is None:
                raise PeerProtocolError(f"{hop_of(address)} answers without the instance", location=address)
            yield part.chunks

    def _parts(self, response: aiohttp.ClientResponse, address: str) -> Pour:
        try:
            return parts_of(body_of(response, address), response.headers.get("Content-Type", ""), LIMITS)
        except MalformedMessage as error:
            raise PeerProtocolError(
                f"{hop_of(address)} does not answer WADO-RS in parts", cure="check archive.url"
            ) from error

    # --- out ----------------------------------------------------------------------------------------------------------

    async def plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> DicomwebPlan:
        """What can be had, series by series in the archive's order; sizes where it tells them."""
        by_study: dict[str, list[Wanted]] = {}
        for each in wanted:
            by_study.setdefault(each.study_instance_uid, []).append(each)
        listings = await asyncio.gather(
            *(self._remembered(study, _one_series(asked)) for study, asked in by_study.items())
        )
        available: list[PlannedInstance] = []
        missing: dict[str, ExchangeError] = {}
        sources: list[_Source] = []
        overlays: dict[str, Overlay] = {}
        for (study, asked), listing in zip(by_study.items(), listings, strict=True):
            overlays[study] = await self._overlays.of(study)
            await self._learn_syntaxes(asked, listing)
            together: list[Wanted] = []
            alone: list[_Source] = []
            for each in asked:
                uid = str(each.instance.sop_instance_uid)
                listed = listing.get(uid)
                if listed is None:
                    missing[uid] = UnknownDocument("the instance is not in the archive", location=uid)
                    continue
                stored = each.instance.transfer_syntax_uid or await self._stored_syntax(each, listed)
                syntax = syntax_for(stored, transfer_syntaxes)
                decompress = syntax != stored and is_compressed(stored)
                if syntax is None or (decompress and not await self._decompresses(each, stored)):
                    missing[uid] = cannot_be_had(uid)
                    continue
                as_it_is = syntax == stored and not overlays[study]
                size = listed.size if as_it_is else None
                available.append(PlannedInstance(wanted=each, transfer_syntax_uid=syntax, size_bytes=size))
                if decompress:
                    alone.append(_Source(address=f"{self._base}{_path(each)}", wanted=(uid,), accept=DECOMPRESSED))
                elif (listed.size or each.instance.size_bytes or 0) >= LARGE_BYTES:
                    alone.append(self._source(each, listed))
                else:
                    together.append(each)
            sources += (*self._together(study, together, listing), *alone)
        return DicomwebPlan(available=tuple(available), missing=missing, sources=tuple(sources), overlays=overlays)

    def _together(self, study: str, asked: list[Wanted], listing: Mapping[str, _Listed]) -> Iterator[_Source]:
        """The whole study in one answer where most of it is asked for; else whole series; else one by one."""
        below = f"{self._base}/studies/{study}"
        series = _one_series(asked)
        if asked and 2 * len(asked) >= len(listing):
            address = below if series is None else f"{below}/series/{series}"
            yield _Source(address=address, wanted=tuple(str(each.instance.sop_instance_uid) for each in asked))
            return
        counts = Counter(each.series for each in listing.values())
        by_series: dict[str, list[Wanted]] = {}
        for each in asked:
            by_series.setdefault(each.series_instance_uid, []).append(each)
        for uid, some in by_series.items():
            first = listing[str(some[0].instance.sop_instance_uid)]
            if len(some) > 1 and 2 * len(some) >= counts[first.series]:
                named = tuple(str(each.instance.sop_instance_uid) for each in some)
                yield _Source(address=f"{below}/series/{uid}", wanted=named)
            else:
                for each in some:
                    yield self._source(each, listing[str(each.instance.sop_instance_uid)])

    def _source(self, wanted: Wanted, listed: _Listed) -> _Source:
        uid = str(wanted.instance.sop_instance_uid)
        if listed.native is not None:
            return _Source(address=f"{self._native}{listed.native}/file", wanted=(uid,), native=True)
        return _Source(address=f"{self._base}{_path(wanted)}", wanted=(uid,))

    async def _learn_syntaxes(self, asked: Sequence[Wanted], listing: Mapping[str, _Listed]) -> None:
        """Ask for all that are not known at once: one after another, a study of 500 would wait for seconds."""
        unknown = iter(
            [
                each
                for each in asked
                if each.instance.transfer_syntax_uid is None
                and each.instance.sop_instance_uid in listing
                and each.instance.sop_instance_uid not in self._syntaxes
            ]
        )

        async def some() -> None:
            for each in unknown:
                await self._stored_syntax(each, listing[each.instance.sop_instance_uid])

        await asyncio.gather(*(some() for _ in range(CONNECTIONS)))

    async def _stored_syntax(self, wanted: Wanted, listed: _Listed) -> str:
        """The transfer syntax, where the index does not know it."""
        uid = str(wanted.instance.sop_instance_uid)
        known = self._syntaxes.get(uid)
        if known is None:
            known = intern(await self._asked_syntax(wanted, listed))
            while len(self._syntaxes) >= REMEMBERED:
                self._syntaxes.pop(next(iter(self._syntaxes)))
            self._syntaxes[uid] = known
        return known

    async def _asked_syntax(self, wanted: Wanted, listed: _Listed) -> str:
        """The beginning of the file tells, or the archive's own address."""
        if listed.native is not None:
            found = await self._text(f"{self._native}{listed.native}/metadata/TransferSyntax")
            if found:
                return found
        async with self._limit, self._open(_path(wanted)) as chunks:
            _, _, syntax = await _named(chunks)
            return syntax

    async def _decompresses(self, wanted: Wanted, stored: str) -> bool:
        """Whether the archive decompresses what is in this syntax: tried once, with the first instance that asks for it.

        Explicit VR Little Endian is the default of the web, so it should (PS3.18 8.7.3.5.2).
        """
        if stored not in self._decompressing:
            try:
                async with self._limit, self._open(_path(wanted), DECOMPRESSED) as chunks:
                    _, _, syntax = await _named(chunks)
                    self._decompressing[stored] = syntax == EXPLICIT_LE
            except (UnknownDocument, PeerRefused, PeerProtocolError):
                self._decompressing[stored] = False
        return self._decompressing[stored]

    async def _text(self, address: str) -> str:
        try:
            async with self._get(address, "text/plain") as response:
                with calling(address):
                    return (await response.content.read(1024)).decode("ascii", "replace").strip()
        except UnknownDocument:
            return ""

    async def pour(self, plan: Plan, *, original: bool = False) -> Pour:
        """All that was planned. `original` is what the archive has: it was sent the coerced view of a coerced instance."""
        if not isinstance(plan, DicomwebPlan):
            raise TypeError("a plan is poured by the archive that made it")
        planned = {str(each.wanted.instance.sop_instance_uid): each for each in plan.available}
        opening: deque[asyncio.Task[_Opened]] = deque()
        upcoming = iter(plan.sources)
        coming = next(upcoming, None)
        try:
            for _ in plan.sources:
                while len(opening) < CONNECTIONS and coming is not None:
                    if opening and len(coming.wanted) > 1:
                        break  # a long answer begun early would only slow down the one that is read
                    opening.append(asyncio.create_task(self._opened(coming)))
                    coming = next(upcoming, None)
                opened = await opening.popleft()
                try:
                    async with aclosing(self._poured(opened, planned, plan, original=original)) as parts:
                        async for part in parts:
                            yield part
                finally:
                    await opened.close()
        finally:
            for task in opening:
                task.cancel()
            for gone in await asyncio.gather(*opening, return_exceptions=True):
                if isinstance(gone, _Opened):
                    await gone.close()
            if planned:
                self._forget(plan)
        if planned:
            raise PeerProtocolError(
                f"{hop_of(self._base)} left out {len(planned)} instances that it lists", cure="ask again"
            )

    async def _opened(self, source: _Source) -> "_Opened":
        context = self._get(source.address, "*/*" if source.native else source.accept)
        return _Opened(source, context, await context.__aenter__())

    async def _poured(
        self, opened: "_Opened", planned: dict[str, PlannedInstance], plan: DicomwebPlan, *, original: bool
    ) -> AsyncGenerator[Part, None]:
        address, response = opened.source.address, opened.response
        if opened.source.native:
            (uid,) = opened.source.wanted
            yield self._part(planned.pop(uid), body_of(response, address), plan, original=original)
            return
        async for part in self._parts(response, address):
            first, uid, _ = await _named(part.chunks)
            if uid not in planned or uid not in opened.source.wanted:
                continue
            yield self._part(planned.pop(uid), _chained(first, part.chunks), plan, original=original)

    def _part(
        self, planned: PlannedInstance, chunks: AsyncIterator[bytes], plan: DicomwebPlan, *, original: bool
    ) -> Part:
        wanted = planned.wanted
        overlay = () if original else plan.overlays[wanted.study_instance_uid]
        if planned.size_bytes is None and (overlay or planned.transfer_syntax_uid):
            chunks = self._changed(chunks, overlay, planned.transfer_syntax_uid)
        return Part(
            key=wanted.instance.sop_instance_uid, media_type=DICOM, size_bytes=planned.size_bytes, chunks=chunks
        )

    async def _changed(
        self, chunks: AsyncIterator[bytes], overlay: Overlay, transfer_syntax_uid: str
    ) -> AsyncIterator[bytes]:
        """A file on its way past with another head: with a merge laid over it, or in another native syntax."""
        reader = Part10Reader()
        held: list[bytes] = []
        size = 0
        async for chunk in chunks:
            reader.feed(chunk)
            held.append(chunk)
            size += len(chunk)
            if reader.head is not None:
                break
        head = reader.head or reader.finish()
        raw, begin, end = b"", 0, None
        for coercion, at in overlay:
            new = coerced(head, coercion, self._reading, at)
            if new is not None:
                raw, head = new.raw, new.head
                begin = head.tail_offset if head.tail_offset is not None else size
        if head.transfer_syntax_uid != transfer_syntax_uid:
            whole = (1 << 63) if head.tail_offset is not None else size
            written = written_in(head, whole, transfer_syntax_uid)
            raw, begin = written.head, written.begin
            end = written.end if written.end != whole else None
        if raw:
            yield raw
        position = 0
        async for chunk in _chained(held, chunks):
            stop = len(chunk) if end is None else min(len(chunk), end - position)
            start = max(begin - position, 0)
            if start < stop:
                yield chunk[start:stop] if (start, stop) != (0, len(chunk)) else chunk
            position += len(chunk)

    async def frames(self, wanted: Wanted, numbers: Sequence[int]) -> Pour:
        """Frames as they are stored.

        Raises:
            UnknownDocument: No such frame, or no such instance.
        """
        address = f"{self._base}{_path(wanted)}/frames/{','.join(map(str, numbers))}"
        listed = await self._listing(wanted.study_instance_uid, wanted.series_instance_uid)
        here = listed.get(str(wanted.instance.sop_instance_uid))
        if here is None or not numbers or min(numbers) < 1:
            raise UnknownDocument("no such frame", location=str(wanted.instance.sop_instance_uid))
        syntax = wanted.instance.transfer_syntax_uid or await self._stored_syntax(wanted, here)
        context = self._get(address, FRAMES_AS_STORED)
        try:
            response = await context.__aenter__()
        except (UnknownDocument, PeerRefused) as error:
            raise UnknownDocument("no such frame", location=str(wanted.instance.sop_instance_uid)) from error
        return self._framed(context, response, address, numbers, syntax)

    async def _framed(
        self, context: Any, response: aiohttp.ClientResponse, address: str, numbers: Sequence[int], syntax: str
    ) -> Pour:
        media_type = f"{media_type_of(syntax)}; transfer-syntax={syntax}"
        try:
            left = deque(numbers)
            async for part in self._parts(response, address):
                if not left:
                    break
                yield replace(part, key=str(left.popleft()), media_type=media_type, headers=())
            if left:
                raise PeerProtocolError(f"{hop_of(address)} left out {len(left)} frames", location=address)
        finally:
            await context.__aexit__(None, None, None)

    # --- upkeep -------------------------------------------------------------------------------------------------------

    async def rewrite(self, study: Study, coercion: Coercion) -> None:
        """Lay the coercion over the study's heads from now on; the archive's own copy is its own affair."""
        listing = await self._listing(study.study_instance_uid)
        if any(str(instance.sop_instance_uid) not in listing for _, instance in study.instances()):
            raise UnknownDocument("an instance of the study is not in the archive")
        await self._overlays.add(study.study_instance_uid, coercion, self._clock.now())

    async def reconcile(self, known: AsyncIterator[str]) -> Sequence[str]:
        """Nothing of ours is half done in it, and what it has besides is not ours to judge: `index` tells of it."""
        return ()

    async def ready(self) -> str:
        """Whether it answers a search."""
        address = f"{self._base}/studies?limit=1"
        try:
            await self._json(address, idle_s=READY_TIMEOUT_S)
        except ExchangeError as error:
            return f"the archive cannot be searched: {error.detail}"
        return ""

    async def index(self, known: Callable[[str, int | None], Awaitable[bool]]) -> AsyncIterator[ArrivedInstance]:
        """Every instance that the archive has, study after study, as it tells of them.

        A study that is `known` with its number of instances (0020,1208) is passed over, and so is one that vanishes
        meanwhile; an instance without UIDs is not one.
        """
        offset = 0
        while True:
            page = await self._json(f"{self._base}/studies?limit={PAGE}&offset={offset}") or []
            for each in page:
                if uid := first_value(each, "0020000D"):
                    instances = first_value(each, "00201208")
                    if await known(uid, int(instances) if instances.isdecimal() else None):
                        continue
                    for instance in await self._metadata(uid):
                        if (told := arrived_of(instance, self._reading)) is not None:
                            yield told
            offset += len(page)
            if len(page) < PAGE:
                return

    async def _metadata(self, study: str) -> list[dict[str, Any]]:
        try:
            return await self._json(f"{self._base}/studies/{study}/metadata") or []
        except UnknownDocument:
            return []


# --- an instance on its way in ----------------------------------------------------------------------------------------


class _Incoming:
    """A part while it comes. `cause` is what its stream raised, `refusal` what its reader said after it was begun."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.reader = Part10Reader()
        self.held: list[bytes] = []
        self.size = 0
        self.cause: Exception | None = None
        self.refusal: MalformedMessage | None = None
        self._chunks = aiter(part.chunks)
        self._ended = False
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    async def begin(self) -> bool:
        """Hold what comes until it has ended (True), or is too much to be held and its head is known.

        Raises:
            MalformedMessage: It is not DICOM.
        """
        while self.reader.head is None or self.size <= WHOLE_BYTES:
            chunk = await self._next()
            if chunk is None:
                return self.cause is None
            self.reader.feed(chunk)
            self.held.append(chunk)
        return False

    async def rest(self) -> AsyncIterator[bytes]:
        """What comes after that, to a true end.

        Raises:
            MalformedMessage: It ended too early.
            Exception: Whatever the stream raised.
        """
        while (chunk := await self._next()) is not None:
            self._feed(chunk)
            yield chunk
        if self.cause is not None:
            raise self.cause
        self._feed(None)

    async def tail(self, offset: int) -> AsyncIterator[bytes]:
        """Everything from `offset` on."""
        for chunk in behind(self.held, offset):
            yield chunk
        async for chunk in self.rest():
            yield chunk

    async def _next(self) -> bytes | None:
        if self._ended:
            return None
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._ended = True
            return None
        except Exception as error:
            self._ended = True
            self.cause = error
            return None
        self.size += len(chunk)
        self._sha256.update(chunk)
        return chunk

    def _feed(self, chunk: bytes | None) -> None:
        try:
            if chunk is None:
                self.reader.finish()
            else:
                self.reader.feed(chunk)
        except MalformedMessage as error:
            self.refusal = error
            raise


@dataclass(slots=True)
class _Opened:
    """An answer whose head has come."""

    source: _Source
    context: AbstractAsyncContextManager[aiohttp.ClientResponse]
    response: aiohttp.ClientResponse

    async def close(self) -> None:
        await self.context.__aexit__(None, None, None)


def _finished(call: _Call) -> list[StoreOutcome]:
    """Outcomes of the batches that were answered by now."""
    done = [task for task in call.posting if task.done()]
    call.posting.difference_update(done)
    return [outcome for task in done for outcome in task.result()]


class _Rest:
    """What is left of a stream, given out in the sizes that the reader asks for."""

    def __init__(self, held: bytes, chunks: AsyncIterator[bytes]) -> None:
        self._held = memoryview(held)
        self._chunks = chunks

    async def take(self, size: int) -> memoryview:
        """Up to so many bytes; none at the end."""
        while not self._held:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            self._held = memoryview(chunk)
        taken, self._held = self._held[:size], self._held[size:]
        return taken


async def _head_and_rest(chunks: AsyncIterator[bytes]) -> tuple[Part10Head, _Rest]:
    """The head of a file that is being read, and what comes after it."""
    reader = Part10Reader()
    held = bytearray()
    async for chunk in chunks:
        reader.feed(chunk)
        held += chunk
        if reader.head is not None:
            break
    head = reader.head or reader.finish()
    begin = head.tail_offset if head.tail_offset is not None else len(held)
    return head, _Rest(bytes(held[begin:]), chunks)


async def _goes_on(rest: _Rest, chunk: bytes) -> bool:
    """Whether the next bytes of `rest` are these."""
    left = memoryview(chunk)
    while left:
        taken = await rest.take(len(left))
        if not taken or taken != left[: len(taken)]:
            return False
        left = left[len(taken) :]
    return True


async def _twice(ask: Callable[[], Awaitable[T]], may: Callable[[], bool] = lambda: True) -> T:
    """Ask once more where the connection broke: an archive closes idle ones, just when we use them again.

    Nothing that we ask changes by being asked twice: an instance that was kept the first time is kept.
    """
    try:
        return await ask()
    except PeerUnavailable as error:
        if error.code or not may():  # with a code it has answered, and does not want us now
            raise
    return await ask()


async def _chained(held: Iterable[bytes], chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in held:
        yield chunk
    async for chunk in chunks:
        yield chunk


async def _named(chunks: AsyncIterator[bytes]) -> tuple[list[bytes], str, str]:
    """The first chunks of a file, with the SOP Instance UID and the transfer syntax that they name.

    Raises:
        PeerProtocolError: They name neither.
    """
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < META_BYTES:
            continue
        break
    beginning = held[0] if held and len(held[0]) >= META_BYTES else b"".join(held)
    instance, syntax = file_meta_of(beginning[:META_BYTES])
    if not instance or not syntax:
        raise PeerProtocolError("the archive sends something that is not a DICOM file")
    return held, instance, syntax


def _one_series(asked: Sequence[Wanted]) -> str | None:
    """The series that all of them are in; None: there are several."""
    named = {each.series_instance_uid for each in asked}
    return named.pop() if len(named) == 1 else None


def _path(wanted: Wanted) -> str:
    return (
        f"/studies/{wanted.study_instance_uid}/series/{wanted.series_instance_uid}"
        f"/instances/{wanted.instance.sop_instance_uid}"
    )


def _instance(identity: Identity) -> str:
    return (
        f"/studies/{identity.study_instance_uid}/series/{identity.series_instance_uid}"
        f"/instances/{identity.sop_instance_uid}"
    )
