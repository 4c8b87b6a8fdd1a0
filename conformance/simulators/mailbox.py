"""A mailbox: where answers are brought that were asked for on another connection, at `/reply` and at no other path.

What comes anywhere is kept, so that a case can see that nothing came. An answer is taken with 202; a deferred one of ITI-55
is a request in its envelope, and is acknowledged.

Source: ITI TF-2 Appendix V.5; WS-Addressing 1.0 core 3.4; ITI TF-2 3.55.4.2.
"""

import asyncio
import ssl as tls
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from conformance.in_flight import Incoming
from conformance.simulators.soap_server import MAX_BYTES, read_whole
from profiles.wire.hl7v3.ack import Acknowledgement
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import Stamp
from profiles.wire.soap.names import SOAP_XML
from profiles.xcpd.iti55 import DEFERRED_ANSWER

REPLY = "/reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came: `path` is where."""

    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Mailbox:
    """Listens by HTTP. `brought` are the messages in the order in which they came."""

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None) -> None:
        """Port 0 is chosen by the system; `edit` changes a message before it is kept (the tester's own test)."""
        self.host = host
        self.port = port
        self.brought: list[Brought] = []
        self.edit: Callable[[Incoming], Incoming] = lambda incoming: incoming
        self._ssl = ssl
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    @property
    def address(self) -> str:
        """Where answers may be brought."""
        return f"{'https' if self._ssl is not None else 'http'}://{self.host}:{self.port}{REPLY}"

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, ssl_context=self._ssl).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def awaited(self, wanted: Callable[[Brought], bool], after: int, timeout_s: float) -> Brought | None:
        """The first message from place `after` on that is wanted; None: none came in time."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                while True:
                    found = next((each for each in self.brought[after:] if wanted(each)), None)
                    if found is not None:
                        return found
                    await self._arrived.wait()
        except TimeoutError:
            return None

    async def _take(self, request: web.Request) -> web.Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        incoming = Incoming(headers=headers, body=await request.read())
        edited = self.edit(incoming)
        async with self._arrived:
            self.brought.append(Brought(path=request.path, headers=edited.headers, body=edited.body))
            self._arrived.notify_all()
        if DEFERRED_ANSWER.request_action.encode() in incoming.body:
            return await _acknowledged(incoming)
        return web.Response(status=202)


async def _acknowledged(incoming: Incoming) -> web.Response:
    """AA, to an answer of ITI-55 that was deferred."""
    message = await read_whole(incoming)
    assert DEFERRED_ANSWER.stamp is not None
    said = DEFERRED_ANSWER.stamp(
        Acknowledgement(), message.to_codec(), Stamp(id=str(uuid.uuid4()), at=datetime.now(UTC))
    )
    body = encode_envelope(
        DEFERRED_ANSWER.encode_response(said).body, action=DEFERRED_ANSWER.response_action,
        message_id=f"urn:uuid:{uuid.uuid4()}", relates_to=message.addressing.message_id,
    )  # fmt: skip
    return web.Response(body=b"".join(body), content_type=SOAP_XML, charset="utf-8")
