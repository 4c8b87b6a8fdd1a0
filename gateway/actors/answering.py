"""`@answers` ties an actor's method to a transaction. The type checker holds the method to the transaction's types."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.services.exchange import Exchange
from profiles.transaction import Transaction

Request = TypeVar("Request")
Response = TypeVar("Response")
Self = TypeVar("Self")

_MARK = "_answers"


@dataclass(frozen=True, slots=True)
class Answering(Generic[Request, Response]):
    """A transaction and the bound method that answers it.

    `refine` names the transaction more exactly once its request was read: RAD-68 is ITI-41 on the wire, and its audit
    is its own.
    """

    transaction: Transaction[Request, Response]
    method: Callable[[Request, Exchange], Awaitable[Response]]
    refine: Callable[[Request], Transaction[Request, Response]] | None = None


def answers(
    *transactions: Transaction[Request, Response],
    refine: Callable[[Request], Transaction[Request, Response]] | None = None,
) -> Callable[
    [Callable[[Self, Request, Exchange], Awaitable[Response]]], Callable[[Self, Request, Exchange], Awaitable[Response]]
]:
    """Say which transactions (of one request and response type) the method answers."""

    def mark(
        method: Callable[[Self, Request, Exchange], Awaitable[Response]],
    ) -> Callable[[Self, Request, Exchange], Awaitable[Response]]:
        setattr(method, _MARK, (transactions, refine))
        return method

    return mark


def answers_of(actor: object) -> Iterator[Answering[Any, Any]]:
    """What an actor answers, in the order in which its methods stand."""
    for name in vars(type(actor)):
        method = getattr(actor, name, None)
        transactions, refine = getattr(method, _MARK, ((), None))
        for transaction in transactions:
            yield Answering(transaction, method, refine)  # type: ignore[arg-type]  # getattr has bound it
