"""AdhocQuery: stored queries, their table of parameters, and how values are quoted.

A parameter is a slot. Its values are alternatives (OR); the same slot again is a further condition (AND), where the table
allows that. Strings stand in single quotes, numbers and times do not, and a parameter that may have several values always
has its parentheses: `('a','b')`. All of that is written exactly, and read as peers write it.

Source: ITI TF-2 3.18.4.1.2.3 (quoting 3.18.4.1.2.3.3 to .6, queries 3.18.4.1.2.3.7).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Finding, Severity
from profiles.model.codes import Code
from profiles.model.document import AssociationType, AvailabilityStatus, EntryType
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.wire.ebxml import rim
from profiles.wire.ebxml.datatypes import cx, from_cx
from profiles.wire.ebxml.rim import odd, wrong
from profiles.wire.ebxml.xml import text_of


class StoredQuery(StrEnum):
    """The queries of ITI-18, by the id that the wire gives them."""

    FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
    FIND_DOCUMENTS_BY_REFERENCE_ID = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
    FIND_SUBMISSION_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
    FIND_FOLDERS = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431"
    GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
    GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
    GET_FOLDERS = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4"
    GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
    GET_DOCUMENTS_AND_ASSOCIATIONS = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"
    GET_SUBMISSION_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
    GET_SUBMISSION_SET_AND_CONTENTS = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
    GET_FOLDER_AND_CONTENTS = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7"
    GET_FOLDERS_FOR_DOCUMENT = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
    GET_RELATED_DOCUMENTS = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"


class MultiPatientQuery(StrEnum):
    """The queries of ITI-51: those of ITI-18 that look for what several patients, or all, have.

    Source: ITI TF-2 3.51.4.1.2.
    """

    FIND_DOCUMENTS = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
    FIND_FOLDERS = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df"
    FIND_DOCUMENTS_BY_REFERENCE_ID = "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5"


AnyQuery = StoredQuery | MultiPatientQuery


class ReturnType(StrEnum):
    """What of the objects is wanted."""

    LEAF_CLASS = "LeafClass"
    OBJECT_REF = "ObjectRef"


class Kind(StrEnum):
    """How a parameter's values are written."""

    TEXT = "text"  # 'a string'
    PATIENT = "patient"  # 'id^^^&oid&ISO'
    CODE = "code"  # 'code^^scheme'
    STATUS = "status"  # a StatusType URN; unknown ones are ignored
    ENTRY_TYPE = "entry type"  # an object type UUID; unknown ones are ignored beside one that is known
    ASSOCIATION_TYPE = "association type"  # unknown ones are ignored
    TIME = "time"  # DTM, without quotes
    LEVEL = "level"  # 1 or 2, without quotes


Value = str | int | PatientIdentifier | Code | AvailabilityStatus | EntryType | AssociationType | Moment
Groups = tuple[tuple[Value, ...], ...]
"""AND of OR: one group per slot, its values are alternatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One row of a query's table. `many`: several values; `conjoined`: the slot may be there several times."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    many: bool = False
    conjoined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Exactly one of two or three parameters: by entryUUID, by uniqueId, or by what all versions are called."""

    uuid: str
    unique_id: str
    logical_id: str = ""  # Metadata Update; "": not of this query

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return tuple(name for name in (self.uuid, self.unique_id, self.logical_id) if name)


# --- the table --------------------------------------------------------------------------------------------------------


def _one(name: str, kind: Kind = Kind.TEXT, *, required: bool = False) -> Parameter:
    return Parameter(name=name, kind=kind, required=required)


def _many(name: str, kind: Kind = Kind.TEXT, *, required: bool = False, conjoined: bool = False) -> Parameter:
    return Parameter(name=name, kind=kind, required=required, many=True, conjoined=conjoined)


_ENTRY = "$XDSDocumentEntry"
_FIND_ENTRIES = (
    _one(f"{_ENTRY}PatientId", Kind.PATIENT, required=True),
    _many(f"{_ENTRY}Status", Kind.STATUS, required=True),
    _many(f"{_ENTRY}ClassCode", Kind.CODE),
    _many(f"{_ENTRY}TypeCode", Kind.CODE),
    _many(f"{_ENTRY}PracticeSettingCode", Kind.CODE),
    _one(f"{_ENTRY}CreationTimeFrom", Kind.TIME),
    _one(f"{_ENTRY}CreationTimeTo", Kind.TIME),
    _one(f"{_ENTRY}ServiceStartTimeFrom", Kind.TIME),
    _one(f"{_ENTRY}ServiceStartTimeTo", Kind.TIME),
    _one(f"{_ENTRY}ServiceStopTimeFrom", Kind.TIME),
    _one(f"{_ENTRY}ServiceStopTimeTo", Kind.TIME),
    _many(f"{_ENTRY}HealthcareFacilityTypeCode", Kind.CODE),
    _many(f"{_ENTRY}EventCodeList", Kind.CODE, conjoined=True),
    _many(f"{_ENTRY}ConfidentialityCode", Kind.CODE, conjoined=True),
    _many(f"{_ENTRY}AuthorPerson"),
    _many(f"{_ENTRY}FormatCode", Kind.CODE),
    _many(f"{_ENTRY}Type", Kind.ENTRY_TYPE),
    _many(f"{_ENTRY}DocumentAvailability"),  # Metadata Update
)
_ENTRY_FILTER = (
    _many(f"{_ENTRY}FormatCode", Kind.CODE),
    _many(f"{_ENTRY}ConfidentialityCode", Kind.CODE, conjoined=True),
    _many(f"{_ENTRY}Type", Kind.ENTRY_TYPE),
)
_LEVEL = _one("$MetadataLevel", Kind.LEVEL)
_ASSOCIATION_STATUS = _many("$XDSAssociationStatus", Kind.STATUS)
_FIND_FOLDERS = (
    _one("$XDSFolderPatientId", Kind.PATIENT, required=True),
    _one("$XDSFolderLastUpdateTimeFrom", Kind.TIME),
    _one("$XDSFolderLastUpdateTimeTo", Kind.TIME),
    _many("$XDSFolderCodeList", Kind.CODE, conjoined=True),
    _many("$XDSFolderStatus", Kind.STATUS, required=True),
)
_REFERENCES = _many(f"{_ENTRY}ReferenceIdList", required=True, conjoined=True)
_BY_ENTRIES = (_many(f"{_ENTRY}EntryUUID"), _many(f"{_ENTRY}UniqueId"))
_BY_ENTRY = (_one(f"{_ENTRY}EntryUUID"), _one(f"{_ENTRY}UniqueId"))
_BY_UUIDS = (_many("$uuid", required=True),)


def _of_several(table: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """The same table where the patient is one of several, or anybody."""
    patient, *rest = table
    return (_many(patient.name, patient.kind), *rest)


_TABLES: Mapping[AnyQuery, tuple[Parameter, ...]] = {
    StoredQuery.FIND_DOCUMENTS: _FIND_ENTRIES,
    StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID: (*_FIND_ENTRIES, _REFERENCES),
    StoredQuery.FIND_SUBMISSION_SETS: (
        _one("$XDSSubmissionSetPatientId", Kind.PATIENT, required=True),
        _many("$XDSSubmissionSetSourceId"),
        _one("$XDSSubmissionSetSubmissionTimeFrom", Kind.TIME),
        _one("$XDSSubmissionSetSubmissionTimeTo", Kind.TIME),
        _one("$XDSSubmissionSetAuthorPerson"),
        _many("$XDSSubmissionSetContentType", Kind.CODE),
        _many("$XDSSubmissionSetStatus", Kind.STATUS, required=True),
    ),
    StoredQuery.FIND_FOLDERS: _FIND_FOLDERS,
    StoredQuery.GET_ALL: (
        _one("$patientId", Kind.PATIENT, required=True),
        _many(f"{_ENTRY}Status", Kind.STATUS, required=True),
        _many("$XDSSubmissionSetStatus", Kind.STATUS, required=True),
        _many("$XDSFolderStatus", Kind.STATUS, required=True),
        *_ENTRY_FILTER,
        _ASSOCIATION_STATUS,
    ),
    StoredQuery.GET_DOCUMENTS: (*_BY_ENTRIES, _many(f"{_ENTRY}LogicalID")),
    StoredQuery.GET_FOLDERS: (
        _many("$XDSFolderEntryUUID"),
        _many("$XDSFolderUniqueId"),
        _many("$XDSFolderLogicalID"),
    ),
    StoredQuery.GET_ASSOCIATIONS: (*_BY_UUIDS, _ASSOCIATION_STATUS),
    StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS: (*_BY_ENTRIES, _ASSOCIATION_STATUS),
    StoredQuery.GET_SUBMISSION_SETS: _BY_UUIDS,
    StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS: (
        _one("$XDSSubmissionSetEntryUUID"),
        _one("$XDSSubmissionSetUniqueId"),
        *_ENTRY_FILTER,
    ),
    StoredQuery.GET_FOLDER_AND_CONTENTS: (
        _one("$XDSFolderEntryUUID"),
        _one("$XDSFolderUniqueId"),
        *_ENTRY_FILTER,
        _ASSOCIATION_STATUS,
    ),
    StoredQuery.GET_FOLDERS_FOR_DOCUMENT: (*_BY_ENTRY, _ASSOCIATION_STATUS),
    StoredQuery.GET_RELATED_DOCUMENTS: (
        *_BY_ENTRY,
        _many("$AssociationTypes", Kind.ASSOCIATION_TYPE, required=True),
        _many(f"{_ENTRY}Type", Kind.ENTRY_TYPE),
        _ASSOCIATION_STATUS,
    ),
    MultiPatientQuery.FIND_DOCUMENTS: _of_several(_FIND_ENTRIES),
    MultiPatientQuery.FIND_FOLDERS: _of_several(_FIND_FOLDERS),
    MultiPatientQuery.FIND_DOCUMENTS_BY_REFERENCE_ID: (*_of_several(_FIND_ENTRIES), _REFERENCES),
}

PARAMETERS: Mapping[AnyQuery, tuple[Parameter, ...]] = {query: (*table, _LEVEL) for query, table in _TABLES.items()}
"""What each query may be asked with; the level is of Metadata Update, and of all (ITI TF-2 3.18.4.1.2.3.5.1)."""

AT_LEAST_ONE: Mapping[AnyQuery, tuple[str, ...]] = {
    MultiPatientQuery.FIND_DOCUMENTS: (
        f"{_ENTRY}PatientId",
        f"{_ENTRY}ClassCode",
        f"{_ENTRY}EventCodeList",
        f"{_ENTRY}HealthcareFacilityTypeCode",
    ),
    MultiPatientQuery.FIND_FOLDERS: ("$XDSFolderPatientId", "$XDSFolderCodeList"),
}
"""Without one of these a query would be for everything."""

_ENTRY_IDS = Alternative(uuid=f"{_ENTRY}EntryUUID", unique_id=f"{_ENTRY}UniqueId")
_SET_IDS = Alternative(uuid="$XDSSubmissionSetEntryUUID", unique_id="$XDSSubmissionSetUniqueId")
_FOLDER_IDS = Alternative(uuid="$XDSFolderEntryUUID", unique_id="$XDSFolderUniqueId")

ALTERNATIVES: Mapping[AnyQuery, Alternative] = {
    StoredQuery.GET_DOCUMENTS: replace(_ENTRY_IDS, logical_id=f"{_ENTRY}LogicalID"),
    StoredQuery.GET_FOLDERS: replace(_FOLDER_IDS, logical_id="$XDSFolderLogicalID"),
    StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS: _ENTRY_IDS,
    StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS: _SET_IDS,
    StoredQuery.GET_FOLDER_AND_CONTENTS: _FOLDER_IDS,
    StoredQuery.GET_FOLDERS_FOR_DOCUMENT: _ENTRY_IDS,
    StoredQuery.GET_RELATED_DOCUMENTS: _ENTRY_IDS,
}


# --- values -----------------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A string value: in single quotes, its own quotes doubled."""
    return "'" + text.replace("'", "''") + "'"


def code_text(code: Code) -> str:
    """A coded value: `code^^scheme`."""
    return f"{code.value}^^{code.system}"


def _from_code(text: str) -> Code:
    value, _, system = text.partition("^^")
    if not value.strip() or not system.strip():
        raise ValueError("a coded value has the form code^^scheme")
    return Code(value=value.strip(), system=system.strip())


def _text(text: str) -> str:
    if not text:
        raise ValueError("an empty value")
    return text


def _status(text: str) -> AvailabilityStatus:
    status = AvailabilityStatus(text)
    if status is AvailabilityStatus.PENDING:  # ours alone: what is held is invisible, by whatever name it is asked for
        raise ValueError("not a status")
    return status


def _level(text: str) -> int:
    if text not in ("1", "2"):
        raise ValueError("the level is 1 or 2")
    return int(text)


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.TEXT: _text,
    Kind.PATIENT: from_cx,
    Kind.CODE: _from_code,
    Kind.STATUS: _status,
    Kind.ENTRY_TYPE: lambda text: EntryType(rim.uuid_urn(text)),
    Kind.ASSOCIATION_TYPE: AssociationType,
    Kind.TIME: Moment.from_dtm,
    Kind.LEVEL: _level,
}
_UNKNOWN_IGNORED = frozenset({Kind.STATUS, Kind.ENTRY_TYPE, Kind.ASSOCIATION_TYPE})


def _written(value: Value) -> str:
    if isinstance(value, Moment):
        return value.dtm
    if isinstance(value, int):
        return str(value)
    if isinstance(value, PatientIdentifier):
        return quoted(cx(value))
    if isinstance(value, Code):
        return quoted(code_text(value))
    return quoted(value)


# --- writing ----------------------------------------------------------------------------------------------------------


def parameter_slots(parameters: Iterable[tuple[Parameter, Groups]]) -> Iterator[str]:
    """The slots of a query; a group that is longer than a value may be is split over several."""
    for parameter, groups in parameters:
        for group in groups:
            texts = [_written(value) for value in group]
            yield rim.slot(parameter.name, _lists(texts) if parameter.many else texts)


def _lists(texts: Iterable[str]) -> Iterator[str]:
    """Values in parentheses, as many in each as fit into a slot's value."""
    gathered: list[str] = []
    length = 2
    for text in texts:
        if gathered and length + len(text) + 1 > rim.MAX_VALUE_CHARACTERS:
            yield f"({','.join(gathered)})"
            gathered, length = [], 2
        gathered.append(text)
        length += len(text) + 1
    if gathered:
        yield f"({','.join(gathered)})"


# --- reading ----------------------------------------------------------------------------------------------------------

_ITEM = re.compile(r"\s*+(?:'((?:[^']|'')*+)'\s*+|([^',()]++))(,|$)")  # possessive: linear, whatever it is fed
MAX_VALUES = 5_000
"""Values of one parameter. GetDocuments is asked with some hundreds of ids at a time."""


def split_values(text: str) -> list[str]:
    """The values in one rim:Value: quotes and parentheses gone.

    Raises:
        ValueError: Quotes or parentheses do not match.

    Source: ITI TF-2 3.18.4.1.2.3.5.
    """
    text = text.strip()
    if text.startswith("("):
        if not text.endswith(")"):
            raise ValueError("parentheses do not match")
        text = text[1:-1].strip()
    values: list[str] = []
    place = 0
    while place < len(text):
        match = _ITEM.match(text, place)
        if match is None:
            raise ValueError("quotes do not match")
        in_quotes, bare, comma = match.groups()
        values.append(bare.strip() if in_quotes is None else in_quotes.replace("''", "'"))
        place = match.end()
        if comma and place == len(text):
            raise ValueError("a list ends with a comma")
    return values


def read_parameters(query: AnyQuery, adhoc_query: etree._Element, findings: list[Finding]) -> dict[str, Groups]:
    """The parameters of a query by name; what the table asks for and is not there is a finding with its code.

    Raises:
        MalformedMessage: There are more values than we would look at.
    """
    table = {parameter.name.lower(): parameter for parameter in PARAMETERS[query]}
    found: dict[str, Groups] = {}
    for element in adhoc_query.iterchildren(f"{{{rim.RIM}}}Slot"):
        name = (element.get("name") or "").strip()
        parameter = table.get(name.lower())
        if parameter is None:
            if name.startswith("$"):  # vendor parameters and those of supplements do not narrow what we find
                findings.append(odd("query-parameter", f"parameter {name[:80]} is not one of this query", name[:80]))
            continue
        values = _values(element, parameter, findings)
        if values or parameter.kind not in _UNKNOWN_IGNORED:
            found[parameter.name] = (*found.get(parameter.name, ()), values)
    _count(query, found, findings)
    return found


def _values(element: etree._Element, parameter: Parameter, findings: list[Finding]) -> tuple[Value, ...]:
    values: list[Value] = []
    told = False
    for value in element.iter(f"{{{rim.RIM}}}Value"):
        told, text = True, text_of(value)
        try:
            texts = split_values(text)
        except ValueError as error:
            findings.append(_unreadable(parameter, str(error)))
            continue
        if len(values) + len(texts) > MAX_VALUES:
            raise MalformedMessage(f"more than {MAX_VALUES} values", location=parameter.name)
        if parameter.many and not text.startswith("("):
            findings.append(
                odd("query-parentheses", f"values of {parameter.name} stand in parentheses", parameter.name)
            )
        for each in texts:
            _take(each, parameter, values, findings)
    if (
        parameter.kind is Kind.ENTRY_TYPE and told and not values
    ):  # else the default would be found, which nobody asked for
        findings.append(_unreadable(parameter, "none of these types of entries is known"))
    return tuple(values)


def _take(text: str, parameter: Parameter, values: list[Value], findings: list[Finding]) -> None:
    try:
        values.append(_READERS[parameter.kind](text))
    except (ValueError, OverflowError) as error:
        if parameter.kind in _UNKNOWN_IGNORED:
            findings.append(odd("query-value", f"a value of {parameter.name} is not known and ignored", parameter.name))
        else:
            findings.append(_unreadable(parameter, str(error) if parameter.kind is not Kind.TIME else "not a DTM"))


def _unreadable(parameter: Parameter, why: str) -> Finding:
    return wrong("query-value", f"{parameter.name}: {why}", parameter.name, "XDSRegistryError")


def _count(query: AnyQuery, found: Mapping[str, Groups], findings: list[Finding]) -> None:
    """Missing parameters, and too many values. What was there and could not be read is not missing."""
    unreadable = {finding.location for finding in findings if finding.severity is Severity.ERROR}
    for parameter in PARAMETERS[query]:
        groups = found.get(parameter.name, ())
        values = sum(len(group) for group in groups)
        if parameter.required and not values and parameter.name not in unreadable:
            findings.append(missing(parameter.name))
        if values > 1 and not parameter.many:
            findings.append(number(f"{parameter.name} has one value, not {values}", parameter.name))
        if len(groups) > 1 and not parameter.conjoined and parameter.many:
            findings.append(number(f"{parameter.name} is one slot, not {len(groups)}", parameter.name))
    either = ALTERNATIVES.get(query)
    if either is not None:
        there = [name for name in either.names if name in found]
        if len(there) > 1:
            findings.append(number(f"{' and '.join(there)} exclude each other", there[0]))
        if not _told(either.names, found) and not unreadable.intersection(either.names):
            findings.append(missing(" or ".join(either.names)))
    needed = AT_LEAST_ONE.get(query, ())
    if needed and not _told(needed, found) and not unreadable.intersection(needed):
        findings.append(missing(" or ".join(needed)))


def _told(names: Iterable[str], found: Mapping[str, Groups]) -> bool:
    return any(any(group) for name in names for group in found.get(name, ()))


def missing(name: str) -> Finding:
    """A required parameter is not there."""
    return wrong("query-parameter-missing", f"parameter {name} is missing", name, "XDSStoredQueryMissingParam")


def number(text: str, name: str) -> Finding:
    """A parameter has a wrong number of values."""
    return wrong("query-parameter-number", text, name, "XDSStoredQueryParamNumber")
