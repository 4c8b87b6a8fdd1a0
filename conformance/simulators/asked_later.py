"""A community that is asked asynchronously: it brings its answers to the address that a request names for them.

It is asked as a registry with its repositories, and as another community; what it has is the same to both.

Source: ITI TF-2 Appendix V.5.
"""

from conformance.simulators.foreign_community import ForeignCommunity
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti43 import ITI_43
from profiles.xdsi.rad69 import RAD_69

LATER = ("ITI-18", "ITI-43", "RAD-69", "ITI-39", "RAD-75")
"""What it is asked by. Not ITI-38: so a gateway that asks every community is not kept waiting by this one."""


class AskedLater(ForeignCommunity):
    """Answers ITI-18, ITI-43 and RAD-69 too."""

    def _stand(self) -> None:
        super()._stand()
        self.counterpart.answers(ITI_18, self.query)
        self.counterpart.answers(ITI_43, self.retrieve)
        self.counterpart.answers(RAD_69, self.retrieve_images)
