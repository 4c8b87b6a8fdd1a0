"""The profile's transactions, in Framework order."""

from profiles.pixv3.iti44 import ITI_44

TRANSACTIONS = (ITI_44,)
