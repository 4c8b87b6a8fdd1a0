"""Policy by table: known peers within scopes, purposes and roles that they are served; others where settings say so.

Consent and confidentiality come to this same port later.
"""

from collections.abc import Iterable

from gateway.model.peer import ONLY_BY_NAME, Caller, Peer
from gateway.ports.policy import Decision
from profiles.model.codes import Code
from profiles.xua.iti40 import Assertion

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
            named = transaction_id in caller.peer.scopes
            if not named and (caller.peer.scopes or transaction_id in ONLY_BY_NAME):
                return Decision(allowed=False, reason=f"{caller.peer.name} may not use {transaction_id}")
            return _for_this_person(caller.peer, caller.assertion)
        if caller.person:
            return Decision(allowed=True)
        if self._anonymous_loopback and caller.via == "loopback":
            return Decision(allowed=True)
        return Decision(allowed=False, reason="nobody we know: show a client certificate or a token")


def _for_this_person(peer: Peer, assertion: Assertion | None) -> Decision:
    """Where a peer is held to purposes or roles, whoever does not say theirs is not served."""
    if peer.purposes and not _one_of(peer.purposes, assertion.purposes if assertion else ()):
        return Decision(allowed=False, reason=f"{peer.name} is not served for this purpose of use")
    if peer.roles and not _one_of(peer.roles, assertion.roles if assertion else ()):
        return Decision(allowed=False, reason=f"{peer.name} is not served for a person of this role")
    return Decision(allowed=True)


def _one_of(served: frozenset[str], said: Iterable[Code]) -> bool:
    """By its code, or by `system|code`."""
    return any(code.value in served or f"{code.system}|{code.value}" in served for code in said)
