"""Code sets: what an affinity domain and a site decide, from one file that a person can read and edit.

`radgate config codes` prints such a file, explained. What the file does not name keeps its built-in default. A file that
was changed is read again: who adds a row for a study that was held need not start the house again.

Source: ITI TF-3 4.2.3.2; RAD TF-2 4.68.4.1.2.3.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.settings import Problem, SettingsError
from profiles.errors import UnmappedCode
from profiles.model.codes import CONFIDENTIALITY, DCM, LOINC, MANIFEST_FORMAT, SNOMED_CT, Code
from profiles.model.identifiers import Oid
from profiles.xdsi.rad68 import (
    ACQUISITION_MODALITIES,
    ANATOMIC_REGIONS,
    DEFAULTS,
    REQUIRED,
    CodeRow,
    CodeSet,
    ListedCodes,
    SiteCodes,
)

SETTING = "affinity_domain.code_sets"
FORM = "`radgate config codes` prints a file with everything explained"
SYSTEMS: Mapping[str, str] = {"DCM": DCM, "SCT": SNOMED_CT, "LOINC": LOINC, "CONFIDENTIALITY": CONFIDENTIALITY}
FORMAT = "format"  # a manifest's is the Framework's; a domain's list of them is only checked to have it
ATTRIBUTES: Mapping[CodeSet, str] = {
    CodeSet.CLASS: "classCode",
    CodeSet.TYPE: "typeCode",
    CodeSet.FACILITY: "healthcareFacilityTypeCode",
    CodeSet.PRACTICE_SETTING: "practiceSettingCode",
    CodeSet.CONFIDENTIALITY: "confidentialityCode",
    CodeSet.CONTENT_TYPE: "contentTypeCode",
}
_KEYS = frozenset({"language_code", "accession_authority", "order_authority", "systems", "codes", "default", "map"})
_CONDITIONS = ("modality", "procedure", "body_part", "institution")
_DESIGNATOR = re.compile(r"[A-Za-z0-9_:.-]{1,64}")  # as DICOM names systems without an OID: 99LOCAL


class CodeSets:
    """The file as it is now.

    Args:
        path: The file; None: the defaults.
        authority: For accession and order numbers that do not say who gave them, where the file does not say either.

    Raises:
        SettingsError: With every problem of the file.
    """

    def __init__(self, path: Path | None, authority: Oid) -> None:
        """Read it."""
        self._path = path
        self._authority = authority
        self._version = self._seen()
        self._codes = site_codes(path, authority)

    def current(self) -> SiteCodes:
        """What it says now. It touches the file: not for the event loop.

        Raises:
            UnmappedCode: It was changed, and cannot be used any more.
        """
        version = self._seen()
        if version != self._version:
            try:
                self._codes = site_codes(self._path, self._authority)
            except SettingsError as wrong:
                first = wrong.problems[0]
                raise UnmappedCode(
                    f"the table of codes was changed and cannot be used: {first.key}: {first.reason}",
                    cure=f"{first.cure}; then release the exchange",
                ) from wrong
            self._version = version
        return self._codes

    def _seen(self) -> tuple[int, int]:
        """What changes when the file does; nothing where there is none."""
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            found = None
        return (found.st_mtime_ns, found.st_size) if found is not None else (0, 0)


def site_codes(path: Path | None, authority: Oid) -> SiteCodes:
    """Read the file once; None: the defaults. `authority` is for numbers that do not say who gave them.

    Raises:
        SettingsError: With every problem of the file.
    """
    if path is None:
        return SiteCodes(accession_authority=authority, order_authority=authority)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError((Problem(SETTING, f"cannot be read: {error}", FORM),)) from None
    reading = _Reading(tables)
    codes = reading.codes(authority)
    if reading.problems:
        raise SettingsError(tuple(reading.problems))
    return codes


class _Reading:
    """One file being read; problems are gathered, so that they are told together."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables
        self.problems: list[Problem] = []
        self._systems: dict[str, str] = dict(SYSTEMS)
        self._sets: dict[str, dict[tuple[str, str], Code]] = {}  # of those attributes for which the file has a list

    def codes(self, authority: Oid) -> SiteCodes:
        """All of it; what cannot be read is among the problems, and left out."""
        for key in self._tables.keys() - _KEYS:
            self._wrong(key, "is nothing that this file has", FORM)
        self._read_systems()
        for name, listed in self._each("codes", [*CodeSet, FORMAT]):
            self._sets[name] = dict(self._listed(f"codes.{name}", listed))
        listed_formats = self._check_format()
        defaults = dict(DEFAULTS)
        for attribute in CodeSet:
            if attribute in self._sets and attribute is not CodeSet.EVENT:
                del defaults[attribute]  # a domain that has a list has its own default, or none
        for name, named in self._each("default", CodeSet):
            defaults[CodeSet(name)] = self._named(f"default.{name}", CodeSet(name), named)
        rows = tuple(self._rows())
        for attribute in REQUIRED:
            given = attribute in self._tables.get("default", ()) or any(row.gives.get(attribute) for row in rows)
            if not defaults.get(attribute) and not given:
                self._wrong(
                    f"default.{attribute}", "neither a default nor a row gives one, and no submission goes without",
                    "Name one of the list, or add rows to [[map]]",
                )  # fmt: skip
        return SiteCodes(
            language_code=self._text("language_code", "en-US"),
            accession_authority=self._oid("accession_authority", authority),
            order_authority=self._oid("order_authority", authority),
            modalities=self._modalities(),
            body_parts=self._body_parts(),
            defaults=defaults,
            rows=rows,
            listed=self._listed_attributes(listed_formats),
        )

    # --- parts --------------------------------------------------------------------------------------------------------

    def _wrong(self, key: str, reason: str, cure: str) -> None:
        self.problems.append(Problem(f"{SETTING}: {key}", reason, cure))

    def _each(self, key: str, known: Any) -> Iterator[tuple[str, Any]]:
        """The entries of a table whose names are known."""
        table = self._tables.get(key, {})
        if not isinstance(table, dict):
            self._wrong(key, "is not a table", FORM)
            return
        names = [str(each) for each in known]
        for name, value in table.items():
            if name in names:
                yield name, value
            else:
                self._wrong(f"{key}.{name}", "is not a coded attribute", f"They are: {', '.join(names)}")

    def _read_systems(self) -> None:
        named = self._tables.get("systems", {})
        for name, oid in named.items() if isinstance(named, dict) else ():
            try:
                self._systems[name] = str(Oid.from_urn(oid))
            except (ValueError, TypeError, AttributeError):
                self._wrong(f"systems.{name}", "is not an OID", 'Write it as "1.2.3.99"')

    def _listed(self, key: str, listed: Any) -> Iterator[tuple[tuple[str, str], Code]]:
        seen: set[tuple[str, str]] = set()
        for index, each in enumerate(listed if isinstance(listed, list) else [listed]):
            here = f"{key}.{index}"
            if not (isinstance(each, list) and len(each) == 3 and all(isinstance(part, str) for part in each)):
                self._wrong(here, "is not a code", 'A code is [value, system, words], such as ["CT", "DCM", "CT"]')
                continue
            value, named, display = each
            system = self._system(named)
            if not value or system is None:
                reason = f"{named!r} is not a code system that this file names" if value else "has no value"
                self._wrong(here, reason, "Name it in [systems] with its OID, or write the OID")
            elif (value, system) in seen:
                self._wrong(here, f"{value} of {named} is there twice", "Keep one of them")
            else:
                seen.add((value, system))
                yield (value, system), Code(value=value, system=system, display=display)

    def _system(self, named: str) -> str | None:
        if named in self._systems:
            return self._systems[named]
        try:
            return str(Oid.from_urn(named)) if "." in named else None
        except ValueError:
            return None

    def _check_format(self) -> dict[tuple[str, str], Code] | None:
        """The domain's list of formats, which is only looked at; None: it has none."""
        listed = self._sets.pop(FORMAT, None)
        if listed is not None and (MANIFEST_FORMAT.value, MANIFEST_FORMAT.system) not in listed:
            self._wrong(
                "codes.format", "has not the format of an imaging manifest, which is what we publish",
                f'Add ["{MANIFEST_FORMAT.value}", "{MANIFEST_FORMAT.system}", "{MANIFEST_FORMAT.display}"]',
            )  # fmt: skip
        return listed

    def _listed_attributes(self, formats: dict[tuple[str, str], Code] | None) -> ListedCodes:
        """By attribute, what others may submit: eventCodeList has modalities, regions and what else the domain lists."""
        found = {attribute: frozenset(self._sets[of]) for of, attribute in ATTRIBUTES.items() if of in self._sets}
        if formats is not None:
            found["formatCode"] = frozenset(formats)
        if CodeSet.EVENT in self._sets or CodeSet.REGION in self._sets:
            regions = self._sets.get(CodeSet.REGION) or [
                (each.value, each.system) for each in ANATOMIC_REGIONS.values()
            ]
            found["eventCodeList"] = frozenset(
                [*self._sets.get(CodeSet.EVENT, ()), *((value, DCM) for value in self._modalities()), *regions]
            )
        return found

    def _named(self, key: str, attribute: CodeSet, named: Any) -> tuple[Code, ...]:
        """The codes that a default or a row names, by value, or `value^system` where two systems share it."""
        names = named if isinstance(named, list) else [named]
        several = attribute in (CodeSet.CONFIDENTIALITY, CodeSet.EVENT)
        if not all(isinstance(name, str) for name in names) or (len(names) > 1 and not several):
            self._wrong(key, "names no code", "Write the value of a code of the list" + (", or several" * several))
            return ()
        found = [self._one(key, attribute, name) for name in names if name]
        if not found and attribute in REQUIRED:
            self._wrong(key, "names no code, and no submission goes without", "Name one of the list")
        return tuple(code for code in found if code is not None)

    def _one(self, key: str, attribute: CodeSet, name: str) -> Code | None:
        codes = self._sets.get(attribute)
        known = list(codes.values()) if codes is not None else _built_in(attribute)
        value, _, system = name.partition("^")
        fitting = [code for code in known if code.value == value and system in ("", self._system_or_same(code, system))]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            self._wrong(key, f"{name} is a code of two systems", f'Write "{name}^SYSTEM"')
        else:
            self._wrong(key, f"{name} is not among the codes of codes.{attribute}", "Add it there, or name another")
        return None

    def _system_or_same(self, code: Code, named: str) -> str:
        """What was named, if it means the code's system."""
        return named if self._system(named) == code.system else "another"

    def _rows(self) -> Iterator[CodeRow]:
        rows = self._tables.get("map", [])
        if not isinstance(rows, list):
            self._wrong("map", "is not a table of rows", "Write [[map]] above each row")
            return
        for index, row in enumerate(rows):
            here = f"map.{index}"
            for name in row.keys() - {*_CONDITIONS, *CodeSet}:
                self._wrong(f"{here}.{name}", "is neither a condition nor a coded attribute", FORM)
            when = {name: row.get(name, "") for name in _CONDITIONS}
            if not all(isinstance(text, str) for text in when.values()):
                self._wrong(here, "a condition is a text", FORM)
                continue
            gives = {each: self._named(f"{here}.{each}", each, row[each]) for each in CodeSet if each in row}
            if not any(when.values()):
                self._wrong(here, "has no condition", "What always holds is a default: move it to [default]")
            elif not gives:
                self._wrong(here, "gives nothing", f"Name one or more of {', '.join(CodeSet)}")
            yield CodeRow(
                gives=gives,
                modality=when["modality"].strip().upper(),
                procedure=self._procedure(f"{here}.procedure", when["procedure"]),
                body_part="".join(when["body_part"].upper().split()),
                institution=when["institution"],
            )

    def _procedure(self, key: str, named: str) -> tuple[str, str | None] | None:
        if not named:
            return None
        value, _, system = named.partition("^")
        if not value or (system and not _DESIGNATOR.fullmatch(system)):
            self._wrong(key, "is not a procedure code", 'Write it as "CTCHEST" or "CTCHEST^99LOCAL"')
        return value, (self._systems.get(system, system) or None)

    def _modalities(self) -> Mapping[str, str]:
        listed = self._sets.get(CodeSet.EVENT)
        if listed is None or not any(system == DCM for _, system in listed):
            return ACQUISITION_MODALITIES
        return {code.value: code.display for code in listed.values() if code.system == DCM}

    def _body_parts(self) -> Mapping[str, Code]:
        """The standard's body parts whose regions the domain has, in its words."""
        listed = self._sets.get(CodeSet.REGION)
        if listed is None:
            return ANATOMIC_REGIONS
        return {
            part: listed[code.value, code.system]
            for part, code in ANATOMIC_REGIONS.items()
            if (code.value, code.system) in listed
        }

    def _text(self, key: str, default: str) -> str:
        value = self._tables.get(key, default)
        if not isinstance(value, str):
            self._wrong(key, "is not a text", FORM)
            return default
        return value

    def _oid(self, key: str, default: Oid) -> Oid:
        if key not in self._tables:
            return default
        try:
            return Oid.from_urn(self._tables[key])
        except (ValueError, TypeError, AttributeError):
            self._wrong(key, "is not an OID", 'Write it as "1.2.3.4"')
            return default


def _built_in(attribute: CodeSet) -> list[Code]:
    match attribute:
        case CodeSet.REGION:
            return list(dict.fromkeys(ANATOMIC_REGIONS.values()))
        case CodeSet.EVENT:
            return [Code(value=value, system=DCM, display=words) for value, words in ACQUISITION_MODALITIES.items()]
        case _:
            return list(DEFAULTS[attribute])
