"""The profile's transactions, in Framework order."""

from profiles.xcpd.iti55 import ITI_55

TRANSACTIONS = (ITI_55,)
