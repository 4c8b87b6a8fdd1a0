"""RawMessages: the beginning of what was said to us, kept for operators while it is of use, and then let go.

It is patient data that no transaction asks for: kept within an age and a size, encrypted at rest where a key is
configured, and whoever looks at one is audited. What a newcomer gets wrong: messages of exchanges that failed are a class
of their own, with the same quota again. A flood of what went well does not push out what somebody has yet to look into.
"""

from datetime import datetime
from typing import Protocol

KEPT_BYTES = 64 * 1024  # of one message: a whole ADT, query or envelope; of a submission all but its documents


class RawMessages(Protocol):
    """Messages as they came, by the exchange that they began."""

    async def keep(self, exchange_id: str, at: datetime, body: bytes, *, failed: bool) -> None:
        """Keep it; what was kept for the same exchange before is replaced. `failed`: the exchange did."""
        ...

    async def open(self, exchange_id: str) -> bytes | None:
        """The message. None: none is kept, or none any more.

        Raises:
            UnknownDocument: It was encrypted with another key than ours, or is not what was kept.
        """
        ...

    async def horizon(self, before: datetime, max_bytes: int, *, failed: bool) -> datetime:
        """Up to when all of a class has to go, so that nothing is older than `before` and the rest fits `max_bytes`.

        It adds up all that is kept, so it is asked in a view and once; `prune` then goes in small steps.
        """
        ...

    async def prune(self, before: datetime, limit: int, *, failed: bool) -> int:
        """Let go of what a class has from before, the oldest first and no more than `limit`; answers how many."""
        ...
