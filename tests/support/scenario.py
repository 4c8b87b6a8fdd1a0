"""A small world on loopback: a house called Valley, a source that does as it is told, and people who send things.

The house runs inside the test (`gateway.app.running`), over plain HTTP, so that a world stands in a fraction of a second.
What it answers is read from the wire; what it keeps is read from its files and tables, behind its back. Whatever a test
does, leaving the world proves two more things: no log line names the patient, and nothing ended as a defect.
"""

import asyncio
import hashlib
import io
import logging
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from ssl import SSLContext
from typing import Any

import orjson
import structlog
from aiohttp import ClientSession, ClientTimeout, web
from lxml import etree

from conformance.samples import SampleStudy, write_ct_study
from conformance.simulators.hl7_sender import send_message
from gateway.adapters.memory.archive import MemoryObjects
from gateway.app import running
from gateway.settings import Settings
from gateway.telemetry import configure
from profiles.model.content import DICOM, Content, Poured
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, Submission
from profiles.model.identifiers import Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from profiles.model.query import DocumentCriteria
from profiles.pix.iti8 import ITI_8, Acknowledgement, FeedEvent, PatientFeedRequest
from profiles.wire.dicom.kos import encode_kos
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import SoapOut
from profiles.wire.soap.mtom import SoapLimits, SoapMessage, pack, read_message
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xdsi.rad68 import (
    DEFAULTS,
    RAD_68,
    CodeSet,
    ProvideAndRegisterRequest,
    RegistryResponse,
    SiteCodes,
    entry_for,
    submission_for,
)
from profiles.xdsi.rad69 import (
    RAD_69,
    DocumentRequest,
    RetrieveDocumentSetResponse,
    RetrieveImagingDocumentSetRequest,
    SeriesRequest,
    StudyRequest,
)
from tests.support.dicomweb_house import multipart

VALLEY, DOMAIN, LAKESIDE = Oid("1.2.3.4"), Oid("1.2.3.9"), Oid("1.2.4.4")  # who gives patient ids
VALLEY_REPOSITORY, VALLEY_LOCATION, LAKESIDE_LOCATION = Oid("1.2.3.2"), Oid("1.2.3.3"), Oid("1.2.4.3")

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"

RECIPIENT, REPOSITORY, SOURCE = "/soap/document-recipient", "/soap/repository", "/soap/imaging-source"

TOKENS = {"Lakeside": "lakeside-token", "Strict": "strict-token"}
NAME = PersonName(family="Quillfeather", given="Zebediah")
BORN = Moment(datetime(1961, 4, 17, tzinfo=UTC), Precision.DAY, zoned=False)
LAKESIDE_ID = PatientIdentifier(value="LK77131", authority=LAKESIDE)
VALLEY_ID = PatientIdentifier(value="VA99402", authority=VALLEY)
DOMAIN_ID = PatientIdentifier(value="DO55218", authority=DOMAIN)
OTHER_ID = PatientIdentifier(value="VA31337", authority=VALLEY)
SECRETS = ("quillfeather", "zebediah", "lk77131", "va99402", "do55218", "va31337", "19610417", "1961-04-17")
"""What no log line may have, in small letters."""

ZEBEDIAH = Patient(identifiers=(VALLEY_ID, DOMAIN_ID), name=NAME, birth_date=BORN, sex=Sex.MALE)
AS_LAKESIDE_KNOWS_HIM = replace(ZEBEDIAH, identifiers=(LAKESIDE_ID,))
SOMEBODY_ELSE = Patient(
    identifiers=(OTHER_ID,), name=PersonName(family="Quillfeather", given="Ottoline"), birth_date=BORN, sex=Sex.FEMALE
)

CODES = SiteCodes()


def new_oid() -> str:
    """An OID that nobody has used."""
    return f"2.25.{uuid.uuid4().int}"


# --- what is sent -----------------------------------------------------------------------------------------------------


def write_study(
    folder: Path, *, seed: int = 1, patient: Patient = AS_LAKESIDE_KNOWS_HIM, series: int = 2, instances: int = 3
) -> SampleStudy:
    """A little CT, so that a test costs its fault and not its pixels."""
    return write_ct_study(folder, seed=seed, patient=patient, series=series, instances=instances, rows=32)


def manifest_of(study: SampleStudy, location: Oid | None = LAKESIDE_LOCATION) -> Manifest:
    """The KOS that Lakeside would make of it."""
    series = tuple(
        Series(
            series_instance_uid=each.series_instance_uid,
            modality=each.modality,
            instances=tuple(
                Instance(sop_instance_uid=one.sop_instance_uid, sop_class_uid=one.sop_class_uid)
                for one in each.instances
            ),
            retrieve_location_uid=location,
        )
        for each in study.series
    )
    whole = Study(study_instance_uid=study.study_instance_uid, patient=study.patient, series=series)
    return Manifest(
        sop_instance_uid=Uid(new_oid()),
        series_instance_uid=Uid(new_oid()),
        created=Moment(datetime.now(UTC)),
        patient=study.patient,
        studies=(whole,),
        institution="Lakeside",
        manufacturer="tests",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A manifest about to be provided: what the metadata says, and the bytes that go along."""

    submission: Submission
    body: bytes
    manifest: Manifest

    def again(self) -> "Offer":
        """The same document in a new submission set."""
        set_ = replace(self.submission.submission_set, unique_id=new_oid())
        return replace(self, submission=replace(self.submission, submission_set=set_))

    def entry(self, **changes: Any) -> "Offer":
        """With other words about the document."""
        entry = replace(self.submission.entries[0], **changes)
        return replace(self, submission=replace(self.submission, entries=(entry,)))


def offer_of(
    study: SampleStudy,
    *,
    patient_id: PatientIdentifier = LAKESIDE_ID,
    manifest: Manifest | None = None,
    replaces: str | None = None,
) -> Offer:
    """A submission of one manifest, as it should be."""
    manifest = manifest or manifest_of(study)
    body = encode_kos(manifest)
    entry = entry_for(
        manifest, entry_uuid="Document01", patient_id=patient_id, codes=CODES,
        sha1=hashlib.sha1(body, usedforsecurity=False).hexdigest(), size_bytes=len(body),
    )  # fmt: skip
    submission = submission_for(
        entry, submission_set_uuid="SubmissionSet01", unique_id=new_oid(), source_id=Oid("1.2.4.5"),
        submission_time=Moment(datetime.now(UTC)), content_type_code=DEFAULTS[CodeSet.CONTENT_TYPE][0], replaces=replaces,
    )  # fmt: skip
    return Offer(submission=submission, body=body, manifest=manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An HTTP body, whole, so that it can be spoiled."""

    content_type: str
    body: bytes

    def spoiled(self, old: bytes, new: bytes) -> "Message":
        """With these bytes instead of those; what is not there cannot be spoiled."""
        assert old in self.body, old
        return replace(self, body=self.body.replace(old, new))


async def message_of(transaction: Any, request: object) -> Message:
    """A SOAP request as our own client would write it."""
    out: SoapOut = transaction.encode_request(request)
    envelope = encode_envelope(
        out.body, action=transaction.request_action, message_id=f"urn:uuid:{uuid.uuid4()}", to="urn:x", reply_to=True,
        blocks=out.header,
    )  # fmt: skip
    packed = pack(transaction.packaging, envelope, out, unique=uuid.uuid4().hex, action=transaction.request_action)
    return Message(content_type=packed.content_type, body=b"".join([chunk async for chunk in packed.chunks]))


async def rad68(offer: Offer) -> Message:
    """The request that provides it."""
    content = Content.of(offer.body, DICOM, hashlib.sha1(offer.body, usedforsecurity=False).hexdigest())
    documents = {offer.submission.entries[0].entry_uuid: content}
    return await message_of(RAD_68, ProvideAndRegisterRequest(submission=offer.submission, documents=documents))


def rad69_request(
    study: SampleStudy,
    *,
    location: Oid = VALLEY_LOCATION,
    syntaxes: tuple[str, ...] = (EXPLICIT,),
    series_of: Callable[[str, str], str] = lambda series, instance: series,
) -> RetrieveImagingDocumentSetRequest:
    """Everything of a study; `series_of` may put instances where they are not."""
    return RetrieveImagingDocumentSetRequest(
        studies=(
            StudyRequest(
                study_instance_uid=study.study_instance_uid,
                series=tuple(
                    SeriesRequest(
                        series_instance_uid=series_of(each.series_instance_uid, one.sop_instance_uid),
                        documents=(
                            DocumentRequest(repository_unique_id=location, document_unique_id=one.sop_instance_uid),
                        ),
                    )
                    for each in study.series
                    for one in each.instances
                ),
            ),
        ),
        transfer_syntax_uids=syntaxes,
    )


# --- what comes back --------------------------------------------------------------------------------------------------


async def read_soap(content_type: str, body: bytes) -> SoapMessage:
    """An answer, all of it."""

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    objects = MemoryObjects()
    return await read_message(
        chunks(), content_type, limits=SoapLimits(parts=10_000), new_sink=lambda: objects.spool(1 << 30), as_pour=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapReply:
    """What a SOAP address answered: a fault, or the transaction's own words."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    async def fault(self) -> tuple[str, ...]:
        """Codes of the fault, outermost first, without their namespaces."""
        message = await read_soap(self.content_type, self.body)
        assert message.fault is not None, self.body
        return tuple(code.rpartition("}")[2] for code in message.fault.codes)

    async def registered(self) -> RegistryResponse:
        """The answer to a submission."""
        message = await read_soap(self.content_type, self.body)
        assert message.fault is None, self.body
        return RAD_68.decode_response(message.to_codec()).value

    async def codes(self) -> tuple[str, ...]:
        """What the answer to a submission complains of."""
        return tuple(error.code for error in (await self.registered()).errors)

    async def retrieved(self) -> tuple[RetrieveDocumentSetResponse, dict[str, bytes]]:
        """The answer to a retrieval, with the bytes of every instance."""
        message = await read_soap(self.content_type, self.body)
        assert message.fault is None, self.body
        answer: Poured[RetrieveDocumentSetResponse] = RAD_69.decode_response(message.to_codec()).value
        bodies = {part.key: b"".join([chunk async for chunk in part.chunks]) async for part in answer.pour}
        return answer.head, bodies


# --- the source -------------------------------------------------------------------------------------------------------

RETRIEVE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
    '<s:Header><a:Action s:mustUnderstand="1">urn:ihe:rad:2009:RetrieveImagingDocumentSetResponse</a:Action>'
    "<a:RelatesTo>{relates}</a:RelatesTo></s:Header><s:Body>"
    '<b:RetrieveDocumentSetResponse xmlns:b="urn:ihe:iti:xds-b:2007">'
    '<r:RegistryResponse xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" status="{status}">{errors}'
    "</r:RegistryResponse>{documents}</b:RetrieveDocumentSetResponse></s:Body></s:Envelope>"
)
DOCUMENT = (
    "<b:DocumentResponse><b:RepositoryUniqueId>{repository}</b:RepositoryUniqueId>"
    "<b:DocumentUniqueId>{uid}</b:DocumentUniqueId><b:mimeType>application/dicom</b:mimeType>"
    '<b:Document><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:{cid}"/></b:Document>'
    "</b:DocumentResponse>"
)
ERROR = (
    '<r:RegistryError errorCode="XDSDocumentUniqueIdError" codeContext="not here" location="{uid}"'
    ' severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"/>'
)
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"

RETRIEVE_TYPE = (
    'multipart/related; type="application/xop+xml"; start="<root@x>"; start-info="application/soap+xml"; boundary="bbb"'
)


def retrieve_answer(asked: "Asked", documents: Iterable[tuple[str, bytes]], missing: Iterable[str] = ()) -> bytes:
    """A RAD-69 answer by hand, as some other product would write it; what it says need not be true."""
    documents, missing = tuple(documents), tuple(missing)
    errors = "".join(ERROR.format(uid=uid) for uid in missing)
    errors = f"<r:RegistryErrorList>{errors}</r:RegistryErrorList>" if errors else ""
    status = SUCCESS if not missing else PARTIAL if documents else FAILURE
    listed = "".join(
        DOCUMENT.format(repository=asked.repository, uid=uid, cid=f"d{index}@x")
        for index, (uid, _) in enumerate(documents)
    )
    root = RETRIEVE.format(relates=asked.message_id, status=status, errors=errors, documents=listed).encode()
    head = b'--bbb\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
    body = head + b"Content-ID: <root@x>\r\n\r\n" + root
    for index, (_, content) in enumerate(documents):
        body += f"\r\n--bbb\r\nContent-Type: application/dicom\r\nContent-ID: <d{index}@x>\r\n\r\n".encode() + content
    return body + b"\r\n--bbb--\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One RAD-69 request that the source got."""

    message_id: str
    repository: str
    uids: tuple[str, ...]
    http: web.Request


Behaviour = Callable[["ScriptedSource", Asked], Awaitable[web.StreamResponse]]


async def honestly(source: "ScriptedSource", asked: Asked) -> web.StreamResponse:
    """Everything that was asked for and is there; the rest by name."""
    here = [(uid, source.has[uid]) for uid in asked.uids if uid in source.has]
    missing = [uid for uid in asked.uids if uid not in source.has]
    return whole(retrieve_answer(asked, here, missing))


def whole(body: bytes, content_type: str = RETRIEVE_TYPE) -> web.Response:
    """An answer with its Content-Length."""
    return web.Response(body=body, headers={"Content-Type": content_type})


class ScriptedSource:
    """An Imaging Document Source that answers by `script`, one behaviour a request, and honestly when that is used up."""

    def __init__(self) -> None:
        """It has nothing yet."""
        self.has: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.script: list[Behaviour] = []
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._leaving = asyncio.Event()
        self.may_go_on = asyncio.Event()  # for behaviours that wait for the test

    def keep(self, study: SampleStudy) -> None:
        """Have a study's files."""
        self.has |= {str(one.sop_instance_uid): one.path.read_bytes() for one in study.instances}

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post(SOURCE, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{SOURCE}"

    async def stop(self) -> None:
        """Hang up on everybody."""
        self._leaving.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def hang(self) -> None:
        """Say nothing until the world ends."""
        await self._leaving.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        decoded = RAD_69.decode_request(message.to_codec()).value
        instances = tuple(decoded.instances())
        asked = Asked(
            message_id=message.addressing.message_id,
            repository=str(instances[0].document.repository_unique_id),
            uids=tuple(str(each.document.document_unique_id) for each in instances),
            http=request,
        )
        self.asked.append(asked)
        behave = self.script.pop(0) if self.script else honestly
        return await behave(self, asked)


# --- the house --------------------------------------------------------------------------------------------------------

CLINICAL = (
    "registry_objects", "registry_unique_ids", "entries", "entry_terms", "submission_sets", "folders", "associations",
    "studies", "study_keys", "series", "instances", "withdrawn_instances", "expected_instances", "patients",
    "patient_identifiers", "identity_links", "documents", "registrations",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a house keeps, at one moment: every clinical row and file, and how much was noted about it."""

    rows: Mapping[str, tuple[str, ...]]
    files: Mapping[str, int]
    steps: tuple[dict[str, Any], ...]
    audit: tuple[bytes, ...]
    exchanges: tuple[dict[str, Any], ...]

    @property
    def clinical(self) -> tuple[Mapping[str, tuple[str, ...]], Mapping[str, int]]:
        """What must not change when nothing was accepted."""
        return self.rows, self.files


def kept_in(data: Path) -> Kept:
    """Look behind the house's back."""
    with closing(sqlite3.connect(f"file:{data / 'radgate.db'}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        rows = {}
        for table in CLINICAL:
            where = " WHERE document_unique_id NOT LIKE 'raw:%'" if table == "documents" else ""
            rows[table] = tuple(sorted(repr(tuple(row)) for row in database.execute(f"SELECT * FROM {table}{where}")))
        steps = tuple(dict(row) for row in database.execute("SELECT * FROM steps ORDER BY id"))
        exchanges = tuple(dict(row) for row in database.execute("SELECT * FROM exchanges ORDER BY id"))
        audit = tuple(
            bytes(row["body"])
            for row in database.execute("SELECT body FROM audit_records WHERE kind != 'intent' ORDER BY number")
        )
    files = {
        str(path.relative_to(data)): path.stat().st_size
        for folder in ("archive", "objects")
        for path in sorted((data / folder).rglob("*"))
        if path.is_file()
    }
    return Kept(rows=rows, files=files, steps=steps, audit=audit, exchanges=exchanges)


@dataclass(slots=True)
class Refusal:
    """What a house noted of something that it refused: one step, one audit record."""

    step: dict[str, Any] = field(default_factory=dict)
    audit: bytes = b""
    exchange: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Valley:
    """The house under test."""

    data: Path
    addresses: Mapping[str, str]
    http: ClientSession
    log: io.BytesIO
    tls: SSLContext | None = None  # of its MLLP

    @property
    def url(self) -> str:
        """Its base address."""
        return self.addresses["http"]

    def kept(self) -> Kept:
        """What it keeps now."""
        return kept_in(self.data)

    async def post(
        self, path: str, message: Message, *, peer: str = "Lakeside", headers: Mapping[str, str] | None = None
    ) -> SoapReply:
        """Send any bytes to a SOAP address."""
        told = {"Content-Type": message.content_type, **(headers or {})}
        if peer:
            told["Authorization"] = f"Bearer {TOKENS[peer]}"
        async with self.http.post(self.url + path, data=message.body, headers=told) as answer:
            return SoapReply(
                status=answer.status, content_type=answer.headers.get("Content-Type", ""), body=await answer.read(),
                headers=dict(answer.headers),
            )  # fmt: skip

    async def provide(self, offer: Offer, *, door: str = RECIPIENT, peer: str = "Lakeside") -> SoapReply:
        """RAD-68."""
        return await self.post(door, await rad68(offer), peer=peer)

    async def retrieve(self, request: RetrieveImagingDocumentSetRequest) -> SoapReply:
        """RAD-69."""
        return await self.post(SOURCE, await message_of(RAD_69, request))

    async def push(self, bodies: Iterable[bytes], *, study: str = "", peer: str = "Lakeside") -> tuple[int, Any]:
        """STOW-RS."""
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bbb'}
        if peer:
            headers["Authorization"] = f"Bearer {TOKENS[peer]}"
        path = f"/dicomweb/studies/{study}" if study else "/dicomweb/studies"
        async with self.http.post(self.url + path, data=multipart(bodies), headers=headers) as answer:
            body = await answer.read()
            return answer.status, orjson.loads(body) if body.startswith((b"{", b"[")) else body

    async def statuses(self, study: SampleStudy, patient_id: PatientIdentifier = LAKESIDE_ID) -> list[str]:
        """What FindDocumentsByReferenceId says of the entries of a study, whatever their status, sorted."""
        criteria = DocumentCriteria(
            patient_ids=(patient_id,),
            statuses=tuple(AvailabilityStatus),
            reference_ids=((f"{study.study_instance_uid}^%{STUDY_INSTANCE_UID}",),),
        )
        request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID, criteria=criteria)
        reply = await self.post("/soap/registry", await message_of(ITI_18, request))
        message = await read_soap(reply.content_type, reply.body)
        assert message.fault is None, reply.body
        entries = ITI_18.decode_response(message.to_codec()).value.entries
        return sorted(each.availability_status.value.rpartition(":")[2] for each in entries)

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """Anything of it, by HTTP."""
        async with self.http.get(self.url + path, headers={"Accept": accept}) as answer:
            return answer.status, await answer.read()

    async def tell(self, patient: Patient, event: FeedEvent = FeedEvent.REGISTER, **merge: Any) -> Acknowledgement:
        """ADT."""
        host, _, port = self.addresses["mllp"].partition("://")[2].rpartition(":")
        out = Hl7Out(
            address=Hl7Address(
                sending_application="ADT", sending_facility="VALLEY",
                receiving_application="RADGATE", receiving_facility="Valley",
            ),
            control_id=uuid.uuid4().hex[:20], at=datetime.now(UTC),
        )  # fmt: skip
        request = PatientFeedRequest(event=event, patient=patient, recorded=Moment(datetime.now(UTC)), **merge)
        answer = await send_message(host, int(port), ITI_8.encode_request(request, out), ssl=self.tls)
        return ITI_8.decode_response(answer).value

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The operator's address."""
        found = orjson.loads((self.data / "control.json").read_bytes())
        headers = {"Authorization": f"Bearer {found['token']}"}
        async with self.http.request(method, found["address"] + path, json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def exchange(self, *, kind: str = "receive", study: str = "") -> dict[str, Any]:
        """The newest exchange of a kind, with its steps."""
        listed = await self.ask("GET", f"/exchanges?kind={kind}" + (f"&study={study}" if study else ""))
        assert listed, f"no exchange of kind {kind}"
        return dict(await self.ask("GET", f"/exchanges/{listed[0]['id']}"))

    async def rests(
        self, *states: str, kind: str = "receive", study: str = "", within_s: float = 30.0
    ) -> dict[str, Any]:
        """Wait until the newest exchange is in one of these states."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await self.exchange(kind=kind, study=study)
                    if found["state"] in states:
                        return found
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not {states} but {found['state']}: {found['reason']}; {found['steps']}") from None

    async def closed(self, transaction: str, within_s: float = 10.0) -> None:
        """Wait until no step of this transaction is open: a pour is closed after its last byte, so a little later."""
        async with asyncio.timeout(within_s):
            while any(step["outcome"] == "open" for step in self.kept().steps if step["transaction"] == transaction):
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def refusing(self, *, explained: bool = True, audits: int = 1) -> AsyncIterator[Refusal]:
        """Whatever happens in the block is refused: nothing clinical changes, and it is noted and audited once.

        `audits`: a merge is about two patients, and so has two records.
        """
        before, refusal = self.kept(), Refusal()
        yield refusal
        after = self.kept()
        for table, rows in before.rows.items():
            assert after.rows[table] == rows, f"{table} changed"
        assert after.files == before.files
        audit = after.audit[len(before.audit) :]
        steps = [step for step in after.steps[len(before.steps) :] if step["direction"] == "in"]
        assert len(steps) == 1, steps
        assert len(audit) == audits, audit
        refusal.step, refusal.audit = steps[0], audit[0]
        (refusal.exchange,) = (each for each in after.exchanges if each["id"] == refusal.step["exchange_id"])
        assert refusal.exchange["id"] not in {each["id"] for each in before.exchanges}
        assert refusal.step["outcome"] == "failure"
        assert outcome_of(refusal.audit) != 0
        if explained:
            assert refusal.step["why"], refusal.step
            assert refusal.step["cure"], refusal.step
            assert refusal.exchange["reason"] == refusal.step["why"]


def outcome_of(audit: bytes) -> int:
    """EventOutcomeIndicator of an audit message."""
    event = etree.fromstring(audit).find("EventIdentification")
    assert event is not None
    return int(event.get("EventOutcomeIndicator", "-1"))


@dataclass(slots=True, kw_only=True)
class World:
    """Valley, the source, and where files are."""

    folder: Path
    valley: Valley
    source: ScriptedSource

    def study(self, **how: Any) -> SampleStudy:
        """A study that the source has."""
        study = write_study(self.folder / f"study-{how.get('seed', 1)}-{uuid.uuid4().hex[:6]}", **how)
        self.source.keep(study)
        return study


def settings_of(data: Path, source_url: str, **changes: Mapping[str, Any]) -> Settings:
    """Valley's settings; `changes` by section, `peers` by name."""
    peers: dict[str, dict[str, Any]] = {
        name: {
            "name": name,
            "retrieve_location_uids": [LAKESIDE_LOCATION] if name == "Lakeside" else [],
            "patient_authority": LAKESIDE,
            "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
            "unknown_patient": "reject" if name == "Strict" else "hold",
            "endpoint": {"RAD-69": source_url} if name == "Lakeside" else {},
        }
        for name, token in TOKENS.items()
    }
    for name, told in changes.pop("peers", {}).items():
        peers[name] = {"name": name, **peers.get(name, {}), **told}
    sections: dict[str, Any] = {
        "house": {
            "name": "Valley", "data": data, "home_community_id": "1.2.3.1",
            "repository_unique_id": VALLEY_REPOSITORY, "retrieve_location_uid": VALLEY_LOCATION,
            "patient_authority": VALLEY,
        },
        "affinity_domain": {"patient_authority": DOMAIN},
        "listen": {"http_port": 0, "mllp_port": 0, "drain_timeout_s": 1.0},
        "access": {"anonymous_loopback": True},
        "limits": {"idle_timeout_s": 5.0},
        "rule": changes.pop("rules", []),
    }  # fmt: skip
    for name, told in changes.items():
        sections[name] = {**sections.get(name, {}), **told}
    return Settings.model_validate({**sections, "peer": list(peers.values())})


@asynccontextmanager
async def logged() -> AsyncIterator[io.BytesIO]:
    """Everything that is logged while the block runs, by us or by a library."""
    lines = io.BytesIO()
    configure()
    structlog.configure(logger_factory=structlog.BytesLoggerFactory(lines))
    handler = logging.StreamHandler(io.TextIOWrapper(lines, "utf-8", write_through=True))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.reset_defaults()


def nothing_leaked(log: bytes) -> None:
    """No log line names the patient."""
    text = log.decode("utf-8", "replace").lower()
    for secret in SECRETS:
        assert secret not in text, (
            f"{secret} is in the log: {next(line for line in text.splitlines() if secret in line)}"
        )


@asynccontextmanager
async def world(folder: Path, *, defects: bool = False, **changes: Any) -> AsyncIterator[World]:
    """A world that stands; `changes` are sections of Valley's settings. `defects`: the house may log some."""
    source = ScriptedSource()
    await source.start()
    async with logged() as log:
        try:
            async with (
                running(settings_of(folder / "valley", source.url, **changes)) as addresses,
                ClientSession(
                    timeout=ClientTimeout(total=60), auto_decompress=False, headers={"Accept-Encoding": "identity"}
                ) as http,
            ):
                valley = Valley(data=folder / "valley", addresses=addresses, http=http, log=log)
                yield World(folder=folder, valley=valley, source=source)
        finally:
            await source.stop()
        written = log.getvalue()
        nothing_leaked(written)
        if not defects:
            assert b'"defect"' not in written, written[-3000:]
            assert b"Traceback" not in written, written[-3000:]
