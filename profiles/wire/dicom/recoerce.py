"""An indexed header in other words: DICOM JSON coerced as its file was.

A merge gives every instance of a study a new head; what the index tells of them has to follow without reading the study
again. The few attributes that coercion looks at are made a small file, coerced like any other, and laid over the JSON: one
rule, written once.

Source: DICOM PS3.18 Annex F; PS3.3 C.12.1.1.9.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from profiles.model.identifiers import AccessionNumber
from profiles.model.patient import Patient
from profiles.wire.dicom.encode import UTF8, element, file_meta, sequence
from profiles.wire.dicom.jsonmodel import dataset_json
from profiles.wire.dicom.part10 import read_head
from profiles.wire.dicom.rewrite import CHARACTER_SET, COERCED_TAGS, ORIGINAL_ATTRIBUTES, coerced_head
from profiles.wire.dicom.syntaxes import EXPLICIT_LE

_NAME = ("Alphabetic", "Ideographic", "Phonetic")


def recoerced_json(
    metadata: bytes, *, patient: Patient, accession: AccessionNumber | None, source: str, system: str, at: datetime
) -> bytes:
    """One instance's DICOM JSON as it reads with our patient; the arguments are those of `coerced_head`."""
    told: dict[str, Any] = orjson.loads(metadata)
    few = {tag: told[key] for tag in (*COERCED_TAGS, ORIGINAL_ATTRIBUTES) if (key := f"{tag:08X}") in told}
    body = b"".join(
        _element(tag, each)
        for tag, each in sorted({CHARACTER_SET: {"vr": "CS", "Value": ["ISO_IR 192"]}, **few}.items())
    )
    head = read_head(file_meta(_first(told, "00080016"), _first(told, "00080018"), EXPLICIT_LE) + body)
    coerced = coerced_head(head, patient=patient, accession=accession, source=source, system=system, at=at)
    changed: dict[str, Any] = orjson.loads(dataset_json(read_head(coerced).dataset))
    del changed[f"{CHARACTER_SET:08X}"]
    return orjson.dumps(dict(sorted({**told, **changed}.items())))


def _first(told: Mapping[str, Any], key: str) -> str:
    values = told.get(key, {}).get("Value") or [""]
    return str(values[0])


def _element(tag: int, told: Mapping[str, Any]) -> bytes:
    """An element of text or of items, from its JSON."""
    vr, values = str(told["vr"]), told.get("Value", [])
    if vr == "SQ":
        return sequence(
            tag,
            (b"".join(_element(int(key, 16), each) for key, each in sorted(item.items())) for item in values if item),
        )
    written = "\\".join(_name(each) if vr == "PN" else "" if each is None else str(each) for each in values)
    return element(tag, vr.encode("ascii"), UTF8.encode(written) or b"")


def _name(told: object) -> str:
    if not isinstance(told, dict):
        return ""
    return "=".join(str(told.get(group, "")) for group in _NAME).rstrip("=")
