"""Turn: the one path from request to audit, whatever the wire.

Who are you, read, check, may you; then the actor; then step and audit in the same commit; then the reply. A listener does
nothing else than read its wire, enter a turn, and write what the turn answered:

    async with turn.answer(answering, caller, decode) as answered:
        response = answered.response if answered.error is None else transaction.refuse(answered.error)
        ... write it; for a `Poured`, pour it inside this block ...

What a newcomer gets wrong: leaving the block by an exception *is* the broken pour; it is recorded as such.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gateway.actors.answering import Answering
from gateway.model.peer import Caller
from profiles.errors import ExchangeError
from profiles.findings import Decoded
from profiles.transaction import User

Response = TypeVar("Response")


@dataclass(slots=True, kw_only=True)
class Answered(Generic[Response]):
    """What came of it: exactly one of `response` and `error`. `exchange_id` goes to logs and headers."""

    exchange_id: str
    response: Response | None = None
    error: ExchangeError | None = None
    sent_bytes: int = 0  # the listener adds what it wrote


class Turns(Protocol):
    """What a listener needs."""

    def answer(
        self,
        answering: Answering[Any, Response],
        caller: Caller,
        decode: Callable[[], Decoded[Any]],
        *,
        query: bytes | None = None,
        raw: bytes = b"",
        received_bytes: int = 0,
        user: User | None = None,
        message_id: str = "",
    ) -> AbstractAsyncContextManager[Answered[Response]]:
        """Take one request from decoding to its committed answer.

        `decode` may raise; that too is a turn, audited and noted. `query` is the request as audit quotes it, `raw` what
        operators may look at later (size-capped, may be empty).
        """
        ...

    async def refused(
        self, caller: Caller, wire: str, error: ExchangeError, *, raw: bytes = b"", transaction_id: str = ""
    ) -> None:
        """Something came that never became a request (bad framing, unknown action): one step, one security audit.

        Rate-limited per peer.
        """
        ...
