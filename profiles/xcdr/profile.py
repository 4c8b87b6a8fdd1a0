"""The transaction of XCDR, Cross-Community Document Reliable Interchange."""

from profiles.xcdr.iti80 import ITI_80

TRANSACTIONS = (ITI_80,)
