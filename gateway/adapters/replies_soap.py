"""Replies over HTTP: an answer is POSTed like a request, and a status below 300 is all that is asked of its receiver.

Source: WS-Addressing 1.0 core 3.4; ITI TF-2 Appendix V.5.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.adapters.http import HttpSessions, hop_of
from gateway.adapters.peers_soap import GATHER_BYTES, Ask
from gateway.model.peer import Peer
from profiles.errors import PeerError, PeerRefused, PeerUnavailable
from profiles.wire.multipart import gathered
from profiles.wire.soap.mtom import Packed

PAUSES_S = (1.0, 5.0, 20.0)  # between tries: as long as a listener takes to start again
COME_BACK = frozenset({408, 429, 500, 502, 503, 504})


class SoapReplies:
    """Implements `Replies`."""

    def __init__(self, *, sessions: HttpSessions, pauses_s: Sequence[float] = PAUSES_S) -> None:
        """`sessions` are those of our calls: the same certificate, the same trust."""
        self._sessions = sessions
        self._pauses_s = tuple(pauses_s)

    async def send(self, address: str, peer: Peer, answer: Packed) -> int:
        """Bring it; see `Replies.send`."""
        async with aclosing(answer.chunks) as chunks:
            pieces, whole = await gathered(chunks, GATHER_BYTES)
            if not whole:
                return await self._post(address, peer, answer, _after(pieces, chunks))
            for pause_s in self._pauses_s:
                try:
                    return await self._post(address, peer, answer, _after(pieces))
                except PeerError as error:
                    if not error.temporary:
                        raise
                await asyncio.sleep(pause_s)
            return await self._post(address, peer, answer, _after(pieces))

    async def _post(self, address: str, peer: Peer, answer: Packed, chunks: AsyncGenerator[bytes, None]) -> int:
        ask = Ask(address, peer)
        try:
            packed = Packed(content_type=answer.content_type, chunks=chunks, size_bytes=answer.size_bytes)
            status = (await ask.post(self._sessions.session(peer), packed)).status
        finally:
            ask.close()
        if status in COME_BACK:
            raise PeerUnavailable(
                f"{hop_of(address)} cannot take the answer now (HTTP {status})",
                cure="The peer may ask again; ask them if it lasts",
            )
        if status >= 300:
            raise PeerRefused(
                f"{hop_of(address)} does not take the answer (HTTP {status})",
                cure="Check the peer's reply_to, and whether something listens there",
            )
        return ask.sent_bytes


async def _after(
    pieces: Sequence[bytes], chunks: AsyncGenerator[bytes, None] | None = None
) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece
    if chunks is not None:
        async for chunk in chunks:
            yield chunk
