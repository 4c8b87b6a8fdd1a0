"""Code sets: what an affinity domain and a site decide, from one file that a person can edit.

    language_code = "en-US"
    class_code = { value = "IMAGES", system = "1.3.6.1.4.1.19376.1.2.6.1", display = "Images" }
    confidentiality_codes = [ { value = "N", system = "2.16.840.1.113883.5.25", display = "normal" } ]
    [body_parts]
    CHEST = { value = "816094009", system = "2.16.840.1.113883.6.96", display = "Thorax" }
    [[procedures]]
    procedure = { value = "CTCHEST", system = "99LOCAL" }
    type_code = { value = "24627-2", system = "2.16.840.1.113883.6.1", display = "CT Chest" }

What the file does not name keeps its default. Source: ITI TF-3 4.2.3.2; RAD TF-3 4.68.4.1.2.3.
"""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from gateway.settings import Problem, SettingsError
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.xdsi.rad68 import SiteCodes

_CODES = frozenset(
    {"class_code", "type_code", "content_type_code", "healthcare_facility_type_code", "practice_setting_code"}
)
_AUTHORITIES = frozenset({"accession_authority", "order_authority"})
CURE = "`gateway/adapters/code_sets.py` shows the form"


def site_codes(path: Path | None, authority: Oid) -> SiteCodes:
    """Read the file; None: the defaults. `authority` is for accession and order numbers that do not say who gave them.

    Raises:
        SettingsError: With every problem of the file.
    """
    values: dict[str, Any] = {"accession_authority": authority, "order_authority": authority}
    if path is None:
        return SiteCodes(**values)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError((Problem("affinity_domain.code_sets", f"cannot be read: {error}", CURE),)) from None
    problems: list[Problem] = []
    known = {field.name for field in fields(SiteCodes)}
    for key, value in tables.items():
        try:
            if key not in known:
                raise ValueError("is not a code set")
            values[key] = _read(key, value)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            problems.append(Problem(f"affinity_domain.code_sets: {key}", str(wrong) or "cannot be read", CURE))
    if problems:
        raise SettingsError(tuple(problems))
    return SiteCodes(**values)


def _read(key: str, value: Any) -> object:
    if key in _CODES:
        return _code(value)
    if key in _AUTHORITIES:
        return Oid.from_urn(value)
    if key == "confidentiality_codes":
        return tuple(_code(each) for each in value)
    if key == "body_parts":
        return {name.upper(): _code(each) for name, each in value.items()}
    if key == "procedures":
        return {_key(each["procedure"]): _code(each["type_code"]) for each in value}
    if key == "modalities":
        return {str(name): str(display) for name, display in value.items()}
    if not isinstance(value, str):
        raise TypeError("is a text")
    return value


def _key(value: Any) -> tuple[str, str]:
    code = _code(value)
    return code.value, code.system


def _code(value: Any) -> Code:
    unknown = set(value) - {"value", "system", "display"}
    if unknown or not {"value", "system"} <= set(value):
        raise ValueError("is a code: value, system and display are asked for")
    return Code(value=str(value["value"]), system=str(value["system"]), display=str(value.get("display", "")))
