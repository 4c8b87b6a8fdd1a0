"""Replies: answers that do not go back on the connection that asked."""

from typing import Protocol

from gateway.model.peer import Peer
from profiles.wire.soap.mtom import Packed


class Replies(Protocol):
    """The way to the address that a request named for its answer. Whether it may be used is decided before."""

    async def send(self, address: str, peer: Peer, answer: Packed) -> int:
        """Bring an answer there; answers how many bytes it had.

        What is small is brought again a few times when nobody takes it; what is poured has one try.

        Raises:
            PeerUnavailable, PeerTimeout, PeerRefused: It was not taken.
        """
        ...
