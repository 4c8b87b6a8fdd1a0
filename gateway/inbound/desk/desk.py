"""The pages: inbox, exchanges, studies, peers, audit. Each handler reads by a port, or calls one of `Operations`.

What a newcomer gets wrong: images come from our own DICOMweb addresses, asked by the browser with the session's cookie, so
that looking at an image is a turn like any other, audited with the person's name.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.inbound.control import audit_criteria
from gateway.inbound.desk.login import COOKIE, Login, Session, TooManyTries
from gateway.inbound.naming import Names
from gateway.model.house import House
from gateway.model.job import Kind, State
from gateway.model.study import StudyRecord
from gateway.ports.audit import AuditArchive, AuditCriteria
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory
from gateway.ports.store import Store
from gateway.services.operations import Operations
from profiles.atna import audit_log_used, logged_in, logged_out, restricted_function_used
from profiles.errors import ExchangeError, MalformedMessage, UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import PersonName
from profiles.model.query import StudyCriteria
from profiles.wire.audit.sentences import sentence
from profiles.wire.fhir.outcome import OUTCOMES

FOLDER = Path(__file__).parent
WAITING = frozenset({State.HELD, State.INCOMPLETE, State.FAILED})
PAGE = 50
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}
STATIC = {"desk.css": "text/css", "viewer.js": "text/javascript", "icon.svg": "image/svg+xml"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Tab:
    """A page of the navigation, by the job that it is for."""

    path: str
    name: str


TABS = (
    _Tab("/inbox", "Inbox"),
    _Tab("/exchanges", "Exchanges"),
    _Tab("/studies", "Studies"),
    _Tab("/peers", "Peers"),
    _Tab("/audit", "Audit"),
)


class Desk:
    """The operators' pages under `/`."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        operations: Operations,
        directory: Directory,
        audit: AuditArchive,
        login: Login,
        clock: Clock,
    ) -> None:
        """Stand on the ports; `login` says who may see."""
        self._house = house
        self._store = store
        self._operations = operations
        self._directory = directory
        self._audit = audit
        self._login = login
        self._clock = clock
        self._names = Names(house, directory)
        self._pages = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._pages.filters.update(
            when=lambda at: _when(at, house.zone),
            size=_size,
            sentence=_sentence,
            name=_name,
            day=_day,
            ago=lambda at: _ago(at, clock.now()),
        )
        self._static = {name: (FOLDER / "static" / name).read_bytes() for name in STATIC}

    def routes(self, app: web.Application) -> None:
        """Add the pages."""
        app.router.add_get("/", self._home)
        app.router.add_get("/login", self._login_page)
        app.router.add_post("/login", self._enter)
        app.router.add_get("/static/{name}", self._static_file)
        for method, path, handler in (
            ("POST", "/logout", self._leave),
            ("GET", "/inbox", self._inbox),
            ("GET", "/exchanges", self._exchanges),
            ("GET", "/exchanges/{id}", self._exchange),
            ("GET", "/exchanges/{id}/raw", self._raw),
            ("POST", "/exchanges/{id}/{verb:release|accept|give-up}", self._decide),
            ("GET", "/studies", self._studies),
            ("GET", "/studies/{uid}", self._study),
            ("POST", "/studies/{uid}/share", self._share),
            ("GET", "/peers", self._peers),
            ("GET", "/audit", self._audit_page),
        ):
            app.router.add_route(method, path, self._behind_login(handler))

    # --- who sees ----------------------------------------------------------------------------------------------------

    def _behind_login(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._login.session(request)
            if session is None:
                raise web.HTTPSeeOther(f"/login?{urlencode({'next': request.path_qs})}", headers=SECURITY_HEADERS)
            request["session"] = session
            if request.method == "POST":
                form = await request.post()
                if form.get("form_token") != session.form_token:
                    return self._page(
                        "problem.html",
                        request,
                        403,
                        error=_Problem("This form is not of this session", "Go back and try again"),
                    )
                request["form"] = {name: str(value) for name, value in form.items()}
            try:
                return await handler(request)
            except ExchangeError as error:
                problem = _Problem(error.detail, error.cure)
                return self._page("problem.html", request, OUTCOMES[error.condition].status, error=problem)

        return guarded

    def _page(self, template: str, request: web.Request, status: int = 200, **values: Any) -> web.Response:
        session: Session | None = request.get("session")
        text = self._pages.get_template(template).render(
            house=self._house, tabs=TABS, path=request.path, session=session, query=request.query, **values
        )
        return web.Response(
            text=text, content_type="text/html", charset="utf-8", status=status, headers=SECURITY_HEADERS
        )

    async def _home(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPSeeOther("/inbox", headers=SECURITY_HEADERS)

    async def _static_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._static:
            raise web.HTTPNotFound
        headers = {**SECURITY_HEADERS, "Cache-Control": "max-age=3600"}
        return web.Response(body=self._static[name], content_type=STATIC[name], headers=headers)

    async def _login_page(self, request: web.Request) -> web.Response:
        return self._page("login.html", request, problem="")

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        person, address = str(form.get("user", "")), request.remote or ""
        try:
            secret = await self._login.enter(person, str(form.get("password", "")), address)
        except TooManyTries:
            return self._page("login.html", request, 429, problem="Too many tries. Wait a minute.")
        failure = "" if secret is not None else "wrong user or password"
        async with self._store.unit() as work:
            await work.audit.record(
                logged_in(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=person or "nobody", address=address, failure=failure,
                )
            )  # fmt: skip
        if secret is None:
            return self._page("login.html", request, 401, problem="User or password is wrong.")
        after = str(request.query.get("next", "/inbox"))
        safe = after if re.fullmatch(r"/[a-z][^\\\s]*", after) else "/inbox"
        response = web.Response(status=303, headers={**SECURITY_HEADERS, "Location": safe})
        self._login.give(response, secret)
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        async with self._store.unit() as work:
            await work.audit.record(
                logged_out(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=request["session"].person, address=request.remote or "",
                )
            )  # fmt: skip
        self._login.leave(request)
        response = web.Response(status=303, headers={**SECURITY_HEADERS, "Location": "/login"})
        response.del_cookie(COOKIE, path="/")
        return response

    # --- inbox and exchanges -----------------------------------------------------------------------------------------

    async def _inbox(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            jobs = await work.ledger.list(states=WAITING, limit=PAGE)
            counts = await work.ledger.counts()
            patients = await work.identity.search("", 200)
        return self._page("inbox.html", request, jobs=jobs, counts=counts, patients=patients)

    async def _exchanges(self, request: web.Request) -> web.Response:
        query = request.query
        async with self._store.view() as work:
            jobs = await work.ledger.list(
                kinds=frozenset({_choice(Kind, query["kind"])}) if query.get("kind") else None,
                states=frozenset({_choice(State, query["state"])}) if query.get("state") else None,
                peer=query.get("peer", ""),
                study_instance_uid=query.get("study", "").strip(),
                before=query.get("before", ""),
                limit=PAGE + 1,
            )
            counts = await work.ledger.counts()
        following = _link(request, before=jobs[PAGE - 1].id) if len(jobs) > PAGE else ""
        return self._page(
            "exchanges.html", request, jobs=jobs[:PAGE], counts=counts, kinds=tuple(Kind), states=tuple(State),
            peers=self._directory.all(), following=following,
        )  # fmt: skip

    async def _exchange(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            job = await work.ledger.get(request.match_info["id"])
            steps = await work.ledger.timeline(request.match_info["id"])
            patients = await work.identity.search("", 200) if job is not None and job.state is State.HELD else ()
        if job is None:
            raise UnknownDocument("There is no such exchange", cure="It may have been pruned")
        missing = job.payload.get("missing")
        return self._page(
            "exchange.html", request, job=job, steps=steps, patients=patients,
            missing=missing if isinstance(missing, Mapping) else {},
        )  # fmt: skip

    async def _raw(self, request: web.Request) -> web.Response:
        """The raw message of an exchange; looking at it is audited."""
        key = f"raw:{request.match_info['id']}"
        async with self._store.view() as work:
            content = await work.documents.open(key)
        if content is None:
            raise UnknownDocument("No raw message is kept for this exchange")
        body = await content.read(1024 * 1024)
        async with self._store.unit() as work:
            await work.audit.record(
                restricted_function_used(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=request["session"].person,
                    text=f"looked at the raw message of exchange {request.match_info['id']}",
                    address=request.remote or "",
                ),
                request.match_info["id"],
            )  # fmt: skip
        text = body.decode("utf-8", errors="replace").replace("\r", "\n")
        return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=SECURITY_HEADERS)

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        form, person, exchange_id = request["form"], request["session"].person, request.match_info["id"]
        verb = request.match_info["verb"]
        if verb == "release":
            await self._operations.release(exchange_id, person, _patient(form.get("patient", "")))
        elif verb == "accept":
            await self._operations.accept(exchange_id, person)
        else:
            await self._operations.give_up(exchange_id, person, form.get("reason", ""))
        return _see(f"/exchanges/{exchange_id}")

    # --- studies -----------------------------------------------------------------------------------------------------

    async def _studies(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        offset = int(request.query.get("offset", "0") or "0")
        async with self._store.view() as work:
            records = []
            more = False
            for criteria in _criteria(text):
                page = await work.studies.search(replace(criteria, limit=PAGE, offset=offset), count=False)
                if page.records:
                    records, more = list(page.records), page.more
                    break
        following = _link(request, offset=offset + PAGE) if more else ""
        return self._page("studies.html", request, records=records, text=text, following=following, thumb=_thumbnail)

    async def _study(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        async with self._store.view() as work:
            record = await work.studies.get(uid)
            missing = await work.studies.expected(uid)
            jobs = await work.ledger.list(study_instance_uid=uid, limit=20)
        if record is None:
            raise UnknownDocument("There is no such study here")
        return self._page(
            "study.html", request, record=record, missing=sorted(missing), jobs=jobs, peers=self._directory.all(),
            base=f"/dicomweb/studies/{uid}",
        )  # fmt: skip

    async def _share(self, request: web.Request) -> web.StreamResponse:
        job = await self._operations.share(
            request.match_info["uid"], request["form"].get("peer", ""), request["session"].person
        )
        return _see(f"/exchanges/{job.id}")

    # --- peers and audit ---------------------------------------------------------------------------------------------

    async def _peers(self, request: web.Request) -> web.Response:
        last = {}
        async with self._store.view() as work:
            for peer in self._directory.all():
                jobs = await work.ledger.list(peer=peer.name, limit=1)
                last[peer.name] = jobs[0] if jobs else None
        return self._page("peers.html", request, peers=self._directory.all(), last=last)

    async def _audit_page(self, request: web.Request) -> web.Response:
        asked = {name: value.strip() for name, value in request.query.items() if value.strip()}
        try:
            criteria = audit_criteria(asked)
        except ValueError as error:
            raise MalformedMessage("The time or number cannot be read", cure="Write times as 2026-01-31") from error
        criteria = replace(
            criteria,
            since=_aware(criteria.since, self._house.zone),
            until=_aware(criteria.until, self._house.zone),
            limit=PAGE + 1,
        )
        records = await self._audit.list(criteria)
        if asked:
            await self._looked(criteria, request)
        told = [
            (record, sentence(record.record, self._names) if record.record else "A record that cannot be read back.")
            for record in records[:PAGE]
        ]
        following = _link(request, before=records[PAGE - 1].number) if len(records) > PAGE else ""
        return self._page("audit.html", request, told=told, asked=asked, following=following)

    async def _looked(self, criteria: AuditCriteria, request: web.Request) -> None:
        async with self._store.unit() as work:
            await work.audit.record(
                audit_log_used(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=request["session"].person, query=repr(criteria).encode(), address=request.remote or "",
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Problem:
    detail: str
    cure: str


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={**SECURITY_HEADERS, "Location": path})


def _link(request: web.Request, **changed: object) -> str:
    return f"{request.path}?{urlencode({**request.query, **changed})}"


def _choice(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise MalformedMessage(f"{text} is not a choice here") from error


def _patient(text: str) -> PatientIdentifier | None:
    if not text.strip():
        return None
    try:
        return PatientIdentifier.from_cx(text.strip())
    except ValueError as error:
        raise MalformedMessage("The patient id cannot be read", cure="Write it as ID^^^&OID&ISO") from error


def _criteria(text: str) -> Sequence[StudyCriteria]:
    """What a person may mean by a word, one after another: an id, an accession number, a UID, a name."""
    if not text:
        return (StudyCriteria(),)
    return (
        StudyCriteria(patient_ids=((text.partition("^")[0], None),)),
        StudyCriteria(accession_numbers=((text, None),)),
        StudyCriteria(study_instance_uids=(text,)),
        StudyCriteria(patient_name=f"{text.replace(' ', '^')}*"),
    )


def _thumbnail(record: StudyRecord) -> str:
    """The address of a picture for a study; "" where nothing has arrived."""
    series = next((each for each in record.study.series if record.instance_counts.get(each.series_instance_uid)), None)
    if series is None:
        return ""
    return f"/dicomweb/studies/{record.study.study_instance_uid}/series/{series.series_instance_uid}/thumbnail"


def _when(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


def _ago(at: datetime, now: datetime) -> str:
    passed = now - at
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if passed >= unit:
            count = passed // unit
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return ""


def _name(name: PersonName) -> str:
    return ", ".join(part for part in (name.family, f"{name.given} {name.middle}".strip()) if part) or "no name"


def _day(moment: Any) -> str:
    if moment is None:
        return ""
    return str(moment.iso.replace("T", " ")[:16])


def _aware(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return at.replace(tzinfo=zone) if at is not None and at.tzinfo is None else at
