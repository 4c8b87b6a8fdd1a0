"""The data dictionary: keyword and VR of a tag.

The tables are pydicom's, read from their file. What a newcomer gets wrong: `import pydicom.datadict` loads all of pydicom,
and that every decoder of pixels which is installed: half a second in which a house answers nobody, and 33 MiB for good. The
tables alone take some 25 ms and 2 MiB; a house loads them when it starts (`load`), everybody else when they are asked for.

Source: DICOM PS3.6 6, 7; PS3.5 7.6 (repeating groups), 7.8 (private data elements).
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple


class _Entry(NamedTuple):
    vr: str
    multiplicity: str
    name: str
    retired: str
    keyword: str


@cache
def _tables() -> tuple[Mapping[int, tuple[str, ...]], tuple[tuple[int, int, tuple[str, ...]], ...]]:
    """Entries by tag; and those of repeating groups, each with the bits that count and what they must be."""
    package = find_spec("pydicom")
    assert package is not None
    assert package.origin is not None
    found = spec_from_file_location(f"{__name__}.tables", Path(package.origin).with_name("_dicom_dict.py"))
    assert found is not None
    assert found.loader is not None
    tables = module_from_spec(found)
    found.loader.exec_module(tables)
    repeating = tuple(
        (int("".join("0" if digit == "x" else "F" for digit in mask), 16), int(mask.replace("x", "0"), 16), entry)
        for mask, entry in tables.RepeatersDictionary.items()
    )
    return tables.DicomDictionary, repeating


@cache
def _tags() -> Mapping[str, int]:
    return {entry[4]: tag for tag, entry in _tables()[0].items()}


def load() -> None:
    """Be ready to answer at once; blocking, from any thread."""
    _tags()


def _entry(tag: int) -> _Entry | None:
    single, repeating = _tables()
    entry = single.get(tag)
    if entry is None and not tag >> 16 & 1:
        entry = next((each for counts, bits, each in repeating if tag & counts == bits), None)
    return None if entry is None else _Entry(*entry)


@lru_cache(maxsize=8192)
def vr_of(tag: int) -> bytes:
    """PS3.6's VR of a tag; `US or SS` and its like as they stand there; UN for private and unknown ones."""
    if tag & 0xFFFF == 0:
        return b"UL"
    if tag >> 16 & 1:
        return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"  # private creators
    entry = _entry(tag)
    return entry.vr.encode("ascii") if entry is not None else b"UN"


@lru_cache(maxsize=8192)
def keyword_of(tag: int) -> str:
    """Its keyword; "" for private and unknown ones."""
    entry = _entry(tag)
    return entry.keyword if entry is not None else ""


def tag_of(keyword: str) -> int | None:
    """The tag of a keyword; None: there is no such keyword, or it is one of a repeating group."""
    return _tags().get(keyword)
