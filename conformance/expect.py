"""Expectations that read aloud: `expect(answer.status, "the status").equals(PARTIAL_SUCCESS)`.

What does not hold says what was expected and what came; nothing is compared silently.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Generic, TypeVar

from conformance.verdict import Failed

T = TypeVar("T")
MAX_SHOWN = 300


class Expected(Generic[T]):
    """Something that came, with the name that a reader knows it by."""

    def __init__(self, came: T, name: str) -> None:
        """See `expect`."""
        self._came = came
        self._name = name

    def equals(self, expected: T) -> None:
        """It is exactly this. Of a truth (`whether the page is empty`) it is said that it should or should not be so."""
        if isinstance(expected, bool) and isinstance(self._came, bool) and self._name.startswith("whether "):
            if self._came is not expected:
                truth = self._name.removeprefix("whether ")
                raise Failed(
                    f"expected that {truth}; it is not so" if expected else f"did not expect that {truth}; it is so"
                )
            return
        self._hold(self._came == expected, f"to be {shown(expected)}")

    def differs_from(self, other: T) -> None:
        """It is anything else."""
        self._hold(self._came != other, f"to be anything but {shown(other)}")

    def is_one_of(self, *expected: T) -> None:
        """It is one of these."""
        self._hold(self._came in expected, f"to be one of {', '.join(map(shown, expected))}")

    def is_there(self) -> None:
        """It is not empty, nothing or false."""
        self._hold(bool(self._came), "to be there")

    def is_absent(self) -> None:
        """It is empty, nothing or false."""
        self._hold(not self._came, "to be absent")

    def contains(self, *parts: object) -> None:
        """All these are in it."""
        came = self._came
        if not isinstance(came, (Collection, str, bytes)):
            raise TypeError(f"{self._name} holds nothing")
        missing = [part for part in parts if part not in came]
        self._hold(not missing, f"to have {', '.join(map(shown, missing))}")

    def has_same(self, expected: Collection[object]) -> None:
        """The same members, in whatever order, each as often."""
        came = self._came
        if not isinstance(came, Collection):
            raise TypeError(f"{self._name} holds nothing")
        missing, extra = list(expected), []
        for each in came:
            if each in missing:
                missing.remove(each)
            else:
                extra.append(each)
        told = [
            f"{len(some)} {what} ({shown(some[0])})" for some, what in ((missing, "missing"), (extra, "extra")) if some
        ]
        if told:
            raise Failed(f"expected {self._name} to be the {len(expected)} that were asked for: {', '.join(told)}")

    def _hold(self, holds: bool, expected: str) -> None:
        if not holds:
            raise Failed(f"expected {self._name} {expected}; it is {shown(self._came)}")


def expect(came: T, name: str) -> Expected[T]:
    """What came, and what to call it in a sentence (`the status`)."""
    return Expected(came, name)


def shown(value: object) -> str:
    """A value as a sentence can hold it: of a record what is in it, without what is empty."""
    text = _shown(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _shown(value: object) -> str:
    match value:
        case Enum():
            return _shown(value.value)
        case bool() | int() | float():
            return str(value)
        case date():
            return value.isoformat()
        case str():
            return str(value) or "nothing"
        case bytes():
            return repr(value) if value else "nothing"
        case Mapping():
            return ", ".join(f"{_shown(key)}: {_shown(each)}" for key, each in value.items()) or "nothing"
        case tuple() | list() | set() | frozenset():
            inside = ", ".join(map(_shown, sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value))
            return f"[{inside}]" if inside else "nothing"
        case None:
            return "nothing"
    if is_dataclass(value) and not isinstance(value, type):
        told = ((each.name, getattr(value, each.name)) for each in fields(value) if each.repr)
        inside = ", ".join(f"{name} {_shown(each)}" for name, each in told if _is_told(each))
        return f"{type(value).__name__}({inside})"
    return repr(value)


def _is_told(value: object) -> bool:
    return value is not None and value != "" and value != () and value != {} and value != frozenset()
