"""Which of FHIR's two syntaxes an answer is written in, and how much of a resource it shows.

IHE servers support both JSON and XML. `_format` in the URL wins over `Accept`; who says nothing gets JSON.

Source: ITI TF-2 Appendix Z.6; HL7 FHIR R4, RESTful API (content types, _summary, _elements).
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

import orjson

from profiles.errors import MalformedMessage, RequestError, Unsupported
from profiles.wire.fhir import xml
from profiles.wire.fhir.datatypes import SUBSETTED, Json
from profiles.wire.fhir.outcome import METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, UNSUPPORTED_MEDIA_TYPE
from profiles.wire.http import HttpIn

FORM = "application/x-www-form-urlencoded"
VERSIONS = ("4.0", "4.0.1")
MAX_PARAMETERS = 200


class Syntax(StrEnum):
    """The media type that we write."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"

    @property
    def content_type(self) -> str:
        """With the version and the character set."""
        return f"{self};fhirVersion=4.0;charset=utf-8"


SYNTAXES = {
    "application/fhir+json": Syntax.JSON,
    "application/json": Syntax.JSON,
    "text/json": Syntax.JSON,
    "application/json+fhir": Syntax.JSON,  # DSTU2's name; still sent
    "json": Syntax.JSON,
    "application/fhir+xml": Syntax.XML,
    "application/xml": Syntax.XML,
    "text/xml": Syntax.XML,
    "application/xml+fhir": Syntax.XML,
    "xml": Syntax.XML,
    "*/*": Syntax.JSON,
    "application/*": Syntax.JSON,
    "text/*": Syntax.JSON,
}


def pairs_of(request: HttpIn) -> tuple[tuple[str, str], ...]:
    """The parameters of a request: those of the URL, then those of the form when it is posted.

    Raises:
        MalformedMessage: The form is not UTF-8, or there are too many parameters.
    """
    pairs = request.query
    if request.method == "POST" and request.body:
        kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
        if kind == FORM:
            try:
                form = parse_qsl(
                    request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
                )
            except ValueError:
                raise MalformedMessage("the form cannot be read, or has too many fields") from None
            pairs = (*pairs, *form)
    if len(pairs) > MAX_PARAMETERS:
        raise MalformedMessage(f"more than {MAX_PARAMETERS} parameters", code="too-long")
    return pairs


def syntax_of(request: HttpIn) -> Syntax:
    """The syntax that the answer will have.

    Raises:
        Unsupported: Nothing that is asked for can be had (406).
        MalformedMessage: The form that may say it cannot be read.
    """
    asked = next((value for name, value in pairs_of(request) if name == "_format"), None)
    if asked is not None:
        # "+" of "application/fhir+json" is a space once the URL is decoded; most clients forget to write %2B
        found = _syntax(asked.strip().replace("fhir ", "fhir+"))
        if found is None:
            raise Unsupported("this _format is not available here", location="_format", code=NOT_ACCEPTABLE)
        return found
    return _accepted(request.headers.get("accept", ""))


def syntax_of_error(request: HttpIn) -> Syntax:
    """The same for an answer that must be given in any case."""
    try:
        return syntax_of(request)
    except RequestError:
        return Syntax.JSON


def _accepted(accept: str) -> Syntax:
    ranges = []
    for position, item in enumerate(accept.split(",")):
        media, weight = _weighed(item)
        if media:
            ranges.append((-weight, position, media))
    for weight, _, media in sorted(ranges):
        found = _syntax(media)
        if found is not None and weight < 0:
            return found
    if ranges:
        raise Unsupported("only FHIR R4 as JSON or XML is available here", location="Accept", code=NOT_ACCEPTABLE)
    return Syntax.JSON


def _weighed(item: str) -> tuple[str, float]:
    """A media range without its q, and that q."""
    kept, weight = [], 1.0
    for part in item.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        else:
            kept.append(part.strip())
    return ";".join(kept), weight


def _syntax(media: str) -> Syntax | None:
    kind, *parameters = (part.strip() for part in media.lower().split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "fhirversion" and value.strip(' "') not in VERSIONS:
            return None
    return SYNTAXES.get(kind)


def form_only(request: HttpIn) -> None:
    """Refuse a body that is not a form; searches by POST bring nothing else.

    Raises:
        Unsupported: Another content type (415).
    """
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if kind != FORM:
        raise Unsupported(f"a search is posted as {FORM}", location="Content-Type", code=UNSUPPORTED_MEDIA_TYPE)


def search_only(request: HttpIn, otherwise: str) -> None:
    """Refuse a POST that is no search; `otherwise` says why nothing is created here.

    Raises:
        Unsupported: It is not sent to `_search` (405), or brings something else than a form (415).

    Source: HL7 FHIR R4, RESTful API (search).
    """
    if request.method == "POST":
        if not request.path.rstrip("/").endswith("/_search"):
            raise Unsupported(otherwise, code=METHOD_NOT_ALLOWED)
        form_only(request)


def written(resource: Json, syntax: Syntax) -> bytes:
    """A whole resource."""
    return orjson.dumps(resource) if syntax is Syntax.JSON else xml.document(resource)


# --- how much of it ---------------------------------------------------------------------------------------------------


class Summary(StrEnum):
    """The values of `_summary`."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How much of each resource is asked for. `elements` are top-level members; empty: all."""

    summary: Summary = Summary.FALSE
    elements: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out. We send no narrative, so leaving that out (`data`) leaves nothing out."""
        return self.summary in (Summary.FALSE, Summary.DATA) and not self.elements

    def shows(self, member: str) -> bool:
        """Whether this member is asked for; mandatory ones are shown anyway."""
        if self.summary is Summary.TEXT:
            return False
        return not self.elements or member in self.elements

    def of(self, resource: Json, mandatory: tuple[str, ...]) -> Json:
        """The part of a resource that is asked for, tagged as a part."""
        if self.is_whole:
            return resource
        kept = {name: value for name, value in resource.items() if name in mandatory or self.shows(name)}
        return subsetted({"resourceType": resource["resourceType"], "id": resource["id"]} | kept, resource)


WHOLE = View()


def subsetted(part: Json, whole: Json) -> Json:
    """Say of a resource that it is a part: who stores it back would lose the rest."""
    meta = dict(whole.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), SUBSETTED]
    head = {"resourceType": part["resourceType"], "id": part["id"], "meta": meta}
    return head | {name: value for name, value in part.items() if name not in head}


def view_of(query: tuple[tuple[str, str], ...]) -> View:
    """Read `_summary` and `_elements`.

    Raises:
        MalformedMessage: No such summary.
    """
    summary, elements = Summary.FALSE, frozenset[str]()
    for name, value in query:
        if name == "_summary":
            try:
                summary = Summary(value.strip())
            except ValueError:
                raise MalformedMessage(
                    "_summary is true, text, data, count or false", location="_summary", code="value"
                ) from None
        elif name == "_elements":
            elements |= {each.strip().partition(".")[0] for each in value.split(",") if each.strip()}
    return View(summary=summary, elements=elements)
