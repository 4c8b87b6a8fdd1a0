"""The pages: inbox, exchanges, studies, peers, audit. Each handler reads by a port, or calls one of `Operations`.

What a newcomer gets wrong: images come from our own DICOMweb addresses, asked by the browser with the session's cookie, so
that looking at an image is a turn like any other, audited with the person's name.
"""

import hmac
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import orjson
from aiohttp import web

from gateway.inbound.control import audit_criteria, with_exchanges
from gateway.inbound.desk import documents, on_ramp, words
from gateway.inbound.desk.login import COOKIE, Login, Session, TooManyTries
from gateway.inbound.naming import Names
from gateway.model.house import House
from gateway.model.job import Kind, State
from gateway.model.peer import ONLY_BY_NAME, Peer
from gateway.model.probe import Probed
from gateway.model.study import StudyRecord
from gateway.ports.audit import AuditArchive, AuditCriteria, ChainedRecord
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory
from gateway.ports.store import Store, Work
from gateway.services.backfill import Asked
from gateway.services.matrix import Matrix
from gateway.services.operations import Operations
from gateway.services.probe import Probe
from gateway.services.provide import OF_IMAGES
from gateway.services.rules import Rule, action_for
from gateway.services.synchronise import Synchronise
from profiles.atna import audit_log_used, logged_in, logged_out, restricted_function_used
from profiles.errors import ExchangeError, MalformedMessage, UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import StudyCriteria
from profiles.wire.audit.sentences import sentence
from profiles.wire.fhir.outcome import OUTCOMES

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
WAITING = frozenset({State.HELD, State.INCOMPLETE, State.FAILED})
QUESTIONS = frozenset({Kind.ASK})
PAGE = 50
INBOX_PAGE = 20  # each is shown with its study, and with the patients that it may be of
MOST_A_MINUTE = 60_000  # of a back-fill, as in the settings
FOUND = 20  # patients shown for a search: who sees more asks better
USER_CHARACTERS = 100
FORM_BYTES = 64 * 1024  # the longest is a reason of 200 characters
WINDOWS = 40  # series whose stored window is looked up before a page is shown
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
SESSION = web.RequestKey("session", Session)
FORM = web.RequestKey("form", dict[str, str])
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
    _Tab("/documents", "Documents"),
    _Tab("/on-ramp", "On-ramp"),
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
        probe: Probe,
        matrix: Matrix,
        directory: Directory,
        audit: AuditArchive,
        login: Login,
        clock: Clock,
        rules: Sequence[Rule] = (),
        per_minute: int = 60,
        synchronise: Synchronise | None = None,
    ) -> None:
        """Stand on the ports.

        `login` says who may see; `per_minute` is a back-fill's rate that names none; `synchronise` is None where the
        archive is the house's own.
        """
        self._rules = rules
        self._per_minute = per_minute
        self._synchronise = synchronise
        self._house = house
        self._store = store
        self._operations = operations
        self._probe = probe
        self._matrix = matrix
        self._directory = directory
        self._audit = audit
        self._login = login
        self._clock = clock
        self._names = Names(house, directory)
        self._static = {name: (FOLDER / "static" / name).read_bytes() for name in STATIC}

    @cached_property
    def _pages(self) -> "Environment":
        # Takes some 40 ms to load; a house that starts has no reader yet, and its machines wait.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        pages = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        pages.filters.update(words.filters(self._house.zone, self._clock.now))
        return pages

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
            ("GET", "/documents", self._documents),
            ("GET", "/documents/{entry_uuid}", self._document),
            ("GET", "/on-ramp", self._on_ramp),
            ("POST", "/on-ramp/publish", self._publish),
            ("POST", "/on-ramp/look", self._look),
            ("GET", "/peers", self._peers),
            ("POST", "/peers/{name}/test", self._peer_test),
            ("GET", "/audit", self._audit_page),
        ):
            app.router.add_route(method, path, self._behind_login(handler))
        for tab in TABS:  # below a page there is nothing else, and it is said on a page
            app.router.add_get(f"{tab.path}/{{rest:.+}}", self._behind_login(self._nowhere))

    # --- who sees ----------------------------------------------------------------------------------------------------

    def _behind_login(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._login.session(request)
            if session is None:
                after = request.path_qs if request.method == "GET" else _above(request.path)
                return _see(f"/login?{urlencode({'next': after})}")
            request[SESSION] = session
            if request.method == "POST":
                form = await _form(request)
                if not hmac.compare_digest(form.get("form_token", "").encode(), session.form_token.encode()):
                    problem = _Problem("this form is not of this session", "go back, load the page again and try again")
                    return self._page("problem.html", request, 403, error=problem, back=_above(request.path))
                request[FORM] = form
            try:
                return await handler(request)
            except ExchangeError as error:
                problem = _Problem(error.detail, error.cure)
                back = _above(request.path) if request.method == "POST" else "/inbox"
                return self._page("problem.html", request, OUTCOMES[error.condition].status, error=problem, back=back)

        return guarded

    def _page(self, template: str, request: web.Request, status: int = 200, **values: Any) -> web.Response:
        session: Session | None = request.get(SESSION)
        text = self._pages.get_template(template).render(
            house=self._house, tabs=TABS, path=request.path, session=session, query=request.query, **values
        )
        return web.Response(
            text=text, content_type="text/html", charset="utf-8", status=status, headers=SECURITY_HEADERS
        )

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        raise UnknownDocument("there is no such page", cure="The tabs above lead to all that there is")

    async def _home(self, request: web.Request) -> web.StreamResponse:
        return _see("/inbox")

    async def _static_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._static:
            raise web.HTTPNotFound
        headers = {**SECURITY_HEADERS, "Cache-Control": "max-age=3600"}
        return web.Response(body=self._static[name], content_type=STATIC[name], headers=headers)

    async def _login_page(self, request: web.Request) -> web.Response:
        return self._page("login.html", request, problem="", user="")

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        form = await _form(request)
        person, address = form.get("user", "")[:USER_CHARACTERS], request.remote or ""
        secret: str | None = None
        status, problem, failure = 401, "User or password is wrong.", "wrong user or password"
        try:
            secret = await self._login.enter(person, form.get("password", ""), address)
        except TooManyTries as denied:
            status, problem, failure = 429, "Too many tries. Wait a minute.", "too many tries"
            if not denied.first:  # one record tells of the flood; the others would be one
                return self._page("login.html", request, status, problem=problem, user=person)
        async with self._store.unit() as work:
            await work.audit.record(
                logged_in(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=person or "nobody", address=address, failure="" if secret is not None else failure,
                )
            )  # fmt: skip
        if secret is None:
            return self._page("login.html", request, status, problem=problem, user=person)
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
                    person=request[SESSION].person, address=request.remote or "",
                )
            )  # fmt: skip
        self._login.leave(request)
        response = web.Response(status=303, headers={**SECURITY_HEADERS, "Location": "/login"})
        response.del_cookie(COOKIE, path="/")
        return response

    # --- inbox and exchanges -----------------------------------------------------------------------------------------

    async def _inbox(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            jobs = await work.ledger.list(
                states=WAITING, kinds=frozenset(Kind) - QUESTIONS, before=request.query.get("before", ""),
                limit=INBOX_PAGE + 1,
            )  # fmt: skip
            counts = await work.ledger.counts()
            uids = tuple(dict.fromkeys(job.study_instance_uid for job in jobs if job.study_instance_uid))
            page = await work.studies.search(StudyCriteria(study_instance_uids=uids), count=False) if uids else None
        following = _link(request, before=jobs[INBOX_PAGE - 1].id) if len(jobs) > INBOX_PAGE else ""
        jobs = jobs[:INBOX_PAGE]
        return self._page(
            "inbox.html", request, jobs=jobs, counts=counts, following=following, thumb=_thumbnail,
            records={record.study.study_instance_uid: record for record in page.records} if page is not None else {},
            claims={job.id: await self._operations.claimed(job) for job in jobs if job.state is State.HELD},
        )  # fmt: skip

    async def _exchanges(self, request: web.Request) -> web.Response:
        query = request.query
        asked = query.get("kind", "")
        kinds = (
            frozenset(Kind) - QUESTIONS if not asked else frozenset({_choice(Kind, asked)}) if asked != "all" else None
        )
        async with self._store.view() as work:
            jobs = await work.ledger.list(
                kinds=kinds,
                states=frozenset({_choice(State, query["state"])}) if query.get("state") else None,
                peer=query.get("peer", ""),
                study_instance_uid=query.get("study", "").strip(),
                before=query.get("before", ""),
                limit=PAGE + 1,
            )
        following = _link(request, before=jobs[PAGE - 1].id) if len(jobs) > PAGE else ""
        return self._page(
            "exchanges.html", request, jobs=jobs[:PAGE], kinds=tuple(Kind), states=tuple(State),
            peers=self._directory.all(), following=following,
        )  # fmt: skip

    async def _exchange(self, request: web.Request) -> web.Response:
        wanted = request.query.get("find", "").strip()
        async with self._store.view() as work:
            job = await work.ledger.get(request.match_info["id"])
            steps = await work.ledger.timeline(request.match_info["id"])
            found = await work.identity.search(wanted, FOUND) if wanted else ()
        if job is None:
            raise UnknownDocument("there is no such exchange", cure="it may have been pruned")
        missing = job.payload.get("missing")
        return self._page(
            "exchange.html", request, job=job, steps=steps, found=found,
            claimed=await self._operations.claimed(job) if job.state is State.HELD else None,
            missing=missing if isinstance(missing, Mapping) else {},
        )  # fmt: skip

    async def _raw(self, request: web.Request) -> web.Response:
        """The raw message of an exchange; looking at it is audited."""
        async with self._store.view() as work:
            body = await work.raw.open(request.match_info["id"])
        if body is None:
            raise UnknownDocument("no raw message is kept for this exchange", cure="[retention] says for how long")
        exchange_id = request.match_info["id"]
        await self._restricted(request, f"looked at the raw message of exchange {exchange_id}", (), exchange_id)
        text = body.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
        return self._page("raw.html", request, exchange_id=request.match_info["id"], text=text, count=len(body))

    async def _restricted(
        self, request: web.Request, text: str, patients: Iterable[PatientIdentifier], exchange_id: str = ""
    ) -> None:
        """Whoever looks at what is about a patient is audited."""
        async with self._store.unit() as work:
            await work.audit.record(
                restricted_function_used(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=request[SESSION].person, text=text, patients=patients, address=request.remote or "",
                ),
                exchange_id,
            )  # fmt: skip

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        form, person, exchange_id = request[FORM], request[SESSION].person, request.match_info["id"]
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
        offset = _number(request.query.get("offset", ""))
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
            hidden = sorted(await work.studies.withdrawn(uid), key=attrgetter("at", "manifest"))
            jobs = await work.ledger.list(kinds=frozenset(Kind) - QUESTIONS, study_instance_uid=uid, limit=20)
            windows = await _windows(work, record) if record is not None else {}
        if record is None:
            raise UnknownDocument("there is no such study here")
        withdrawn = [(at, by, list(them)) for (at, by), them in itertools.groupby(hidden, attrgetter("at", "manifest"))]
        return self._page(
            "study.html", request, record=record, missing=missing, jobs=jobs, sharing=self._sharing(), windows=windows,
            withdrawn=withdrawn, base=f"/dicomweb/studies/{uid}",
        )  # fmt: skip

    async def _share(self, request: web.Request) -> web.StreamResponse:
        job = await self._operations.share(
            request.match_info["uid"], request[FORM].get("peer", ""), request[SESSION].person
        )
        return _see(f"/exchanges/{job.id}")

    # --- documents ---------------------------------------------------------------------------------------------------

    async def _documents(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        async with self._store.view() as work:
            entries = await documents.found(work, text, self._house.domain_authority)
        if text:
            await self._restricted(request, "looked for documents", {entry.patient_id for entry in entries})
        return self._page("documents.html", request, text=text, entries=entries, most=documents.FOUND)

    async def _document(self, request: web.Request) -> web.Response:
        async with self._store.view() as work:
            found = await documents.shown(work, request.match_info["entry_uuid"])
        if found is None:
            raise UnknownDocument("there is no such document here")
        await self._restricted(request, f"looked at document {found.entry.unique_id}", {found.entry.patient_id})
        return self._page("document.html", request, entry=found.entry, ties=found.ties, ebxml=found.ebxml)

    def _sharing(self) -> list[Peer]:
        """Whom studies can be published to."""
        return [peer for peer in self._directory.all() if any(way.id in peer.endpoints for way in OF_IMAGES)]

    # --- on-ramp -----------------------------------------------------------------------------------------------------

    async def _on_ramp(self, request: web.Request) -> web.Response:
        study = request.query.get("study", "").strip()
        async with self._store.view() as work:
            ramp = await on_ramp.shown(work, self._rules, study)
        return self._page(
            "on_ramp.html", request, ramp=ramp, study=study, sharing=self._sharing(), per_minute=self._per_minute,
            foreign=self._synchronise is not None,
        )  # fmt: skip

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        form = request[FORM]
        where, on_demand = form.get("where", ""), form.get("entries") == "on demand"
        registry = None if where == "by rules" else where.removeprefix("at ") if where.startswith("at ") else ""
        asked = Asked(
            actions=() if registry is None else (action_for(registry, on_demand=on_demand),),
            modalities=tuple(form.get("modality", "").upper().replace(",", " ").split()),
            since=form.get("since", "").strip(),
            per_minute=min(_number(form.get("per_minute", "").strip()) or self._per_minute, MOST_A_MINUTE),
        )
        job = await self._operations.publish(asked, request[SESSION].person)
        return _see(f"/exchanges/{job.id}")

    async def _look(self, request: web.Request) -> web.StreamResponse:
        what = request[FORM].get("what", "").strip()
        if self._synchronise is None or not what:
            raise MalformedMessage("there is nothing to look at", cure="name a study or a patient of the archive")
        study = what if "." in what and re.fullmatch(r"[0-9.]+", what) else ""
        looked = await self._synchronise.look(request[SESSION].person, study=study, patient="" if study else what)
        return _see(f"/exchanges/{looked.exchange_id}")

    # --- peers and audit ---------------------------------------------------------------------------------------------

    async def _peers(self, request: web.Request) -> web.Response:
        return await self._peers_page(request, {})

    async def _peer_test(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return await self._peers_page(request, {name: await self._probe.peer(name, request[SESSION].person)})

    async def _peers_page(self, request: web.Request, probed: Mapping[str, Sequence[Probed]]) -> web.Response:
        last = {}
        async with self._store.view() as work:
            for peer in self._directory.all():
                jobs = await work.ledger.list(peer=peer.name, limit=1)
                last[peer.name] = jobs[0] if jobs else None
        cards = {peer.name: await self._matrix.of(peer.name) for peer in self._directory.all()}
        return self._page(
            "peers.html", request, peers=self._directory.all(), last=last, probed=probed, cards=cards,
            only_by_name=ONLY_BY_NAME,
        )  # fmt: skip

    async def _audit_page(self, request: web.Request) -> web.Response:
        asked = {name: value.strip() for name, value in request.query.items() if value.strip()}
        try:
            criteria = audit_criteria(asked, self._house.zone)
        except ValueError as error:
            raise MalformedMessage("a time or number cannot be read", cure="write times as 2026-01-31") from error
        async with self._store.view() as work:
            criteria = replace(await with_exchanges(work, criteria), limit=PAGE + 1)
        records = await self._audit.list(criteria)
        if asked:
            await self._looked(criteria, request)
        following = _link(request, before=records[PAGE - 1].number) if len(records) > PAGE else ""
        days = itertools.groupby(records[:PAGE], key=lambda record: words.day_of(record.received_at, self._house.zone))
        told = [(day, [(record, self._told(record)) for record in group]) for day, group in days]
        return self._page("audit.html", request, days=told, asked=asked, following=following)

    def _told(self, record: ChainedRecord) -> str:
        if record.record is None:
            return "A record that cannot be read back."
        return words.told(sentence(record.record, self._names), record.record)

    async def _looked(self, criteria: AuditCriteria, request: web.Request) -> None:
        async with self._store.unit() as work:
            await work.audit.record(
                audit_log_used(
                    at=self._clock.now(), source_id=self._house.name, house=self._house.party(),
                    person=request[SESSION].person, query=repr(criteria).encode(), address=request.remote or "",
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Problem:
    detail: str
    cure: str


async def _form(request: web.Request) -> dict[str, str]:
    """A posted form, of which only so much is read, and only from our own pages.

    Raises:
        HTTPForbidden: A page of somebody else posted it (Fetch Metadata).
        HTTPRequestEntityTooLarge: It is longer than any of our forms can be.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(headers=SECURITY_HEADERS)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > FORM_BYTES:
            raise web.HTTPRequestEntityTooLarge(FORM_BYTES, len(body), headers=SECURITY_HEADERS)
    return dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))


def _above(path: str) -> str:
    """The page that a form stands on: its address without the verb."""
    return path.rpartition("/")[0] or "/inbox"


def _number(text: str) -> int:
    if text and not re.fullmatch(r"[0-9]{1,9}", text):
        raise MalformedMessage("a number cannot be read", cure="go back to the first page")
    return int(text or "0")


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
        raise MalformedMessage("the patient id cannot be read", cure="write it as ID^^^&OID&ISO") from error


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


async def _windows(work: Work, record: StudyRecord) -> Mapping[str, tuple[str, str]]:
    """Level and width that the first image of each series was stored with, by Series Instance UID."""
    found: dict[str, tuple[str, str]] = {}
    for series in record.study.series:
        uid = series.series_instance_uid
        found[uid] = words.stored_window({})
        if series.instances and len(found) <= WINDOWS:
            first = series.instances[0].sop_instance_uid
            async for body in work.studies.metadata(record.study.study_instance_uid, uid, first):
                found[uid] = words.stored_window(orjson.loads(body))
    return found
