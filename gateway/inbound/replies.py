"""The reply address: answers to what we asked, brought later on a connection of the peer's own.

What comes is handed to who waits for it while it comes, at their pace: an answer of gigabytes passes through and is never
here. 202 is said when they have read it to its end; until then the peer may know that it was not taken.

Source: WS-Addressing 1.0 core 3.4; ITI TF-2 Appendix V.5.
"""

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from gateway.inbound.flow import Incoming, to_tell
from gateway.inbound.soap import fault_answer
from gateway.inbound.turn import Turns
from gateway.model.peer import Caller, Peer
from gateway.ports.clock import Clock
from gateway.ports.objects import Objects, Spool
from gateway.ports.questions import Arrival, Questions
from profiles.errors import (
    MalformedMessage,
    PeerUnavailable,
    RuleViolation,
    Unauthenticated,
    Unsupported,
)
from profiles.wire.soap.envelope import RAW_BYTES
from profiles.wire.soap.mtom import SoapLimits, SoapMessage, read_message

ADDRESS = "/soap/reply"
LIMITS = SoapLimits(parts=100_000)  # a peer whom we asked for a study may send a study

Identify = Callable[[web.Request], Caller]


class ReplyListener:
    """Where answers are brought; below it, the same by any name, for houses of several processes."""

    def __init__(
        self,
        *,
        turns: Turns,
        questions: Questions,
        objects: Objects,
        identify: Identify,
        clock: Clock,
        document_bytes: int = 256 * 1024 * 1024,
        idle_timeout_s: float = 30.0,
    ) -> None:
        """Stand on the questions that are open.

        Args:
            turns: Where what is refused is noted.
            questions: Who waits for what.
            objects: Where documents are spooled that come inline or before the envelope, each up to `document_bytes`.
            identify: Who brings it.
            clock: For message ids.
            document_bytes: See `objects`.
            idle_timeout_s: How long nothing may come, of whom we do not know; a peer has its own.
        """
        self._turns = turns
        self._questions = questions
        self._objects = objects
        self._identify = identify
        self._clock = clock
        self._document_bytes = document_bytes
        self._idle_timeout_s = idle_timeout_s

    def routes(self, app: web.Application) -> None:
        """Add the address to the application."""
        app.router.add_post(ADDRESS, self._post)
        app.router.add_post(ADDRESS + "/{process}", self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        caller = self._identify(request)
        idle_timeout_s = caller.peer.idle_timeout_s if caller.peer is not None else self._idle_timeout_s
        incoming = Incoming(request, idle_timeout_s, kept_bytes=RAW_BYTES)
        spools: list[Spool] = []

        def new_sink() -> Spool:
            spools.append(self._objects.spool(self._document_bytes))
            return spools[-1]

        message: SoapMessage | None = None
        try:
            peer = self._admitted(request, caller)
            message = await read_message(
                _pieces(incoming, peer), request.headers.get("Content-Type", ""), limits=LIMITS, new_sink=new_sink,
                as_pour=True,
            )  # fmt: skip
            awaited = self._questions.match(message.addressing.relates_to, peer)
            unread = await awaited.give(Arrival(message=message, received_bytes=lambda: incoming.received_bytes))
            # That it was not read is on the timeline of who asked.
            return web.Response(status=202) if unread is None else fault_answer(unread, message, self._clock)
        except Exception as raised:
            error = to_tell(raised)
            await self._turns.refused(caller, "SOAP", error, raw=bytes(incoming.beginning))
            return fault_answer(error, message, self._clock)
        finally:
            for spool in spools:
                spool.discard()

    def _admitted(self, request: web.Request, caller: Caller) -> Peer:
        """What can be refused before a byte of the body is read."""
        if caller.peer is None:
            raise Unauthenticated(
                "answers are taken from peers that are known by their certificate",
                cure="Add their certificate to a [[peer]], or let them show it",
            )
        if not self._questions.awaits(caller.peer):
            raise RuleViolation(
                "nothing is awaited from this peer", cure="If it comes late, raise answer_timeout_s of the [[peer]]"
            )
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unsupported("compressed answers are not read", location="Content-Encoding")
        return caller.peer


async def _pieces(incoming: Incoming, peer: Peer) -> AsyncIterator[bytes]:
    """The body as it comes; that it stops is the peer's, and who waits may ask again."""
    try:
        async for chunk in incoming.chunks():
            yield chunk
    except MalformedMessage as broken:
        raise PeerUnavailable(
            f"{peer.name} broke off its answer, or nothing of it came for too long",
            cure="Ask the peer why, if it goes on; it is tried again",
        ) from broken
