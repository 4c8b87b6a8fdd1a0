"""An archive that systems ask by DICOMweb: synthetic studies, searched, retrieved and added to; each request is kept.

What is asked is held to the wire of the transaction that it is. It matches by attributes as they stand in the headers
(single values, lists of UIDs, wildcards, ranges of dates), and pours instances in the syntax in which it has them.

Source: DICOM PS3.18 10.4, 10.5, 10.6; PS3.4 C.2.2.2.
"""

import asyncio
import json
import ssl as tls
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from aiohttp import web

from conformance.samples import SampleStudy
from profiles.errors import ExchangeError, RuleViolation
from profiles.findings import Finding
from profiles.model.content import Pour, once
from profiles.transaction import HttpTransaction
from profiles.wia.metadata import RETRIEVE_METADATA
from profiles.wia.rad107 import RAD_107
from profiles.wia.rad108 import RAD_108, InstanceOutcome, StoreInstancesResponse
from profiles.wia.rad129 import RAD_129
from profiles.wire.dicom.dictionary import tag_of
from profiles.wire.dicom.jsonmodel import dicom_json
from profiles.wire.dicom.keywords import keyword_path
from profiles.wire.dicom.part10 import read_head
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.multipart import MultipartLimits, multipart_tail, part_head, parts_of

MAX_BYTES = 256 * 1024 * 1024
JSON = "application/dicom+json"
SERVICE = "/dicom-web"
OF_STUDIES = (
    "SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName",
    "PatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID",
    "StudyDescription",
)  # fmt: skip
OF_SERIES = (*OF_STUDIES, "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber")

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedByWeb:
    """A request: `problem` is why it could not be read, `transaction` is "" where no transaction is asked so."""

    transaction: str
    method: str
    path: str
    body_bytes: int = 0
    findings: tuple[Finding, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    study: str
    series: str
    instance: str
    attributes: Attributes = field(repr=False)
    body: Callable[[], bytes] = field(repr=False)


class DicomwebArchive:
    """Listens for RAD-107, RAD-108 and RAD-129. `asked` are the requests in the order in which they came."""

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None) -> None:
        """Port 0 is chosen by the system; `port` tells which after `start`."""
        self.host = host
        self.port = port
        self.asked: list[AskedByWeb] = []
        self._ssl = ssl
        self._kept: dict[str, _Kept] = {}  # by SOP Instance UID
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    @property
    def address(self) -> str:
        """Where the service is: `https://host:port/dicom-web`."""
        return f"{'https' if self._ssl is not None else 'http'}://{self.host}:{self.port}{SERVICE}"

    @property
    def instances(self) -> frozenset[str]:
        """What it has by now."""
        return frozenset(self._kept)

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application(client_max_size=MAX_BYTES)
        for transaction in (RAD_129, RETRIEVE_METADATA, RAD_107, RAD_108):
            for path in transaction.paths:
                for method in transaction.methods:
                    app.router.add_route(method, SERVICE + path, partial(self._answer, transaction))
        app.router.add_route("*", SERVICE + "{path:/.*}", self._unknown)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, ssl_context=self._ssl).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._runner is not None:
            await self._runner.cleanup()

    def offer(self, study: SampleStudy) -> None:
        """Have a study; its files are read when they are asked for."""
        for instance in study.instances:
            kept = _kept(instance.path.read_bytes(), instance.path.read_bytes)
            self._kept[kept.instance] = kept

    async def awaited(self, wanted: Callable[[AskedByWeb], bool], after: int, timeout_s: float) -> AskedByWeb | None:
        """The first request from place `after` on that is wanted; None: none came in time."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                while True:
                    found = next((each for each in self.asked[after:] if wanted(each)), None)
                    if found is not None:
                        return found
                    await self._arrived.wait()
        except TimeoutError:
            return None

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _unknown(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        await self._note(
            AskedByWeb(transaction="", method=request.method, path=path, problem="nothing answers that here")
        )
        return web.json_response({"message": "nothing answers that here"}, status=404)

    async def _answer(self, transaction: HttpTransaction[Any, Any], request: web.Request) -> web.Response:
        body, content_type = await request.read(), request.headers.get("Content-Type", "")
        message = _message(request, self.address)
        told: dict[str, Any] = {
            "transaction": transaction.id, "method": request.method, "path": message.path, "body_bytes": len(body),
        }  # fmt: skip
        try:
            if transaction is RAD_108:
                message = replace(message, parts=_parts(body, content_type))
            decoded = transaction.decode_request(message)
        except ExchangeError as error:
            await self._note(AskedByWeb(**told, problem=f"{error.detail} ({error.location or 'as a whole'})"))
            return await _written(transaction.refuse(error, message))
        noticed = (*decoded.findings, *(each for check in transaction.checks for each in check(decoded.value)))
        await self._note(AskedByWeb(**told, findings=noticed))
        if transaction is RAD_108:
            return await self._store(message, _parts(body, content_type))
        of_path = [each for each in self._kept.values() if _is_below(each, message.variables)]
        if transaction is RAD_129:
            return self._search(message, of_path)
        if not of_path:
            return web.json_response({"message": "it is not here"}, status=404)
        if transaction is RETRIEVE_METADATA:
            return _json([each.attributes for each in of_path])
        return await asyncio.to_thread(_poured, of_path)

    async def _note(self, asked: AskedByWeb) -> None:
        async with self._arrived:
            self.asked.append(asked)
            self._arrived.notify_all()

    def _search(self, message: HttpIn, of_path: Iterable[_Kept]) -> web.Response:
        level = message.path.rpartition("/")[2]
        matches, paging = _conditions(message.query)
        found: dict[str, Attributes] = {}
        for each in of_path:
            told = self._told(each, level)
            key = {"studies": each.study, "series": each.series}.get(level, each.instance)
            # A study matches by any of its series: what is asked for of a lower level is looked for there.
            if key not in found and all(_fits({**each.attributes, **told}, *match) for match in matches):
                found[key] = told
        start = paging["offset"]
        some = list(found.values())[start : start + paging["limit"]]
        return _json(some) if some else web.Response(status=204)

    def _told(self, of: _Kept, level: str) -> Attributes:
        """What a search says of the study, series or instance."""
        told = dict(of.attributes)
        if level != "instances":
            names = OF_STUDIES if level == "studies" else OF_SERIES
            told = {tag: told[tag] for name in names if (tag := _tag(name)) in told}
        beside = [each for each in self._kept.values() if each.study == of.study]
        if level == "studies":
            modalities = sorted({str(_first(each.attributes, "Modality")) for each in beside})
            told[_tag("ModalitiesInStudy")] = {"vr": "CS", "Value": modalities}
            told[_tag("NumberOfStudyRelatedSeries")] = {"vr": "IS", "Value": [len({each.series for each in beside})]}
            told[_tag("NumberOfStudyRelatedInstances")] = {"vr": "IS", "Value": [len(beside)]}
        elif level == "series":
            number = sum(each.series == of.series for each in beside)
            told[_tag("NumberOfSeriesRelatedInstances")] = {"vr": "IS", "Value": [number]}
        told[_tag("RetrieveURL")] = {"vr": "UR", "Value": [self._url(of, level)]}
        return dict(sorted(told.items()))

    def _url(self, of: _Kept, level: str) -> str:
        study = f"{self.address}/studies/{of.study}"
        series = f"{study}/series/{of.series}"
        return {"studies": study, "series": series}.get(level, f"{series}/instances/{of.instance}")

    async def _store(self, message: HttpIn, parts: Pour) -> web.Response:
        named, outcomes = message.variables.get("study", ""), []
        async for part in parts:
            body = b"".join([chunk async for chunk in part.chunks])
            try:
                outcomes.append(self._take(body, named))
            except ExchangeError as error:
                outcomes.append(InstanceOutcome(error=error))
        return await _written(RAD_108.encode_response(StoreInstancesResponse(outcomes=tuple(outcomes)), message))

    def _take(self, body: bytes, named: str) -> InstanceOutcome:
        kept = _kept(body, lambda: body)
        outcome = InstanceOutcome(
            sop_class_uid=str(_first(kept.attributes, "SOPClassUID")), sop_instance_uid=kept.instance,
            study_instance_uid=kept.study, series_instance_uid=kept.series,
        )  # fmt: skip
        if named not in ("", kept.study):
            other = RuleViolation("the instance belongs to another study than the address names")
            return replace(outcome, error=other)
        self._kept[kept.instance] = kept
        return outcome


def _kept(body: bytes, again: Callable[[], bytes]) -> _Kept:
    head = read_head(body)
    attributes: Attributes = json.loads(dicom_json(head))
    attributes[_tag("AvailableTransferSyntaxUID")] = {"vr": "UI", "Value": [head.transfer_syntax_uid]}
    study, series, instance = (str(_first(attributes, f"{level}InstanceUID")) for level in ("Study", "Series", "SOP"))
    return _Kept(study=study, series=series, instance=instance, attributes=attributes, body=again)


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _message(request: web.Request, base: str) -> HttpIn:
    return HttpIn(
        method=request.method, path=request.path.removeprefix(SERVICE), base=base, variables=dict(request.match_info),
        query=tuple(request.query.items()), headers={key.lower(): value for key, value in request.headers.items()},
    )  # fmt: skip


def _parts(body: bytes, content_type: str) -> Pour:
    return parts_of(once(body), content_type, MultipartLimits())


async def _written(out: HttpOut) -> web.Response:
    body = out.body if out.stream is None else b"".join([chunk async for chunk in out.stream])
    headers = dict(out.headers) | ({"Content-Type": out.media_type} if out.media_type else {})
    return web.Response(status=out.status, body=body, headers=headers)


def _json(found: Sequence[Attributes]) -> web.Response:
    return web.Response(body=json.dumps(found).encode(), headers={"Content-Type": JSON})


def _poured(found: Iterable[_Kept]) -> web.Response:
    boundary = uuid.uuid4().hex
    pieces: list[bytes] = []
    for each in found:
        (syntax,) = each.attributes[_tag("AvailableTransferSyntaxUID")]["Value"]
        head = (("Content-Type", f"application/dicom; transfer-syntax={syntax}"),)
        pieces += [part_head(boundary, head, first=not pieces), each.body()]
    body = b"".join((*pieces, multipart_tail(boundary)))
    media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return web.Response(body=body, headers={"Content-Type": media_type})


# --- matching ---------------------------------------------------------------------------------------------------------


def _is_below(kept: _Kept, named: Mapping[str, str]) -> bool:
    return all(
        named.get(level, uid) == uid
        for level, uid in (("study", kept.study), ("series", kept.series), ("instance", kept.instance))
    )


def _conditions(query: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Attributes with what they are to be, and where a page begins and how long it is."""
    paging, matches = {"offset": 0, "limit": 1000}, []
    for name, value in query:
        if name in paging:
            paging[name] = int(value)
        elif (keyword := keyword_path(name)) is not None and value not in ("", "*"):
            matches.append((keyword, value))
    return matches, paging


def _fits(attributes: Attributes, keyword: str, wanted: str) -> bool:
    """Whether one of the values is what is wanted (PS3.4 C.2.2.2); steps of a path lead through all items."""
    items, *path = [attributes], *keyword.split(".")
    for step in path[:-1]:
        items = [item for each in items for item in each.get(_tag(step), {}).get("Value", ())]
    found = [each[_tag(path[-1])] for each in items if _tag(path[-1]) in each]
    return any(_is_wanted(value, element["vr"], wanted) for element in found for value in element.get("Value", ()))


def _is_wanted(value: Any, vr: str, wanted: str) -> bool:
    text = str(value.get("Alphabetic", "") if isinstance(value, dict) else value)
    if vr == "PN":
        text, wanted = text.casefold(), wanted.casefold()
    if vr in ("DA", "TM") and "-" in wanted:
        begin, _, end = wanted.partition("-")
        return begin <= text and (not end or text <= end)
    if vr == "UI":
        return text in wanted.replace("\\", ",").split(",")
    return fnmatchcase(text, wanted.replace("[", "[[]"))


def _first(attributes: Attributes, keyword: str) -> Any:
    return (attributes.get(_tag(keyword), {}).get("Value") or [""])[0]


def _tag(keyword: str) -> str:
    tag = tag_of(keyword)
    return keyword if tag is None else f"{tag:08X}"
