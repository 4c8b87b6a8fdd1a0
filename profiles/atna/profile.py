"""The profile's transactions, in Framework order."""

from typing import Any

from profiles.atna.iti19 import ITI_19
from profiles.atna.iti20 import ITI_20
from profiles.transaction import Transaction

NAME = "Audit Trail and Node Authentication"
TRANSACTIONS: tuple[Transaction[Any, Any], ...] = (ITI_19, ITI_20)
