"""RAD-108 STOW-RS Store: instances are pushed to us.

Source: IHE RAD TF-2 4.108; DICOM PS3.18 10.5.
"""

from profiles.wia.rad108.messages import InstanceOutcome, StoreInstancesRequest, StoreInstancesResponse
from profiles.wia.rad108.spec import RAD_108

__all__ = ["RAD_108", "InstanceOutcome", "StoreInstancesRequest", "StoreInstancesResponse"]
