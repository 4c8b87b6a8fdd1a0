"""Peers: the one way out. Finds the address, writes the intent, lets the transport carry, closes step and audit.

What is not here: framing and sockets (`peers_soap`, `peers_mllp`), and retries: a job that fails for now is due again
later, by the ledger.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from gateway.adapters.carrying import Carried, Carrier
from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.job import Direction, Step, StepOutcome
from gateway.model.peer import Peer
from gateway.model.sighting import Ended, Sightings, Sort
from gateway.ports.clock import Clock
from gateway.ports.store import Store
from gateway.telemetry import BYTES, CALLS, FINDINGS, logger
from profiles.errors import (
    ExchangeError,
    HouseError,
    PeerError,
    PeerRefused,
    PeerUnavailable,
    RuleViolation,
    Unsupported,
)
from profiles.findings import Finding
from profiles.model.identifiers import Oid
from profiles.transaction import Facts, Hl7Transaction, Party, Side, Transaction, User
from profiles.wire.ebxml.response import CURES

Response = TypeVar("Response")


class StaticDirectory:
    """The peers of the settings, found by any of their names."""

    def __init__(self, peers: tuple[Peer, ...], tokens: Mapping[str, str]) -> None:
        """`tokens` is peer name by SHA-256 of a bearer token, lower-case hex."""
        self._peers = peers
        self._named = {peer.name: peer for peer in peers}
        self._tokens = {digest: self._named[name] for digest, name in tokens.items()}
        self._certificates = {digest: peer for peer in peers for digest in peer.certificate_sha256}
        self._locations = {str(uid): peer for peer in peers for uid in peer.retrieve_location_uids}
        self._repositories = {str(uid): peer for peer in peers for uid in peer.repository_unique_ids}

    def named(self, name: str) -> Peer | None:
        """By the name that our settings give it."""
        return self._named.get(name)

    def known(self, name: str) -> Peer:
        """The same, or a refusal."""
        peer = self._named.get(name)
        if peer is None:
            names = ", ".join(self._named) or "none"
            raise RuleViolation(
                f"there is no peer called {name}", cure=f"Known peers: {names}; or add a [[peer]] of this name"
            )
        return peer

    def by_certificate(self, sha256: str) -> Peer | None:
        """By the fingerprint of the certificate that it showed."""
        return self._certificates.get(sha256)

    def by_retrieve_location(self, uid: str) -> Peer | None:
        """By what a manifest calls Retrieve Location UID."""
        return self._locations.get(uid)

    def by_repository(self, unique_id: str) -> Peer | None:
        """By what an entry calls repositoryUniqueId."""
        return self._repositories.get(unique_id)

    def by_home(self, home: str, transaction_id: str) -> Peer | None:
        """By the community that it speaks for, where it has an address for the transaction."""
        return next(
            (each for each in self._peers if each.speaks_for(Oid(home)) and transaction_id in each.endpoints), None
        )

    def by_token(self, token_sha256: str) -> Peer | None:
        """By the SHA-256 of the bearer token that it showed."""
        return self._tokens.get(token_sha256)

    def all(self) -> tuple[Peer, ...]:
        """In the order of the settings."""
        return self._peers


@dataclass(slots=True)
class _Call(Generic[Response]):
    """A call under way."""

    response: Response
    findings: tuple[Finding, ...] = ()
    learnt: dict[str, Any] = field(default_factory=dict)

    def learned(self, **facts: object) -> None:
        """Add to the closing record's facts; `text`, `partial`, `why` and `cure` go to the timeline."""
        self.learnt |= facts


class CallingPeers:
    """Implements the port `Peers` over one carrier for each kind of transaction."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        clock: Clock,
        carriers: Mapping[type[Transaction[Any, Any]], Carrier],
        sightings: Sightings | None = None,
    ) -> None:
        """`carriers` by the transaction's class: SoapTransaction, Hl7Transaction, HttpTransaction.

        `sightings` is where it is noted what peers support; None: nobody wants to know.
        """
        self._sightings = Sightings() if sightings is None else sightings
        self._house = house
        self._store = store
        self._clock = clock
        self._carriers = carriers

    @asynccontextmanager
    async def call(
        self,
        transaction: Transaction[Any, Response],
        peer: Peer,
        request: Any,
        *,
        exchange_id: str,
        facts: Facts | None = None,
        user: User | None = None,
        message_id: str = "",
        counts: bool = True,
    ) -> AsyncIterator[_Call[Response]]:
        """Ask a peer; see `Peers.call`."""
        address = _address_of(transaction, peer)
        carrier = self._carriers[type(transaction)]
        started, now = time.perf_counter(), self._clock.now()
        base = replace(
            facts
            or Facts(at=now, source_id=self._house.name, local=self._house.party(), remote=Party(user_id=address)),
            at=now,
            user=user,
            remote=Party(user_id=address, network_address=_host_of(address)),
        )
        step = Step(
            exchange_id=exchange_id, at=now, transaction=transaction.id, direction=Direction.OUT,
            outcome=StepOutcome.OPEN, text=transaction.name, peer=peer.name,
        )  # fmt: skip
        gone = HouseError("the house went down before the answer came", cure="It is asked again by itself")
        async with self._store.unit() as work:
            step_id = await work.ledger.note(step)
            intent = await work.audit.intend(
                transaction.audit(Side.INITIATOR, request, None, replace(base, error=gone)), exchange_id
            )
        call: _Call[Response] | None = None
        carried: Carried[Response] | None = None
        error: ExchangeError | None = None
        try:
            async with carrier.carry(
                transaction, address, request, peer=peer, message_id=message_id or self._clock.new_uuid(), user=user
            ) as carried:
                for finding in carried.findings:
                    FINDINGS.labels(peer.name, finding.rule).inc()
                    self._sightings.note(peer.name, transaction.id, Sort.FINDING, finding.rule, now)
                call = _Call(carried.response, carried.findings)
                yield call
        except ExchangeError as raised:
            error = raised
            raise
        except BaseException as raised:
            error = PeerUnavailable("the exchange was broken off on our side", cure="It is asked again by itself")
            if isinstance(raised, Exception):
                logger().error("defect", transaction=transaction.id, peer=peer.name, error=type(raised).__name__)
            raise
        finally:
            learnt = call.learnt if call is not None else {}
            said = {name: learnt.pop(name) for name in ("text", "why", "cure", "partial") if name in learnt}
            outcome = StepOutcome.SUCCESS
            if error is not None:
                outcome = StepOutcome.FAILURE
            elif said.get("partial"):
                outcome = StepOutcome.PARTIAL
            size = (carried.sent_bytes + carried.received_bytes) if carried is not None else 0
            closing = replace(base, at=self._clock.now(), error=error, **learnt)
            async with self._store.unit() as work:
                await work.audit.close(
                    intent,
                    transaction.audit(
                        Side.INITIATOR, request, call.response if call is not None and error is None else None, closing
                    ),
                )
                await work.ledger.close_step(
                    step_id,
                    replace(
                        step,
                        outcome=outcome,
                        size_bytes=size,
                        text=said.get("text", transaction.name),
                        duration_ms=(time.perf_counter() - started) * 1000,
                        why=error.detail if error is not None else said.get("why", ""),
                        cure=cure_of(error) if error is not None else said.get("cure", ""),
                    ),
                )
            if counts and (ended := ended_as(error)) is not None:
                self._sightings.note(peer.name, transaction.id, Sort.OUTCOME, ended, closing.at)
            CALLS.labels(transaction.id, error.condition.value if error else "success").inc()
            BYTES.labels("out").inc(size)


def _address_of(transaction: Transaction[Any, Any], peer: Peer) -> str:
    address = peer.endpoints.get(transaction.id)
    if address is None and isinstance(transaction, Hl7Transaction):
        address = peer.endpoints.get("MLLP")
    if address is None:
        raise Unsupported(
            f"no address of {peer.name} is known for {transaction.id}",
            cure=f'Add "{transaction.id}" to [peer.endpoint] of {peer.name}',
        )
    return address


def _host_of(address: str) -> str:
    return address.partition("://")[2].partition("/")[0].rpartition(":")[0]


def ended_as(error: ExchangeError | None) -> Ended | None:
    """What the end of a call says of the peer; None: nothing, it was ours.

    An error of the transaction's own (a patient whom it does not know) is an answer.
    """
    if error is None or error.code in CURES:
        return Ended.WORKS
    if not isinstance(error, PeerError):
        return None
    return Ended.REFUSED if isinstance(error, PeerRefused) else Ended.FAILED


def is_temporary(error: ExchangeError) -> bool:
    """Whether asking again may help."""
    return isinstance(error, PeerError) and error.temporary
