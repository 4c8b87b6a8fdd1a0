"""Policy by table: known peers within their scopes; anonymous callers only where the settings say so.

Purpose of use, consent and confidentiality come to this same port later.
"""

from gateway.model.peer import Caller
from gateway.ports.policy import Decision

OPEN_TO_ALL = frozenset({"FHIR capabilities"})
"""What a stranger may ask: a CapabilityStatement needs no authentication (ITI TF-2 Appendix Z.3)."""


class TablePolicy:
    """The table is the peers' own `scopes`."""

    def __init__(self, *, anonymous_loopback: bool) -> None:
        """`anonymous_loopback`: callers from this machine need no name (for trying things out)."""
        self._anonymous_loopback = anonymous_loopback

    def decide(self, caller: Caller, transaction_id: str) -> Decision:
        """Whether this caller may use this transaction at all."""
        if transaction_id in OPEN_TO_ALL:
            return Decision(allowed=True)
        if caller.peer is not None:
            if caller.peer.scopes and transaction_id not in caller.peer.scopes:
                return Decision(allowed=False, reason=f"{caller.peer.name} may not use {transaction_id}")
            return Decision(allowed=True)
        if caller.person:
            return Decision(allowed=True)
        if self._anonymous_loopback and caller.via == "loopback":
            return Decision(allowed=True)
        return Decision(allowed=False, reason="nobody we know: show a client certificate or a token")
