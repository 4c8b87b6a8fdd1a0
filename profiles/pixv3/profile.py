"""The profile's transactions, in Framework order."""

from profiles.pixv3.iti44 import ITI_44
from profiles.pixv3.iti45 import ITI_45
from profiles.pixv3.iti46 import ITI_46

TRANSACTIONS = (ITI_44, ITI_45, ITI_46)
