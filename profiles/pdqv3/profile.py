"""The profile's transactions, in Framework order."""

from profiles.pdqv3.iti47 import ITI_47

TRANSACTIONS = (ITI_47,)
