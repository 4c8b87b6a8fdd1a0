"""Policy: may they? One decision for every wire, with the same reason in the reply and in the audit."""

from dataclasses import dataclass
from typing import Protocol

from gateway.model.peer import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether, and why: `reason` is safe to tell."""

    allowed: bool
    reason: str = ""


class Policy(Protocol):
    """Who may ask what."""

    def decide(self, caller: Caller, transaction_id: str) -> Decision:
        """Whether this caller may use this transaction at all, for the person and purpose that its assertion names."""
        ...
