"""An archive that speaks DICOMweb, as one asks it: what it has, its instances and frames, and to keep some.

The wire of `archive_dicomweb` and its two halves; nothing is remembered here. Where the archive has an interface of its
own (Orthanc), what QIDO-RS takes long to tell is asked there.

What a newcomer gets wrong: the archive closes idle connections, just when we use them again. So everything is asked once
more where the connection broke before an answer.

Source: DICOM PS3.18 10.4 (WADO-RS), 10.5 (STOW-RS), 10.6 (QIDO-RS), 8.7 (media types).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import aiohttp
import orjson

from gateway.adapters.arrival import file_meta_of
from gateway.adapters.dicomweb_answers import GLIMPSED, StoreAnswer, first_value, json_of, refusal
from gateway.adapters.http import calling, hop_of, idle_timeout
from gateway.adapters.long_body import long_body_of
from profiles.errors import MalformedMessage, PeerProtocolError, PeerRefused, PeerUnavailable, UnknownDocument
from profiles.model.content import Pour
from profiles.wire.dicom.syntaxes import EXPLICIT_LE
from profiles.wire.multipart import CutOff, MultipartLimits, parts_of

T = TypeVar("T")

CONNECTIONS: Final = 4  # batches, listings or single instances at once
PAGE: Final = 500  # matches asked for at once
IDLE_TIMEOUT_S: Final = 60.0  # an archive that reads from tape is slow to begin, never slower than this
READY_TIMEOUT_S: Final = 5.0
META_BYTES: Final = 1024  # of a file: its meta information begins with what names it
LIMITS: Final = MultipartLimits(parts=10_000_000, lengths=True)

JSON: Final = "application/dicom+json"
AS_STORED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
DECOMPRESSED: Final = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT_LE}'
FRAMES_AS_STORED: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance that the archive has. `series` tells it from those of other series, by a UID or an id of the archive's.

    `native` is its path below the native address; `size` None where nobody tells.
    """

    series: str = ""
    native: str | None = None
    size: int | None = None


Listing: TypeAlias = dict[str, Listed]
"""By SOP Instance UID."""


class DicomwebClient:
    """What is asked of the archive. Listings, searches and single instances: no more than `limit` at once."""

    def __init__(
        self,
        base_url: str,
        *,
        session: Callable[[], aiohttp.ClientSession],
        native_url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say where it is; the arguments are those of `DicomwebArchive`."""
        self.base = base_url.rstrip("/")
        self.native = native_url.rstrip("/").removesuffix("/instances") if native_url else None
        self.limit = asyncio.Semaphore(CONNECTIONS)
        self._session = session
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}

    # --- what it has --------------------------------------------------------------------------------------------------

    async def listing(self, study: str, series: str | None = None) -> Listing:
        """What the archive has of a study or a series, by SOP Instance UID."""
        async with self.limit:
            if self.native is not None:
                return await self._native_listing(study, series)
            below = f"/series/{series}" if series is not None else ""
            found: Listing = {}
            while True:
                address = (
                    f"{self.base}/studies/{study}{below}/instances"
                    f"?includefield=00080018&includefield=0020000E&limit={PAGE}&offset={len(found)}"
                )
                try:
                    page = await self._json(address) or []
                except UnknownDocument:  # some answer 404 where 204 is meant
                    return found
                before = len(found)
                for each in page:
                    if uid := first_value(each, "00080018"):
                        found[uid] = Listed(first_value(each, "0020000E"))
                if len(page) < PAGE or len(found) == before:
                    return found

    async def _native_listing(self, study: str, series: str | None) -> Listing:
        """The same by Orthanc's own interface, with sizes: some milliseconds where QIDO-RS takes hundreds."""
        wanted, uid = ("Series", series) if series is not None else ("Study", study)
        path = {"Series": "series", "Study": "studies"}[wanted]
        found: Listing = {}
        for each in await self._lookup(str(uid)):
            if each.get("Type") != wanted:
                continue
            for instance in await self._json(f"{self.native}/{path}/{each['ID']}/instances?expand") or []:
                sop = str(instance.get("MainDicomTags", {}).get("SOPInstanceUID", ""))
                found[sop] = Listed(
                    str(instance["ParentSeries"]), f"/instances/{instance['ID']}", int(instance["FileSize"])
                )
        return found

    async def count(self, study: str, series: str | None) -> int | None:
        """How many instances the archive tells of a study or a series (0020,1208; 0020,1209). None: it does not tell."""
        if series is None:
            address, tag = f"{self.base}/studies?StudyInstanceUID={study}&includefield=00201208", "00201208"
        else:
            address = f"{self.base}/studies/{study}/series?SeriesInstanceUID={series}&includefield=00201209"
            tag = "00201209"
        try:
            async with self.limit:
                found = await self._json(address)
        except (UnknownDocument, PeerRefused):  # not every archive searches by UID; the listing will tell
            return None
        told = first_value(found[0], tag) if isinstance(found, list) and len(found) == 1 else ""
        return int(told) if told.isdecimal() else None

    async def _lookup(self, uid: str) -> list[dict[str, Any]]:
        return await self._post("/tools/lookup", uid.encode("ascii"))

    async def _post(self, path: str, body: bytes) -> list[dict[str, Any]]:
        """A question to the archive's own interface."""
        address = f"{self.native}{path}"

        async def asked() -> list[dict[str, Any]]:
            with calling(address):
                async with self._session().post(
                    address, data=body, headers=self._headers, timeout=idle_timeout(IDLE_TIMEOUT_S)
                ) as response:
                    if response.status != 200:
                        raise refusal(response.status, address)
                    return await json_of(response, address) or []

        return await _twice(asked)

    async def studies(self, offset: int, of: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """A page of all studies, of at most `PAGE`, with what `glimpse_of` reads as far as the archive tells it.

        `of` are conditions by keyword, such as PatientID.
        """
        conditions = "".join(f"&{keyword}={quote(value, safe='')}" for keyword, value in (of or {}).items())
        fields = "".join(f"&includefield={tag}" for tag in GLIMPSED)
        return await self._json(f"{self.base}/studies?limit={PAGE}&offset={offset}{conditions}{fields}") or []

    async def updates(self, studies: Sequence[str]) -> Mapping[str, str]:
        """When these were written to last, by Study Instance UID, as its own interface says; none: it has none."""
        if self.native is None or not studies:
            return {}
        query = {"Level": "Study", "Expand": True, "Query": {"StudyInstanceUID": "\\".join(studies)}}
        found: dict[str, list[str]] = {}
        for each in await self._post("/tools/find", orjson.dumps(query)):
            uid = str(each.get("MainDicomTags", {}).get("StudyInstanceUID", ""))
            found.setdefault(uid, []).append(str(each.get("LastUpdate", "")))
        return {uid: " ".join(sorted(times)) for uid, times in found.items()}

    async def metadata(self, study: str) -> list[dict[str, Any]]:
        """Of every instance of a study; none where it has vanished."""
        try:
            return await self._json(f"{self.base}/studies/{study}/metadata") or []
        except UnknownDocument:
            return []

    async def searched(self) -> None:
        """Come back when it has answered the smallest search; it is not waited for long."""
        await self._json(f"{self.base}/studies?limit=1", idle_s=READY_TIMEOUT_S)

    async def transfer_syntax(self, path: str, listed: Listed) -> str:
        """In what an instance is stored: the archive's own address tells, or the beginning of the file."""
        if listed.native is not None:
            found = await self._text(f"{self.native}{listed.native}/metadata/TransferSyntax")
            if found:
                return found
        async with self.limit, self.open(path) as chunks:
            _, _, syntax = await named(chunks)
            return syntax

    async def _text(self, address: str) -> str:
        try:
            async with self.get(address, "text/plain") as response:
                with calling(address):
                    return (await response.content.read(1024)).decode("ascii", "replace").strip()
        except UnknownDocument:
            return ""

    # --- instances ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def get(
        self, address: str, accept: str, *, idle_s: float = IDLE_TIMEOUT_S
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """One GET; the answer is 200, 204 or 206.

        Raises:
            UnknownDocument: 404, 410.
            PeerError: Anything else.
        """

        async def asked() -> aiohttp.ClientResponse:
            with calling(address):
                return await self._session().get(
                    address,
                    headers={**self._headers, "Accept": accept},
                    timeout=idle_timeout(idle_s),
                    allow_redirects=False,
                )

        response = await _twice(asked)
        try:
            if response.status not in (200, 204, 206):
                raise refusal(response.status, address)
            yield response
        finally:
            response.close() if not response.content.at_eof() else response.release()

    async def _json(self, address: str, *, idle_s: float = IDLE_TIMEOUT_S) -> Any:
        """A JSON answer; None where there is none (204)."""
        async with self.get(address, JSON, idle_s=idle_s) as response:
            return await json_of(response, address)

    @asynccontextmanager
    async def open(self, path: str, accept: str = AS_STORED) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """One instance as it is archived."""
        address = f"{self.base}{path}"
        async with self.get(address, accept) as response:
            part = await anext(self.parts(response, address), None)
            if part is None:
                raise PeerProtocolError(f"{hop_of(address)} answers without the instance", location=address)
            yield part.chunks

    def parts(self, response: aiohttp.ClientResponse, address: str) -> Pour:
        """The parts of an answer.

        Raises:
            PeerProtocolError: It does not come in parts.
        """
        try:
            return parts_of(long_body_of(response, address), response.headers.get("Content-Type", ""), LIMITS)
        except MalformedMessage as error:
            raise PeerProtocolError(
                f"{hop_of(address)} does not answer WADO-RS in parts", cure="check archive.url"
            ) from error

    async def stow(
        self,
        body: Callable[[], AsyncIterator[bytes]],
        boundary: str,
        length: int | None,
        *,
        again: Callable[[], bool] = lambda: True,
    ) -> StoreAnswer:
        """One STOW-RS; `body` is made anew where the connection broke and may be asked for `again`."""
        return await _twice(lambda: self._stow(body(), boundary, length), again)

    async def _stow(self, body: AsyncIterator[bytes], boundary: str, length: int | None) -> StoreAnswer:
        address = f"{self.base}/studies"
        headers = {
            **self._headers,
            "Accept": JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        }
        if length is not None:
            headers["Content-Length"] = str(length)
        with calling(address):
            async with self._session().post(
                address, data=body, headers=headers, timeout=idle_timeout(IDLE_TIMEOUT_S), allow_redirects=False
            ) as response:
                # 200, 202 and 409 have a Store Instances Response; some send one with 400 (PS3.18 10.5.3).
                if response.status not in (200, 202, 400, 409):
                    raise refusal(response.status, address)
                try:
                    return StoreAnswer.read(await json_of(response, address))
                except PeerProtocolError:
                    if response.status in (200, 202):
                        raise
                    raise refusal(response.status, address) from None


@contextmanager
def reading(address: str) -> Iterator[None]:
    """What cannot be read of an answer in parts is the archive's fault, not that of who asks us.

    Raises:
        PeerUnavailable: It ended too early.
        PeerProtocolError: It is not framed as it should be.
    """
    try:
        yield
    except CutOff as error:
        raise PeerUnavailable(f"{hop_of(address)} broke off its answer", cure="it is tried again") from error
    except MalformedMessage as error:
        raise PeerProtocolError(
            f"the answer of {hop_of(address)} cannot be read: {error.detail}", cure="look at the archive's log"
        ) from error


async def _twice(ask: Callable[[], Awaitable[T]], may: Callable[[], bool] = lambda: True) -> T:
    """Ask once more where the connection broke: an archive closes idle ones, just when we use them again.

    Nothing that we ask changes by being asked twice: an instance that was kept the first time is kept.
    """
    try:
        return await ask()
    except PeerUnavailable as error:
        if error.code or not may():  # with a code it has answered, and does not want us now
            raise
    return await ask()


async def named(chunks: AsyncIterator[bytes]) -> tuple[list[bytes], str, str]:
    """The first chunks of a file, with the SOP Instance UID and the transfer syntax that they name.

    Raises:
        PeerProtocolError: They name neither.
    """
    held: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < META_BYTES:
            continue
        break
    beginning = held[0] if held and len(held[0]) >= META_BYTES else b"".join(held)
    instance, syntax = file_meta_of(beginning[:META_BYTES])
    if not instance or not syntax:
        raise PeerProtocolError("the archive sends something that is not a DICOM file")
    return held, instance, syntax


def instance_path(study: str, series: str, instance: str) -> str:
    """Where an instance is, below the service."""
    return f"/studies/{study}/series/{series}/instances/{instance}"
