"""FHIR R4 at whoever serves ImagingStudy to an EHR.

Source: FHIR R4 http, search, ImagingStudy, Endpoint, Patient, CapabilityStatement; ITI TF-2 Appendix Z.
"""

import re
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.samples import sample_uid
from conformance.suites.pix.messages import adt, cx, new_patient, pid, taken
from conformance.target import HttpAnswer, Target
from conformance.verdict import Failed
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Sex
from profiles.transaction import Actor

SERVER = Actor.FHIR_SERVER
SEARCH, READ = "FHIR ImagingStudy search", "FHIR ImagingStudy read"
JSON, XML = "application/fhir+json", "application/fhir+xml"
DICOM_UID, URI = "urn:dicom:uid", "urn:ietf:rfc:3986"
GENDERS = {Sex.FEMALE: "female", Sex.MALE: "male", Sex.OTHER: "other", Sex.UNKNOWN: "unknown"}
CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
MOST = 1000  # studies of one patient that paging is tried with
NOBODY = f"urn:oid:{sample_uid('nobody')}"
ZONED = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?")

Resource = dict[str, Any]


# --- search -----------------------------------------------------------------------------------------------------------


@case(
    "FHIR/bundle",
    "FHIR/study-parameters",
    transaction=SEARCH,
    actor=SERVER,
    title="A study is found by its UID, in a Bundle as FHIR wants it",
)
async def a_bundle(target: Target) -> None:
    """Type, total, self link and full URL."""
    bundle = await _searched(target, ("identifier", f"{DICOM_UID}|{_urn(target)}"))
    expect((bundle.get("resourceType"), bundle.get("type")), "what came").equals(("Bundle", "searchset"))
    expect(bundle.get("total"), "total").equals(1)
    expect([link.get("relation") for link in bundle.get("link", [])], "the links").contains("self")
    expect(len(bundle.get("entry", [])), "the number of entries").equals(1)
    entry = bundle["entry"][0]
    expect(str(entry.get("fullUrl")), "fullUrl").equals(
        f"{target.endpoint('FHIR')}/ImagingStudy/{entry['resource']['id']}"
    )
    expect(entry.get("search", {}).get("mode"), "search.mode").equals("match")


@case(
    "FHIR/study-parameters",
    transaction=SEARCH,
    actor=SERVER,
    title="A study is found by identifiers, patient, id and start",
)
async def parameters(target: Target) -> None:
    """Each finds it; another value does not."""
    study = await _study(target)
    patient = target.study().patient
    system = f"urn:oid:{patient.authority}"
    started = str(study.get("started", ""))[:10]
    for name, value, other in (
        ("identifier", _urn(target), NOBODY),
        ("identifier", f"{DICOM_UID}|{_urn(target)}", f"urn:nobody|{_urn(target)}"),
        ("patient.identifier", f"{system}|{patient.value}", f"{system}|nobody"),
        ("_id", study["id"], "nobody"),
        ("started", started, "1900-01-01"),
        ("started", f"ge{started}", f"lt{started}"),
    ):
        if value:
            await _finds(target, study["id"], name, value)
            await _misses(target, study["id"], name, other)


@case("FHIR/study-parameters", transaction=SEARCH, actor=SERVER, title="A study is found by its accession number")
async def by_accession(target: Target) -> None:
    """With and without the system that it has."""
    study = await _study(target)
    number = target.study().study.accession_number
    await _finds(target, study["id"], "identifier", number)
    for each in study.get("identifier", []):
        if each.get("value") == number and each.get("system"):
            await _finds(target, study["id"], "identifier", f"{each['system']}|{number}")


@case("FHIR/status", transaction=SEARCH, actor=SERVER, title="Status and modality narrow")
async def narrowed(target: Target) -> None:
    """By code, and by system and code."""
    study = await _study(target)
    modality = target.study().study.series[0].modality
    await _finds(target, study["id"], "status", "available")
    await _misses(target, study["id"], "status", "cancelled")
    for value in (modality, f"{DCM}|{modality}"):
        await _finds(target, study["id"], "modality", value)
    await _misses(target, study["id"], "modality", "XA" if modality != "XA" else "OT")


@case("FHIR/none", transaction=SEARCH, actor=SERVER, title="Nothing found is an empty Bundle")
async def nothing(target: Target) -> None:
    """With 200, not 404."""
    bundle = await _searched(target, ("identifier", f"{DICOM_UID}|{NOBODY}"))
    expect(bundle.get("total"), "total").equals(0)
    expect(bundle.get("entry"), "entry").is_absent()


@case("FHIR/count", transaction=SEARCH, actor=SERVER, title="_count=0 tells the total alone")
async def count_only(target: Target) -> None:
    """No entries."""
    bundle = await _searched(target, ("_count", "0"))
    expect(isinstance(bundle.get("total"), int), "whether there is a total").equals(True)
    expect(bundle.get("entry"), "entry").is_absent()


@case("FHIR/count", transaction=SEARCH, actor=SERVER, title="Pages put together are the whole")
async def paging(target: Target) -> None:
    """By their next links; pages of another size hold the same, in the same order."""
    total = (await _searched(target, _of_patient(target), ("_count", "0"))).get("total")
    whole = await _paged(target, 2)
    expect(total, "total").equals(len(whole))
    expect(await _paged(target, 1), "the pages of another size").equals(whole)


@case("FHIR/post", transaction=SEARCH, actor=SERVER, title="A search by POST finds the same")
async def by_post(target: Target) -> None:
    """With a form as its body."""
    answer = await target.ask(
        SEARCH, "/ImagingStudy/_search", service="FHIR", method="POST",
        headers={"Accept": JSON, "Content-Type": "application/x-www-form-urlencoded"},
        body=f"identifier={DICOM_UID}%7C{_urn(target)}".encode(),
    )  # fmt: skip
    expect(_ids(_resource(answer)), "what is found").equals([(await _study(target))["id"]])


@case(
    "FHIR/unknown",
    transaction=SEARCH,
    actor=SERVER,
    title="What is not known is passed over, or refused where that is asked",
)
async def unknown_parameter(target: Target) -> None:
    """Prefer: handling."""
    asked = (("identifier", f"{DICOM_UID}|{_urn(target)}"), ("no-such-parameter", "1"))
    lenient = await target.ask(
        SEARCH, "/ImagingStudy", service="FHIR", query=asked, headers={"Accept": JSON, "Prefer": "handling=lenient"}
    )
    expect(lenient.status, "the HTTP status when lenient").equals(200)
    strict = await target.ask(
        SEARCH, "/ImagingStudy", service="FHIR", query=asked, headers={"Accept": JSON, "Prefer": "handling=strict"}
    )
    _outcome(strict, 400)


@case("FHIR/value", transaction=SEARCH, actor=SERVER, title="A date that is none is refused")
async def bad_value(target: Target) -> None:
    """With an OperationOutcome."""
    _outcome(
        await target.ask(
            SEARCH, "/ImagingStudy", service="FHIR", query=(("started", "yesterday"),), headers={"Accept": JSON}
        ),
        400,
    )


@case("FHIR/include", transaction=SEARCH, actor=SERVER, title="The endpoints come where they are asked for")
async def included(target: Target) -> None:
    """As included entries, beside the match."""
    bundle = await _searched(
        target, ("identifier", f"{DICOM_UID}|{_urn(target)}"), ("_include", "ImagingStudy:endpoint")
    )
    kinds = [(each["resource"]["resourceType"], each.get("search", {}).get("mode")) for each in bundle.get("entry", [])]
    expect(kinds, "the entries").contains(("ImagingStudy", "match"), ("Endpoint", "include"))
    expect(bundle.get("total"), "total").equals(1)


# --- read -------------------------------------------------------------------------------------------------------------


@case("FHIR/resource", transaction=READ, actor=SERVER, title="An ImagingStudy is written as R4 writes it")
async def written(target: Target) -> None:
    """The places where servers differ most."""
    study = await _study(target)
    identifiers = [(each.get("system"), each.get("value")) for each in study.get("identifier", [])]
    expect(identifiers, "identifier").contains((DICOM_UID, _urn(target)))
    expect(study.get("status"), "status").equals("available")
    expect(study.get("subject"), "subject").is_there()
    expect(
        bool(ZONED.fullmatch(str(study.get("started", "")))), "whether started has a zone where it has a time"
    ).equals(True)
    expect([each.get("system") for each in study.get("modality", [])], "the systems of modality").equals(
        [DCM] * len(study.get("modality", []))
    )
    for series in study.get("series", []):
        expect(str(series.get("uid")).startswith("urn:"), "whether series.uid is a URN").equals(False)
        for instance in series.get("instance", []):
            expect(str(instance.get("uid")).startswith("urn:"), "whether instance.uid is a URN").equals(False)
            expect(instance.get("sopClass", {}).get("system"), "sopClass.system").equals(URI)
            expect(
                str(instance.get("sopClass", {}).get("code")).startswith("urn:oid:"), "whether sopClass is an OID"
            ).equals(True)
    expect(list(_empty(study)), "empty values").is_absent()


@case("FHIR/counts", transaction=READ, actor=SERVER, title="Series and instances are those that are held")
async def counts(target: Target) -> None:
    """Numbers and UIDs."""
    known, study = target.study().study, await _study(target)
    expect(study.get("numberOfSeries"), "numberOfSeries").equals(len(known.series))
    expect(study.get("numberOfInstances"), "numberOfInstances").equals(len(known.instances))
    uids = [instance.get("uid") for series in study.get("series", []) for instance in series.get("instance", [])]
    expect(uids, "the instances").has_same([each.sop_instance_uid for each in known.instances])


@case("FHIR/not-found", transaction=READ, actor=SERVER, title="What is not there is 404 with an outcome")
async def not_found(target: Target) -> None:
    """A study of nobody."""
    _outcome(await _read(target, "nobody"), 404)


@case("FHIR/formats", transaction=READ, actor=SERVER, title="JSON and XML are both served")
async def formats(target: Target) -> None:
    """By Accept and by _format; what is neither is refused."""
    id = (await _study(target))["id"]
    for headers, query, kind in (
        ({"Accept": XML}, (), XML),
        ({"Accept": "*/*"}, (), JSON),
        ({"Accept": JSON}, (("_format", "xml"),), XML),
        ({"Accept": XML}, (("_format", "json"),), JSON),
    ):
        answer = await target.ask(READ, f"/ImagingStudy/{id}", service="FHIR", headers=headers, query=query)
        expect((answer.status, answer.media_type), "status and media type").equals((200, kind))
    _status(await target.ask(READ, f"/ImagingStudy/{id}", service="FHIR", headers={"Accept": "text/x-nothing"}), 406)


@case("FHIR/etag", transaction=READ, actor=SERVER, title="A resource that has not changed is not sent again")
async def not_modified(target: Target) -> None:
    """ETag and If-None-Match."""
    id = (await _study(target))["id"]
    tag = (await _read(target, id)).headers.get("etag", "")
    expect(tag, "ETag").is_there()
    again = await target.ask(
        READ, f"/ImagingStudy/{id}", service="FHIR", headers={"Accept": JSON, "If-None-Match": tag}
    )
    expect(again.status, "the HTTP status").equals(304)


# --- around it --------------------------------------------------------------------------------------------------------


@case(
    "FHIR/endpoint", transaction="FHIR Endpoint read", actor=SERVER, title="The endpoint of a study leads to its images"
)
async def endpoint(target: Target) -> None:
    """A service root of WADO-RS, below which the study is."""
    study = await _study(target)
    references = [each["reference"] for each in study.get("endpoint", []) if "reference" in each]
    expect(references, "endpoint").is_there()
    answer = await target.ask("FHIR Endpoint read", f"/{references[0]}", service="FHIR", headers={"Accept": JSON})
    resource = _resource(answer)
    expect(resource.get("connectionType", {}).get("code"), "connectionType").equals("dicom-wado-rs")
    address = str(resource.get("address", ""))
    expect(address.endswith(("/", "/studies")), "whether the address has something at its end").equals(False)
    expect(address, "the address").equals(target.endpoint("DICOMWEB"))


@case("FHIR/patient", transaction="FHIR Patient search", actor=SERVER, title="The patient of a study is found and read")
async def patient(target: Target) -> None:
    """By the identifier that the study is known by."""
    known = target.study().patient
    asked = (("identifier", f"urn:oid:{known.authority}|{known.value}"),)
    answer = await target.ask("FHIR Patient search", "/Patient", service="FHIR", query=asked, headers={"Accept": JSON})
    found = _resource(answer)
    expect(found.get("total"), "total").equals(1)
    resource = found["entry"][0]["resource"]
    identifiers = [(each.get("system"), each.get("value")) for each in resource.get("identifier", [])]
    expect(identifiers, "identifier").contains((f"urn:oid:{known.authority}", known.value))
    subject = (await _study(target)).get("subject", {})
    if "reference" in subject:
        expect(subject["reference"], "the study's subject").equals(f"Patient/{resource['id']}")


@case(
    "FHIR/patient-read",
    transaction="FHIR Patient read",
    actor=SERVER,
    title="A patient is read with the id, name, birth date and sex that are known",
)
async def patient_read(target: Target) -> None:
    """By the id that a search tells."""
    known = target.study()
    resource = _resource(await _read_patient(target, await _patient_id(target, known.patient)))
    expect(resource.get("resourceType"), "what came").equals("Patient")
    identifiers = [(each.get("system"), each.get("value")) for each in resource.get("identifier", [])]
    expect(identifiers, "identifier").contains((f"urn:oid:{known.patient.authority}", known.patient.value))
    person = known.study.patient
    expect([each.get("family") for each in resource.get("name", [])], "the family names").contains(person.name.family)
    born = person.birth_date.dtm if person.birth_date is not None else ""
    expect(str(resource.get("birthDate", "")).replace("-", ""), "birthDate").equals(born)
    expect(resource.get("gender", "unknown"), "gender").equals(GENDERS[person.sex])
    expect(list(_empty(resource)), "empty values").is_absent()


@case(
    "FHIR/patient-absent",
    transaction="FHIR Patient read",
    actor=SERVER,
    title="A patient who is not there is 404 with an outcome",
)
async def patient_absent(target: Target) -> None:
    """An id of nobody."""
    _outcome(await _read_patient(target, "nobody"), 404)


@case(
    "FHIR/patient-merged",
    transaction="FHIR Patient read",
    actor=SERVER,
    title="A patient who was merged away is not active any more, or not there",
)
async def patient_merged(target: Target) -> None:
    """By the id that was told before the merge, which is made by ITI-8; what is left names who took their place."""
    stays, goes = new_patient(target), new_patient(target)
    for each in (stays, goes):
        await taken(target, adt(target, "A04", pid(each)))
    before = await _patient_id(target, goes)
    await taken(target, adt(target, "A40", pid(stays), f"MRG|{cx(goes)}", visit=False))
    after = await _read_patient(target, before)
    if after.status in (404, 410):
        return
    resource = _resource(after)
    expect(resource.get("active"), "active").equals(False)
    expect([each.get("type") for each in resource.get("link", [])], "the types of link").contains("replaced-by")


@case(
    "FHIR/endpoint-search",
    transaction="FHIR Endpoint search",
    actor=SERVER,
    title="Endpoints are found by connection type, status and id",
)
async def endpoints_found(target: Target) -> None:
    """Each finds the one of DICOMweb; another value does not."""
    found = _resource(await _endpoints(target, ("connection-type", "dicom-wado-rs")))
    expect((found.get("resourceType"), found.get("type")), "what came").equals(("Bundle", "searchset"))
    matches = [each["resource"] for each in found.get("entry", []) if each.get("search", {}).get("mode") == "match"]
    ids = [each["id"] for each in matches if each.get("address") == target.endpoint("DICOMWEB")]
    expect(ids, "the endpoint of DICOMweb").is_there()
    for name, value, other in (
        ("connection-type", f"{CONNECTION}|dicom-wado-rs", "hl7-fhir-msg"),
        ("status", "active", "off"),
        ("_id", ids[0], "nobody"),
    ):
        there = _ids(_resource(await _endpoints(target, (name, value))))
        expect(ids[0] in there, f"whether {name}={value} finds it").equals(True)
        elsewhere = _ids(_resource(await _endpoints(target, (name, other))))
        expect(ids[0] in elsewhere, f"whether {name}={other} finds it").equals(False)


@case(
    "FHIR/endpoint-written",
    transaction="FHIR Endpoint search",
    actor=SERVER,
    title="Every endpoint says what it is, and for which content",
)
async def endpoints_written(target: Target) -> None:
    """Status, connection type as a Coding, payload type, address."""
    resources = [each["resource"] for each in _resource(await _endpoints(target)).get("entry", [])]
    expect(resources, "endpoints").is_there()
    for each in resources:
        expect(each.get("status"), "status").is_one_of(
            "active", "suspended", "error", "off", "entered-in-error", "test"
        )
        kind = each.get("connectionType")
        expect(isinstance(kind, dict) and bool(kind.get("code")), "whether connectionType is a Coding").equals(True)
        expect(each.get("payloadType"), "payloadType").is_there()
        address = str(each.get("address", ""))
        expect(bool(address) and not address.endswith("/"), "whether address is a root without a slash").equals(True)
        expect(list(_empty(each)), "empty values").is_absent()


@case("FHIR/capabilities", transaction="FHIR capabilities", actor=SERVER, title="The server says what it can")
async def capabilities(target: Target) -> None:
    """Version, formats, resources and interactions."""
    told = await _capabilities(target)
    expect(told.get("resourceType"), "what came").equals("CapabilityStatement")
    expect(told.get("fhirVersion"), "fhirVersion").equals("4.0.1")
    expect((told.get("kind"), bool(told.get("date")), told.get("status")), "kind, date and status").equals(
        ("instance", True, "active")
    )
    formats = {str(each).rpartition("+")[2].rpartition("/")[2] for each in told.get("format", [])}
    expect(formats, "format").contains("json", "xml")
    interactions = {each.get("code") for each in _of_imaging_study(told).get("interaction", [])}
    expect(interactions, "the interactions of ImagingStudy").contains("read", "search-type")


@case(
    "FHIR/claims",
    transaction="FHIR capabilities",
    actor=SERVER,
    title="Every search parameter that is told of can be used",
)
async def parameters_work(target: Target) -> None:
    """With a value of nobody, strictly: it is not refused as unknown."""
    told = _of_imaging_study(await _capabilities(target)).get("searchParam", [])
    expect({each.get("name") for each in told}, "the search parameters").contains("identifier", "patient", "started")
    for each in told:
        value = {"date": "2026", "reference": "Patient/nobody", "uri": "urn:nobody"}.get(each.get("type"), "nobody")
        if each["name"] == "status":
            value = "cancelled"
        answer = await target.ask(
            SEARCH, "/ImagingStudy", service="FHIR", query=((each["name"], value),),
            headers={"Accept": JSON, "Prefer": "handling=strict"},
        )  # fmt: skip
        expect(answer.status, f"the HTTP status of a search by {each['name']}").equals(200)


# --- how it is asked --------------------------------------------------------------------------------------------------


def _urn(target: Target) -> str:
    return f"urn:oid:{target.study().study.study_instance_uid}"


async def _searched(target: Target, *query: tuple[str, str]) -> Resource:
    return _resource(await target.ask(SEARCH, "/ImagingStudy", service="FHIR", query=query, headers={"Accept": JSON}))


async def _read(target: Target, id: str) -> HttpAnswer:
    return await target.ask(READ, f"/ImagingStudy/{id}", service="FHIR", headers={"Accept": JSON})


async def _patient_id(target: Target, patient: PatientIdentifier) -> str:
    """The id of a patient who is known by this identifier."""
    asked = (("identifier", f"urn:oid:{patient.authority}|{patient.value}"),)
    ids = _ids(
        _resource(
            await target.ask("FHIR Patient search", "/Patient", service="FHIR", query=asked, headers={"Accept": JSON})
        )
    )
    expect(len(ids), "the number of patients with the identifier").equals(1)
    return ids[0]


async def _read_patient(target: Target, id: str) -> HttpAnswer:
    return await target.ask("FHIR Patient read", f"/Patient/{id}", service="FHIR", headers={"Accept": JSON})


async def _endpoints(target: Target, *query: tuple[str, str]) -> HttpAnswer:
    return await target.ask("FHIR Endpoint search", "/Endpoint", service="FHIR", query=query, headers={"Accept": JSON})


async def _study(target: Target) -> Resource:
    """The known study, found by its UID and read."""
    ids = _ids(await _searched(target, ("identifier", f"{DICOM_UID}|{_urn(target)}")))
    expect(len(ids), "the number of studies with the UID").equals(1)
    return _resource(await _read(target, ids[0]))


async def _capabilities(target: Target) -> Resource:
    return _resource(await target.ask("FHIR capabilities", "/metadata", service="FHIR", headers={"Accept": JSON}))


def _of_imaging_study(told: Resource) -> Resource:
    resources = [each for rest in told.get("rest", []) for each in rest.get("resource", [])]
    found = next((each for each in resources if each.get("type") == "ImagingStudy"), None)
    if found is None:
        raise Failed("expected ImagingStudy in rest.resource; it is not there")
    return dict(found)


def _resource(answer: HttpAnswer) -> Resource:
    """A resource that must have come with 200, as JSON."""
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals(JSON)
    value = answer.json()
    if not isinstance(value, dict):
        raise Failed("expected a resource; the answer is no object")
    return value


def _ids(bundle: Resource) -> list[str]:
    return [str(each["resource"]["id"]) for each in bundle.get("entry", [])]


async def _finds(target: Target, id: str, name: str, value: str) -> None:
    expect(id in await _narrowed(target, name, value), f"whether {name}={value} finds the study").equals(True)


async def _misses(target: Target, id: str, name: str, value: str) -> None:
    expect(id in await _narrowed(target, name, value), f"whether {name}={value} finds the study").equals(False)


async def _narrowed(target: Target, name: str, value: str) -> list[str]:
    """What is left of the known study: a system may hold more than it tells on one page."""
    own = () if name == "identifier" else (("identifier", f"{DICOM_UID}|{_urn(target)}"),)
    return _ids(await _searched(target, *own, (name, value)))


def _of_patient(target: Target) -> tuple[str, str]:
    patient = target.study().patient
    return ("patient.identifier", f"urn:oid:{patient.authority}|{patient.value}")


async def _paged(target: Target, count: int) -> list[str]:
    """All studies of the patient, by pages of so many."""
    bundle = await _searched(target, _of_patient(target), ("_count", str(count)))
    found: list[str] = []
    while True:
        expect(len(_ids(bundle)) <= count, "whether a page keeps to its count").equals(True)
        found += _ids(bundle)
        after = next((link["url"] for link in bundle.get("link", []) if link.get("relation") == "next"), "")
        if not after or len(found) > MOST:
            return found
        path = str(after).removeprefix(target.endpoint("FHIR"))
        bundle = _resource(await target.ask(SEARCH, path, service="FHIR", headers={"Accept": JSON}))


def _status(answer: HttpAnswer, status: int) -> None:
    expect(answer.status, "the HTTP status").equals(status)


def _outcome(answer: HttpAnswer, status: int) -> None:
    """This status, and an OperationOutcome that says why."""
    _status(answer, status)
    outcome = answer.json()
    expect(outcome.get("resourceType"), "what came").equals("OperationOutcome")
    issues = outcome.get("issue", [])
    expect(issues, "issue").is_there()
    expect(
        [bool(each.get("severity") and each.get("code")) for each in issues], "whether each has severity and code"
    ).equals([True] * len(issues))


def _empty(value: Any, at: str = "") -> Any:
    """Where a resource has an empty string, list or object, or null."""
    if value is None or value == "" or value == [] or value == {}:
        yield at
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _empty(each, f"{at}.{key}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _empty(each, f"{at}[{place}]")
