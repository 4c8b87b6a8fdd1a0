"""The transactions of DICOMweb, in Framework order."""

from typing import Any

from profiles.transaction import HttpTransaction
from profiles.wia.frames import RETRIEVE_FRAMES
from profiles.wia.metadata import RETRIEVE_METADATA
from profiles.wia.rad107 import RAD_107
from profiles.wia.rad108 import RAD_108
from profiles.wia.rad129 import RAD_129
from profiles.wia.rendered import RETRIEVE_RENDERED

TRANSACTIONS: tuple[HttpTransaction[Any, Any], ...] = (
    RAD_107,
    RETRIEVE_METADATA,
    RETRIEVE_FRAMES,
    RETRIEVE_RENDERED,
    RAD_108,
    RAD_129,
)
