"""Peers: talk to others. One way out for every transaction, with its step on the timeline and its audit record."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from gateway.model.peer import Peer
from profiles.findings import Finding
from profiles.transaction import Facts, Transaction, User

Request = TypeVar("Request")
Response = TypeVar("Response")
Answer = TypeVar("Answer", covariant=True)


class Directory(Protocol):
    """Whom we know."""

    def named(self, name: str) -> Peer | None: ...
    def known(self, name: str) -> Peer:
        """By the name that our settings give it.

        Raises:
            RuleViolation: There is none.
        """
        ...

    def by_certificate(self, sha256: str) -> Peer | None: ...
    def by_retrieve_location(self, uid: str) -> Peer | None: ...
    def by_repository(self, unique_id: str) -> Peer | None: ...
    def by_home(self, home: str, transaction_id: str) -> Peer | None:
        """Who answers this transaction for a community; None: nobody whom we know."""
        ...

    def by_token(self, token: str) -> Peer | None: ...
    def all(self) -> Sequence[Peer]: ...


class Call(Protocol[Answer]):
    """A call under way: its response, and what the caller learned about it for audit and timeline."""

    @property
    def response(self) -> Answer: ...
    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was odd about the answer and could be read all the same."""
        ...

    def learned(self, **facts: object) -> None:
        """Add to the `Facts` of its closing audit record: patients, studies, delivered, undelivered, created."""
        ...


class Peers(Protocol):
    """The way out."""

    def call(
        self,
        transaction: Transaction[Request, Response],
        peer: Peer,
        request: Request,
        *,
        exchange_id: str,
        facts: Facts | None = None,
        user: User | None = None,
        message_id: str = "",
        counts: bool = True,
    ) -> AbstractAsyncContextManager[Call[Response]]:
        """Ask a peer. The intent (step and audit) is durable before the first byte; leaving closes both.

        `message_id` fixes MSH-10 or wsa:MessageID, so that an announcement that is repeated is the same announcement.
        What does not count is no sighting of what the peer does: it was asked for more than it has to do.

        Raises:
            PeerUnavailable, PeerTimeout: Come back later.
            PeerRefused: The peer answered with an error; `code` is the peer's.
            PeerProtocolError: The answer cannot be read.
            Unsupported: We know no address of the peer for this transaction.
        """
        ...
