"""What the DICOMweb suites do: search, retrieve, and read DICOM JSON."""

from collections.abc import Sequence
from typing import Any

from conformance.expect import expect
from conformance.target import HttpAnswer, Target

JSON = "application/dicom+json"
DICOM = 'multipart/related; type="application/dicom"'
ANY_SYNTAX = f"{DICOM}; transfer-syntax=*"

Attributes = dict[str, Any]


async def searched(target: Target, path: str, *query: tuple[str, str], accept: str = JSON) -> HttpAnswer:
    """A search below `/dicomweb`, whatever comes."""
    return await target.ask("RAD-129", path, service="DICOMWEB", query=query, headers={"Accept": accept})


async def results(target: Target, path: str, *query: tuple[str, str]) -> list[Attributes]:
    """What is found: an empty list where nothing is."""
    answer = await searched(target, path, *query)
    if answer.status == 204:
        return []
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals(JSON)
    found = answer.json()
    expect(isinstance(found, list), "whether the answer is an array").equals(True)
    return list(found)


async def retrieved(target: Target, path: str, accept: str = DICOM, *, what: str = "RAD-107") -> HttpAnswer:
    """A retrieval below `/dicomweb`, whatever comes."""
    return await target.ask(what, path, service="DICOMWEB", headers={"Accept": accept})


def first(attributes: Attributes, tag: str) -> Any:
    """The first value of an attribute; None where it has none."""
    values = attributes.get(tag, {}).get("Value") or [None]
    return values[0]


def firsts(found: Sequence[Attributes], tag: str) -> list[Any]:
    """The first value of an attribute of each result."""
    return [first(each, tag) for each in found]
