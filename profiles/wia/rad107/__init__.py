"""RAD-107 WADO-RS Retrieve, of instances: a study, a series or an instance as Part 10 files.

Source: IHE RAD TF-2 4.107; DICOM PS3.18 10.4.
"""

from profiles.wia.rad107.messages import RetrievableInstance, RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wia.rad107.spec import RAD_107

__all__ = ["RAD_107", "RetrievableInstance", "RetrieveInstancesHead", "RetrieveInstancesRequest"]
