"""Control: the operator's verbs as JSON, on loopback only, for the command line.

The address and a token made at each start are in `control.json` in the data folder, readable by the owner alone: whoever
may read that file has the operator's authority already. Answers are plain JSON; an error is
`{"error": {"condition", "detail", "cure"}}` with the HTTP status that FHIR uses for the same condition.
"""

import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from gateway.inbound.naming import Names
from gateway.model.house import House
from gateway.model.job import ExchangeJob, Kind, State, Step
from gateway.model.study import StudyRecord
from gateway.ports.audit import AuditArchive, AuditCriteria, ChainedRecord
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory
from gateway.ports.store import Store, Work
from gateway.services.administer import AVAILABILITY, Administer, Changes
from gateway.services.backfill import Asked
from gateway.services.documents import DocumentOptions, Documents
from gateway.services.matrix import Matrix
from gateway.services.operations import Operations
from gateway.services.probe import Probe
from gateway.services.rules import action_for
from gateway.services.synchronise import Synchronise
from profiles.atna import audit_log_used
from profiles.errors import ExchangeError, MalformedMessage, RuleViolation, UnknownDocument
from profiles.model.codes import Code
from profiles.model.content import Content
from profiles.model.document import AssociationType, DocumentEntry
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria, identified
from profiles.wire.audit.sentences import sentence
from profiles.wire.fhir.outcome import OUTCOMES

FILE = "control.json"
EXCHANGES_OF_A_STUDY = 500
RELATIONS = {
    "replace": AssociationType.REPLACE,
    "append": AssociationType.APPEND,
    "transform": AssociationType.TRANSFORM,
    "transform-replace": AssociationType.TRANSFORM_REPLACE,
}


def _plain(value: object) -> object:
    """What JSON has no word for: sets in order, texts of a kind of their own, times and patient ids as they are written.

    Raises:
        TypeError: Nobody thought of it.
    """
    if isinstance(value, Set):
        return sorted(value, key=str)
    if isinstance(value, str | Moment | PatientIdentifier | Path | bytes):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")


def _dumps(value: object) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _reply(value: object) -> web.Response:
    return web.json_response(value, dumps=_dumps)


class Control:
    """The loopback service behind `radgate` commands."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        operations: Operations,
        probe: Probe,
        matrix: Matrix,
        documents: Documents,
        administer: Administer,
        directory: Directory,
        audit: AuditArchive,
        clock: Clock,
        addresses: Callable[[], dict[str, str]],
        per_minute: int,
        synchronise: Synchronise | None,
    ) -> None:
        """Stand on the services.

        `addresses` are those that the house listens on, by name; `per_minute` is a back-fill's rate that names none;
        `synchronise` is None where the archive is the house's own.
        """
        self._synchronise = synchronise
        self._house = house
        self._store = store
        self._operations = operations
        self._probe = probe
        self._matrix = matrix
        self._documents = documents
        self._administer = administer
        self._directory = directory
        self._audit = audit
        self._clock = clock
        self._addresses = addresses
        self._per_minute = per_minute
        self._names = Names(house, directory)
        self._token = secrets.token_urlsafe(32)

    @asynccontextmanager
    async def serving(self, data: Path) -> AsyncIterator[None]:
        """Listen on a free loopback port and say where in the data folder."""
        app = web.Application(middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/exchanges", self._exchanges),
                web.get("/exchanges/{id}", self._exchange),
                web.post("/exchanges/{id}/release", self._release),
                web.post("/exchanges/{id}/accept", self._accept),
                web.post("/exchanges/{id}/give-up", self._give_up),
                web.get("/studies", self._studies),
                web.get("/studies/{uid}", self._study),
                web.post("/studies/{uid}/share", self._share),
                web.post("/publish", self._publish),
                web.post("/look", self._look),
                web.post("/collect", self._collect),
                web.get("/patients", self._patients),
                web.get("/documents", self._document_find),
                web.get("/documents/{unique_id}/content", self._document_get),
                web.post("/documents", self._document_submit),
                web.post("/documents/{unique_id}/replace", self._document_replace),
                web.post("/documents/{unique_id}/deprecate", self._document_deprecate),
                web.post("/documents/{unique_id}/update", self._document_update),
                web.delete("/documents/{unique_id}", self._document_remove),
                web.get("/peers", self._peers),
                web.get("/peers/{name}", self._peer_show),
                web.post("/peers/{name}/test", self._peer_test),
                web.get("/audit", self._audit_list),
                web.get("/audit/verify", self._audit_verify),
                web.get("/audit/export", self._audit_export),
                web.get("/audit/{number:[0-9]{1,18}}", self._audit_show),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        file, whole = data / FILE, data / f"{FILE}.new"
        whole.unlink(missing_ok=True)
        whole.touch(mode=0o600)
        whole.write_bytes(orjson.dumps({"address": f"http://127.0.0.1:{port}", "token": self._token}))
        whole.replace(file)  # a command that waits for the file reads all of it
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            await runner.cleanup()

    @web.middleware
    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            return web.json_response({"error": {"condition": "unauthenticated", "detail": "wrong token"}}, status=401)
        try:
            return await handler(request)
        except ExchangeError as error:
            return _refused(error)
        except ValueError as error:  # a number, time, kind or state in the query
            return _refused(MalformedMessage(str(error), cure="`--help` says what an option takes"))

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            counts = await work.ledger.counts()
        return _reply(
            {
                "house": self._house.name,
                "addresses": self._addresses(),
                "exchanges": {state.value: count for state, count in counts.items()},
            }
        )

    async def _exchanges(self, request: web.Request) -> web.Response:
        query = request.query
        async with self._store.view() as work:
            jobs = await work.ledger.list(
                kinds=frozenset(map(Kind, query.getall("kind", []))) or None,
                states=frozenset(map(State, query.getall("state", []))) or None,
                peer=query.get("peer", ""),
                study_instance_uid=query.get("study", ""),
                before=query.get("before", ""),
                limit=int(query.get("limit", "50")),
            )
        return _reply([job_json(job) for job in jobs])

    async def _exchange(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            job = await work.ledger.get(request.match_info["id"])
            steps = await work.ledger.timeline(request.match_info["id"])
        if job is None:
            raise UnknownDocument("no such exchange", cure="`radgate exchange list` shows them")
        return _reply({**job_json(job), "steps": [step_json(step) for step in steps]})

    async def _studies(self, request: web.Request) -> web.Response:
        query = request.query
        criteria = StudyCriteria(
            patient_ids=(identified(query["patient"]),) if "patient" in query else (),
            accession_numbers=((query["accession"], None),) if "accession" in query else (),
            modalities=tuple(query.getall("modality", [])),
            limit=int(query.get("limit", "50")),
        )
        async with self._store.view() as work:
            page = await work.studies.search(criteria)
        return _reply([study_json(record) for record in page.records])

    async def _study(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            record = await work.studies.get(request.match_info["uid"])
            expected = await work.studies.expected(request.match_info["uid"])
            withdrawn = await work.studies.withdrawn(request.match_info["uid"])
        if record is None:
            raise UnknownDocument("no such study", cure="`radgate study list` shows what is here")
        details = [
            {
                "series_instance_uid": series.series_instance_uid,
                "number": series.number,
                "modality": series.shown_modality,
                "description": series.description,
                "instances": len(series.instances),
            }
            for series in record.study.series
        ]
        return _reply({**study_json(record), "missing": sorted(expected), "withdrawn": withdrawn, "details": details})

    async def _patients(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            patients = await work.identity.search(request.query.get("text", ""), int(request.query.get("limit", "50")))
        return _reply([patient_json(patient) for patient in patients])

    async def _peers(self, request: web.Request) -> web.Response:
        return _reply(
            [
                {**asdict(peer), "endpoints": dict(peer.endpoints), "tolerances": sorted(peer.tolerances)}
                for peer in self._directory.all()
            ]
        )

    async def _document_find(self, request: web.Request) -> web.Response:
        query = request.query
        found = await self._documents.find(
            [_patient(each) for each in query.getall("patient", [])], query.get("person") or "command line",
            study_instance_uid=query.get("study", ""), at=query.get("at", ""),
        )  # fmt: skip
        return _reply([entry_json(entry) for entry in found])

    async def _document_get(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        async with self._documents.take(
            request.match_info["unique_id"], query.get("person") or "command line", at=query.get("at", "")
        ) as taken:
            response = web.StreamResponse(headers={"Content-Type": taken.media_type, "X-SHA1": taken.sha1})
            await response.prepare(request)
            async for chunk in taken.chunks:
                await response.write(chunk)
        await response.write_eof()
        return response

    async def _document_submit(self, request: web.Request) -> web.Response:
        query = request.query
        async with self._spooled(request) as content:
            entry = await self._documents.submit(
                content, query.get("to", ""), query.get("person") or "command line", _options(request),
                study_instance_uid=query.get("study", ""),
                patient=_patient(query["patient"]) if query.get("patient") else None,
            )  # fmt: skip
        return _reply(entry_json(entry))

    async def _document_replace(self, request: web.Request) -> web.Response:
        query = request.query
        async with self._spooled(request) as content:
            entry = await self._documents.replace(
                request.match_info["unique_id"], content, query.get("person") or "command line", _options(request),
                at=query.get("at", ""), relation=_relation(query.get("relation") or "replace"),
            )  # fmt: skip
        return _reply(entry_json(entry))

    @asynccontextmanager
    async def _spooled(self, request: web.Request) -> AsyncIterator[Content]:
        """The body as a document; nothing of it stays but what was kept."""
        spool = self._documents.spool()
        try:
            async for chunk in request.content.iter_any():
                spool.write(chunk)
            yield spool.finish("application/octet-stream")
        finally:
            spool.discard()

    async def _document_deprecate(self, request: web.Request) -> web.Response:
        query = request.query
        count = await self._administer.deprecate(
            request.match_info["unique_id"], query.get("person") or "command line", at=query.get("at", "")
        )
        return _reply({"entries": count})

    async def _document_update(self, request: web.Request) -> web.Response:
        query = request.query
        updated = await self._administer.update(
            request.match_info["unique_id"], _changes(query, query.getall("confidentiality", [])),
            query.get("person") or "command line", at=query.get("at", ""), by=query.get("by", ""),
        )  # fmt: skip
        return _reply([entry_json(each) | {"version": each.version} for each in updated])

    async def _document_remove(self, request: web.Request) -> web.Response:
        query = request.query
        count = await self._administer.remove(
            request.match_info["unique_id"], query.get("person") or "command line", at=query.get("at", ""),
            metadata_only=query.get("metadata_only", "") == "true",
        )  # fmt: skip
        return _reply({"objects": count})

    async def _peer_show(self, request: web.Request) -> web.Response:
        return _reply(asdict(await self._matrix.of(request.match_info["name"])))

    async def _peer_test(self, request: web.Request) -> web.Response:
        body = await _body(request)
        probed = await self._probe.peer(request.match_info["name"], _person(body))
        return _reply([{**asdict(each), "supports": dict(each.supports), "good": each.good} for each in probed])

    async def _audit_list(self, request: web.Request) -> web.Response:
        criteria = await self._criteria(request)
        records = await self._audit.list(criteria)
        await self._looked(criteria)
        return _reply([audit_json(record, self._names) for record in records])

    async def _audit_show(self, request: web.Request) -> web.Response:
        """One record, whole: its sentence and the PS3.15 message."""
        number = int(request.match_info["number"])
        criteria = AuditCriteria(before=number + 1, limit=1)
        found = [record for record in await self._audit.list(criteria) if record.number == number]
        await self._looked(criteria)
        if not found:
            raise UnknownDocument("no such audit record", cure="`radgate audit list` shows the last ones")
        return _reply({**audit_json(found[0], self._names), "xml": found[0].xml.decode()})

    async def _audit_verify(self, request: web.Request) -> web.Response:
        faults = await self._audit.verify()
        return _reply({"ok": not faults, "faults": [asdict(fault) for fault in faults]})

    async def _audit_export(self, request: web.Request) -> web.StreamResponse:
        criteria = await self._criteria(request)
        await self._looked(criteria)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for record in self._audit.export(criteria):
            line = {**audit_json(record, self._names), "xml": record.xml.decode()}
            await response.write(_dumps(line).encode() + b"\n")
        await response.write_eof()
        return response

    async def _criteria(self, request: web.Request) -> AuditCriteria:
        async with self._store.view() as work:
            return await with_exchanges(work, audit_criteria(dict(request.query), self._house.zone))

    async def _looked(self, criteria: AuditCriteria) -> None:
        """Whoever looks at audit is audited (110101)."""
        async with self._store.unit() as work:
            await work.audit.record(
                audit_log_used(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person="command line", query=_dumps(asdict(criteria)).encode(),
                )
            )  # fmt: skip

    # --- changing ----------------------------------------------------------------------------------------------------

    async def _release(self, request: web.Request) -> web.Response:
        body = await _body(request)
        patient = _patient(body["patient"]) if body.get("patient") else None
        return _reply(job_json(await self._operations.release(request.match_info["id"], _person(body), patient)))

    async def _accept(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return _reply(job_json(await self._operations.accept(request.match_info["id"], _person(body))))

    async def _give_up(self, request: web.Request) -> web.Response:
        body = await _body(request)
        reason = str(body.get("reason", ""))
        return _reply(job_json(await self._operations.give_up(request.match_info["id"], _person(body), reason)))

    async def _share(self, request: web.Request) -> web.Response:
        body = await _body(request)
        job = await self._operations.share(request.match_info["uid"], str(body["peer"]), _person(body))
        return _reply(job_json(job))

    async def _publish(self, request: web.Request) -> web.Response:
        body = await _body(request)
        asked = Asked(
            actions=tuple(
                action_for(registry, on_demand=bool(body.get("on_demand")))
                for registry in (*body.get("to", []), *([""] if body.get("register") else []))
            ),
            modalities=tuple(map(str, body.get("modality", []))), patient=str(body.get("patient", "")),
            since=str(body.get("since", "")), until=str(body.get("until", "")),
            per_minute=int(body.get("per_minute") or self._per_minute),
        )  # fmt: skip
        return _reply(job_json(await self._operations.publish(asked, _person(body))))

    async def _look(self, request: web.Request) -> web.Response:
        body = await _body(request)
        study, patient = str(body.get("study", "")), str(body.get("patient", ""))
        if self._synchronise is None:
            raise RuleViolation(
                "the archive is this house's own", cure="Nobody else fills it: there is nothing to look at"
            )
        if bool(study) == bool(patient):
            raise MalformedMessage("name a study or a patient", cure="Say --study or --patient")
        found = await self._synchronise.look(_person(body), study=study, patient=patient)
        return _reply({"exchange": found.exchange_id, "found": found.text})

    async def _collect(self, request: web.Request) -> web.Response:
        body = await _body(request)
        job = await self._operations.collect(
            _patient(str(body["patient"])), str(body["registry"]), _person(body), str(body.get("study", ""))
        )
        return _reply(job_json(job))


def _refused(error: ExchangeError) -> web.Response:
    body = {"error": {"condition": error.condition, "detail": error.detail, "cure": error.cure}}
    return web.json_response(body, status=OUTCOMES[error.condition].status, dumps=_dumps)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise MalformedMessage("the body is not JSON") from error
    return body if isinstance(body, dict) else {}


def _person(body: dict[str, Any]) -> str:
    return str(body.get("person") or "command line")


def _patient(text: str) -> PatientIdentifier:
    try:
        return PatientIdentifier.from_cx(text)
    except ValueError as error:
        raise MalformedMessage(str(error), cure="Write it as ID^^^&OID&ISO") from error


def _changes(query: Mapping[str, str], confidentiality: Sequence[str]) -> Changes:
    """What is said of each attribute; what is not said stays."""
    availability = query.get("availability", "")
    if availability not in ("", *AVAILABILITY):
        raise MalformedMessage(f"a document is {' or '.join(AVAILABILITY)}", cure="Say the one or the other")
    return Changes(
        title=query.get("title", ""), comments=query.get("comments", ""),
        class_code=_code(query["class"]) if query.get("class") else None,
        type_code=_code(query["type"]) if query.get("type") else None,
        confidentiality_codes=tuple(_code(each) for each in confidentiality),
        availability=availability,
    )  # fmt: skip


def _code(text: str) -> Code:
    """`VALUE^SYSTEM` or `VALUE^SYSTEM^DISPLAY`."""
    value, _, rest = text.partition("^")
    system, _, display = rest.partition("^")
    if not value or not system:
        raise MalformedMessage("a code is VALUE^SYSTEM^DISPLAY", cure="Such as '18748-4^2.16.840.1.113883.6.1^Report'")
    return Code(value=value, system=system, display=display)


def _options(request: web.Request) -> DocumentOptions:
    """What a person says of a document."""
    query = request.query
    coded = {name: _code(query[name]) if query.get(name) else None for name in ("class", "type", "format")}
    try:
        home = Oid.from_urn(query["home"]) if query.get("home") else None
    except ValueError as error:
        raise MalformedMessage("a home community id is an OID", cure="Write it as urn:oid:1.2.3") from error
    return DocumentOptions(
        class_code=coded["class"], type_code=coded["type"], format_code=coded["format"], mime_type=query.get("mime", ""),
        title=query.get("title", ""), replaces=query.get("replaces", ""), by=query.get("by", ""), home=home,
        recipients=tuple(query.getall("recipient", ())),
    )  # fmt: skip


def _relation(name: str) -> AssociationType:
    """What a document is to the former one: "replace", "append", "transform" or "transform-replace"."""
    try:
        return RELATIONS[name]
    except KeyError:
        raise MalformedMessage(f"{name[:20]} is no relation", cure=f"Write one of {', '.join(RELATIONS)}") from None


def entry_json(entry: DocumentEntry) -> dict[str, Any]:
    """A document entry, for programs."""
    return {
        "unique_id": entry.unique_id,
        "entry_uuid": entry.entry_uuid,
        "patient_id": str(entry.patient_id),
        "status": entry.availability_status.value.rpartition(":")[2],
        "mime_type": entry.mime_type,
        "format": entry.format_code.value,
        "type": entry.type_code.display or entry.type_code.value,
        "title": entry.title,
        "created": entry.creation_time.dtm if entry.creation_time is not None else "",
        "home_community_id": entry.home_community_id or "",
        "repository_unique_id": entry.repository_unique_id or "",
        "size_bytes": entry.size_bytes,
        "sha1": entry.hash or "",
    }


def audit_criteria(query: Mapping[str, str], zone: ZoneInfo) -> AuditCriteria:
    """Criteria from the names that the command line and the desk use; times without a zone are the house's.

    Raises:
        ValueError: A time or number cannot be read.
    """
    return AuditCriteria(
        since=_time(query.get("since", ""), zone),
        until=_time(query.get("until", ""), zone),
        patient=query.get("patient", ""),
        user=query.get("user", ""),
        organisation=query.get("organisation", ""),
        study_instance_uid=query.get("study", ""),
        event=query.get("event", ""),
        outcome=int(query["outcome"]) if query.get("outcome") else None,
        before=int(query["before"]) if query.get("before") else None,
        limit=int(query.get("limit", "100")),
    )


def _time(text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


async def with_exchanges(work: Work, criteria: AuditCriteria) -> AuditCriteria:
    """Where a study is asked for: with its exchanges, so that records which name only its patient are found too."""
    if not criteria.study_instance_uid:
        return criteria
    asked = frozenset({Kind.ASK})
    found: list[str] = []
    for kinds in (frozenset(Kind) - asked, asked):  # apart: many questions must not push out the few that moved it
        jobs = await work.ledger.list(
            kinds=kinds, study_instance_uid=criteria.study_instance_uid, limit=EXCHANGES_OF_A_STUDY
        )
        found += [job.id for job in jobs]
    return replace(criteria, exchange_ids=tuple(found))


def job_json(job: ExchangeJob) -> dict[str, object]:
    """An exchange for a program to read."""
    payload = {name: value for name, value in job.payload.items() if name != "question"}  # who somebody asked about
    return {**asdict(job), "payload": payload, "kind": job.kind.value, "state": job.state.value}


def step_json(step: Step) -> dict[str, object]:
    """A step for a program to read."""
    return {**asdict(step), "direction": step.direction.value, "outcome": step.outcome.value}


def study_json(record: StudyRecord) -> dict[str, object]:
    """A study for a program to read."""
    study = record.study
    return {
        "study_instance_uid": study.study_instance_uid,
        "status": record.status.value,
        "patient_id": str(study.patient.identifiers[0]),
        "accession_numbers": [number.value for number in study.accession_numbers],
        "started": study.started.iso if study.started else None,
        "description": study.description,
        "modalities": study.modalities,
        "series": len(study.series),
        "instances": study.instance_count,
        "source": record.source,
        "updated_at": record.updated_at,
        "version": record.version,
    }


def patient_json(patient: Patient) -> dict[str, object]:
    """A patient for a person with the operator's authority."""
    return {
        "identifiers": [str(identifier) for identifier in patient.identifiers],
        "family": patient.name.family,
        "given": patient.name.given,
        "birth_date": patient.birth_date.iso if patient.birth_date else None,
        "sex": patient.sex.value,
    }


def audit_json(record: ChainedRecord, names: Mapping[str, str]) -> dict[str, object]:
    """An audit record as a sentence, with what a program needs to find it again."""
    return {
        "number": record.number,
        "received_at": record.received_at,
        "exchange_id": record.exchange_id,
        "sentence": sentence(record.record, names)
        if record.record is not None
        else "a record that cannot be read back",
        "event": record.record.event.text if record.record is not None else "",
        "types": [code.code for code in record.record.types] if record.record is not None else [],
        "outcome": int(record.record.outcome) if record.record is not None else None,
    }
