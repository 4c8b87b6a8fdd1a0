"""Verdicts, and how a case ends before its end."""

from enum import StrEnum


class Verdict(StrEnum):
    """What became of a case."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"  # the target does otherwise
    SKIP = "skip"  # the target does not let us get there, or we were not told enough of it
    OMIT = "omit"  # nobody claims that the target does this
    ERROR = "error"  # the tester broke


class Failed(Exception):
    """The target did not do what the case says; the text is what came instead."""


class Unclaimed(Exception):
    """The system does not say that it does this, or its description does not; the text is what would say so."""


class Unreachable(Exception):
    """The case cannot be tried here; the text is why, and what would help."""


class NotDone(Unreachable):
    """The system was told to do something, and says that it did not; the text is what it says."""
