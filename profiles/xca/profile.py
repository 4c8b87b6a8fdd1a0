"""The transactions of XCA, in Framework order."""

from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39

TRANSACTIONS = (ITI_38, ITI_39)
