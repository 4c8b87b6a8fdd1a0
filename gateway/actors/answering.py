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
    """A transaction and the bound method that answers it."""

    transaction: Transaction[Request, Response]
    method: Callable[[Request, Exchange], Awaitable[Response]]


def answers(
    *transactions: Transaction[Request, Response],
) -> Callable[
    [Callable[[Self, Request, Exchange], Awaitable[Response]]], Callable[[Self, Request, Exchange], Awaitable[Response]]
]:
    """Say which transactions (of one request and response type) the method answers."""

    def mark(
        method: Callable[[Self, Request, Exchange], Awaitable[Response]],
    ) -> Callable[[Self, Request, Exchange], Awaitable[Response]]:
        setattr(method, _MARK, transactions)
        return method

    return mark


def answers_of(actor: object) -> Iterator[Answering[Any, Any]]:
    """What an actor answers, in the order in which its methods stand."""
    for name in vars(type(actor)):
        method = getattr(actor, name, None)
        for transaction in getattr(method, _MARK, ()):
            yield Answering(transaction, method)  # type: ignore[arg-type]  # marked methods are bound by getattr
