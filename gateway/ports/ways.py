"""Ways: the hops below a transaction, on the way to an address of a peer."""

from collections.abc import Sequence
from typing import Protocol

from gateway.model.peer import Peer
from gateway.model.probe import Walked


class Ways(Protocol):
    """Walks without asking anything of the peer that it would keep."""

    async def walk(self, address: str, peer: Peer) -> Sequence[Walked]:
        """Name, connection, TLS and HTTP, as far as the address has them: 1..4, and none behind the first that fails."""
        ...
