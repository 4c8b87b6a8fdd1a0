"""ITI-92 as an update initiator asks it: a new version of an entry, for a responder that changes what it allows.

Source: ITI TF-2 3.92.
"""

from conformance.suites.asking import Errand, asking_cases
from conformance.suites.xds.changing import refusals, to_be_renamed, version_cases
from profiles.transaction import Actor
from profiles.xds.iti92 import ITI_92

INITIATOR = Actor.UPDATE_INITIATOR
RESTRICT = Errand("restrict", ITI_92, to_be_renamed)

CASES = (
    *asking_cases(
        __name__, INITIATOR, RESTRICT, rules="ITI92/asks-rules", told="ITI92/asks-told",
        refusals=refusals("UnmodifiableMetadataError"),
    ),
    *version_cases(__name__, INITIATOR, RESTRICT, "ITI92/asks-"),
)  # fmt: skip
