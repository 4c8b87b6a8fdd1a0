"""pydicom's own test files, and which of them are no whole files."""

from pathlib import Path

import pydicom

PIXELS = bytes(range(200))

TEST_FILES = sorted(map(str, Path(pydicom.__file__).parent.glob("data/test_files/*.dcm")))

UNREADABLE = {
    "MR_truncated.dcm": "the pixel data stop early",
    "meta_missing_tsyntax.dcm": "the file stops inside an element",
    "nested_priv_SQ.dcm": "the file stops inside an element",
    "no_meta.dcm": "this is not a DICOM file",
    "rtplan_truncated.dcm": "the file stops inside an element",
}
