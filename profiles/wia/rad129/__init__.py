"""RAD-129 QIDO-RS Query: studies, series and instances by their attributes.

Source: IHE RAD TF-2 4.129; DICOM PS3.18 10.6.
"""

from profiles.wia.rad129.messages import Condition, Level, SearchRequest, SearchResponse, SearchRow
from profiles.wia.rad129.spec import RAD_129

__all__ = ["RAD_129", "Condition", "Level", "SearchRequest", "SearchResponse", "SearchRow"]
