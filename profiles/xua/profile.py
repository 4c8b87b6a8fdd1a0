"""The profile's transaction."""

from typing import Any

from profiles.transaction import Transaction
from profiles.xua.iti40 import ITI_40

NAME = "Cross-Enterprise User Assertion"
TRANSACTIONS: tuple[Transaction[Any, Any], ...] = (ITI_40,)
