"""A case: one behaviour of one actor in one transaction, that the system under test shows or does not.

A case is a coroutine under `@case`, whose name is its id and whose title is a sentence that is true when it passes. It
asks the target, says what it expects, and returns; what does not hold raises `Failed`, what it cannot get to `Unreachable`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from conformance.target import Target
from profiles.transaction import Actor

Body = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`id` is suite and name (`xdsi.retrieve/missing_instance`); `requirements` are ids of rows in `requirements/`, 1..n.

    `transaction` is the one that is claimed with `actor`, and whose requirement rows the case counts for.
    """

    id: str
    requirements: tuple[str, ...]
    transaction: str
    actor: Actor
    title: str
    body: Body = field(repr=False, compare=False)

    @property
    def suite(self) -> str:
        """The module that it stands in."""
        return self.id.partition("/")[0]


def case(*requirements: str, transaction: str, actor: Actor, title: str, suite: str = "") -> Callable[[Body], Case]:
    """Make a case of a coroutine: `@case("RAD69-005", transaction="RAD-69", actor=..., title="...")`.

    `suite` is the module that it belongs to, where that is not the coroutine's own.
    """
    if not requirements:
        raise ValueError("a case names the requirement that it proves")

    def made(body: Body) -> Case:
        module = (suite or body.__module__).removeprefix("conformance.suites.")
        return Case(
            id=f"{module}/{getattr(body, '__name__', 'case')}", requirements=requirements, transaction=transaction,
            actor=actor, title=title, body=body,
        )  # fmt: skip

    return made
