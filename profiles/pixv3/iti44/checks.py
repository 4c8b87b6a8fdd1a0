"""ITI-44's rules about a request that was read; those about how it was written are found when it is read.

Source: ITI TF-2 3.44.4.
"""

from profiles.wire.hl7v3.feed import RECORD_CHECKS as CHECKS

__all__ = ["CHECKS"]
