"""ITI-30's rules about a request that was read; those about how it was written are found when it is read.

Source: ITI TF-2 3.30.4.
"""

from profiles.wire.hl7v2.adt import (
    FEED_CHECKS,
    a_new_patient_has_a_name,
    both_ids_are_of_one_authority,
    the_two_ids_differ,
)

CHECKS = FEED_CHECKS

__all__ = ["CHECKS", "a_new_patient_has_a_name", "both_ids_are_of_one_authority", "the_two_ids_differ"]
