"""Another product that is fed, asked and told by HL7 V3, and does as it is told."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Stamp
from tests.support.scenario import read_soap
from tests.support.stranger import answered, listening

Answer = Callable[[Any], Any]


@dataclass
class IdentityPeer:
    """Answers each transaction by its own function; what came is in `received`, in order."""

    url: str = ""
    answers: dict[str, tuple[SoapTransaction[Any, Any], Answer]] = field(default_factory=dict)
    received: list[Any] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)

    def on(self, transaction: SoapTransaction[Any, Any], answer: Answer) -> None:
        """Say this to it from now on."""
        self.answers[transaction.request_action] = (transaction, answer)

    async def until(self, count: int, within_s: float = 10.0) -> list[Any]:
        """What came, when so much has come."""
        async with asyncio.timeout(within_s):
            while len(self.received) < count:
                await asyncio.sleep(0.02)
        return self.received

    async def reply(self, request: web.Request) -> web.Response:
        """One request."""
        message = await read_soap(request.headers["Content-Type"], await request.read())
        transaction, answer = self.answers[message.addressing.action]
        decoded = transaction.decode_request(message.to_codec())
        assert decoded.findings == (), decoded.findings
        self.received.append(decoded.value)
        self.message_ids.append(message.addressing.message_id)
        response = answer(decoded.value)
        if isinstance(response, web.Response):
            return response
        if transaction.stamp is not None:
            response = transaction.stamp(
                response, message.to_codec(), Stamp(id=str(uuid.uuid4()), at=datetime.now(UTC))
            )
        return await answered(transaction, response, message.addressing.message_id)


@asynccontextmanager
async def identity_peer() -> AsyncIterator[IdentityPeer]:
    """One that listens."""
    peer = IdentityPeer()
    async with listening(peer.reply) as url:
        peer.url = f"{url}/"
        yield peer
