"""HTTPS: connections are accepted here, so that a handshake that failed is known; see `accepting`.

Who is not let in is audited: a node authentication failure, at the rate that `Turns.refused` keeps to.

Source: ITI TF-2 3.19.4 (node authentication failure), RFC 9325.
"""

import asyncio
import socket
import ssl

from aiohttp import web

from gateway.inbound.accepting import accept, tell_defect
from gateway.inbound.turn import Turns
from gateway.model.peer import Caller
from profiles.errors import Unauthenticated

WIRE = "HTTPS"
BACKLOG = 128
HANDSHAKE_S = 10.0
HANDSHAKES = 512  # under way at once, half of the file descriptors that a process usually has; who comes then waits


class HttpsSite(web.BaseSite):
    """A site of a runner at a socket that is bound already, and its own from then on."""

    def __init__(self, runner: web.AppRunner, bound: socket.socket, context: ssl.SSLContext, turns: Turns) -> None:
        """`turns` note who was not let in."""
        super().__init__(runner, ssl_context=context, backlog=BACKLOG)
        self._context = context
        self._bound = bound
        self._serving = runner
        self._turns = turns
        self._accepting: asyncio.Task[None] | None = None
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """Its address."""
        host, port = self._bound.getsockname()[:2]
        return f"https://{host}:{port}"

    async def start(self) -> None:
        """Begin to accept."""
        await super().start()
        self._bound.listen(BACKLOG)
        self._bound.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self) -> None:
        """Accept nothing more; connections that are open are the runner's."""
        await super().stop()
        tasks = [*self._opening, *([self._accepting] if self._accepting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._bound.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, address = await accept(self._bound, WIRE)
            opening = loop.create_task(self._open(accepted, address))
            self._opening.add(opening)
            opening.add_done_callback(self._opened)
            if len(self._opening) >= HANDSHAKES:
                await asyncio.wait(self._opening, return_when=asyncio.FIRST_COMPLETED)

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._opening.discard(opening)
        tell_defect(opening, WIRE)

    async def _open(self, accepted: socket.socket, address: str) -> None:
        protocols = self._serving.server
        assert protocols is not None
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await asyncio.get_running_loop().connect_accepted_socket(protocols, accepted, ssl=self._context)
        except (ssl.SSLError, TimeoutError) as failed:
            accepted.close()
            await self._refuse(address, str(getattr(failed, "reason", "") or type(failed).__name__))
        except OSError:  # a probe that connects and leaves is nobody's failure
            accepted.close()

    async def _refuse(self, address: str, reason: str) -> None:
        error = Unauthenticated(f"TLS handshake failed: {reason}", cure="Check the peer's certificate and trust")
        await self._turns.refused(Caller(peer=None, network_address=address, via="nobody"), WIRE, error)
