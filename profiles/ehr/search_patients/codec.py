"""The search as FHIR writes it: by `identifier` and `_id`. Names are not searched by: who has no identifier asks PDQ.

Source: HL7 FHIR R4, Patient (search parameters); Search.
"""

from collections.abc import Iterator, Mapping

from profiles.ehr.search_patients.messages import SearchPatientsRequest, SearchPatientsResponse
from profiles.errors import Unsupported
from profiles.findings import Decoded
from profiles.model.query import Identified, PageKey
from profiles.wire.fhir.answer import flowing
from profiles.wire.fhir.bundle import Entry, address, page_key, page_token, searchset
from profiles.wire.fhir.media import Summary, pairs_of, search_only, syntax_of, view_of, written
from profiles.wire.fhir.patient import MANDATORY, identifier_of, patient_id_of, patient_resource
from profiles.wire.fhir.search import (
    PAGE,
    Asked,
    ParameterType,
    SearchParameter,
    Shape,
    Total,
    honoured,
    is_strict,
    oid_of,
    read,
    shape_of,
    token,
)
from profiles.wire.http import HttpIn, HttpOut

KIND = "Patient"

PARAMETERS: Mapping[str, SearchParameter] = {
    "_id": SearchParameter(
        name="_id",
        type=ParameterType.TOKEN,
        definition="http://hl7.org/fhir/SearchParameter/Resource-id",
        says_whose=True,
    ),
    "identifier": SearchParameter(
        name="identifier",
        type=ParameterType.TOKEN,
        definition="http://hl7.org/fhir/SearchParameter/Patient-identifier",
        documentation="urn:oid: of the assigning authority and value, or the value alone",
        says_whose=True,
    ),
}

SHAPING = ("_count", "_elements", "_format", "_summary", "_total")


def decode_request(request: HttpIn) -> Decoded[SearchPatientsRequest]:
    """Read the search.

    Raises:
        MalformedMessage: A value cannot be read.
        Unsupported: A modifier that we do not have, or a search for everybody.
    """
    search_only(request, "patients come by the identity feed and are not created here")
    syntax_of(request)
    pairs = pairs_of(request)
    view_of(pairs)
    shape = _shape(request, pairs)
    if shape.page:
        page_key(shape.page)
    conditions = tuple(tuple(_identified(asked)) for asked in read(pairs, PARAMETERS, strict=is_strict(request)))
    if not conditions:
        raise Unsupported("patients are searched for by identifier or _id", code="required", location="identifier")
    return Decoded(SearchPatientsRequest(conditions=conditions))


def _identified(asked: Asked) -> Iterator[Identified]:
    for alternative in asked.alternatives:
        named = token(alternative)
        if asked.name == "_id":
            identifier = identifier_of(named.code)
            if identifier is not None:
                yield identifier.value, identifier.authority
        elif not named.code:
            raise Unsupported("a system without a value selects too much", location=asked.location)
        elif named.system is None:
            yield named.code, None
        elif (authority := oid_of(named.system)) is not None:
            yield named.code, authority


def _shape(request: HttpIn, pairs: tuple[tuple[str, str], ...]) -> Shape:
    return shape_of(pairs, sorts=(), includes={}, strict=is_strict(request))


def encode_response(response: SearchPatientsResponse, request: HttpIn) -> HttpOut:
    """Write the page, ordered by id."""
    pairs = pairs_of(request)
    shape, view, syntax = _shape(request, pairs), view_of(pairs), syntax_of(request)
    found = {patient_id_of(patient.identifiers[0]): patient for patient in response.patients}
    after = page_key(shape.page).value if shape.page else ""
    rest = [patient_id for patient_id in sorted(found) if patient_id > after]
    counted = shape.count == 0 or view.summary is Summary.COUNT
    page = [] if counted else rest[: shape.count]
    used = honoured(pairs, PARAMETERS, SHAPING, strict=is_strict(request))
    onward = ""
    if page and len(page) < len(rest):
        onward = address(
            request.base, KIND, [*used, (PAGE, page_token(PageKey(value=page[-1], study_instance_uid="")))]
        )
    here = [*used, (PAGE, shape.page)] if shape.page else used
    entries = (
        Entry(
            mode="match",
            full_url=f"{request.base}/{KIND}/{patient_id}",
            resource=(written(view.of(patient_resource(found[patient_id]), MANDATORY), syntax),),
        )
        for patient_id in page
    )
    return flowing(
        searchset(
            entries,
            self_url=address(request.base, KIND, here),
            next_url=onward,
            total=len(found) if counted or shape.total is not Total.NONE else None,
            syntax=syntax,
        ),
        syntax,
    )
