"""Wrong FHIR servers: Bundles, resources and refusals that are not as R4 wants them.

Source: FHIR R4 http, search, ImagingStudy.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.edits import (
    AnswerEdit,
    Fault,
    RequestEdit,
    addresses,
    answers,
    told,
    with_header,
    with_status,
    without_header,
)
from conformance.in_flight import Outgoing
from conformance.system import System

Resource = dict[str, Any]
SUITE = "ehr.server/"
SEARCH, READ = "FHIR ImagingStudy search", "FHIR ImagingStudy read"


def _fault(transaction: str) -> Callable[..., Fault]:
    def made(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
        return Fault(
            text=text, transactions=(transaction,), caught_by=tuple(SUITE + name for name in caught_by), request=request,
            answer=answer,
        )  # fmt: skip

    return made


_search, _read = _fault(SEARCH), _fault(READ)
_endpoint, _patient, _capabilities = (
    _fault("FHIR Endpoint read"), _fault("FHIR Patient search"), _fault("FHIR capabilities"),
)  # fmt: skip
_endpoints, _reading = _fault("FHIR Endpoint search"), _fault("FHIR Patient read")


def _lacks(*names: str) -> AnswerEdit:
    """An answer without these elements."""

    def edit(resource: Resource) -> None:
        for name in names:
            resource.pop(name, None)

    return told(edit)


def _relative(bundle: Resource) -> None:
    for entry in bundle.get("entry", []):
        entry["fullUrl"] = "ImagingStudy/" + entry["resource"]["id"]


def _counts_entries(bundle: Resource) -> None:
    if "total" in bundle:
        bundle["total"] = len(bundle.get("entry", [])) + 1


def _no_last(bundle: Resource) -> None:
    """Without the last entry."""
    if bundle.get("entry"):
        bundle["entry"] = bundle["entry"][:-1]


def _matches_all(bundle: Resource) -> None:
    """What was included looks like a match."""
    for entry in bundle.get("entry", []):
        entry["search"] = {"mode": "match"}


def _series(edit: Callable[[Resource], None]) -> AnswerEdit:
    """Change each series of a study."""

    def edited(study: Resource) -> None:
        for series in study.get("series", []):
            edit(series)

    return told(edited)


def _urn(series: Resource) -> None:
    series["uid"] = f"urn:oid:{series['uid']}"


def _bare_class(series: Resource) -> None:
    for instance in series.get("instance", []):
        instance["sopClass"]["code"] = instance["sopClass"]["code"].removeprefix("urn:oid:")


def _forgets_instance(series: Resource) -> None:
    series["instance"] = series.get("instance", [])[:-1]


def _one_more(study: Resource) -> None:
    study["numberOfInstances"] = study.get("numberOfInstances", 0) + 1


def _bare_uid(study: Resource) -> None:
    for each in study.get("identifier", []):
        each["value"] = str(each.get("value", "")).removeprefix("urn:oid:")


def _empty_text(study: Resource) -> None:
    study["description"] = ""


def _no_zone(study: Resource) -> None:
    study["started"] = str(study.get("started", ""))[:10] + "T08:00:00"


def _claims_more(statement: Resource) -> None:
    for rest in statement.get("rest", []):
        for each in rest.get("resource", []):
            each.get("searchParam", []).append({"name": "no-such-parameter", "type": "token"})


def _whole(outgoing: Outgoing, system: System) -> Outgoing:
    """Whatever is looked for, the known study."""
    known = f"identifier=urn:dicom:uid|urn:oid:{system.studies[1].study.study_instance_uid}"
    other = f"identifier=urn:dicom:uid|urn:oid:{system.studies[0].study.study_instance_uid}"
    address = outgoing.address.partition("?")[0]
    return replace(outgoing, address=f"{address}?{known if outgoing.body else other}", body=b"")


FAULTS: Mapping[str, Fault] = {
    # --- search ---
    "FHIR/no-self": _search("gives no self link", "a_bundle", answer=_lacks("link")),
    "FHIR/relative": _search("gives relative addresses", "a_bundle", answer=told(_relative)),
    "FHIR/wrong-total": _search("counts one too many", "a_bundle", "nothing", "included", answer=told(_counts_entries)),
    "FHIR/overlooks-parameters": _search(
        "finds everything whatever is asked", "parameters", "narrowed", "nothing", "by_post", request=_whole
    ),
    "FHIR/finds-nothing": _search(
        "leaves out the last of what it found", "a_bundle", "parameters", "by_accession", "by_post", "paging",
        answer=told(_no_last),
    ),
    "FHIR/needs-system": _search(
        "does not find an accession number without its system", "by_accession",
        request=addresses(r"identifier=A\d+$", "identifier=nobody"),
    ),
    "FHIR/not-found-for-none": _search(
        "answers an empty search with 404", "nothing",
        answer=lambda incoming: replace(incoming, status=404) if b'"entry"' not in incoming.body else incoming,
    ),
    "FHIR/overlooks-count": _search(
        "overlooks _count", "count_only", "paging", request=addresses(r"_count=\d", "_count=50")
    ),
    "FHIR/one-page": _search(
        "gives no further page", "paging",
        answer=answers(rb'"relation":\s*"next"', b'"relation":"more"'),
    ),
    "FHIR/no-post": _search(
        "knows no search by POST", "by_post",
        request=lambda outgoing, _: replace(outgoing, address=outgoing.address.replace("_search", "_find")),
    ),
    "FHIR/always-strict": _search(
        "refuses what it does not know", "unknown_parameter",
        request=lambda outgoing, _: replace(outgoing, headers={**outgoing.headers, "Prefer": "handling=strict"}),
    ),
    "FHIR/always-lenient": _search(
        "passes over what it does not know though it should not", "unknown_parameter",
        request=lambda outgoing, _: replace(outgoing, headers={**outgoing.headers, "Prefer": "handling=lenient"}),
    ),
    "FHIR/takes-bad-values": _search(
        "passes over a date that is none", "bad_value", request=addresses(r"started=yesterday", "_count=1")
    ),
    "FHIR/no-outcome": _search(
        "refuses without saying why", "unknown_parameter", "bad_value", answer=answers(rb'"OperationOutcome"', b'"Bundle"')
    ),
    "FHIR/overlooks-include": _search(
        "does not include", "included", request=addresses(r"&?_include=[^&]*", "")
    ),
    "FHIR/included-as-match": _search("takes what is included for a match", "included", answer=told(_matches_all)),
    # --- read ---
    "FHIR/bare-study-uid": _read("writes the Study UID without urn:oid:", "written", answer=told(_bare_uid)),
    "FHIR/urn-series": _read("writes series.uid as a URN", "written", answer=_series(_urn)),
    "FHIR/bare-class": _read("writes the SOP class without urn:oid:", "written", answer=_series(_bare_class)),
    "FHIR/empty-text": _read("writes empty strings", "written", answer=told(_empty_text)),
    "FHIR/no-zone": _read("writes times without a zone", "written", answer=told(_no_zone)),
    "FHIR/no-subject": _read("does not say whose it is", "written", answer=_lacks("subject")),
    "FHIR/registered": _read(
        "says of what it has that it is on its way", "written", answer=answers(rb'"available"', b'"registered"')
    ),
    "FHIR/forgets-instances": _read("leaves instances out", "counts", answer=_series(_forgets_instance)),
    "FHIR/wrong-count": _read("counts one too many", "counts", answer=told(_one_more)),
    "FHIR/empty-for-unknown": _read("answers 200 for what it does not have", "not_found", answer=with_status(200, 404)),
    "FHIR/json-only": _read(
        "answers JSON whatever is asked", "formats",
        request=lambda outgoing, _: replace(
            outgoing, address=outgoing.address.partition("?")[0], headers={**outgoing.headers, "Accept": "*/*"}
        ),
    ),
    "FHIR/no-etag": _read("has no versions", "not_modified", answer=without_header("etag")),
    "FHIR/always-sends": _read(
        "sends what has not changed", "not_modified",
        request=lambda outgoing, _: replace(
            outgoing, headers={key: value for key, value in outgoing.headers.items() if key != "If-None-Match"}
        ),
    ),
    # --- around it ---
    "FHIR/studies-address": _endpoint(
        "gives an address that ends in /studies", "endpoint", answer=answers(rb'/dicomweb"', b'/dicomweb/studies"')
    ),
    "FHIR/inner-address": _endpoint(
        "gives the address of the archive behind it", "endpoint",
        answer=answers(rb'"address":\s*"[^"]*"', b'"address":"http://archive.internal/dicom-web"'),
    ),
    "FHIR/another-patient": _patient(
        "gives a patient with another id", "patient", answer=answers(rb'"id":\s*"', b'"id":"x')
    ),
    "FHIR/no-patient": _patient(
        "does not find a patient by identifier", "patient", request=addresses(r"identifier=.*", "identifier=nobody")
    ),
    "FHIR/forgets-identifier": _reading("reads a patient without identifiers", "patient_read", answer=_lacks("identifier")),
    "FHIR/other-family": _reading(
        "reads somebody of another name", "patient_read", answer=answers(rb'"family":\s*"[^"]*"', b'"family":"Nobody"')
    ),
    "FHIR/american-date": _reading(
        "writes dates the other way round", "patient_read",
        answer=answers(rb'"birthDate":\s*"(\d+)-(\d+)-(\d+)"', rb'"birthDate":"\2-\3-\1"'),
    ),
    "FHIR/gender-letter": _reading(
        "writes the letter of HL7 v2", "patient_read", answer=answers(rb'"gender":\s*"(.)[^"]*"', rb'"gender":"\1"')
    ),
    "FHIR/empty-patient": _reading("answers about nobody", "patient_absent", answer=with_status(200, 404)),
    "FHIR/merged-lives": _reading(
        "says that who was merged away is active", "patient_merged", answer=answers(rb'"active":\s*false', b'"active":true')
    ),
    "FHIR/merged-alone": _reading(
        "does not say who took the place of a patient", "patient_merged", answer=_lacks("link")
    ),
    "FHIR/overlooks-endpoint-conditions": _endpoints(
        "tells all endpoints whatever is asked", "endpoints_found", request=addresses(r"\?.*", "")
    ),
    "FHIR/no-endpoints": _endpoints("tells of none", "endpoints_found", "endpoints_written", answer=_lacks("entry")),
    "FHIR/inner-endpoints": _endpoints(
        "tells the address of the archive behind it", "endpoints_found",
        answer=answers(rb'"address":\s*"[^"]*/dicomweb"', b'"address":"http://archive.internal/dicom-web"'),
    ),
    "FHIR/endpoint-slash": _endpoints(
        "ends addresses with a slash", "endpoints_written", answer=answers(rb'/dicomweb"', b'/dicomweb/"')
    ),
    "FHIR/no-payload": _endpoints(
        "does not say for which content", "endpoints_written", answer=answers(rb'"payloadType"', b'"payload"')
    ),
    "FHIR/r5-connection": _endpoints(
        "writes the connection type of R5", "endpoints_written",
        answer=answers(rb'"connectionType":\s*(\{[^{}]*\})', rb'"connectionType":[\1]'),
    ),
    "FHIR/r5": _capabilities("says that it speaks R5", "capabilities", answer=answers(rb'"4\.0\.1"', b'"5.0.0"')),
    "FHIR/claims-too-much": _capabilities(
        "tells of a search parameter that it does not know", "parameters_work", answer=told(_claims_more)
    ),
    "FHIR/claims-nothing": _capabilities("tells of no resources", "capabilities", "parameters_work", answer=_lacks("rest")),
    "FHIR/plain-json": _read(
        "calls FHIR plain JSON", "written", "counts", "formats", answer=with_header("content-type", "application/json")
    ),
}  # fmt: skip
