"""A stranger on loopback: whatever is posted to its one port is answered as a test says, by SOAP if it likes."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from profiles.transaction import SoapTransaction
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.mtom import pack

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def listening(answer: Handler) -> AsyncIterator[str]:
    """Its base address, while it listens; every path is its own."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def answered(transaction: SoapTransaction[Any, Any], response: object, relates_to: str) -> web.Response:
    """A whole answer, packed as the transaction says."""
    content_type, chunks = packed(transaction, response, relates_to)
    return web.Response(body=b"".join([chunk async for chunk in chunks]), headers={"Content-Type": content_type})


def packed(
    transaction: SoapTransaction[Any, Any], response: object, relates_to: str
) -> tuple[str, AsyncIterator[bytes]]:
    """The same in pieces, for who stops in the middle: content type, and chunks as they are made."""
    out = transaction.encode_response(response)
    envelope = encode_envelope(
        out.body, action=transaction.response_action, message_id=f"urn:uuid:{uuid.uuid4()}", relates_to=relates_to,
        blocks=out.header,
    )  # fmt: skip
    message = pack(transaction.packaging, envelope, out, unique=uuid.uuid4().hex)
    return message.content_type, message.chunks
