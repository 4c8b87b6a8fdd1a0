"""What `peers` asks of each transport: carry one request to an address, bring the response back.

A carrier knows sockets and framing. It knows no peer table, no ledger, no audit: those are `peers`' own.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gateway.model.peer import Peer
from profiles.findings import Finding
from profiles.transaction import Transaction, User

Response = TypeVar("Response")


@dataclass(slots=True, kw_only=True)
class Carried(Generic[Response]):
    """A response on its way. `received_bytes` counts on while a pour is read; leaving the context closes the exchange."""

    response: Response
    findings: tuple[Finding, ...] = ()
    sent_bytes: int = 0
    received_bytes: int = 0


class Carrier(Protocol):
    """One transport."""

    def carry(
        self,
        transaction: Transaction[Any, Response],
        address: str,
        request: object,
        *,
        peer: Peer,
        message_id: str,
        user: User | None = None,
    ) -> AbstractAsyncContextManager[Carried[Response]]:
        """Ask at this address, for this person. `message_id` is a UUID without prefix (SOAP) or MSH-10 (HL7 v2).

        Raises:
            PeerUnavailable, PeerTimeout, PeerRefused, PeerProtocolError: As the port `Peers` says.
        """
        ...
