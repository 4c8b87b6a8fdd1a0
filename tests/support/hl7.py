"""HL7 v2 for tests: an actor that answers a feed, a turn that remembers what it was handed, and TLS contexts."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from conformance.certificates import Authority, Identity
from gateway.actors.answering import Answering
from gateway.inbound.turn import Answered
from gateway.model.house import House
from gateway.model.peer import Caller, Peer
from profiles.errors import ExchangeError, RuleViolation
from profiles.findings import Decoded, Finding, errors_of
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.pix.iti8 import ACCEPTED, ITI_8, Acknowledgement, FeedEvent, PatientFeedRequest
from profiles.pix.iti30 import ITI_30
from profiles.transaction import User
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out

AT = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
AUTHORITY = Oid("1.2.3.4")
SURVIVING, SUBSUMED = (PatientIdentifier(value=value, authority=AUTHORITY) for value in ("4711", "0815"))

HOUSE = House(
    name="Valley",
    home_community_id=Oid("1.2.3.1"),
    repository_unique_id=Oid("1.2.3.2"),
    retrieve_location_uid=Oid("1.2.3.3"),
    source_id=Oid("1.2.3.5"),
    patient_authority=AUTHORITY,
    affinity_authority=None,
    zone=ZoneInfo("UTC"),
    base_url="https://valley.example",
    ae_title="VALLEY",
    hl7_application="RADGATE",
    hl7_facility="Valley",
    process_id="1",
    network_address="127.0.0.1",
)

ADDRESS = Hl7Address(
    sending_application="ADT1", sending_facility="HOSP", receiving_application="RADGATE", receiving_facility="Valley"
)


def sent(control_id: str = "MSG1", address: Hl7Address = ADDRESS) -> Hl7Out:
    return Hl7Out(address=address, control_id=control_id, at=AT)


def person(value: str = "4711", family: str = "Sample") -> Patient:
    return Patient(
        identifiers=(PatientIdentifier(value=value, authority=AUTHORITY),),
        name=PersonName(family=family, given="Anna", middle="M", prefix="Dr.", suffix="Jr."),
        birth_date=Moment.from_dtm("19710523"),
        sex=Sex.FEMALE,
    )


def feed(event: FeedEvent = FeedEvent.REGISTER, patient: Patient | None = None) -> PatientFeedRequest:
    return PatientFeedRequest(event=event, patient=patient or person())


def registration(control_id: str = "MSG1", family: str = "Sample") -> bytes:
    return ITI_8.encode_request(feed(patient=person(family=family)), sent(control_id))


@dataclass
class RecordingTurns:
    """`Turns` that reads and checks as the real one does, and then does what the test says."""

    answer_with: Callable[[PatientFeedRequest], Awaitable[Acknowledgement]] | None = None
    requests: list[Any] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refusals: list[tuple[Caller, ExchangeError, bytes]] = field(default_factory=list)

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
        once: object = None,
    ) -> AsyncIterator[Answered[Any]]:
        answered: Answered[Any] = Answered(exchange_id=f"exchange-{len(self.requests)}")
        try:
            decoded = decode()
            found = (
                *decoded.findings,
                *(each for check in answering.transaction.checks for each in check(decoded.value)),
            )
            self.findings += found
            if errors := errors_of(found):
                raise RuleViolation(errors[0].text, code=errors[0].code, location=errors[0].location, findings=errors)
            self.requests.append(decoded.value)
            self.callers.append(caller)
            self.message_ids.append(message_id)
            answered.response = await self.answer_with(decoded.value) if self.answer_with else ACCEPTED
        except ExchangeError as error:
            answered.error = error
        yield answered

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
        self.refusals.append((caller, error, raw))


async def _never(request: Any, exchange: Any) -> Any:
    raise AssertionError("the double does not ask the actor")


FEEDS = (Answering(ITI_8, _never), Answering(ITI_30, _never))


def anybody(transport: object, address: Hl7Address) -> Caller:
    return Caller(peer=None, network_address="127.0.0.1", via="loopback")


def known_as(peer: Peer) -> Callable[[object, Hl7Address], Caller]:
    return lambda transport, address: Caller(peer=peer, network_address="127.0.0.1")


@dataclass(frozen=True)
class Tls:
    """Both ends of mutual TLS."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    stranger: ssl.SSLContext  # shows no certificate
    client_identity: Identity
    server_identity: Identity


def mutual_tls(folder: Path) -> Tls:
    authority = Authority(folder)
    server_identity, client_identity = authority.issue("valley"), authority.issue("lakeside")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(server_identity.certificate, server_identity.key)
    server.load_verify_locations(authority.path)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(authority.path))
    client.load_cert_chain(client_identity.certificate, client_identity.key)
    stranger = ssl.create_default_context(cafile=str(authority.path))
    return Tls(server, client, stranger, client_identity, server_identity)
