"""Questions: what we asked and let the answer be brought to our reply address, until it is here or nobody waits any more.

What a newcomer gets wrong: an answer is believed for being awaited, and not for coming. It names the question by the id of
its message, it comes from the peer who was asked, and it comes while somebody waits.

Source: WS-Addressing 1.0 core 3.4; ITI TF-2 Appendix V.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.model.peer import Peer
from profiles.errors import ExchangeError
from profiles.wire.soap.mtom import SoapMessage

ANSWERED_AT_ONCE = "asynchronous-answered-at-once"
"""The finding that an answer came on the connection that asks, although it was to be brought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An answer that has begun to come: its envelope was read, its documents are still on the wire.

    `received_bytes` tells how many bytes of it have come so far.
    """

    message: SoapMessage
    received_bytes: Callable[[], int]


class Awaited(Protocol):
    """One question to which an answer has come."""

    async def give(self, arrival: Arrival) -> ExchangeError | None:
        """Hand the answer to who waits for it, and wait until it was read.

        Returns:
            None: It was read to its end. Else why not, as its sender may be told.
        """
        ...


class Questions(Protocol):
    """The questions that are open, of this process."""

    def awaits(self, peer: Peer) -> bool:
        """Whether anything is awaited from this peer at all."""
        ...

    def match(self, relates_to: str, peer: Peer) -> Awaited:
        """Whose answer it is, by the wsa:MessageID of what we asked. From now on it counts as answered.

        Raises:
            RuleViolation: Nobody asked this, nobody waits any more, or it was answered already.
            AccessDenied: Somebody else was asked.
        """
        ...
