"""The search as FHIR writes it: by `_id`, `connection-type` and `status`. There are few; one page holds them.

Source: HL7 FHIR R4, Endpoint (search parameters); Search.
"""

from collections.abc import Mapping

from profiles.ehr.search_endpoints.messages import SearchEndpointsRequest, SearchEndpointsResponse
from profiles.findings import Decoded
from profiles.wire.fhir.answer import flowing
from profiles.wire.fhir.bundle import Entry, address, searchset
from profiles.wire.fhir.endpoint import CONNECTION_TYPE, MANDATORY, XDS_I_TYPE, endpoint_resource
from profiles.wire.fhir.media import Summary, pairs_of, search_only, syntax_of, view_of, written
from profiles.wire.fhir.search import (
    ParameterType,
    SearchParameter,
    Shape,
    Total,
    codes_of,
    honoured,
    is_strict,
    read,
    shape_of,
    token,
)
from profiles.wire.http import HttpIn, HttpOut

KIND = "Endpoint"
STATUS_SYSTEM = "http://hl7.org/fhir/endpoint-status"
STATUSES = ("active", "suspended", "error", "off", "entered-in-error", "test")
ACTIVE = "active"

PARAMETERS: Mapping[str, SearchParameter] = {
    "_id": SearchParameter(
        name="_id", type=ParameterType.TOKEN, definition="http://hl7.org/fhir/SearchParameter/Resource-id"
    ),
    "connection-type": SearchParameter(
        name="connection-type",
        type=ParameterType.TOKEN,
        definition="http://hl7.org/fhir/SearchParameter/Endpoint-connection-type",
    ),
    "status": SearchParameter(
        name="status", type=ParameterType.TOKEN, definition="http://hl7.org/fhir/SearchParameter/Endpoint-status"
    ),
}

SHAPING = ("_elements", "_format", "_summary", "_total")


def decode_request(request: HttpIn) -> Decoded[SearchEndpointsRequest]:
    """Read the search.

    Raises:
        MalformedMessage: A value cannot be read.
        Unsupported: A modifier that we do not have.
    """
    search_only(request, "endpoints are our own and are not created here")
    syntax_of(request)
    pairs = pairs_of(request)
    view_of(pairs)
    _shape(request, pairs)
    ids: frozenset[str] | None = None
    connections: frozenset[str] | None = None
    for asked in read(pairs, PARAMETERS, strict=is_strict(request)):
        named = [token(alternative) for alternative in asked.alternatives]
        if asked.name == "_id":
            codes = frozenset(each.code for each in named)
            ids = codes if ids is None else ids & codes
        elif asked.name == "connection-type":
            codes = frozenset(each.code for each in named if each.system in (None, CONNECTION_TYPE, XDS_I_TYPE))
            connections = codes if connections is None else connections & codes
        elif ACTIVE not in codes_of(asked, STATUS_SYSTEM, STATUSES):
            ids = frozenset()  # all of ours are active
    return Decoded(SearchEndpointsRequest(ids=ids, connections=connections))


def _shape(request: HttpIn, pairs: tuple[tuple[str, str], ...]) -> Shape:
    return shape_of(pairs, sorts=(), includes={}, strict=is_strict(request))


def encode_response(response: SearchEndpointsResponse, request: HttpIn) -> HttpOut:
    """Write all of them; `_count` cannot make less of so few, but 0 asks for the number alone."""
    pairs = pairs_of(request)
    shape, view, syntax = _shape(request, pairs), view_of(pairs), syntax_of(request)
    counted = shape.count == 0 or view.summary is Summary.COUNT
    used = honoured(pairs, PARAMETERS, SHAPING, strict=is_strict(request))
    entries = (
        Entry(
            mode="match",
            full_url=f"{request.base}/{KIND}/{endpoint.id}",
            resource=(written(view.of(endpoint_resource(endpoint), MANDATORY), syntax),),
        )
        for endpoint in (() if counted else response.endpoints)
    )
    return flowing(
        searchset(
            entries,
            self_url=address(request.base, KIND, used),
            total=len(response.endpoints) if counted or shape.total is not Total.NONE else None,
            syntax=syntax,
        ),
        syntax,
    )
