"""An archive behind us that speaks DICOMweb: Orthanc, dcm4chee or any other.

The port upon three rooms: `dicomweb_client` is the wire, `dicomweb_store` the way in, `dicomweb_retrieve` the way out.

What a newcomer gets wrong: a merge (`rewrite`) does not change the archive, whose patients are its own affair (its ADT
feed); it is kept here, as an overlay of the heads that pass through. A coercion is applied on the way in: what the archive
keeps is what it serves.

Source: DICOM PS3.18 10.4, 10.5, 10.6, 8.7; PS3.18 Annex I (Store Instances Response Module).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import aiohttp

from gateway.adapters.arrival import Reading
from gateway.adapters.dicomweb_answers import arrived_of, first_value, glimpse_of
from gateway.adapters.dicomweb_client import PAGE, DicomwebClient
from gateway.adapters.dicomweb_retrieve import DicomwebPlan, DicomwebRetrieve
from gateway.adapters.dicomweb_store import DicomwebStore
from gateway.adapters.overlays import Overlays
from gateway.ports.archive import Coercion, Plan, StoreOutcome, Wanted
from gateway.ports.clock import Clock
from gateway.ports.studies import ArrivedInstance, Glimpse
from profiles.errors import ExchangeError, UnknownDocument
from profiles.model.content import Pour
from profiles.model.imaging import Study


class DicomwebArchive:
    """`Archive` over DICOMweb."""

    def __init__(
        self,
        base_url: str,
        *,
        session: Callable[[], aiohttp.ClientSession],
        overlays: Overlays,
        clock: Clock,
        reading: Reading,
        native_url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Say where it is.

        Args:
            base_url: The DICOMweb service, such as `http://orthanc:8042/dicom-web`.
            session: The client's session, made inside the running loop.
            overlays: Where `rewrite` keeps what it lays over the archive's heads.
            clock: When a coercion happened.
            reading: How headers are understood.
            native_url: Orthanc's own REST interface, such as `http://orthanc:8042`, with or without `/instances`. None:
                there is none.
            headers: Sent with every request, such as Authorization.
        """
        self._client = DicomwebClient(base_url, session=session, native_url=native_url, headers=headers)
        self._store = DicomwebStore(self._client, clock=clock, reading=reading)
        self._retrieve = DicomwebRetrieve(self._client, overlays=overlays, reading=reading)
        self._overlays = overlays
        self._clock = clock
        self._reading = reading

    def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in; outcomes come batch by batch, when the archive has answered."""
        return self._store.store(pour, coercion)

    async def plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> DicomwebPlan:
        """What can be had, series by series in the archive's order; sizes where it tells them."""
        return await self._retrieve.plan(wanted, transfer_syntaxes)

    def pour(self, plan: Plan, *, original: bool = False) -> Pour:
        """All that was planned. `original` is what the archive has: it was sent the coerced view of a coerced instance."""
        return self._retrieve.pour(plan, original=original)

    async def frames(self, wanted: Wanted, numbers: Sequence[int]) -> Pour:
        """Frames as they are stored.

        Raises:
            UnknownDocument: No such frame, or no such instance.
        """
        return await self._retrieve.frames(wanted, numbers)

    async def rewrite(self, study: Study, coercion: Coercion) -> None:
        """Lay the coercion over the study's heads from now on; the archive's own copy is its own affair."""
        listing = await self._client.listing(study.study_instance_uid)
        if any(str(instance.sop_instance_uid) not in listing for _, instance in study.instances()):
            raise UnknownDocument("an instance of the study is not in the archive")
        await self._overlays.add(study.study_instance_uid, coercion, self._clock.now())

    async def clear(self) -> None:
        """Nothing of ours is half done in it."""

    async def orphans(self, known: AsyncIterator[str]) -> Sequence[str]:
        """What it has besides is not ours to judge: `index` tells of it."""
        return ()

    async def ready(self) -> str:
        """Whether it answers a search."""
        try:
            await self._client.searched()
        except ExchangeError as error:
            return f"the archive cannot be searched: {error.detail}"
        return ""

    async def listed(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs of what it has of a study; none: it has no such study."""
        return frozenset(await self._client.listing(study_instance_uid))

    async def bare(self, study_instance_uid: str) -> None:
        """Lay nothing over the study's heads any more."""
        await self._overlays.clear(study_instance_uid)

    async def index(
        self, known: Callable[[Glimpse], Awaitable[bool]], *, study: str = "", patient: str = ""
    ) -> AsyncIterator[ArrivedInstance]:
        """Every instance that the archive has, study after study, as it tells of them; or of one study, or patient id.

        A study that is `known` as it is listed is passed over, and so is one that vanishes meanwhile; an instance without
        UIDs is not one.
        """
        of = {name: value for name, value in (("StudyInstanceUID", study), ("PatientID", patient)) if value}
        offset = 0
        while True:
            page = await self._client.studies(offset, of)
            updates = await self._client.updates([uid for each in page if (uid := first_value(each, "0020000D"))])
            for each in page:
                updated = updates.get(first_value(each, "0020000D"), "")
                glimpse = glimpse_of(each, self._reading, updated)
                if glimpse is None or await known(glimpse):
                    continue
                for instance in await self._client.metadata(glimpse.study_instance_uid):
                    if (told := arrived_of(instance, self._reading)) is not None:
                        yield told
            offset += len(page)
            if len(page) < PAGE:
                return
