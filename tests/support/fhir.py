"""Judges of FHIR resources: the published StructureDefinitions, and a library of typed models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.support.judges import standards


def profile_issues(folder: Path, *resources: dict[str, Any]) -> list[str]:
    """What the profile checker says of them: one line an issue, errors and warnings."""
    checker = standards().parent / "tools" / "fhir_profile_check.py"
    if not checker.exists():
        pytest.skip("the profile checker is not here: not judged")
    files = []
    for number, resource in enumerate(resources):
        path = folder / f"{number}-{resource['resourceType']}.json"
        path.write_text(json.dumps(resource), encoding="utf-8")
        files.append(str(path))
    told = subprocess.run(
        [sys.executable, str(checker), str(standards("fhir-igs")), *files], capture_output=True, text=True, check=False
    )
    assert not told.stderr, told.stderr
    return told.stdout.splitlines()


def typed(resource: dict[str, Any]) -> Any:
    """The resource as the library models it; raises where the library refuses it."""
    return get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def from_xml(document: bytes, kind: str) -> dict[str, Any]:
    """What the library reads out of an XML resource, as JSON."""
    model = get_fhir_model_class(kind).model_validate_xml(document)
    read: dict[str, Any] = json.loads(model.model_dump_json())
    return read


def ordered_like_the_standard(resource: dict[str, Any]) -> list[str]:
    """Members that stand in another order than the elements of the StructureDefinition, by path; XML depends on it."""
    wrong: list[str] = []
    _walk(resource, resource["resourceType"], resource["resourceType"], wrong)
    return wrong


def _walk(value: dict[str, Any], type_name: str, path: str, wrong: list[str]) -> None:
    definition = standards("fhir-igs", "r4-core", f"StructureDefinition-{type_name}.json")
    elements = json.loads(definition.read_text(encoding="utf-8"))["snapshot"]["element"]
    below = path if path in {element["path"] for element in elements} else type_name
    direct = [e for e in elements if e["path"].startswith(below + ".") and "." not in e["path"][len(below) + 1 :]]
    names = [element["path"].rsplit(".", 1)[1] for element in direct]
    types = {name: [t["code"] for t in e.get("type", [])] for name, e in zip(names, direct, strict=True)}

    def place(member: str) -> int:
        plain = member.lstrip("_")
        for position, name in enumerate(names):
            if name == plain or (name.endswith("[x]") and plain.startswith(name[:-3])):
                return position
        raise AssertionError(f"{path} has no element {member}")

    members = [member for member in value if member != "resourceType"]
    if members != sorted(members, key=place):
        wrong.append(path)
    for member in members:
        for each in value[member] if isinstance(value[member], list) else [value[member]]:
            if not isinstance(each, dict):
                continue
            if "resourceType" in each:
                _walk(each, each["resourceType"], each["resourceType"], wrong)
                continue
            kinds = types[names[place(member)]]
            if kinds in (["BackboneElement"], ["Element"]):
                _walk(each, type_name, f"{below}.{member}", wrong)
            elif len(kinds) == 1:
                _walk(each, kinds[0], kinds[0], wrong)
