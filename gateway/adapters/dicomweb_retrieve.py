"""Instances out of an archive that speaks DICOMweb: the plan of what is asked where, and the pour of what comes.

Whole series in one WADO-RS answer where most of it is wanted, single instances otherwise. Where the archive has an address
of its own for an instance's file (Orthanc), large objects go there: several times faster.

What a newcomer gets wrong: what an answer holds is the archive's affair. Parts come in its order, with instances that were
not asked for, and named only by what stands in the files.

Source: DICOM PS3.18 10.4 (WADO-RS), 8.7.3.5.2 (transfer syntaxes).
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Final

import aiohttp

from gateway.adapters.arrival import Reading, cannot_be_had, coerced, is_compressed, syntax_for, written_in
from gateway.adapters.dicomweb_client import (
    AS_STORED,
    CONNECTIONS,
    DECOMPRESSED,
    FRAMES_AS_STORED,
    DicomwebClient,
    Listed,
    Listing,
    instance_path,
    named,
    reading,
)
from gateway.adapters.http import hop_of
from gateway.adapters.long_body import long_body_of
from gateway.adapters.overlays import Overlay, Overlays
from gateway.ports.archive import Plan, PlannedInstance, Wanted
from profiles.errors import ExchangeError, PeerProtocolError, PeerRefused, UnknownDocument
from profiles.model.content import DICOM, Part, Pour
from profiles.wire.dicom.part10 import Part10Reader
from profiles.wire.dicom.syntaxes import EXPLICIT_LE, media_type_of

LARGE_BYTES: Final = 8 * 1024 * 1024  # from here on a file of its own is faster than a part among others
REMEMBERED: Final = 50_000  # instances whose place is remembered, or their transfer syntax: some 10 MB of each


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


class DicomwebRetrieve:
    """One archive's way out, and what is remembered of it."""

    def __init__(self, client: DicomwebClient, *, overlays: Overlays, reading: Reading) -> None:
        """Stand on the wire."""
        self._client = client
        self._overlays = overlays
        self._reading = reading
        self._decompressing: dict[str, bool] = {}
        self._syntaxes: dict[str, str] = {}  # by SOP Instance UID; an archive keeps what it got
        self._listings: dict[tuple[str, str | None], Listing] = {}  # by study and series, the oldest first

    # --- plan ---------------------------------------------------------------------------------------------------------

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
                    alone.append(
                        _Source(address=f"{self._client.base}{_path(each)}", wanted=(uid,), accept=DECOMPRESSED)
                    )
                elif (listed.size or each.instance.size_bytes or 0) >= LARGE_BYTES:
                    alone.append(self._source(each, listed))
                else:
                    together.append(each)
            sources += (*self._together(study, together, listing), *alone)
        return DicomwebPlan(available=tuple(available), missing=missing, sources=tuple(sources), overlays=overlays)

    def _together(self, study: str, asked: list[Wanted], listing: Mapping[str, Listed]) -> Iterator[_Source]:
        """The whole study in one answer where most of it is asked for; else whole series; else one by one."""
        below = f"{self._client.base}/studies/{study}"
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
                uids = tuple(str(each.instance.sop_instance_uid) for each in some)
                yield _Source(address=f"{below}/series/{uid}", wanted=uids)
            else:
                for each in some:
                    yield self._source(each, listing[str(each.instance.sop_instance_uid)])

    def _source(self, wanted: Wanted, listed: Listed) -> _Source:
        uid = str(wanted.instance.sop_instance_uid)
        if listed.native is not None:
            return _Source(address=f"{self._client.native}{listed.native}/file", wanted=(uid,), native=True)
        return _Source(address=f"{self._client.base}{_path(wanted)}", wanted=(uid,))

    async def _learn_syntaxes(self, asked: Sequence[Wanted], listing: Mapping[str, Listed]) -> None:
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

    async def _stored_syntax(self, wanted: Wanted, listed: Listed) -> str:
        """The transfer syntax, where the index does not know it."""
        uid = str(wanted.instance.sop_instance_uid)
        known = self._syntaxes.get(uid)
        if known is None:
            known = intern(await self._client.transfer_syntax(_path(wanted), listed))
            while len(self._syntaxes) >= REMEMBERED:
                self._syntaxes.pop(next(iter(self._syntaxes)))
            self._syntaxes[uid] = known
        return known

    async def _decompresses(self, wanted: Wanted, stored: str) -> bool:
        """Whether the archive decompresses what is in this syntax: tried once, with the first instance that asks for it.

        Explicit VR Little Endian is the default of the web, so it should (PS3.18 8.7.3.5.2).
        """
        if stored not in self._decompressing:
            try:
                async with self._client.limit, self._client.open(_path(wanted), DECOMPRESSED) as chunks:
                    _, _, syntax = await named(chunks)
                    self._decompressing[stored] = syntax == EXPLICIT_LE
            except (UnknownDocument, PeerRefused, PeerProtocolError):
                self._decompressing[stored] = False
        return self._decompressing[stored]

    async def _remembered(self, study: str, series: str | None) -> Listing:
        """What the archive has, for a plan: the last listing, as long as the archive tells the same number of instances.

        Listing 500 instances takes an archive longer than sending them. One that went while another came is not noticed
        here: then the pour breaks, and what was remembered is forgotten.
        """
        before = self._listings.get((study, series))
        if before is not None and await self._client.count(study, series) == len(before):
            return before
        listing = await self._client.listing(study, series)
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

    # --- pour ---------------------------------------------------------------------------------------------------------

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
                f"{hop_of(self._client.base)} left out {len(planned)} instances that it lists", cure="ask again"
            )

    async def _opened(self, source: _Source) -> "_Opened":
        context = self._client.get(source.address, "*/*" if source.native else source.accept)
        return _Opened(source, context, await context.__aenter__())

    async def _poured(
        self, opened: "_Opened", planned: dict[str, PlannedInstance], plan: DicomwebPlan, *, original: bool
    ) -> AsyncGenerator[Part, None]:
        address, response = opened.source.address, opened.response
        if opened.source.native:
            (uid,) = opened.source.wanted
            # What it is stored in was asked for, and the size told, only where it can be sent as it is.
            syntax = planned[uid].transfer_syntax_uid if planned[uid].size_bytes is not None else ""
            yield self._part(planned.pop(uid), long_body_of(response, address), syntax, plan, original=original)
            return
        parts, wanted = self._client.parts(response, address), frozenset(opened.source.wanted)
        while True:
            with reading(address):
                part = await anext(parts, None)
                if part is None:
                    return
                first, uid, syntax = await named(part.chunks)
            if uid in planned and uid in wanted:
                chunks = _rest_of(first, part.chunks, address)
                yield self._part(planned.pop(uid), chunks, syntax, plan, original=original)

    def _part(
        self, planned: PlannedInstance, chunks: AsyncIterator[bytes], syntax: str, plan: DicomwebPlan, *, original: bool
    ) -> Part:
        """An instance that comes in this syntax ("": not known), untouched where that will do."""
        wanted = planned.wanted
        overlay = () if original else plan.overlays[wanted.study_instance_uid]
        if planned.size_bytes is None and (overlay or planned.transfer_syntax_uid != syntax):
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
        address = f"{self._client.base}{_path(wanted)}/frames/{','.join(map(str, numbers))}"
        listed = await self._client.listing(wanted.study_instance_uid, wanted.series_instance_uid)
        here = listed.get(str(wanted.instance.sop_instance_uid))
        if here is None or not numbers or min(numbers) < 1:
            raise UnknownDocument("no such frame", location=str(wanted.instance.sop_instance_uid))
        syntax = wanted.instance.transfer_syntax_uid or await self._stored_syntax(wanted, here)
        context = self._client.get(address, FRAMES_AS_STORED)
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
            async for part in self._client.parts(response, address):
                if not left:
                    break
                yield replace(part, key=str(left.popleft()), media_type=media_type, headers=())
            if left:
                raise PeerProtocolError(f"{hop_of(address)} left out {len(left)} frames", location=address)
        finally:
            await context.__aexit__(None, None, None)


@dataclass(slots=True)
class _Opened:
    """An answer whose head has come."""

    source: _Source
    context: AbstractAsyncContextManager[aiohttp.ClientResponse]
    response: aiohttp.ClientResponse

    async def close(self) -> None:
        await self.context.__aexit__(None, None, None)


async def _rest_of(first: Iterable[bytes], chunks: AsyncIterator[bytes], address: str) -> AsyncIterator[bytes]:
    """A part that was begun."""
    with reading(address):
        for chunk in first:
            yield chunk
        async for chunk in chunks:
            yield chunk


async def _chained(held: Iterable[bytes], chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in held:
        yield chunk
    async for chunk in chunks:
        yield chunk


def _one_series(asked: Sequence[Wanted]) -> str | None:
    """The series that all of them are in; None: there are several."""
    named = {each.series_instance_uid for each in asked}
    return named.pop() if len(named) == 1 else None


def _path(wanted: Wanted) -> str:
    return instance_path(wanted.study_instance_uid, wanted.series_instance_uid, wanted.instance.sop_instance_uid)
