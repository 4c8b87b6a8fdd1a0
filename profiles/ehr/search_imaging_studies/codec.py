"""The search as FHIR writes it: parameters to criteria, studies to a Bundle.

Source: HL7 FHIR R4, ImagingStudy (search parameters); Search; ITI TF-2 Appendix Z.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from profiles.ehr.search_imaging_studies.messages import (
    Detail,
    SearchImagingStudiesRequest,
    SearchImagingStudiesResponse,
)
from profiles.errors import Unsupported
from profiles.findings import Decoded
from profiles.model.moment import Moment
from profiles.model.query import Identified, StudyCriteria
from profiles.wire.fhir import patient
from profiles.wire.fhir.answer import flowing
from profiles.wire.fhir.bundle import Entry, address, page_key, page_token, searchset
from profiles.wire.fhir.datatypes import DCM, DICOM_UID, IDENTIFIER_TYPE, URI
from profiles.wire.fhir.endpoint import endpoint_resource
from profiles.wire.fhir.imaging_study import AVAILABLE, pieces
from profiles.wire.fhir.media import Summary, Syntax, View, pairs_of, search_only, syntax_of, view_of, written
from profiles.wire.fhir.outcome import warnings
from profiles.wire.fhir.search import (
    PAGE,
    Asked,
    ParameterType,
    SearchParameter,
    Shape,
    Token,
    Total,
    codes_of,
    comparisons,
    honoured,
    is_strict,
    oid_of,
    read,
    reference,
    shape_of,
    split,
    token,
    uid_of,
    unescape,
)
from profiles.wire.http import HttpIn, HttpOut

KIND = "ImagingStudy"
_DEFINITION = "http://hl7.org/fhir/SearchParameter/"

PARAMETERS: Mapping[str, SearchParameter] = {
    parameter.name: parameter
    for parameter in (
        SearchParameter(name="_id", type=ParameterType.TOKEN, definition=f"{_DEFINITION}Resource-id", says_whose=True),
        SearchParameter(name="_lastUpdated", type=ParameterType.DATE, definition=f"{_DEFINITION}Resource-lastUpdated"),
        SearchParameter(
            name="identifier",
            type=ParameterType.TOKEN,
            definition=f"{_DEFINITION}clinical-identifier",
            documentation="Study Instance UID (urn:dicom:uid) or accession number (its issuer, or without a system)",
            modifiers=frozenset({"of-type"}),
            says_whose=True,
        ),
        SearchParameter(name="instance", type=ParameterType.TOKEN, definition=f"{_DEFINITION}ImagingStudy-instance"),
        SearchParameter(name="modality", type=ParameterType.TOKEN, definition=f"{_DEFINITION}ImagingStudy-modality"),
        SearchParameter(
            name="patient",
            type=ParameterType.REFERENCE,
            definition=f"{_DEFINITION}clinical-patient",
            documentation="Also patient.identifier and patient:identifier",
            modifiers=frozenset({"Patient", "identifier"}),
            chains=frozenset({"identifier"}),
            says_whose=True,
        ),
        SearchParameter(name="series", type=ParameterType.TOKEN, definition=f"{_DEFINITION}ImagingStudy-series"),
        SearchParameter(name="started", type=ParameterType.DATE, definition=f"{_DEFINITION}ImagingStudy-started"),
        SearchParameter(name="status", type=ParameterType.TOKEN, definition=f"{_DEFINITION}ImagingStudy-status"),
        SearchParameter(
            name="subject",
            type=ParameterType.REFERENCE,
            definition=f"{_DEFINITION}ImagingStudy-subject",
            documentation="Also subject:Patient.identifier and subject:identifier",
            modifiers=frozenset({"Patient", "identifier"}),
            chains=frozenset({"identifier"}),
            says_whose=True,
        ),
    )
}

INCLUDES: Mapping[str, str] = {
    "ImagingStudy:endpoint": "endpoint",
    "ImagingStudy:endpoint:Endpoint": "endpoint",
    "ImagingStudy:patient": "patient",
    "ImagingStudy:patient:Patient": "patient",
    "ImagingStudy:subject": "patient",
    "ImagingStudy:subject:Patient": "patient",
}

SORTS: Mapping[str, str] = {"-started": "started", "-_lastUpdated": "updated"}
"""What `_sort` may say, and the order that it means. Newest first: the older half of an archive is never asked for."""

SHAPING = ("_count", "_elements", "_format", "_sort", "_summary", "_total", PAGE)

STATUS_SYSTEM = "http://hl7.org/fhir/imagingstudy-status"
STATUSES = ("registered", "available", "cancelled", "entered-in-error", "unknown")
ACCESSION_TYPE = "ACSN"

MAX_WHOLE_STUDIES = 20
"""Studies on a page that lists every instance: of a thousand instances each, that page has three megabytes."""

NO_STUDY = ("",)
"""The UIDs of a search that nothing can meet: no study has an empty UID."""


# --- request ----------------------------------------------------------------------------------------------------------


def decode_request(request: HttpIn) -> Decoded[SearchImagingStudiesRequest]:
    """Read the search.

    Raises:
        MalformedMessage: A value cannot be read.
        Unsupported: A modifier, chain, order or combination that we do not have; an unknown parameter where strict.
    """
    search_only(request, "studies come from the archive and are not created here")
    syntax_of(request)  # what cannot be answered is not asked of the index
    pairs = pairs_of(request)
    shape, view = _shape(request, pairs), view_of(pairs)
    conditions = _Conditions()
    for asked in read(pairs, PARAMETERS, strict=is_strict(request)):
        READERS[asked.name](conditions, asked, request.base)
    detail = Detail.INSTANCES
    if shape.count == 0 or view.summary is Summary.COUNT:
        detail = Detail.COUNT
    elif view.summary in (Summary.TRUE, Summary.TEXT) or not (view.is_whole or view.shows("series")):
        detail = Detail.SERIES
    criteria = StudyCriteria(
        study_instance_uids=conditions.chosen("study"),
        series_instance_uids=conditions.chosen("series"),
        sop_instance_uids=conditions.chosen("instance"),
        patient_ids=conditions.identified("patient"),
        accession_numbers=conditions.identified("accession"),
        modalities=conditions.chosen("modality"),
        statuses=conditions.chosen("status"),
        started=tuple(conditions.started),
        updated=tuple(conditions.updated),
        order=SORTS.get(shape.sort, "started"),
        after=page_key(shape.page) if shape.page else None,
        limit=max(min(shape.count, MAX_WHOLE_STUDIES) if detail is Detail.INSTANCES else shape.count, 1),
    )
    if conditions.impossible:
        criteria = StudyCriteria(study_instance_uids=NO_STUDY, order=criteria.order, limit=criteria.limit)
    return Decoded(
        SearchImagingStudiesRequest(
            criteria=criteria,
            detail=detail,
            count_matches=detail is Detail.COUNT or shape.total is not Total.NONE,
        )
    )


def _shape(request: HttpIn, pairs: tuple[tuple[str, str], ...]) -> Shape:
    return shape_of(pairs, sorts=SORTS, includes=INCLUDES, strict=is_strict(request))


@dataclass(slots=True)
class _Conditions:
    """What all parameters together ask for. Alternatives of one parameter are sets; parameters narrow each other."""

    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    identifiers: dict[str, tuple[Identified, ...]] = field(default_factory=dict)
    started: list[tuple[str, Moment]] = field(default_factory=list)
    updated: list[tuple[str, Moment]] = field(default_factory=list)
    impossible: bool = False

    def narrow(self, what: str, values: Iterable[str]) -> None:
        """One of these; a study has exactly one of `what`, so that two conditions intersect."""
        found = tuple(dict.fromkeys(values))
        known = self.texts.get(what)
        kept = found if known is None else tuple(value for value in known if value in found)
        self.texts[what] = kept
        self.impossible |= not kept

    def one_of(self, what: str, values: Iterable[str], asked: Asked) -> None:
        """One of these; a study has many of `what`, so that a second condition is another question."""
        found = tuple(dict.fromkeys(values))
        if self.texts.setdefault(what, found) != found:
            raise Unsupported("this parameter can be given once; use a comma for alternatives", location=asked.location)
        self.impossible |= not found

    def identified_by(self, what: str, values: Iterable[Identified], asked: Asked) -> None:
        """The same for values with an authority."""
        found = tuple(dict.fromkeys(values))
        if self.identifiers.setdefault(what, found) != found:
            raise Unsupported("this search names the same thing twice in different ways", location=asked.location)
        self.impossible |= not found

    def chosen(self, what: str) -> tuple[str, ...]:
        return self.texts.get(what, ())

    def identified(self, what: str) -> tuple[Identified, ...]:
        return self.identifiers.get(what, ())


def _id(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.narrow("study", (token(each).code for each in asked.alternatives))


def _last_updated(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.updated += comparisons(asked)


def _started(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.started += comparisons(asked)


def _identifier(conditions: _Conditions, asked: Asked, base: str) -> None:
    """A Study Instance UID or an accession number.

    `urn:dicom:uid` says study, an issuer says accession. Without a system a `urn:oid:` or a bare UID says study, anything
    else accession. Both as alternatives of one parameter would be an OR over two fields, which no index here answers.
    """
    if asked.modifier == "of-type":
        conditions.identified_by(
            "accession", map(_of_type, asked.alternatives, [asked] * len(asked.alternatives)), asked
        )
        return
    studies: list[str] = []
    accessions: list[Identified] = []
    for written_token in map(token, asked.alternatives):
        uid = uid_of(written_token)
        if written_token.system in (DICOM_UID, URI):
            if not written_token.code and written_token.system == DICOM_UID:
                return  # every study has a UID: no condition
            studies += [uid] if uid else []
        elif uid and (written_token.code[:8].lower() == "urn:oid:" or uid.count(".") > 1):
            studies.append(uid)
        else:
            accessions += _numbers(written_token, asked)
    if studies and accessions:
        raise Unsupported("a UID and an accession number cannot be alternatives", location=asked.location)
    if accessions:
        conditions.identified_by("accession", accessions, asked)
    else:
        conditions.narrow("study", studies)


def _of_type(alternative: str, asked: Asked) -> Identified:
    """`system|code|value`: only accession numbers are typed so that clients can know it."""
    system, code, value = ([unescape(part).strip() for part in split(alternative, "|")] + ["", "", ""])[:3]
    if system != IDENTIFIER_TYPE or code != ACCESSION_TYPE or not value:
        raise Unsupported(f"of-type knows {IDENTIFIER_TYPE}|{ACCESSION_TYPE} here", location=asked.location)
    return value, None


def _numbers(named: Token, asked: Asked) -> list[Identified]:
    """A value in its authority; nothing when the system is none of ours, or says that there is none."""
    if not named.code:
        raise Unsupported("a system without a value selects too much", location=asked.location)
    if named.system is None:
        return [(named.code, None)]
    authority = oid_of(named.system)
    return [(named.code, authority)] if authority else []


def _patient(conditions: _Conditions, asked: Asked, base: str) -> None:
    """A patient by id or address, or by an identifier (chained or as the modifier)."""
    found: list[Identified] = []
    for alternative in asked.alternatives:
        if asked.chain == "identifier" or asked.modifier == "identifier":
            found += _numbers(token(alternative), asked)
        else:
            patient_id = reference(alternative, base, "Patient")
            identifier = patient.identifier_of(patient_id) if patient_id else None
            found += [(identifier.value, identifier.authority)] if identifier else []
    conditions.identified_by("patient", found, asked)


def _series(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.one_of("series", filter(None, map(uid_of, map(token, asked.alternatives))), asked)


def _instance(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.one_of("instance", filter(None, map(uid_of, map(token, asked.alternatives))), asked)


def _modality(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.one_of("modality", _codes(asked, DCM), asked)


def _status(conditions: _Conditions, asked: Asked, base: str) -> None:
    conditions.narrow("status", codes_of(asked, STATUS_SYSTEM, STATUSES))


def _codes(asked: Asked, system: str) -> Iterator[str]:
    """The codes of tokens of one code system; codes of others are met by nothing."""
    for named in map(token, asked.alternatives):
        if not named.code:
            raise Unsupported("a system without a code selects too much", location=asked.location)
        if named.system in (None, system):
            yield named.code


READERS: Mapping[str, Callable[[_Conditions, Asked, str], None]] = {
    "_id": _id,
    "_lastUpdated": _last_updated,
    "identifier": _identifier,
    "instance": _instance,
    "modality": _modality,
    "patient": _patient,
    "series": _series,
    "started": _started,
    "status": _status,
    "subject": _patient,
}


# --- response ---------------------------------------------------------------------------------------------------------


def encode_response(response: SearchImagingStudiesResponse, request: HttpIn) -> HttpOut:
    """Write the page; entry by entry, so that it never is in memory as a whole."""
    pairs = pairs_of(request)
    shape, view, syntax = _shape(request, pairs), view_of(pairs), syntax_of(request)
    used = honoured(pairs, PARAMETERS, SHAPING, strict=is_strict(request), includes=INCLUDES)
    counted = shape.count == 0 or view.summary is Summary.COUNT
    onward = ""
    if response.next is not None and not counted:
        onward = address(
            request.base, KIND, [*(pair for pair in used if pair[0] != PAGE), (PAGE, page_token(response.next))]
        )
    entries = () if counted else _entries(response, request.base, shape, view, syntax)
    return flowing(
        searchset(
            entries,
            self_url=address(request.base, KIND, used),
            next_url=onward,
            total=response.total if counted or shape.total is not Total.NONE else None,
            syntax=syntax,
        ),
        syntax,
    )


def _entries(
    response: SearchImagingStudiesResponse, base: str, shape: Shape, view: View, syntax: Syntax
) -> Iterator[Entry]:
    for indexed in response.studies:
        yield Entry(
            mode="match",
            full_url=f"{base}/{KIND}/{indexed.study.study_instance_uid}",
            resource=pieces(indexed, response.endpoints, view, syntax),
        )
    if "endpoint" in shape.includes and any(indexed.status == AVAILABLE for indexed in response.studies):
        for endpoint in response.endpoints:
            yield Entry(
                mode="include",
                full_url=f"{base}/Endpoint/{endpoint.id}",
                resource=(written(endpoint_resource(endpoint), syntax),),
            )
    if "patient" in shape.includes:
        subjects = {
            patient.patient_id_of(each.study.patient.identifiers[0]): each.study.patient for each in response.studies
        }
        for patient_id, subject in subjects.items():
            yield Entry(
                mode="include",
                full_url=f"{base}/Patient/{patient_id}",
                resource=(written(patient.patient_resource(subject), syntax),),
            )
    if response.warnings:
        yield Entry(mode="outcome", resource=(written(warnings(response.warnings), syntax),))
