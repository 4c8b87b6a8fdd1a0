"""The profile's transactions, in Framework order.

A house that knows its senders' namespaces serves `iti_8(site)` and `iti_30(site)` in their place, found by their id.
"""

from profiles.pix.iti8 import ITI_8
from profiles.pix.iti30 import ITI_30

TRANSACTIONS = (ITI_8, ITI_30)
