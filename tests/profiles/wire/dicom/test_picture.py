"""What decides how a frame looks, as DICOM JSON says it."""

import json
from typing import Any

import pytest

from profiles.errors import Unsupported
from profiles.wire.dicom.picture import Window, image_attributes


def test_an_instance_that_is_no_image_cannot_be_rendered() -> None:
    with pytest.raises(Unsupported):
        image_attributes(b'{"00080060":{"vr":"CS","Value":["SR"]}}')


def test_functional_groups_of_the_frame_go_before_shared_ones() -> None:
    def group(slope: float, center: float) -> dict[str, Any]:
        return {
            "00289145": {"vr": "SQ", "Value": [{"00281053": {"vr": "DS", "Value": [slope]}}]},
            "00289132": {
                "vr": "SQ",
                "Value": [{"00281050": {"vr": "DS", "Value": [center]}, "00281051": {"vr": "DS", "Value": [80]}}],
            },
        }

    attributes: dict[str, Any] = {
        "00280010": {"vr": "US", "Value": [2]},
        "00280011": {"vr": "US", "Value": [2]},
        "52009229": {"vr": "SQ", "Value": [group(1.0, 10)]},
        "52009230": {"vr": "SQ", "Value": [{}, group(3.0, 30)]},
    }
    first, second = (image_attributes(json.dumps(attributes).encode(), frame) for frame in (1, 2))
    assert (first.slope, first.window) == (1.0, Window(center=10, width=80))
    assert (second.slope, second.window) == (3.0, Window(center=30, width=80))
