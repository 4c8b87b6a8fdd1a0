"""Answers: what was said to messages that may come again, kept in the commit that did what they asked.

A sender that did not hear its acknowledgement sends the message again, perhaps to a house that has crashed and started
since. What a newcomer gets wrong: a message is the same only if its content is; a control id alone proves nothing.

Source: HL7 v2.5 2.9.2 (original mode), MSH-10.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageName:
    """What tells messages apart: who sent it (peer or network address, MSH-3, MSH-4), and MSH-10."""

    sender: str
    application: str
    facility: str
    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer that was given: `digest` is the SHA-256 of the message, `answer` the acknowledgement as it was sent."""

    name: MessageName
    digest: bytes
    at: datetime
    answer: bytes


class Answers(Protocol):
    """Answers that were given."""

    async def keep(self, given: Given, *, replace: bool = False) -> bool:
        """Keep it. False: there is one by this name already, and it stays, unless it is to be replaced."""
        ...

    async def get(self, name: MessageName) -> Given | None:
        """What was answered."""
        ...

    async def prune(self, before: datetime, limit: int) -> int:
        """Let go of answers given before, the oldest first and no more than `limit`; answers how many went."""
        ...
