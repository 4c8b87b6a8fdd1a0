"""ITI-30's rules about a request that was read; those about how it was written are found when it is read.

Source: ITI TF-2 3.30.4.
"""

from profiles.wire.hl7v2.adt import FEED_CHECKS as CHECKS

__all__ = ["CHECKS"]
