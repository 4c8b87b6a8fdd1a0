"""`@answers` ties an actor's method to a transaction. The type checker holds the method to the transaction's types."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from gateway.services.exchange import Exchange
from profiles.errors import ExchangeError
from profiles.transaction import Transaction

Request = TypeVar("Request")
Response = TypeVar("Response")
Self = TypeVar("Self")

_MARK = "_answers"


@dataclass(frozen=True, slots=True)
class Answering(Generic[Request, Response]):
    """A transaction and the bound method that answers it.

    `refine` names the transaction more exactly once its request was read: RAD-68 is ITI-41 on the wire, and its audit
    is its own. `refusing` is how the actor says an error that came before its method was asked; None: as the transaction
    says it.
    """

    transaction: Transaction[Request, Response]
    method: Callable[[Request, Exchange], Awaitable[Response]]
    refine: Callable[[Request], Transaction[Request, Response]] | None = None
    refusing: Callable[[ExchangeError], Response] | None = None

    def refuse(self, error: ExchangeError) -> Response:
        """An error as an answer of this actor."""
        answer: Response = (self.refusing or self.transaction.refuse)(error)  # type: ignore[attr-defined]  # of SOAP: all of them have it
        return answer


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
    """What an actor answers, in the order in which its methods stand; refusing in its own way if it has `refusing`."""
    refusing = getattr(actor, "refusing", None)
    for name in vars(type(actor)):
        method = getattr(actor, name, None)
        transactions, refine = getattr(method, _MARK, ((), None))
        for transaction in transactions:
            own = partial(refusing, transaction) if refusing is not None else None
            yield Answering(transaction, method, refine, own)  # type: ignore[arg-type]  # getattr has bound it
