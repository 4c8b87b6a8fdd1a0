"""Resume: an answer that pours and breaks off is asked for once more, and goes on where it broke.

Only what is not complete is asked for again, and only what was promised the first time counts: the head of our own answer
is out. A document that was cut in its middle goes on if the bytes that came again are proved the same as those that went
out: a MAC over both, with a key that nobody knows, so nothing is kept. In any other case the break stands.

A newcomer may wonder at Poly1305. Every byte that passes through a gateway is counted in here, and SHA-256 takes seven
times as long for it (0.56 s of CPU for a GB beside 0.08).

Source: RFC 8439 2.5 (one key, one message; tags are compared and told to nobody).
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.poly1305 import Poly1305

from gateway.model.peer import Peer
from gateway.ports.objects import Objects
from gateway.ports.peers import Call, Peers
from gateway.services.exchange import Exchange
from profiles.errors import ExchangeError, PeerError, PeerProtocolError, PeerTimeout
from profiles.model.content import Part, Pour, Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Transaction
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xds.iti43 import RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest, of_instances

ASIDE_BYTES = 256 * 1024 * 1024  # of documents in files that come again before the one that was cut

Retrieved = Poured[RetrieveDocumentSetResponse]


class Share(NamedTuple):
    """What one source is asked for: of a community its gateway, of our own an imaging source or a repository.

    `home` is the community that is asked. The peer does not tell: it may be of ours, and speak for others besides.
    """

    transaction: Transaction[Any, Retrieved]
    peer: Peer
    request: Any
    home: Oid


class Resuming:
    """A call under way that survives one break. A context: leaving it ends the call, whichever it is by then."""

    def __init__(self, share: Share, peers: Peers, objects: Objects, exchange: Exchange, deadline_s: float) -> None:
        """`deadline_s`: how long the peer may take to answer the second time, to its head."""
        self._share = share
        self._peers = peers
        self._objects = objects
        self._exchange = exchange
        self._deadline_s = deadline_s
        self._stack = AsyncExitStack()
        self._spools = AsyncExitStack()
        self._call: Call[Retrieved] | None = None
        self._parts: Pour | None = None
        self._aside: deque[Part] = deque()
        self._came: list[str] = []
        self._before: int | None = None  # documents that had come when it broke; None: it has not

    async def __aenter__(self) -> "Resuming":
        """Ask."""
        await self._ask(self._share.request)
        self.head = self._under_way().response.head
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Close what is under way; an error is its outcome."""
        try:
            await self._stack.__aexit__(*error)
        finally:
            await self._spools.aclose()

    def ended(self) -> None:
        """All has come: say so on the timeline and in the audit of the call that brought the end."""
        since = self._before or 0
        text = f"{len(self._came) - since} document(s) came"
        if self._before is not None:
            text += f", asked for once more: the answer had broken off after {since}"
        self._under_way().learned(
            delivered=tuple(self._came[since:]), text=text, partial=bool(self._under_way().response.head.errors)
        )

    async def pour(self) -> AsyncGenerator[Part, None]:
        """Every part, once."""
        self._parts = aiter(self._under_way().response.pour)
        while True:
            if self._aside:
                part: Part | None = self._aside.popleft()
            else:
                try:
                    part = await anext(self._parts, None)
                except PeerError as error:
                    await self._again(error, "")
                    continue
            if part is None:
                return
            yield part.by(self._through(part))
            self._came.append(part.key)

    async def _through(self, part: Part) -> AsyncIterator[bytes]:
        key = secrets.token_bytes(32)
        size_bytes, seen = 0, Poly1305(key)
        try:
            async for chunk in part.chunks:
                size_bytes += len(chunk)
                seen.update(chunk)
                yield chunk
            return
        except PeerError as error:
            broke = error
            await self._again(broke, part.key)
        again = Poly1305(key)
        async for chunk in await self._same(part, broke):
            if size_bytes:
                told, chunk = chunk[:size_bytes], chunk[size_bytes:]
                again.update(told)
                size_bytes -= len(told)
                if not size_bytes and again.finalize() != seen.finalize():
                    raise _other(self._share.peer) from broke
            if chunk:
                yield chunk
        if size_bytes:
            raise _other(self._share.peer) from broke

    async def _same(self, part: Part, broke: PeerError) -> AsyncIterator[bytes]:
        """The part that was cut, from its first byte; what comes before it is put aside."""
        assert self._parts is not None
        aside_bytes = 0
        while (found := await anext(self._parts, None)) is not None:
            if found.key == part.key:
                if found.size_bytes != part.size_bytes:
                    raise _other(self._share.peer) from broke
                return found.chunks
            spool = self._objects.spool(ASIDE_BYTES)
            self._spools.callback(spool.discard)
            async for chunk in found.chunks:
                aside_bytes += len(chunk)
                if aside_bytes > ASIDE_BYTES:
                    raise broke
                spool.write(chunk)
            content = spool.finish(found.media_type)
            self._aside.append(found.by(content.open()))
        raise _other(self._share.peer) from broke

    async def _again(self, broke: PeerError, cut: str) -> None:
        """Ask once more for what is not complete, the document that was cut first.

        Raises:
            PeerError: What broke it, if it broke before or would not be better; else that what is promised now is other.
        """
        if self._before is not None or not broke.temporary:
            raise broke
        promised = {each.document_unique_id: each for each in self.head.documents}
        wanted = [each for each in promised if each not in self._came]
        if not wanted:
            raise broke
        self._before = len(self._came)
        ended, self._stack = self._stack, AsyncExitStack()
        self._under_way().learned(delivered=tuple(self._came))
        await ended.__aexit__(type(broke), broke, broke.__traceback__)  # its step and its audit tell that it broke
        request = _of(self._share.request, sorted(wanted, key=lambda each: each != cut))
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._ask(request)
        except TimeoutError:
            raise PeerTimeout(f"{self._share.peer.name} did not answer when it was asked once more") from broke
        answer = self._under_way().response
        if {each.document_unique_id: each for each in answer.head.documents} != {
            each: promised[each] for each in wanted
        }:
            raise _other(self._share.peer) from broke
        self._parts = aiter(answer.pour)

    async def _ask(self, request: Any) -> None:
        self._call = await self._stack.enter_async_context(
            self._peers.call(
                self._share.transaction, self._share.peer, request, exchange_id=self._exchange.id,
                user=self._exchange.user,
            )
        )  # fmt: skip

    def _under_way(self) -> Call[Retrieved]:
        assert self._call is not None
        return self._call


def _of(request: Any, wanted: Sequence[str]) -> Any:
    """The same request for some of its documents, in this order."""
    if isinstance(request, RetrieveImagingDocumentSetRequest):
        instances = {each.document.document_unique_id: each for each in request.instances()}
        return of_instances(request, _known(instances, wanted))
    assert isinstance(request, RetrieveDocumentSetRequest)
    return replace(
        request, documents=tuple(_known({each.document_unique_id: each for each in request.documents}, wanted))
    )


def _known(asked: dict[str, Any], wanted: Collection[str]) -> list[Any]:
    return [asked[each] for each in wanted if each in asked]


def _other(peer: Peer) -> ExchangeError:
    return PeerProtocolError(
        f"{peer.name} broke off, and gives something else when it is asked once more",
        cure="Whoever asks again gets an answer of its own; ask the peer if it lasts",
    )
