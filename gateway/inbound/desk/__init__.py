"""The desk: the operators' pages. They show what the ledger, the index and the audit trail say, and own no rules.

Server-rendered, no build step, strict content security policy; works without JavaScript but for scrolling through images.
"""

from gateway.inbound.desk.desk import Desk
from gateway.inbound.desk.login import Login

__all__ = ["Desk", "Login"]
