"""Three transactions that no standard knows, shaped like those that do: a query, a submission, a retrieval.

They let the SOAP rooms be tested without any profile's codec.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web
from lxml import etree

from gateway.actors.answering import Answering
from gateway.inbound.replies import ReplyListener
from gateway.inbound.soap import SoapListener
from gateway.inbound.turn import Answered, Once
from gateway.model.peer import Caller
from gateway.services.exchange import Exchange
from profiles.errors import ExchangeError, MalformedMessage, PeerUnavailable, Unauthenticated, UnknownDocument
from profiles.findings import Decoded
from profiles.model.content import Content, Part, Poured
from profiles.transaction import Actor, SoapTransaction, User
from profiles.wire import xml
from profiles.wire.soap.message import Packaging, SoapIn, SoapOut
from profiles.wire.soap.names import INCLUDE, XDS_B, XOP

TOY = "urn:toy"
BLOCK = bytes(256 * 1024)


def include(key: str) -> str:
    """An `xop:Include`."""
    return f'<xop:Include xmlns:xop="{XOP}" href="cid:{xml.attribute(key)}"/>'


def href(element: etree._Element) -> str:
    """The content id that an element's Include names."""
    found = element.find(INCLUDE)
    if found is None:
        raise MalformedMessage("no Include")
    return str(found.get("href", "")).removeprefix("cid:")


@dataclass(frozen=True)
class Text:
    """The content of a toy request or response."""

    text: str
    error: str = ""


@dataclass(frozen=True)
class Submitted:
    """Documents on their way in, by name."""

    documents: dict[str, Content] = field(default_factory=dict)


@dataclass(frozen=True)
class Promised:
    """The head of a retrieval: names and sizes."""

    sizes: tuple[tuple[str, int], ...]
    error: str = ""


def _decode_text(received: SoapIn) -> Decoded[Text]:
    if received.body.get("bad"):
        raise MalformedMessage("this toy is bad", location="@bad")
    return Decoded(Text(received.body.text or "", received.body.get("error", "")))


def _encode_text(name: str) -> Callable[[Text], SoapOut]:
    def encode(value: Text) -> SoapOut:
        error = f' error="{xml.attribute(value.error)}"' if value.error else ""
        return SoapOut(
            body=[f'<{name} xmlns="{TOY}"{error}>'.encode(), xml.text(value.text).encode(), f"</{name}>".encode()]
        )

    return encode


def _decode_submitted(received: SoapIn) -> Decoded[Submitted]:
    documents = {
        str(element.get("id")): received.attachments[href(element)]
        for element in received.body.iter(f"{{{XDS_B}}}Document")
    }
    return Decoded(Submitted(documents))


def _encode_submitted(value: Submitted) -> SoapOut:
    async def parts() -> AsyncIterator[Part]:
        for name, content in value.documents.items():
            yield Part(key=f"{name}@toy", media_type=content.media_type, chunks=content.open())

    elements = "".join(
        f'<d:Document xmlns:d="{XDS_B}" id="{name}">{include(f"{name}@toy")}</d:Document>' for name in value.documents
    )
    return SoapOut(body=[f'<Submit xmlns="{TOY}">{elements}</Submit>'.encode()], parts=parts())


def _encode_promised(value: Poured[Promised]) -> SoapOut:
    items = "".join(
        f'<Item xmlns="{TOY}" name="{name}" size="{size}">{include(name)}</Item>' for name, size in value.head.sizes
    )
    error = f' error="{xml.attribute(value.head.error)}"' if value.head.error else ""
    return SoapOut(
        body=[f'<Got xmlns="{TOY}"{error}>{items}</Got>'.encode()],
        parts=value.pour,
        sizes=tuple((name, "application/dicom", size) for name, size in value.head.sizes),
    )


def _decode_promised(received: SoapIn) -> Decoded[Poured[Promised]]:
    sizes = tuple((str(item.get("name")), int(item.get("size", "0"))) for item in received.body)
    assert received.parts is not None
    head = Promised(sizes, received.body.get("error", ""))
    return Decoded(Poured(head=head, pour=received.parts))


async def nothing() -> AsyncIterator[Part]:
    """A pour without parts."""
    return
    yield


def _no_audit(*_: object) -> tuple[()]:
    return ()


_COMMON: dict[str, Any] = {
    "section": "none",
    "initiator": Actor.DOCUMENT_CONSUMER,
    "responder": Actor.DOCUMENT_REPOSITORY,
    "audit": _no_audit,
}

QUERY: SoapTransaction[Text, Text] = SoapTransaction(
    **_COMMON,
    id="TOY-1",
    name="Toy Query",
    packaging=Packaging.SIMPLE,
    request_action="urn:toy:Query",
    response_action="urn:toy:QueryResponse",
    request_element=f"{{{TOY}}}Ask",
    response_element=f"{{{TOY}}}Answer",
    decode_request=_decode_text,
    encode_request=_encode_text("Ask"),
    decode_response=_decode_text,
    encode_response=_encode_text("Answer"),
    refuse=lambda error: Text("", f"{error.condition.value}: {error.detail}"),
)

SUBMIT: SoapTransaction[Submitted, Text] = SoapTransaction(
    **_COMMON,
    id="TOY-2",
    name="Toy Submit",
    packaging=Packaging.MTOM,
    brings_documents=True,
    request_action="urn:toy:Submit",
    response_action="urn:toy:SubmitResponse",
    request_element=f"{{{TOY}}}Submit",
    response_element=f"{{{TOY}}}Answer",
    decode_request=_decode_submitted,
    encode_request=_encode_submitted,
    decode_response=_decode_text,
    encode_response=_encode_text("Answer"),
    refuse=lambda error: Text("", f"{error.condition.value}: {error.detail}"),
)

RETRIEVE: SoapTransaction[Text, Poured[Promised]] = SoapTransaction(
    **_COMMON,
    id="TOY-3",
    name="Toy Retrieve",
    packaging=Packaging.MTOM,
    request_action="urn:toy:Retrieve",
    response_action="urn:toy:RetrieveResponse",
    request_element=f"{{{TOY}}}Get",
    response_element=f"{{{TOY}}}Got",
    decode_request=_decode_text,
    encode_request=_encode_text("Get"),
    decode_response=_decode_promised,
    encode_response=_encode_promised,
    refuse=lambda error: Poured(head=Promised((), error.condition.value), pour=nothing()),
)


class ToyTurns:
    """A turn without a house: decode, ask, hand out. `broken` notes what left a turn by an exception."""

    def __init__(self) -> None:
        self.refusals: list[ExchangeError] = []
        self.claims: list[str] = []
        self.callers: list[Caller] = []
        self.users: list[User | None] = []
        self.raws: list[bytes] = []
        self.broken: list[BaseException] = []
        self.findings: list[str] = []
        self.queries: list[bytes | None] = []
        self.message_ids: list[str] = []
        self.answered: list[Answered[Any]] = []
        self.ended = 0  # turns that were left in good order
        self.lost: list[ExchangeError] = []

    @asynccontextmanager
    async def answer(
        self,
        answering: Answering[Any, Any],
        caller: Caller,
        decode: Callable[[], Decoded[Any]],
        *,
        query: bytes | None = None,
        raw: bytes = b"",
        received_bytes: int = 0,
        user: User | None = None,
        message_id: str = "",
        once: Once | None = None,
    ) -> AsyncIterator[Answered[Any]]:
        """As `Turns.answer` says."""
        self.queries.append(query)
        self.callers.append(caller)
        self.users.append(user)
        self.message_ids.append(message_id)
        answered: Answered[Any] = Answered(exchange_id="exchange-1")
        self.answered.append(answered)
        try:
            decoded = decode()
            self.findings = [finding.rule for finding in decoded.findings]
            answered.response = await answering.method(decoded.value, cast(Exchange, caller))
        except ExchangeError as error:
            answered.error = error
        try:
            yield answered
        except BaseException as error:
            self.broken.append(error)
            raise
        self.ended += 1

    async def undelivered(self, exchange_id: str, caller: Caller, transaction_id: str, error: ExchangeError) -> None:
        """As `Turns.undelivered` says."""
        self.lost.append(error)

    async def refused(
        self,
        caller: Caller,
        wire: str,
        error: ExchangeError,
        *,
        raw: bytes = b"",
        transaction_id: str = "",
        claimed: str = "",
    ) -> None:
        """As `Turns.refused` says."""
        self.refusals.append(error)
        self.claims.append(claimed)
        self.raws.append(raw)


async def block_pour(sizes: tuple[tuple[str, int], ...], block: bytes = BLOCK) -> AsyncIterator[Part]:
    """Parts of these sizes."""

    async def chunks(size: int) -> AsyncIterator[bytes]:
        while size > 0:
            yield block[: min(size, len(block))]
            size -= len(block)

    for name, size in sizes:
        yield Part(key=name, media_type="application/dicom", chunks=chunks(size))


class ToyActor:
    """Answers the three. What a request text asks for: `fail`, `defect`, `break`, `stall`, or `name=size` pairs."""

    def __init__(self) -> None:
        self.received: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.stalled = asyncio.Event()

    def answerings(self) -> tuple[Answering[Any, Any], ...]:
        """For a listener."""
        return (
            Answering(QUERY, self.query),
            Answering(SUBMIT, self.submit),
            Answering(RETRIEVE, self.retrieve),
        )

    async def query(self, request: Text, _: Exchange) -> Text:
        """Echo, as often as the text says."""
        if request.text == "fail":
            raise UnknownDocument("there is no such toy")
        if request.text == "stranger":
            raise Unauthenticated("who are you")
        if request.text == "defect":
            return cast(Text, None)
        if request.text.startswith("long "):
            return Text("x" * int(request.text[5:]))
        return Text(request.text)

    async def submit(self, request: Submitted, _: Exchange) -> Text:
        """Keep small documents, count large ones."""
        for name, content in request.documents.items():
            self.sizes[name] = content.size_bytes or 0
            if self.sizes[name] < 1_000_000:
                self.received[name] = await content.read(1_000_000)
        return Text(f"{len(request.documents)} kept")

    async def retrieve(self, request: Text, _: Exchange) -> Poured[Promised]:
        """Pour `name=size` pairs; `break` breaks after the first, `stall` waits."""
        pairs = tuple((name, int(size)) for name, _, size in (each.partition("=") for each in request.text.split()))
        return Poured(head=Promised(pairs), pour=self._pour(pairs))

    async def _pour(self, pairs: tuple[tuple[str, int], ...]) -> AsyncIterator[Part]:
        async for part in block_pour(pairs):
            if part.key == "break":
                raise PeerUnavailable("the archive went away")
            if part.key == "stall":
                await self.stalled.wait()
            yield part


@asynccontextmanager
async def served(listener: SoapListener | ReplyListener, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The listener on a free port of this machine; its address without a path."""
    app = web.Application(client_max_size=0)
    listener.routes(app)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, read_bufsize=256 * 1024, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
