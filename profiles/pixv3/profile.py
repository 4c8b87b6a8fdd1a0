"""The profile's transactions, in Framework order."""

from profiles.pixv3.iti44 import ITI_44
from profiles.pixv3.iti45 import ITI_45

TRANSACTIONS = (ITI_44, ITI_45)
