"""Viewing: single frames as stored, and pictures for the eye. One frame at a time is in memory, never an instance."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.model.study import StudyRecord
from gateway.ports.archive import Archive, Wanted
from gateway.ports.compute import Compute
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from gateway.services.ingest import study_fact
from gateway.services.retrieve import VISIBLE
from profiles.errors import OutOfResources, UnknownDocument, Unsupported
from profiles.model.content import Part, Pour
from profiles.model.imaging import Instance, Series
from profiles.wire.dicom.picture import ImageAttributes, RenderOptions, image_attributes
from profiles.wire.dicom.syntaxes import EXPLICIT_LE
from profiles.wire.dicom.web import FrameForm, FramesAccept

MAX_FRAME_BYTES = 512 * 1024 * 1024  # a frame of 16k x 16k at 16 bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Frames on their way, in this form."""

    form: FrameForm
    pour: Pour


class Viewing:
    """What a viewer asks for."""

    def __init__(self, *, store: Store, archive: Archive, compute: Compute) -> None:
        """Stand on the ports."""
        self._store = store
        self._archive = archive
        self._compute = compute

    async def frames(
        self, study: str, series: str, instance: str, numbers: Sequence[int], accept: FramesAccept, exchange: Exchange
    ) -> Frames:
        """Frames of an instance (1-based), as stored if the client takes that, else decoded.

        Raises:
            UnknownDocument: No such instance or frame.
            Unsupported: Neither will do.

        Source: DICOM PS3.18 10.4.1.1.6.
        """
        record = await self._record(study, exchange)
        found_series, found = _find(record, series, instance)
        wanted = _wanted(study, found_series, found)
        stored = str(found.transfer_syntax_uid or EXPLICIT_LE)
        form = accept.choose(stored)
        if form is None:
            raise Unsupported("the frames cannot be sent in a media type that was asked for", code="not-acceptable")
        if any(not 1 <= number <= found.frames for number in numbers):
            raise UnknownDocument("no such frame", location=f"/frames/{','.join(map(str, numbers))}")
        pour = await self._archive.frames(wanted, numbers)
        exchange.learned.text = f"{len(numbers)} frame(s) handed out"
        if form.transfer_syntax_uid == EXPLICIT_LE and stored not in _NATIVE:
            pour = self._decoded(pour, wanted, stored)
        return Frames(form=form, pour=pour)

    async def _decoded(self, pour: Pour, wanted: Wanted, stored: str) -> Pour:
        metadata = await self._metadata(wanted)
        async for part in pour:
            pixels = await _read(part)
            image = image_attributes(metadata, int(part.key))
            body = await self._compute.run(partial(_native, pixels, stored, image))
            yield Part(key=part.key, size_bytes=len(body), chunks=_one(body))

    async def picture(
        self,
        study: str,
        series: str | None,
        instance: str | None,
        frame: int | None,
        options: RenderOptions,
        exchange: Exchange,
        *,
        small: bool,
    ) -> bytes:
        """One frame for the eye; of a study or series, the middle image of the first series that has any.

        Raises:
            UnknownDocument: No such image.
            Unsupported: No decoder is here for how it is stored.
        """
        record = await self._record(study, exchange)
        found_series, found = _find(record, series, instance)
        number = frame if frame is not None else (found.frames + 1) // 2
        if not 1 <= number <= found.frames:
            raise UnknownDocument("no such frame", location=f"/frames/{number}")
        wanted = _wanted(study, found_series, found)
        metadata = await self._metadata(wanted)
        pixels = b""
        async for part in await self._archive.frames(wanted, [number]):
            pixels = await _read(part)
        stored = str(found.transfer_syntax_uid or EXPLICIT_LE)
        image = image_attributes(metadata, number)
        exchange.learned.text = "A picture handed out"
        return await self._compute.run(partial(_picture, pixels, stored, image, None if small else options))

    async def _record(self, study: str, exchange: Exchange) -> StudyRecord:
        async with self._store.view() as work:
            record = await work.studies.get(study)
        if record is None or (record.status not in VISIBLE and not exchange.caller.person):
            raise UnknownDocument("no such study", location=f"/studies/{study}")
        exchange.learned.patients = (record.study.patient.identifiers[0],)
        exchange.learned.studies = (study_fact([record.study], record.study.patient),)
        return record

    async def _metadata(self, wanted: Wanted) -> bytes:
        async with self._store.view() as work:
            async for found in work.studies.metadata(
                wanted.study_instance_uid, wanted.series_instance_uid, wanted.instance.sop_instance_uid
            ):
                return found
        raise UnknownDocument("no such instance")


_NATIVE = frozenset({EXPLICIT_LE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"})


def _wanted(study: str, series: Series, instance: Instance) -> Wanted:
    return Wanted(study_instance_uid=study, series_instance_uid=series.series_instance_uid, instance=instance)


def _find(record: StudyRecord, series: str | None, instance: str | None) -> tuple[Series, Instance]:
    for each in record.study.series:
        if series not in (None, each.series_instance_uid) or not each.instances:
            continue
        if instance is None:
            images = [one for one in each.instances if one.rows] or list(each.instances)
            return each, images[len(images) // 2]
        for one in each.instances:
            if one.sop_instance_uid == instance:
                return each, one
    raise UnknownDocument("no such series or instance in this study")


async def _read(part: Part) -> bytes:
    body = bytearray()
    async for chunk in part.chunks:
        body += chunk
        if len(body) > MAX_FRAME_BYTES:
            raise OutOfResources("the frame is larger than can be rendered here")
    return bytes(body)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


# Numpy and pillow are a tenth of a start: they are loaded where the first picture is made, in its thread.


def _native(pixels: bytes, stored: str, image: ImageAttributes) -> bytes:
    from profiles.wire.dicom.render import native_frame

    return native_frame(pixels, stored, image)


def _picture(pixels: bytes, stored: str, image: ImageAttributes, options: RenderOptions | None) -> bytes:
    from profiles.wire.dicom.render import render_frame, thumbnail

    if options is None:
        return thumbnail(pixels, stored, image)
    return render_frame(pixels, stored, image, options)
