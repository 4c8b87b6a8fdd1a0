"""Attribute names as QIDO-RS writes them: `PatientID`, `00100020`, `RequestAttributesSequence.00401001`.

Source: DICOM PS3.18 8.3.4.1 (attribute paths); PS3.6.
"""

import re
from functools import lru_cache

from profiles.wire.dicom.dictionary import keyword_of, tag_of

_TAG = re.compile(r"[0-9A-Fa-f]{8}")


@lru_cache(maxsize=4096)
def keyword_path(name: str) -> str | None:
    """The same with keywords throughout; private and unknown tags stay eight digits. None: it is no attribute."""
    steps = [_keyword(step) for step in name.split(".")]
    return None if any(step is None for step in steps) else ".".join(step for step in steps if step)


def _keyword(step: str) -> str | None:
    if _TAG.fullmatch(step):
        return keyword_of(int(step, 16)) or step.upper()
    if tag_of(step) is None:
        return None
    return step
