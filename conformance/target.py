"""The target: the system under test as a case sees it. It is asked over real wires, and every exchange is evidence.

What a newcomer gets wrong: a decoder that tolerates is no judge. What decoders and the wire notice (`Answer.findings`)
is kept for the verdict, so that a case need not ask for it: an error fails it, a warning does when the run is strict.
"""

import asyncio
import hashlib
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import aiohttp
import orjson
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from yarl import URL

from conformance.around import NOTHING, Around
from conformance.evidence import Evidence, Recorder
from conformance.expect import expect
from conformance.in_flight import Incoming, InFlight, Outgoing
from conformance.samples import pixels_sha256
from conformance.simulators.asked_later import AskedLater
from conformance.simulators.audit_repository import AuditMessage, AuditRepository
from conformance.simulators.document_community import DocumentCommunity
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.simulators.hl7_sender import Line, converse, send_message
from conformance.simulators.imaging_community import ImagingCommunity
from conformance.simulators.mailbox import REPLY, Mailbox
from conformance.simulators.patient_services import PatientServices
from conformance.simulators.soap_server import Asked
from conformance.system import KnownStudy, System
from conformance.verdict import Failed, NotDone, Unclaimed, Unreachable
from profiles.errors import ExchangeError
from profiles.findings import Decoded, Finding
from profiles.model.audit import AuditRecord
from profiles.model.content import Content, Part, Poured, once
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.multipart import parts_of
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.fault import PeerFault
from profiles.wire.soap.message import Packaging, SoapIn
from profiles.wire.soap.mtom import SoapLimits, SoapMessage, pack, packaging_of, read_message

Request = TypeVar("Request")
Response = TypeVar("Response")
Made = TypeVar("Made")

IDLE_S = 30.0
CONVERSED_S = 10.0  # how long an MLLP connection is listened to on which answers are missing
UNESCAPED = "*?,:/"  # of a query: RFC 3986 lets these stand, and some servers do not decode them
MAX_INSTANCE_BYTES = 64 * 1024 * 1024
MAX_READ = 10_000
_READ: dict[str, "Received"] = {}  # by SHA-1: a load receives the same files again and again
LIMITS = SoapLimits(parts=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is changed of a message on its way out, so that it is wrong on purpose: headers, and the body's bytes."""

    headers: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers
    body: Callable[[bytes], bytes] = lambda body: body


RIGHT = Wrong()


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A document or an instance that came, and was not kept.

    `dicom` is what its file says of itself, None where it is none; `pixels_sha256` is "" where it has no pixels.
    """

    key: str
    media_type: str
    size_bytes: int
    sha1: str
    sop_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    pixels_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Response]):
    """What came back: exactly one of `response` and `fault`, unless nothing that is SOAP came (`http_status` tells)."""

    http_status: int
    content_type: str
    action: str = ""
    relates_to: str = ""
    asked: str = ""  # wsa:MessageID of the request
    packaging: Packaging | None = None
    message: SoapMessage | None = field(default=None, repr=False)
    fault: PeerFault | None = None
    received: tuple[Received, ...] = ()
    decoded: Response | None = None
    size_bytes: int = 0  # of what is no SOAP

    @property
    def response(self) -> Response:
        """The transaction's own answer.

        Raises:
            Failed: It was refused with a fault, or came as something else.
        """
        if self.decoded is not None:
            return self.decoded
        if self.fault is not None:
            raise Failed(f"expected an answer; a SOAP fault came: {self.fault.reason}")
        raise Failed(f"expected an answer; HTTP {self.http_status} {self.content_type or 'without Content-Type'} came")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An HTTP answer before anybody reads it."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An HTTP answer: `body` where it is one thing, `parts` where it is multipart. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    parts: tuple[Received, ...] = ()

    @property
    def media_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Failed: It is none.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Failed(f"expected JSON; HTTP {self.status} {self.media_type} came, which is none: {error}") from error


class Target:
    """One run's view of the system. `notice` collects what decoders and wires found odd."""

    def __init__(
        self,
        system: System,
        session: aiohttp.ClientSession,
        evidence: Evidence,
        *,
        in_flight: InFlight | None = None,
        around: Around = NOTHING,
    ) -> None:
        """`evidence` is the case's own; a target lives as long as its case. `around` is whom it speaks to itself."""
        self.system = system
        self.findings: list[Finding] = []
        self._session = session
        self._evidence = evidence
        self._in_flight = in_flight
        self._around = around
        self._audited = len(around.audit.messages) if around.audit is not None else 0
        self._tls: ssl.SSLContext | None = None
        self._brought = len(around.mailbox.brought) if around.mailbox is not None else 0

    def known_as(self, tls: ssl.SSLContext | None) -> "Target":
        """The same for the same case, where we are somebody else to the system; None: we are not."""
        other = copy(self)
        other._tls = tls
        return other

    # --- what it is known to be ---------------------------------------------------------------------------------------

    def endpoint(self, name: str) -> str:
        """Where it is asked.

        Raises:
            Unreachable: Nobody told us.
        """
        address = self.system.endpoints.get(name)
        if address is None:
            raise Unreachable(f"no endpoint {name}: name it below [endpoint]")
        return address

    def study(self, *, series: int = 1, instances: int = 1) -> KnownStudy:
        """A study that it holds, with at least so many series and instances.

        Raises:
            Unreachable: It is known to hold none.
        """
        for known in self.system.studies:
            if len(known.study.series) >= series and len(known.study.instances) >= instances:
                return known
        raise Unreachable(
            f"no study of {series} series and {instances} instances is known: add a [[study]], or --study and --patient"
        )

    def patient(self) -> PatientIdentifier:
        """A patient whom it knows, by the id that its documents are registered under.

        Raises:
            Unreachable: None is known.
        """
        if not self.system.patients:
            raise Unreachable("no patient is known: name one as [known] patients, a study, or by --patient")
        return self.system.patients[0]

    def known(self, name: str) -> str:
        """One of the ids of `[known]`.

        Raises:
            Unreachable: Nobody told us.
        """
        value = getattr(self.system, name)
        if value is None:
            raise Unreachable(f"{name} is not known: name it below [known]")
        return str(value)

    def scratch(self) -> Path:
        """A folder of the case's own, for what it sends."""
        folder = self._evidence.folder / "sent"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # --- SOAP ---------------------------------------------------------------------------------------------------------

    async def call(
        self,
        transaction: SoapTransaction[Request, Response],
        request: Request,
        *,
        at: Actor | None = None,
        wrong: Wrong = RIGHT,
    ) -> Answer[Response]:
        """Ask by SOAP and read the answer whole; documents that come are counted and looked at, not kept.

        `at` is who is asked where that is not the transaction's responder: the name of endpoint, evidence and fault is
        `Initiating Gateway ITI-18` then.
        """
        message_id = f"urn:uuid:{uuid.uuid4()}"
        name = transaction.id if at is None else f"{at} {transaction.id}"
        address = self.endpoint(name)
        out = transaction.encode_request(request)
        envelope = encode_envelope(
            out.body, action=transaction.request_action, message_id=message_id, to=address, reply_to=True,
            blocks=out.header,
        )  # fmt: skip
        packed = pack(transaction.packaging, envelope, out, unique=uuid.uuid4().hex, action=transaction.request_action)
        body = wrong.body(b"".join([chunk async for chunk in packed.chunks]))
        headers = wrong.headers({"Content-Type": packed.content_type})
        answer = await self.post(transaction, address, headers, body, asked=message_id, name=name)
        self._judge(answer, transaction)
        return answer

    async def post(
        self,
        transaction: SoapTransaction[Any, Response],
        address: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        asked: str = "",
        name: str = "",
    ) -> Answer[Response]:
        """Send these very bytes, and read what comes as SOAP if it is any."""
        arrived, close = await self._send(name or transaction.id, "POST", address, headers, body)
        content_type = arrived.headers.get("content-type", "")
        try:
            if not content_type.lower().startswith(("application/soap+xml", "multipart/related")):
                size = sum([len(chunk) async for chunk in arrived.chunks])
                return Answer(
                    http_status=arrived.status, content_type=content_type, asked=asked, size_bytes=size
                )  # fmt: skip
            return await self._read(transaction.decode_response, arrived, asked)
        except ExchangeError as error:
            raise Failed(f"the answer cannot be read: {error.detail} ({error.location or 'as a whole'})") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failed(f"the answer broke off: {_named(error)}") from error
        finally:
            close()

    async def _read(
        self, decode: Callable[[SoapIn], Decoded[Response]], arrived: Arrived, asked: str
    ) -> Answer[Response]:
        """What came as SOAP.

        Raises:
            ExchangeError: It cannot be read.
        """
        content_type = arrived.headers.get("content-type", "")
        message = await read_message(arrived.chunks, content_type, limits=LIMITS, new_sink=_Held, as_pour=True)
        self.findings += message.findings
        answer: Answer[Response] = Answer(
            http_status=arrived.status, content_type=content_type, action=message.addressing.action,
            relates_to=message.addressing.relates_to, asked=asked, packaging=packaging_of(content_type), message=message,
            fault=message.fault,
        )  # fmt: skip
        if message.fault is not None:
            return answer
        decoded = decode(message.to_codec())
        self.findings += decoded.findings
        received = await _looked_at(decoded.value)
        return replace(answer, decoded=decoded.value, received=received)

    def _judge(self, answer: Answer[Any], transaction: SoapTransaction[Any, Any]) -> None:
        """What ITI TF-2 Appendix V asks of every answer."""
        if answer.message is None:
            return
        # Of what could not be read nobody knows the MessageID: its fault may relate to nothing.
        if answer.asked and answer.relates_to != answer.asked and (answer.fault is None or answer.relates_to):
            self.findings.append(_finding("IHE-WSA/relates-to", "wsa:RelatesTo is not the request's wsa:MessageID"))
        if answer.fault is None:
            if answer.action != transaction.response_action:
                self.findings.append(
                    _finding(
                        "IHE-WSA/action", f"wsa:Action is {answer.action[:120]}, not {transaction.response_action}"
                    )
                )
            if answer.packaging is not transaction.packaging:
                self.findings.append(_finding("V.8/packaging", f"the answer is not packed as {transaction.packaging}"))
            if answer.http_status != 200:
                self.findings.append(_finding("V.3/status", f"an answer came with HTTP {answer.http_status}"))

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    async def ask(
        self,
        transaction: str,
        path: str,
        *,
        service: str,
        method: str = "GET",
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpAnswer:
        """Ask by HTTP below a service; `query` is encoded where it must be, `path` is sent as it is."""
        address = self.endpoint(service) + path + (f"?{urlencode(query, safe=UNESCAPED)}" if query else "")
        arrived, close = await self._send(transaction, method, address, dict(headers or {}), body)
        try:
            if arrived.headers.get("content-type", "").lower().startswith("multipart/related"):
                pour = parts_of(arrived.chunks, arrived.headers["content-type"])
                parts = tuple([await _received(part) async for part in pour])
                return HttpAnswer(status=arrived.status, headers=arrived.headers, parts=parts)
            whole = b"".join([chunk async for chunk in arrived.chunks])
            return HttpAnswer(status=arrived.status, headers=arrived.headers, body=whole)
        except ExchangeError as error:
            raise Failed(f"the answer cannot be read: {error.detail}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failed(f"the answer broke off: {_named(error)}") from error
        finally:
            close()

    # --- HL7 v2 -------------------------------------------------------------------------------------------------------

    def line(self) -> Line:
        """A connection by MLLP that is kept, not opened yet; whoever has it closes it."""
        host, port, tls = self._mllp(self.endpoint("MLLP"))
        return Line(host, port, ssl=tls)

    async def send(self, transaction: str, message: bytes, *, over: Line | None = None) -> bytes:
        """Send a message by MLLP; answers the acknowledgement, both without their frames.

        `over` None: on a connection of its own.
        """
        outgoing = Outgoing(address=self.endpoint("MLLP"), body=message)
        if self._in_flight is not None:
            outgoing = self._in_flight.request(transaction, outgoing)
        exchange, request, response = self._evidence.begin(transaction, outgoing.address)
        request.take(outgoing.body)
        request.close()
        host, port, tls = self._mllp(outgoing.address)
        began = time.perf_counter()
        try:
            if over is None:
                came = await send_message(host, port, outgoing.body, ssl=tls, timeout_s=IDLE_S)
            else:
                came = await over.send(outgoing.body, timeout_s=IDLE_S)
        except ExchangeError as error:
            exchange.broke = error.detail
            raise Failed(f"no acknowledgement: {error.detail}") from error
        exchange.ms = (time.perf_counter() - began) * 1000
        response.take(came)
        response.close()
        return came if self._in_flight is None else self._in_flight.answer(transaction, Incoming(body=came)).body

    async def converse(self, transaction: str, *pieces: bytes, answers: int) -> list[bytes]:
        """Send these very bytes on one MLLP connection, a packet for each piece; answers at most so many messages.

        Fewer come where the system hangs up, or says nothing more for `CONVERSED_S`.
        """
        out = [Outgoing(address=self.endpoint("MLLP"), body=piece) for piece in pieces]
        if self._in_flight is not None:
            out = [self._in_flight.request(transaction, each) for each in out]
        exchange, request, response = self._evidence.begin(transaction, out[0].address)
        for each in out:
            request.take(each.body)
        request.close()
        host, port, tls = self._mllp(out[0].address)
        began = time.perf_counter()
        try:
            came = await converse(
                host, port, [each.body for each in out if each.body], answers=answers, ssl=tls, timeout_s=CONVERSED_S
            )
        except ExchangeError as error:
            exchange.broke = error.detail
            raise Failed(f"no acknowledgement: {error.detail}") from error
        exchange.ms = (time.perf_counter() - began) * 1000
        for message in came:
            response.take(message)
        response.close()
        if self._in_flight is None:
            return came
        return [self._in_flight.answer(transaction, Incoming(body=each)).body for each in came]

    def _mllp(self, address: str) -> tuple[str, int, ssl.SSLContext | None]:
        """Host and port of `mllp://host:port`, and how `mllps` is spoken."""
        scheme, _, place = address.partition("://")
        host, _, port = place.rpartition(":")
        return host, int(port), self.system.tls if scheme == "mllps" else None

    # --- what comes by itself -----------------------------------------------------------------------------------------

    @property
    def wait_s(self) -> float:
        """How long a case waits for what the system does by itself."""
        return self._around.wait_s

    @property
    def mailbox(self) -> Mailbox:
        """Where answers may be brought.

        Raises:
            Unclaimed: It was told of no such address.
        """
        if self._around.mailbox is None:
            raise Unclaimed("it may bring answers nowhere: give reply_port of [counterpart], and allow that address")
        return self._around.mailbox

    async def brought(self, asked: str, decode: Callable[[SoapIn], Decoded[Response]]) -> Answer[Response]:
        """What was brought to the mailbox as the answer to this MessageID, read as the same on a connection is.

        Raises:
            Failed: None came in time, or it cannot be read.
        """
        found = await self.mailbox.awaited(lambda each: True, self._brought, self.wait_s)
        if found is None:
            raise Failed(f"expected an answer to be brought within {self.wait_s:.0f} s; nothing came")
        self._brought += 1
        self._evidence.kept(f"brought to {found.path}", found.body)
        expect(found.path, "where it was brought").equals(REPLY)
        try:
            return await self._read(decode, Arrived(status=200, headers=found.headers, chunks=once(found.body)), asked)
        except ExchangeError as error:
            raise Failed(
                f"what was brought cannot be read: {error.detail} ({error.location or 'as a whole'})"
            ) from error

    async def nothing_brought(self, within_s: float) -> None:
        """Nothing comes to the mailbox, at whatever path.

        Raises:
            Failed: Something came.
        """
        found = await self.mailbox.awaited(lambda each: True, self._brought, within_s)
        if found is not None:
            self._evidence.kept(f"brought to {found.path}", found.body)
            raise Failed(f"expected nothing to be brought; {len(found.body)} bytes came to {found.path}")

    # --- audit --------------------------------------------------------------------------------------------------------

    @property
    def audit(self) -> AuditRepository:
        """Where the system's audit goes.

        Raises:
            Unreachable: It does not come to us.
        """
        if self._around.audit is None:
            raise Unreachable("its audit does not come to us: nothing listens for it in this run")
        return self._around.audit

    async def audited(self, what: str, wanted: Callable[[AuditRecord], bool]) -> AuditMessage:
        """The audit message of something that this case did.

        Raises:
            Failed: None came in time.
        """
        found = await self.audit.awaited(
            lambda message: message.record is not None and wanted(message.record), self._audited, self.wait_s
        )
        if found is None:
            came = [each.record for each in self.audit.messages[self._audited :] if each.record is not None]
            told = (
                ", ".join(f"{each.event.code} {'/'.join(type.code for type in each.types)}" for each in came) or "none"
            )
            raise Failed(f"expected an audit message of {what} within {self.wait_s:.0f} s; of this case came: {told}")
        self._evidence.kept(f"audit of {what}", found.raw)
        return found

    # --- what it announces --------------------------------------------------------------------------------------------

    @property
    def hl7(self) -> Hl7Receiver:
        """Where it says by HL7 v2 that studies are there.

        Raises:
            Unreachable: Nothing listens for it.
        """
        if self._around.hl7 is None:
            raise Unreachable("nothing listens for its HL7 messages in this run: name [counterpart] hl7_port")
        return self._around.hl7

    async def announced(self, text: str, count: int = 1, *, at_least_s: float = 0.0) -> tuple[bytes, ...]:
        """The messages in which this text is, once there are so many; without their frames, and kept as evidence.

        They are waited for as everything is that the system does by itself, but `at_least_s`.

        Raises:
            Failed: They did not come in time.
        """
        wait_s = max(self.wait_s, at_least_s)
        came = await self.hl7.with_text(text, count, wait_s)
        for message in came:
            self._evidence.kept("ORU^R01 of the system", message)
        if len(came) < count:
            raise Failed(f"expected {count} message(s) that name {text} within {wait_s:.0f} s; {len(came)} came")
        return tuple(came)

    # --- what it does itself ------------------------------------------------------------------------------------------

    @property
    def community(self) -> DocumentCommunity:
        """Whom the system can be made to ask.

        Raises:
            Unreachable: Nobody is there for it.
        """
        if self._around.community is None:
            raise Unreachable("nobody is there whom it could ask: no counterparts are in this run")
        return self._around.community

    @property
    def people(self) -> PatientServices:
        """Whom the system tells of patients, and asks about them.

        Raises:
            Unreachable: Nobody is there for it.
        """
        if self._around.people is None:
            raise Unreachable("nobody is there whom it could tell of patients: no counterparts are in this run")
        return self._around.people

    @property
    def has_community(self) -> bool:
        """Whether there is anybody whom it could ask."""
        return self._around.community is not None

    @property
    def west(self) -> AskedLater:
        """Whom it asks asynchronously.

        Raises:
            Unclaimed: It was told of nobody.
        """
        if self._around.west is None:
            raise Unclaimed("nobody is there whom it would ask asynchronously: give west_port of [counterpart]")
        return self._around.west

    @property
    def foreign(self) -> tuple[ForeignCommunity, ForeignCommunity]:
        """Two other communities that it knows; the first takes patient ids as they are.

        Raises:
            Unreachable: They are not there.
        """
        if len(self._around.foreign) != 2:
            raise Unreachable(
                "no other communities are there that it could ask: name [counterpart] north_port, south_port"
            )
        north, south = self._around.foreign
        return north, south

    def heard(self, what: str, asked: Asked) -> None:
        """Keep what the system asked as evidence, and judge how it was written.

        Raises:
            Failed: It cannot be read.
        """
        self._evidence.kept(f"{asked.transaction} {what}", asked.body)
        self.findings += asked.findings
        if asked.request is None:
            raise Failed(f"its {asked.transaction} cannot be read: {asked.problem}")

    async def provoke(self, what: str, at: ImagingCommunity | None = None, /, **facts: str) -> int:
        """Make it do something towards a community (None: the usual one); answers how many requests had come before.

        Raises:
            Failed: It asked, and says that it did not do what it was told to.
            Unreachable: It cannot be made to.
        """
        asked = (at or self.community).counterpart.asked
        before = len(asked)
        try:
            await self._provoked(what, facts)
        except NotDone as said:
            if len(asked) > before:
                for each in asked[before:]:
                    self.heard("of the system", each)
                raise Failed(f"it did not {what}: {said}") from said
            raise
        return before

    async def attempt(self, what: str, **facts: str) -> str:
        """Make it do something that goes wrong; answers what it says of it, "" where it says that it did so.

        Raises:
            Unreachable: It cannot be made to, or nobody says what it makes of it.
        """
        try:
            if not await self._provoked(what, facts):
                raise Unreachable("what it makes of an answer is not seen: make it ask by a command (--provoke)")
        except NotDone as said:
            return str(said) or "it did not"
        return ""

    async def _provoked(self, what: str, facts: Mapping[str, str]) -> bool:
        if self._around.provoke is None:
            raise Unreachable("it cannot be made to ask: no way to provoke it is in this run")
        return await self._around.provoke(what, {"peer": self._around.peer, **facts})

    async def once(self, name: str, make: Callable[[], Awaitable[Made]]) -> Made:
        """What was made under this name by an earlier case of the run, or else made now.

        So that what the system does once, for which a person may have to be asked, is looked at by several cases.
        """
        key = (name, self.community.counterpart.edit)
        if key not in self.community.remembered:
            self.community.remembered[key] = await make()
        made: Made = self.community.remembered[key]
        return made

    async def asked(
        self,
        transaction: SoapTransaction[Request, Any],
        before: int,
        wanted: Callable[[Asked], bool] = lambda _: True,
        *,
        at_least_s: float = 0.0,
        at: ImagingCommunity | None = None,
    ) -> Asked:
        """The first request of a transaction since `before` that is wanted, read and kept; `at` as in `provoke`.

        It is waited for as everything is that the system does by itself, but `at_least_s`.

        Raises:
            Failed: None came in time, or it cannot be read.
        """
        counterpart = (at or self.community).counterpart
        found = await counterpart.awaited(
            lambda each: each.transaction == transaction.id and (each.request is None or wanted(each)),
            before,
            max(self.wait_s, at_least_s),
        )
        if found is None:
            came = ", ".join(dict.fromkeys(each.transaction for each in counterpart.asked[before:])) or "nothing"
            raise Failed(f"expected to be asked by {transaction.id} within {self.wait_s:.0f} s; {came} came")
        self.heard("of the system", found)
        return found

    # --- the wire -----------------------------------------------------------------------------------------------------

    async def _send(
        self, name: str, method: str, address: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Arrived, Callable[[], None]]:
        outgoing = Outgoing(address=address, headers=headers, body=body)
        if self._in_flight is not None:
            outgoing = self._in_flight.request(name, outgoing)
        exchange, request, response = self._evidence.begin(name, outgoing.address)
        exchange.request.head = _head(f"{method} {outgoing.address} HTTP/1.1", outgoing.headers)
        request.take(outgoing.body)
        request.close()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._session.request(
                method, URL(outgoing.address, encoded=True), data=outgoing.body or None, headers=outgoing.headers,
                allow_redirects=False, ssl=self._tls if self._tls is not None else True,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=IDLE_S),
            )  # fmt: skip
        except aiohttp.ClientConnectorError as error:
            exchange.broke = _named(error)
            raise Unreachable(f"{address} cannot be reached: {_named(error)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            exchange.broke = _named(error)
            raise Failed(f"no answer: {_named(error)}") from error
        exchange.first_byte_ms = (loop.time() - began) * 1000
        head = {key.lower(): value for key, value in answer.headers.items()}
        exchange.response.head = _head(f"HTTP/1.1 {answer.status} {answer.reason}", answer.headers)

        def close() -> None:
            exchange.ms = (loop.time() - began) * 1000
            response.close()
            answer.release() if answer.content.at_eof() else answer.close()

        chunks = _recorded(answer, response)
        if self._in_flight is None:
            return Arrived(status=answer.status, headers=head, chunks=chunks), close
        whole = b"".join([chunk async for chunk in chunks])
        changed = self._in_flight.answer(name, Incoming(status=answer.status, headers=head, body=whole))
        return Arrived(status=changed.status, headers=changed.headers, chunks=once(changed.body)), close


class _Held:
    """A sink in memory: what a target sends inline is small, or it is the target's fault."""

    def __init__(self) -> None:
        self._body = bytearray()

    def write(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self, media_type: str) -> Content:
        return Content.of(bytes(self._body), media_type)


async def _looked_at(value: object) -> tuple[Received, ...]:
    """Read a pour to its end."""
    if not isinstance(value, Poured):
        return ()
    return tuple([await _received(part) async for part in value.pour])


async def _received(part: Part) -> Received:
    sha1, body, size = hashlib.sha1(usedforsecurity=False), bytearray(), 0
    async for chunk in part.chunks:
        sha1.update(chunk)
        size += len(chunk)
        if size <= MAX_INSTANCE_BYTES:
            body += chunk
    received = Received(key=part.key, media_type=part.media_type, size_bytes=size, sha1=sha1.hexdigest())
    if received.sha1 not in _READ:
        if len(_READ) >= MAX_READ:
            _READ.clear()
        _READ[received.sha1] = _with_dicom(received, bytes(body))
    return replace(_READ[received.sha1], key=received.key, media_type=received.media_type)


def _with_dicom(received: Received, body: bytes) -> Received:
    """With what it says of itself, where it is a DICOM file."""
    with suppress(InvalidDicomError, AttributeError, ValueError, EOFError):
        dataset = dcmread(BytesIO(body))
        return replace(
            received, sop_instance_uid=str(dataset.SOPInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID), pixels_sha256=pixels_sha256(dataset),
        )  # fmt: skip
    return received


async def _recorded(answer: aiohttp.ClientResponse, recorder: Recorder) -> AsyncIterator[bytes]:
    async for chunk in answer.content.iter_any():
        recorder.take(chunk)
        yield chunk


def _head(line: str, headers: Mapping[str, str]) -> str:
    return "\r\n".join([line, *(f"{key}: {value}" for key, value in headers.items())])


def _finding(rule: str, text: str) -> Finding:
    return Finding(rule=rule, text=text, location="/Envelope")


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__
