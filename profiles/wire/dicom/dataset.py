"""The face of a dataset: as a `Study`, as DICOM JSON, with our patient, in another native syntax.

Whoever reads a header with `part10` asks here what it says. Each verb has a file of its own.
"""

from profiles.wire.dicom.jsonmodel import dicom_json
from profiles.wire.dicom.rewrite import COERCED_TAGS, coerced_head, head_in, reread
from profiles.wire.dicom.study import study_of

__all__ = ["COERCED_TAGS", "coerced_head", "dicom_json", "head_in", "reread", "study_of"]
