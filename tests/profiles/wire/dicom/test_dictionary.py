"""The data dictionary, beside pydicom's own reading of its tables."""

import subprocess
import sys

import pytest
from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag, repeater_has_tag

from profiles.wire.dicom.dictionary import keyword_of, tag_of, vr_of

GROUPS = (0x0020, 0x0028, 0x1000, 0x1010, 0x5002, 0x50FE, 0x6000, 0x60FE, 0x7F00, 0x7F02)
REPEATED = [tag for group in GROUPS for element in range(0x10000) if repeater_has_tag(tag := group << 16 | element)]


def test_every_tag_has_the_keyword_and_vr_that_pydicom_finds() -> None:
    assert len(REPEATED) > 200
    for tag in (*keyword_dict.values(), *REPEATED):
        assert keyword_of(tag) == keyword_for_tag(tag), f"{tag:08X}"
        if tag & 0xFFFF and not tag >> 16 & 1:
            assert vr_of(tag) == dictionary_VR(tag).encode(), f"{tag:08X}"
    for keyword, tag in keyword_dict.items():
        assert tag_of(keyword) == tag
    assert tag_of("NoSuchKeyword") is None


@pytest.mark.parametrize(
    ("tag", "vr", "keyword"),
    [
        (0x00100010, b"PN", "PatientName"),
        (0x00280106, b"US or SS", "SmallestImagePixelValue"),
        (0x60023000, b"OB or OW", "OverlayData"),
        (0x60033000, b"UN", ""),  # odd groups are private, whatever they look like
        (0x00090010, b"LO", ""),  # who reserves a block of private elements (PS3.5 7.8.1)
        (0x00091001, b"UN", ""),
        (0x00100000, b"UL", ""),  # group length
        (0x0010FFFF, b"UN", ""),
    ],
)
def test_a_tag_has_a_vr_and_a_keyword(tag: int, vr: bytes, keyword: str) -> None:
    assert (vr_of(tag), keyword_of(tag)) == (vr, keyword)


def test_nothing_else_of_pydicom_is_loaded() -> None:
    """It would take half a second of the loop and 33 MiB, for every decoder that is installed comes with it."""
    asked = (
        "import sys; from profiles.wire.dicom.keywords import keyword_path; from profiles.wire.dicom.elements import vr_of;"
        "assert keyword_path('00100020') == 'PatientID' and vr_of(0x00100020) == b'LO';"
        "sys.exit(sorted(name for name in sys.modules if name.startswith('pydicom')) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
