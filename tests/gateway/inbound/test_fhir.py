import asyncio
import contextlib
import json
import random
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientPayloadError, ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.actors.answering import Answering, answers_of
from gateway.inbound.fhir import MAX_FORM_BYTES, FhirListener
from gateway.model.peer import Caller
from profiles.errors import Busy, PeerTimeout
from profiles.findings import Finding, Severity
from profiles.model.identifiers import Uid
from profiles.model.moment import Moment
from profiles.wire.fhir.imaging_study import IndexedStudy, series_fragment
from profiles.wire.fhir.patient import patient_id_of
from tests.profiles.wire.fhir.samples import ANNA, ENDPOINTS, EXPECTED, INDEXED, STUDY, large
from tests.support.fhir import from_xml, typed
from tests.support.fhir_house import ListedServer, PlainTurns, uids


@dataclass
class House:
    server: ListedServer
    turns: PlainTurns
    http: ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        return await self.ask("GET", path, **headers)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(
            method, URL(str(self.http._base_url) + path.lstrip("/"), encoded=True), data=body, headers=told
        ) as response:
            return response.status, response.headers, await response.read()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    server = ListedServer(studies=[INDEXED, EXPECTED], patients=[ANNA], endpoints=ENDPOINTS)
    turns = PlainTurns()
    listener = FhirListener(
        turns=turns,
        identify=lambda request: Caller(peer=None, network_address="127.0.0.1"),
        base="https://valley.example/fhir/r4",
        idle_timeout_s=0.5,
    )
    listener.add(answers_of(server))
    app = web.Application()
    listener.routes(app)
    async with (
        TestServer(app) as test_server,
        ClientSession(
            base_url=test_server.make_url("/"), auto_decompress=False, skip_auto_headers=("Accept-Encoding", "Accept")
        ) as http,
    ):
        yield House(server, turns, http)


async def test_a_search_by_patient_finds_studies_and_is_audited(house: House) -> None:
    status, headers, body = await house.get(
        "/fhir/r4/ImagingStudy?patient.identifier=urn:oid:2.16.756.5.30.1.1%7CP1&_include=ImagingStudy:endpoint",
        X_Request_Id="abc",
    )
    bundle = json.loads(body)
    assert status == 200
    assert headers["Content-Type"] == "application/fhir+json;fhirVersion=4.0;charset=utf-8"
    assert headers["Radgate-Exchange"] == "exchange-1"
    assert headers["X-Request-Id"] == "abc"
    assert uids(bundle) == ["1.2.3", "1.2.4"]  # the second has no date
    assert bundle["total"] == 2
    assert [entry["resource"]["id"] for entry in bundle["entry"][2:]] == ["wado-rs", "qido-rs", "xds-i"]
    typed(bundle)
    (record,) = house.turns.records  # both studies are of one patient
    assert [each.id for each in record.objects] == ["P1^^^&2.16.756.5.30.1.1&ISO", "ImagingStudy"]
    (query,) = house.turns.queries
    assert query.startswith(b"GET http://127.0.0.1")
    assert query.endswith(b"/fhir/r4/ImagingStudy?patient.identifier=urn:oid:2.16.756.5.30.1.1%7CP1"
                          b"&_include=ImagingStudy:endpoint")  # fmt: skip
    assert house.turns.sent_bytes == len(body)


async def test_a_search_is_posted_and_merged_with_the_address(house: House) -> None:
    status, _, body = await house.ask(
        "POST",
        "/fhir/r4/ImagingStudy/_search?status=registered",
        b"patient.identifier=P1",
        Content_Type="application/x-www-form-urlencoded",
        Authorization="Bearer secret",
    )
    bundle = json.loads(body)
    assert status == 200
    assert uids(bundle) == ["1.2.4"]
    assert bundle["link"][0]["url"] == (
        "https://valley.example/fhir/r4/ImagingStudy?status=registered&patient.identifier=P1"
    )
    assert house.turns.queries[0].endswith(b"/fhir/r4/ImagingStudy/_search?status=registered\n\npatient.identifier=P1")
    assert b"secret" not in house.turns.queries[0]


async def test_nothing_found_is_an_empty_page_and_no_error(house: House) -> None:
    status, _, body = await house.get("/fhir/r4/ImagingStudy?identifier=nobody")
    assert status == 200
    bundle = json.loads(body)
    assert bundle["total"] == 0
    assert "entry" not in bundle
    typed(bundle)


async def test_a_study_is_read_and_read_again_only_when_it_has_changed(house: House) -> None:
    status, headers, body = await house.get("/fhir/r4/ImagingStudy/1.2.3")
    assert status == 200
    assert headers["ETag"] == 'W/"3"'
    assert headers["Last-Modified"] == "Mon, 05 Jan 2026 07:40:00 GMT"
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body)["id"] == "1.2.3"
    for name, value, expected in [
        ("If-None-Match", 'W/"3"', 304),
        ("If-None-Match", '"2", "3"', 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", 'W/"2"', 200),
        ("If-Modified-Since", "Mon, 05 Jan 2026 07:40:00 GMT", 304),
        ("If-Modified-Since", "Mon, 05 Jan 2026 07:39:59 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ]:
        status, headers, body = await house.get("/fhir/r4/ImagingStudy/1.2.3", **{name: value})
        assert (status, bool(body)) == (expected, expected == 200), (name, value)
        assert headers["ETag"] == 'W/"3"'


async def test_patient_and_endpoint_are_read_by_the_references_of_a_study(house: House) -> None:
    study = json.loads((await house.get("/fhir/r4/ImagingStudy/1.2.3"))[2])
    for reference in [study["subject"]["reference"], *(each["reference"] for each in study["endpoint"])]:
        status, headers, body = await house.get(f"/fhir/r4/{reference}")
        assert status == 200, reference
        resource = json.loads(body)
        assert reference == f"{resource['resourceType']}/{resource['id']}"
        assert (await house.get(f"/fhir/r4/{reference}", If_None_Match=headers["ETag"]))[0] == 304


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/ImagingStudy/1.2.3?_format=xml", "application/json", "application/fhir+xml"),  # _format wins
        ("/ImagingStudy/1.2.3?_format=application/fhir+xml", "", "application/fhir+xml"),  # + read as a space
        ("/ImagingStudy/1.2.3?_format=json", "application/fhir+xml", "application/fhir+json"),
        ("/ImagingStudy/1.2.3", "text/html, application/fhir+xml;q=0.9, */*;q=0.1", "application/fhir+xml"),
        ("/ImagingStudy/1.2.3", "*/*", "application/fhir+json"),
        ("/ImagingStudy/1.2.3", "application/fhir+json; fhirVersion=4.0", "application/fhir+json"),
        ("/ImagingStudy", "application/fhir+xml", "application/fhir+xml"),
        ("/metadata", "application/fhir+xml", "application/fhir+xml"),
        ("/Patient?identifier=P1", "application/fhir+xml", "application/fhir+xml"),
        ("/Endpoint", "application/fhir+xml", "application/fhir+xml"),
    ],
)
async def test_both_syntaxes_are_spoken(house: House, path: str, accept: str, kind: str) -> None:
    status, headers, body = await house.get(f"/fhir/r4{path}", **({"Accept": accept} if accept else {}))
    assert status == 200, body
    assert headers["Content-Type"].split(";")[0] == kind
    if kind.endswith("xml"):
        root = body[1 : body.index(b" ")].decode()
        typed(from_xml(body, root))
    else:
        typed(json.loads(body))


ERRORS: list[tuple[str, str, bytes | None, dict[str, str], int, str]] = [
    ("GET", "/ImagingStudy/9.9", None, {}, 404, "not-found"),
    ("GET", "/ImagingStudy/9.9", None, {"Accept": "application/fhir+xml"}, 404, "not-found"),
    ("GET", "/Patient/nobody", None, {}, 404, "not-found"),
    ("GET", "/Endpoint/nobody", None, {}, 404, "not-found"),
    ("GET", "/Observation", None, {}, 404, "not-found"),
    ("GET", "/", None, {}, 404, "not-found"),
    ("GET", "", None, {}, 404, "not-found"),
    ("GET", "/ImagingStudy/1.2.3/_history/1", None, {}, 404, "not-found"),
    ("GET", "/ImagingStudy/%2e%2e%2fmetadata", None, {}, 404, "not-found"),
    ("DELETE", "/ImagingStudy/1.2.3", None, {}, 405, "not-supported"),
    ("PUT", "/ImagingStudy/1.2.3", b"{}", {}, 405, "not-supported"),
    ("PATCH", "/ImagingStudy", b"{}", {}, 405, "not-supported"),
    ("OPTIONS", "/ImagingStudy", None, {}, 405, "not-supported"),
    ("POST", "/ImagingStudy", b"{}", {"Content-Type": "application/fhir+json"}, 405, "not-supported"),
    ("POST", "/Patient", b"{}", {"Content-Type": "application/fhir+json"}, 405, "not-supported"),
    ("POST", "/Endpoint", b"{}", {"Content-Type": "application/fhir+json"}, 405, "not-supported"),
    ("POST", "/metadata", b"", {}, 405, "not-supported"),
    ("POST", "/ImagingStudy/_search", b"{}", {"Content-Type": "application/fhir+json"}, 415, "not-supported"),
    ("POST", "/ImagingStudy/_search", b"x", {"Content-Encoding": "gzip"}, 415, "not-supported"),
    ("POST", "/ImagingStudy/_search", b"a" * (MAX_FORM_BYTES + 1), {}, 413, "too-long"),
    ("POST", "/ImagingStudy/_search", b"a=%ff", {}, 400, "invalid"),
    ("GET", "/ImagingStudy?x=%ff", None, {}, 400, "invalid"),
    ("GET", "/ImagingStudy", None, {"Accept": "text/html"}, 406, "not-supported"),
    ("GET", "/ImagingStudy", None, {"Accept": "application/fhir+json;fhirVersion=5.0"}, 406, "not-supported"),
    ("GET", "/ImagingStudy?_format=pdf", None, {}, 406, "not-supported"),
    ("GET", "/metadata", None, {"Accept": "image/png"}, 406, "not-supported"),
    ("GET", "/metadata?mode=small", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?started=yesterday", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?started:missing=true", None, {}, 400, "not-supported"),
    ("GET", "/ImagingStudy?_count=many", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?status=foo", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?status=available,Available", None, {"Prefer": "handling=strict"}, 400, "value"),
    ("GET", "/Endpoint?status=foo", None, {"Prefer": "handling=lenient"}, 400, "value"),
    ("GET", "/ImagingStudy?patient=%ff", None, {}, 400, "invalid"),
    ("GET", "/ImagingStudy?_sort=modality", None, {}, 400, "not-supported"),
    ("GET", "/ImagingStudy?_page=xxxx", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?_summary=some", None, {}, 400, "value"),
    ("GET", "/ImagingStudy?identifier=urn:oid:1.2.3,A42", None, {}, 400, "not-supported"),
    ("GET", "/ImagingStudy?colour=red", None, {"Prefer": "handling=strict"}, 400, "not-supported"),
    ("GET", "/Patient", None, {}, 400, "required"),
    ("GET", "/Patient?name=Anna", None, {}, 400, "required"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "issue"), ERRORS)
async def test_every_error_is_an_operation_outcome(
    house: House, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, issue: str
) -> None:
    if body is not None and "Content-Type" not in headers:
        headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    got, sent, told = await house.ask(method, f"/fhir/r4{path}", body, **headers)
    assert got == status, told
    if sent["Content-Type"].startswith("application/fhir+xml"):
        outcome = from_xml(told, "OperationOutcome")
    else:
        outcome = json.loads(told)
        typed(outcome)
    assert outcome["issue"][0]["code"] == issue
    assert outcome["issue"][0]["severity"] == "error"
    assert outcome["issue"][0]["diagnostics"]
    if status == 405:
        assert sent["Allow"]
    assert len(house.turns.refusals) + len(house.turns.queries) == 1  # noted once, whichever way


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (Busy("too much at once"), 503, ("Retry-After", "5")),
        (PeerTimeout("the archive does not answer"), 504, ("X-Content-Type-Options", "nosniff")),
        (ZeroDivisionError("Müller, Anna"), 500, ("Radgate-Exchange", "exchange-1")),
    ],
)
async def test_what_breaks_behind_us_is_told_without_its_words(
    house: House, error: Exception, status: int, header: tuple[str, str]
) -> None:
    house.server.broken = error
    got, headers, body = await house.get("/fhir/r4/ImagingStudy?patient.identifier=P1")
    assert got == status
    assert headers[header[0]] == header[1]
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert b"Anna" not in body
    (record,) = house.turns.records
    assert record.outcome.value in (4, 8)


async def test_a_defect_in_rendering_is_answered_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.server.studies = [replace(INDEXED, updated="no time")]  # type: ignore[arg-type]
    status, _, body = await house.get("/fhir/r4/ImagingStudy")
    assert status == 500
    assert json.loads(body)["issue"][0] == {
        "severity": "fatal", "code": "exception", "diagnostics": "this house has a defect; it was logged",
    }  # fmt: skip


async def test_head_has_the_headers_and_no_body(house: House) -> None:
    _, asked, body = await house.get("/fhir/r4/ImagingStudy/1.2.3")
    status, headers, nothing = await house.ask("HEAD", "/fhir/r4/ImagingStudy/1.2.3")
    assert status == 200
    assert nothing == b""
    assert headers["ETag"] == asked["ETag"]
    assert headers["Content-Length"] == str(len(body))
    house.server.studies = [large(4000)]
    status, headers, nothing = await house.ask("HEAD", "/fhir/r4/ImagingStudy/1.2.3")
    assert (status, nothing) == (200, b"")


@pytest.mark.parametrize("syntax", ["json", "xml"])
@pytest.mark.parametrize("encoding", ["gzip", "identity", "gzip;q=0"])
async def test_four_thousand_instances_flow_and_arrive_whole(house: House, syntax: str, encoding: str) -> None:
    house.server.studies = [large(4000)]
    status, headers, body = await house.get(f"/fhir/r4/ImagingStudy/1.2.3?_format={syntax}", Accept_Encoding=encoding)
    assert status == 200
    if encoding == "gzip":
        assert headers["Content-Encoding"] == "gzip"
        assert int(headers["Content-Length"]) == len(body)  # so small that it went out whole
        packed, body = len(body), zlib.decompress(body, 31)
        assert packed * 10 < len(body)
    else:
        assert headers["Transfer-Encoding"] == "chunked"
        assert "Content-Encoding" not in headers
    assert body.count(b"urn:oid:1.2.840.10008.5.1.4.1.1.2") == 4000


async def test_a_small_answer_is_compressed_whole(house: House) -> None:
    _, headers, body = await house.get("/fhir/r4/ImagingStudy/1.2.3", Accept_Encoding="br, gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(zlib.decompress(body, 31))["id"] == "1.2.3"
    assert "Content-Encoding" not in (await house.get("/fhir/r4/Endpoint/qido-rs", Accept_Encoding="gzip"))[1]


async def test_a_large_study_leaves_room_for_small_questions(house: House) -> None:
    house.server.studies = [large(20_000)]
    slow = asyncio.create_task(house.get("/fhir/r4/ImagingStudy/1.2.3"))
    done_before = 0
    while not slow.done():
        assert (await house.get("/fhir/r4/Endpoint/qido-rs"))[0] == 200
        done_before += not slow.done()
    assert len(json.loads((await slow)[2])["series"]) == 4
    assert done_before >= 2


WORDS = (
    "ImagingStudy", "Patient", "Endpoint", "metadata", "_search", "/", "?", "&", "=", ":", "..", "%", "%ff", "%7C", "%2C",
    "%5C", "%C3%BC", "%00", "+", "patient.identifier", "identifier:of-type", "urn:oid:1.2", "_id", "_count", "_page",
    "_format", "xml", "started", "ap2020", "_summary", "true", "_elements", "series", "_include", "_sort",
    "-started", "a" * 50,
)  # fmt: skip


async def test_whatever_is_asked_is_answered_in_fhirs_words_and_is_never_our_fault(house: House) -> None:
    chance = random.Random(20261124)
    for _ in range(400):
        asked = "".join(chance.choices(WORDS, k=chance.randint(1, 9)))
        path = f"/fhir/r4/{chance.choice(('ImagingStudy?', 'Patient?', ''))}{asked}"
        status, headers, body = await house.get(path, Accept="application/fhir+json")
        assert status < 500, path
        kind = body[1 : body.index(b" ")].decode() if body[:1] == b"<" else json.loads(body)["resourceType"]
        assert (kind == "OperationOutcome") is (status != 200), path
        assert headers["Content-Type"].startswith("application/fhir+"), path


# --- paging -----------------------------------------------------------------------------------------------------------


def dated(number: int) -> IndexedStudy:
    """Study `number`, started on that day; every third has no date, every fifth shares one."""
    day = number - number % 5 if number % 5 == 0 else number
    started = None if number % 3 == 0 else Moment(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
    return replace(INDEXED, study=replace(STUDY, study_instance_uid=Uid(f"1.2.{number}"), started=started))


async def pages(house: House, first: str, between: Callable[[], None]) -> list[str]:
    """Follow the next links to the end; something happens between two pages."""
    seen: list[str] = []
    path = first
    while path:
        status, _, body = await house.get(path)
        assert status == 200, body
        bundle = json.loads(body)
        seen += uids(bundle)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        path = links.get("next", "").removeprefix("https://valley.example")
        between()
    return seen


@pytest.mark.parametrize("count", [1, 2, 3, 7])
async def test_paging_loses_and_doubles_nothing_while_studies_arrive(house: House, count: int) -> None:
    house.server.studies = [dated(number) for number in range(1, 31)]
    before = {each.study.study_instance_uid for each in house.server.studies}
    arriving = iter(range(100, 1000))

    def arrive() -> None:
        house.server.studies.append(dated(next(arriving)))
        house.server.studies.insert(0, replace(INDEXED, study=replace(
            STUDY, study_instance_uid=Uid(f"1.3.{next(arriving)}"), started=None)))  # fmt: skip

    limit = 400
    seen: list[str] = []

    def between() -> None:
        nonlocal limit
        limit -= 1
        if limit > 360:
            arrive()

    seen = await pages(house, f"/fhir/r4/ImagingStudy?status=available&_count={count}", between)
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


async def test_links_repeat_what_was_understood_and_nothing_else(house: House) -> None:
    house.server.studies = [dated(number) for number in range(1, 6)]
    _, _, body = await house.get("/fhir/r4/ImagingStudy?status=available&colour=red&_count=2&_include=X:y&modality=")
    links = {link["relation"]: link["url"] for link in json.loads(body)["link"]}
    assert links["self"] == "https://valley.example/fhir/r4/ImagingStudy?status=available&_count=2"
    assert links["next"].startswith("https://valley.example/fhir/r4/ImagingStudy?status=available&_count=2&_page=")


async def test_the_number_alone_is_had_without_a_study(house: House) -> None:
    for shape in ("_count=0", "_summary=count"):
        bundle = json.loads((await house.get(f"/fhir/r4/ImagingStudy?{shape}"))[2])
        assert bundle["total"] == 2
        assert "entry" not in bundle
        assert {link["relation"] for link in bundle["link"]} == {"self"}
    bundle = json.loads((await house.get("/fhir/r4/ImagingStudy?_total=none"))[2])
    assert "total" not in bundle


async def test_a_warning_travels_beside_the_matches(house: House) -> None:
    house.server.warnings = (Finding(rule="index", text="the index is not complete", severity=Severity.WARNING),)
    for syntax in ("json", "xml"):
        body = (await house.get(f"/fhir/r4/ImagingStudy?_format={syntax}"))[2]
        bundle = json.loads(body) if syntax == "json" else from_xml(body, "Bundle")
        assert bundle["total"] == 2
        last = bundle["entry"][-1]
        assert last["search"]["mode"] == "outcome"
        assert last["resource"]["issue"][0]["severity"] == "warning"
        typed(bundle)


async def test_patients_are_found_by_identifier(house: House) -> None:
    for query in ("identifier=P1", "identifier=urn:oid:1.2.3.9%7C77/a", f"_id={patient_id_of(ANNA.identifiers[0])}",
                  "identifier=P1&identifier=77/a", "identifier=nobody,P1"):  # fmt: skip
        bundle = json.loads((await house.get(f"/fhir/r4/Patient?{query}"))[2])
        assert uids(bundle) == [patient_id_of(ANNA.identifiers[0])], query
        typed(bundle)
    for query in ("identifier=P2", "identifier=urn:oid:9.9%7CP1", "identifier=http://x%7CP1", "_id=x",
                  "identifier=P1&identifier=P2", "identifier=%7CP1"):  # fmt: skip
        bundle = json.loads((await house.get(f"/fhir/r4/Patient?{query}"))[2])
        assert bundle["total"] == 0, query


async def test_endpoints_are_found_by_type(house: House) -> None:
    async def found(query: str) -> list[str]:
        return list(uids(json.loads((await house.get(f"/fhir/r4/Endpoint?{query}"))[2])))

    assert await found("") == ["wado-rs", "qido-rs", "xds-i"]
    assert await found("connection-type=dicom-wado-rs,ihe-xds-i") == ["wado-rs", "xds-i"]
    assert await found("connection-type=dicom-wado-rs&_id=qido-rs") == []
    assert await found("status=active") == ["wado-rs", "qido-rs", "xds-i"]
    assert await found("status=off") == []


async def test_the_capability_statement_tells_what_is_served(house: House) -> None:
    statement = json.loads((await house.get("/fhir/r4/metadata"))[2])
    typed(statement)
    assert house.turns.records == []
    served = {
        (resource["type"], interaction["code"])
        for resource in statement["rest"][0]["resource"]
        for interaction in resource["interaction"]
    }
    assert served == {
        ("ImagingStudy", "read"), ("ImagingStudy", "search-type"), ("Patient", "read"), ("Patient", "search-type"),
        ("Endpoint", "read"), ("Endpoint", "search-type"),
    }  # fmt: skip
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            path = f"/fhir/r4/{resource['type']}?identifier=x&{parameter['name']}=2026"
            assert (await house.get(path, Prefer="handling=strict"))[0] in (200, 400)


def test_two_transactions_of_one_address_are_refused() -> None:
    listener = FhirListener(turns=PlainTurns(), identify=lambda request: Caller(peer=None, network_address=""), base="")
    served: list[Answering[object, object]] = list(answers_of(ListedServer()))
    listener.add(served)
    with pytest.raises(ValueError, match="twice"):
        listener.add(served[:1])


async def test_an_answer_that_breaks_half_way_is_cut_off(house: House) -> None:
    whole = large(4000)
    kept = (*map(series_fragment, whole.study.series[:3]), "no bytes")
    house.server.studies = [replace(whole, fragments=kept)]  # type: ignore[arg-type]
    with pytest.raises(ClientPayloadError):
        await house.get("/fhir/r4/ImagingStudy/1.2.3")


async def test_a_client_that_stops_reading_is_let_go(house: House) -> None:
    house.server.studies = [large(200_000)]
    url = house.http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    writer.write(b"GET /fhir/r4/ImagingStudy/1.2.3 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(1.5)
    told = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            told += len(chunk)
    assert told < 20_000_000
    writer.close()


async def test_a_client_of_the_time_before_chunks_is_answered(house: House) -> None:
    house.server.studies = [large(4000)]
    url = house.http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /fhir/r4/ImagingStudy/1.2.3 HTTP/1.0\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200") and b"chunked" not in head.lower()
    assert json.loads(body)["numberOfInstances"] == 4000
    writer.close()
