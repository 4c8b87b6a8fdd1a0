"""What a header says: as DICOM JSON (pydicom judges), as a Study, coerced, and in another native syntax."""

import json
import warnings
from array import array
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from pydicom.dataset import Dataset

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.dicom.dataset import dicom_json
from profiles.wire.dicom.part10 import Part10Head, read_head
from tests.profiles.wire.dicom.generated import NATIVE, datasets, read, written
from tests.profiles.wire.dicom.test_part10 import PIXELS, TEST_FILES, UNREADABLE

quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
THEIRS, OURS = Oid("1.2.4.4"), Oid("1.2.3.4")
AT = datetime(2026, 11, 24, 6, 7, 8, 9, tzinfo=UTC)
MUELLER = Patient(
    identifiers=(PatientIdentifier(value="V-1", authority=OURS),),
    name=PersonName(family="Müller", given="Zoë"),
    birth_date=Moment.from_dtm("19700102"),
    sex=Sex.FEMALE,
)


# --- DICOM JSON -------------------------------------------------------------------------------------------------------


def _meaning(attributes: dict[str, Any]) -> dict[str, Any]:
    """JSON attributes without the freedoms that Annex F leaves: numbers or strings, padding, null or empty."""
    result = {}
    for tag, attribute in attributes.items():
        if tag in ("00080005", "7FE00010") or tag.endswith("0000"):
            continue
        vr, values = attribute["vr"], attribute.get("Value", [])
        if vr == "SQ":
            values = [_meaning(item) for item in values]
        elif vr == "PN":
            values = [{key: text.strip() for key, text in (name or {}).items() if text.strip()} for name in values]
        elif vr in ("FL", "FD", "DS", "IS"):
            values = [None if value in (None, "") else float(value) for value in values]
        else:
            values = [(value.strip(" \0") or None) if isinstance(value, str) else value for value in values]
        while values and values[-1] in (None, "", {}) and vr != "SQ" and len(values) == 1:
            values = []
        result[tag] = (vr, values, attribute.get("InlineBinary"))
    return result


def _judged(body: bytes, head: Part10Head) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged: dict[str, Any] = read(body).to_json_dict()
    for attributes in _levels(judged):
        for attribute in attributes.values():
            if len(attribute.get("InlineBinary", "")) > 1368:
                del attribute["InlineBinary"]
            elif head.encoding.big and attribute["vr"] == "OW" and "InlineBinary" in attribute:
                words = array("H", b64decode(attribute["InlineBinary"]))
                words.byteswap()  # pydicom keeps the file's byte order; JSON is little endian whatever the file was
                attribute["InlineBinary"] = b64encode(words.tobytes()).decode()
    return judged


def _levels(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    nested = [item for each in attributes.values() if each["vr"] == "SQ" for item in each.get("Value", [])]
    return [attributes, *(level for item in nested for level in _levels(item))]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda each: each.name)
@given(dataset=datasets())
@quickly
def test_json_means_what_pydicom_says(syntax: pydicom.uid.UID, dataset: Dataset) -> None:
    body = written(dataset, syntax, PIXELS)
    head = read_head(body)
    rendered = dicom_json(head)
    mine = json.loads(rendered)
    assert list(mine) == sorted(mine)
    assert _meaning(mine) == _meaning(_judged(body, head))
    assert Dataset.from_json(rendered.decode()).SOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    "path", [path for path in TEST_FILES if Path(path).name not in UNREADABLE], ids=lambda path: Path(path).name
)
def test_json_of_files_of_many_makers_means_what_pydicom_says(path: str) -> None:
    body = Path(path).read_bytes()
    head = read_head(body)
    mine = json.loads(dicom_json(head))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            judged = pydicom.dcmread(path, force=True, stop_before_pixels=True).to_json_dict()
        except Exception:
            return
    for attributes in _levels(judged):
        for attribute in attributes.values():
            if len(attribute.get("InlineBinary", "")) > 1368:
                del attribute["InlineBinary"]
    expected = {tag: each for tag, each in _meaning(judged).items() if tag < "7FE00010"}
    assert _meaning(mine) == expected
