"""The search as HTTP writes it: match parameters in, DICOM JSON out.

Source: DICOM PS3.18 8.3.4, 10.6; PS3.4 C.2.2.2 (matching).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC

from profiles.findings import Decoded
from profiles.model.moment import Moment
from profiles.model.query import StudyCriteria
from profiles.wia.rad129.messages import (
    CONDITIONS,
    MAX_INSTANCES,
    MAX_RESULTS,
    Condition,
    Level,
    SearchRequest,
    SearchResponse,
    SearchRow,
)
from profiles.wire.dicom.keywords import keyword_path
from profiles.wire.dicom.web import (
    DICOM_JSON,
    Attributes,
    accept_metadata,
    attribute,
    bad_request,
    date_of,
    instance_path,
    json_body,
    name_value,
    offset_of,
    optional,
    optional_uid_of,
    sequence,
    time_of,
    warning,
)
from profiles.wire.dicom.xmlmodel import DICOM_XML, native_xml_parts
from profiles.wire.http import HttpIn, HttpOut

NO_CONTENT = 204

_MAX_UIDS = 1000
_DATE = re.compile(r"\d{4}(\d\d){0,2}")


# --- the request ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Search:
    """A request being read."""

    criteria: StudyCriteria
    conditions: list[Condition] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    issuers: dict[str, str] = field(default_factory=dict)

    def also(self, keyword: str, *patterns: str) -> None:
        """A condition that is decided on what the index found."""
        self.conditions.append(Condition(keyword=keyword, patterns=patterns))


def decode_request(request: HttpIn) -> Decoded[SearchRequest]:
    """Read path and parameters.

    Raises:
        MalformedMessage: A parameter is not an attribute, stands twice, or has a value that is none of its kind (400).
        Unsupported: The answer would not be acceptable (406).
    """
    accept_metadata(request)
    level = Level(request.path.rstrip("/").rpartition("/")[2])
    most = MAX_INSTANCES if level is Level.INSTANCE else MAX_RESULTS
    limit, offset, include, matches, unsupported = _parameters(request, most)
    search = _Search(StudyCriteria())
    search.unsupported += unsupported
    _take_path(search, request)
    for keyword in ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence.UniversalEntityID"):
        if keyword in matches:
            search.issuers["PatientID"] = matches.pop(keyword)
    if "IssuerOfAccessionNumberSequence.UniversalEntityID" in matches:
        search.issuers["AccessionNumber"] = matches.pop("IssuerOfAccessionNumberSequence.UniversalEntityID")
    for keyword, value in matches.items():
        if value in ("", "*"):
            continue  # universal matching (PS3.4 C.2.2.2.3)
        read = _KEYS.get(keyword)
        if read is not None:
            read(search, value)
        elif keyword in CONDITIONS:
            search.also(keyword, value)
        else:
            search.unsupported.append(keyword)
    return Decoded(
        SearchRequest(
            level=level,
            criteria=replace(search.criteria, limit=limit, offset=offset),
            conditions=tuple(search.conditions),
            limit=limit,
            offset=offset,
            include=include,
            unsupported=tuple(search.unsupported),
        )
    )


def _parameters(request: HttpIn, most: int) -> tuple[int, int, frozenset[str], dict[str, str], list[str]]:
    """Limit, offset, attributes to include, match keys by keyword, and names of parameters that are not honoured."""
    limit, offset = most, 0
    include: set[str] = set()
    matches: dict[str, str] = {}
    unsupported: list[str] = []
    for name, value in request.query:
        match name.lower():
            case "accept" | "charset":
                continue
            case "limit":
                limit = min(_count(value, "limit"), most)
            case "offset":
                offset = _count(value, "offset")
            case "includefield":
                include.update(each.strip() for each in value.split(",") if each.strip())
            case "fuzzymatching" | "emptyvaluematching" | "multiplevaluematching" as option:
                if value.lower() not in ("true", "false"):
                    raise bad_request(f"{option} is true or false", name)
                if value.lower() == "true":
                    unsupported.append(option)
            case _:
                keyword = keyword_path(name)
                if keyword is None:
                    raise bad_request("a parameter is neither an attribute nor known", name)
                if keyword in matches:
                    raise bad_request("an attribute stands twice; give several UIDs separated by commas", name)
                matches[keyword] = value
    return limit, offset, frozenset(include), matches, unsupported


def _count(value: str, name: str) -> int:
    if not value.isdigit() or len(value) > 9:
        raise bad_request(f"{name} is a number from 0", name)
    return int(value)


def _take_path(search: _Search, request: HttpIn) -> None:
    study, series = optional_uid_of(request, "study"), optional_uid_of(request, "series")
    if study is not None:
        search.criteria = replace(search.criteria, study_instance_uids=(study,))
    if series is not None:
        search.also("SeriesInstanceUID", series)


def _list(value: str) -> tuple[str, ...]:
    """A list of values, separated by commas or, as in a dataset, by backslashes."""
    return tuple(each.strip() for each in re.split(r"[,\\]", value) if each.strip())


def _uids(value: str, name: str) -> tuple[str, ...]:
    uids = _list(value)
    if len(uids) > _MAX_UIDS:
        raise bad_request(f"more than {_MAX_UIDS} UIDs", name)
    return uids


def _study_uids(search: _Search, value: str) -> None:
    uids = _uids(value, "StudyInstanceUID")
    named = search.criteria.study_instance_uids
    # The study of the path and the one of the parameter both hold; two different ones find nothing.
    both = tuple(uid for uid in uids if not named or uid in named) or ("0.0",)
    search.criteria = replace(search.criteria, study_instance_uids=both)


def _series_uids(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, series_instance_uids=_uids(value, "SeriesInstanceUID"))
    search.also("SeriesInstanceUID", *_uids(value, "SeriesInstanceUID"))


def _instance_uids(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, sop_instance_uids=_uids(value, "SOPInstanceUID"))
    search.also("SOPInstanceUID", *_uids(value, "SOPInstanceUID"))


def _sop_classes(search: _Search, value: str) -> None:
    search.also("SOPClassUID", *_uids(value, "SOPClassUID"))


def _patient_id(search: _Search, value: str) -> None:
    if "*" in value or "?" in value:
        search.also("PatientID", value)
        return
    search.criteria = replace(
        search.criteria, patient_ids=((value, search.issuers.get("PatientID", "").removeprefix("urn:oid:") or None),)
    )


def _accession(search: _Search, value: str) -> None:
    if "*" in value or "?" in value:
        search.also("AccessionNumber", value)
        return
    issuer = search.issuers.get("AccessionNumber", "").removeprefix("urn:oid:") or None
    search.criteria = replace(search.criteria, accession_numbers=((value, issuer),))


def _study_id(search: _Search, value: str) -> None:
    if "*" in value or "?" in value:
        search.also("StudyID", value)
        return
    search.criteria = replace(search.criteria, study_id=value)


def _study_date(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, started=(*search.criteria.started, *_range(value)))


def _range(value: str) -> tuple[tuple[str, Moment], ...]:
    start, dash, end = (part.strip() for part in value.partition("-"))
    for each in (start, end):
        if each and not _DATE.fullmatch(each):
            raise bad_request(
                "a date is YYYYMMDD, a range of dates YYYYMMDD-YYYYMMDD with either end open", "StudyDate"
            )
    try:
        if not dash:
            return (("eq", Moment.from_dtm(start, UTC)),)
        ends = (("ge", start), ("le", end))
        return tuple((comparison, Moment.from_dtm(each, UTC)) for comparison, each in ends if each)
    except ValueError:
        raise bad_request("no such day", "StudyDate") from None


def _modalities(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, modalities=_list(value))


def _modality(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, modalities=_list(value))
    search.also("Modality", *_list(value))


def _patient_name(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, patient_name=value)


def _referring(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, referring_physician=value)


def _description(search: _Search, value: str) -> None:
    search.criteria = replace(search.criteria, description=value)


_KEYS: Mapping[str, Callable[[_Search, str], None]] = {
    "StudyDate": _study_date,
    "AccessionNumber": _accession,
    "ModalitiesInStudy": _modalities,
    "ReferringPhysicianName": _referring,
    "PatientName": _patient_name,
    "PatientID": _patient_id,
    "StudyInstanceUID": _study_uids,
    "StudyID": _study_id,
    "StudyDescription": _description,
    "Modality": _modality,
    "SeriesInstanceUID": _series_uids,
    "SOPInstanceUID": _instance_uids,
    "SOPClassUID": _sop_classes,
}
"""Match keys that the index decides, wholly or so far that little is left to look through."""
MATCH_KEYS = frozenset(_KEYS) | CONDITIONS
"""Keywords of all attributes that a search can match by."""


# --- the response -----------------------------------------------------------------------------------------------------


def encode_response(response: SearchResponse, request: HttpIn) -> HttpOut:
    """200 with an array, 204 without one; a Warning for what was left out or not honoured."""
    asked = decode_request(request).value
    headers = tuple(warning(request.base, text) for text in (*_warnings(response, asked), *response.warnings))
    if not response.rows:
        return HttpOut(status=NO_CONTENT, headers=headers, body=b"")
    found = [_attributes(row, asked, request.base) for row in response.rows]
    if accept_metadata(request) == DICOM_XML:
        return HttpOut(headers=headers, parts=native_xml_parts(found), part_type=DICOM_XML)
    return HttpOut(headers=headers, media_type=DICOM_JSON, body=json_body(found))


def _warnings(response: SearchResponse, asked: SearchRequest) -> list[str]:
    texts = []
    for each in asked.unsupported:
        matching = " Only literal matching has been performed." if each == "fuzzymatching" else ""
        texts.append(f"The {each} parameter is not supported.{matching}")
    if response.remaining is None:
        texts.append("There are additional results that can be requested")
    elif response.remaining:
        texts.append(f"There are {response.remaining} additional results that can be requested")
    return texts


def _attributes(row: SearchRow, asked: SearchRequest, base: str) -> Attributes:
    """The attributes of a row's own level, and of the levels above it that the path does not fix."""
    attributes: Attributes = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    attribute(attributes, "00080056", "CS", "ONLINE" if row.available else "OFFLINE")
    study_uid = str(row.study.study_instance_uid)
    url = f"{base}/studies/{study_uid}"
    if row.series is None or not asked.criteria.study_instance_uids:
        _study(attributes, row)
    else:
        attribute(attributes, "0020000D", "UI", study_uid)
    if row.series is not None:
        series_uid = str(row.series.series_instance_uid)
        url = f"{url}/series/{series_uid}"
        _series(attributes, row)
        if row.instance is not None:
            url = base + instance_path(study_uid, series_uid, str(row.instance.sop_instance_uid))
            _instance(attributes, row)
    attribute(attributes, "00081190", "UR", url)
    return attributes


def _study(attributes: Attributes, row: SearchRow) -> None:
    study = row.study
    patient = study.patient
    number = study.accession_numbers[0] if study.accession_numbers else None
    attribute(attributes, "00080020", "DA", date_of(study.started, None))
    attribute(attributes, "00080030", "TM", time_of(study.started, None))
    attribute(attributes, "00080050", "SH", number.value if number else "")
    if number is not None and number.authority:
        sequence(attributes, "00080051", [_entity(number.authority)])
    attribute(attributes, "00080061", "CS", *study.modalities)
    attribute(attributes, "00080090", "PN", name_value(study.referring_physician))
    optional(attributes, "00080201", "SH", offset_of(study.started, None))
    optional(attributes, "00081030", "LO", study.description)
    attribute(attributes, "00100010", "PN", name_value(patient.name))
    attribute(attributes, "00100020", "LO", patient.identifiers[0].value if patient.identifiers else "")
    if patient.identifiers:
        attribute(attributes, "00100021", "LO", patient.identifiers[0].authority)
        sequence(attributes, "00100024", [_entity(patient.identifiers[0].authority)])
    attribute(attributes, "00100030", "DA", date_of(patient.birth_date, None))
    attribute(attributes, "00100040", "CS", "" if patient.sex.value == "U" else patient.sex.value)
    attribute(attributes, "0020000D", "UI", str(study.study_instance_uid))
    attribute(attributes, "00200010", "SH", study.study_id)
    if row.series is None:
        attribute(attributes, "00201206", "IS", len(study.series))
        attribute(attributes, "00201208", "IS", row.instance_count)


def _entity(oid: str) -> Attributes:
    return {"00400032": {"vr": "UT", "Value": [oid]}, "00400033": {"vr": "CS", "Value": ["ISO"]}}


def _series(attributes: Attributes, row: SearchRow) -> None:
    series = row.series
    assert series is not None
    attribute(attributes, "00080060", "CS", series.shown_modality)
    optional(attributes, "0008103E", "LO", series.description)
    optional(attributes, "00180015", "CS", series.body_part)
    optional(attributes, "00200060", "CS", series.laterality)
    attribute(attributes, "0020000E", "UI", str(series.series_instance_uid))
    attribute(attributes, "00200011", "IS", series.number)
    optional(attributes, "00080021", "DA", date_of(series.started, None))
    optional(attributes, "00080031", "TM", time_of(series.started, None))
    if row.instance is None:
        attribute(attributes, "00201209", "IS", row.instance_count)


def _instance(attributes: Attributes, row: SearchRow) -> None:
    instance = row.instance
    assert instance is not None
    attribute(attributes, "00080016", "UI", str(instance.sop_class_uid))
    attribute(attributes, "00080018", "UI", str(instance.sop_instance_uid))
    attribute(attributes, "00200013", "IS", instance.number)
    optional(attributes, "00280010", "US", instance.rows)
    optional(attributes, "00280011", "US", instance.columns)
    if instance.frames > 1:
        attribute(attributes, "00280008", "IS", instance.frames)
    if instance.transfer_syntax_uid is not None:
        attribute(attributes, "00083002", "UI", str(instance.transfer_syntax_uid))  # Available Transfer Syntax UID
