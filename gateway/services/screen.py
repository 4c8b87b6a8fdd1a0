"""Screen: look at each instance's header before the archive takes it, and turn away what does not belong."""

from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.ports.archive import OpenedPart, Stored, StoreOutcome
from profiles.errors import ExchangeError, MalformedMessage
from profiles.model.content import Pour
from profiles.wire.dicom.part10 import Part10Head, Part10Reader

Verdict = Callable[[str, Part10Head], Awaitable[ExchangeError | None]]
"""The part's key and its header; None: it belongs."""

STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E


def study_of(head: Part10Head) -> str:
    """Study Instance UID (0020,000D); "" where there is none."""
    return str(head.dataset.first(STUDY_INSTANCE_UID) or "")


def series_of(head: Part10Head) -> str:
    """Series Instance UID (0020,000E); "" where there is none."""
    return str(head.dataset.first(SERIES_INSTANCE_UID) or "")


def bare(error: ExchangeError) -> ExchangeError:
    """An error to be told later, without its frames: they would keep the bytes of a part until then."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class Screen:
    """One pour's doorkeeper. `turned_away` has an outcome for each part that did not pass."""

    def __init__(self, verdict: Verdict) -> None:
        """Ask `verdict` about every part whose header can be read; the others pass, the archive refuses them."""
        self._verdict = verdict
        self.turned_away: list[StoreOutcome] = []

    async def passing(self, pour: Pour) -> Pour:
        """The parts that belong, whole; the others are read to their end and dropped."""
        async for part in pour:
            reader, seen = Part10Reader(), list[bytes]()
            error: ExchangeError | None = None
            try:
                async for chunk in part.chunks:
                    seen.append(chunk)
                    reader.feed(chunk)
                    if reader.head is not None:
                        break
                if reader.head is None:
                    reader.finish()
                if reader.head is not None:
                    error = await self._verdict(part.key, reader.head)
            except MalformedMessage as raised:
                error = bare(raised)
            if error is None:
                yield OpenedPart(
                    key=part.key, media_type=part.media_type, size_bytes=part.size_bytes, headers=part.headers,
                    chunks=_rejoined(seen, part.chunks), reader=reader,
                )  # fmt: skip
                continue
            head = reader.head
            self.turned_away.append(
                StoreOutcome(
                    key=part.key,
                    stored=Stored.REFUSED,
                    error=error,
                    sop_class_uid=head.sop_class_uid if head is not None else "",
                    sop_instance_uid=head.sop_instance_uid if head is not None else "",
                )
            )
            async for _ in part.chunks:
                pass


async def _rejoined(seen: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in seen:
        yield chunk
    seen.clear()
    async for chunk in rest:
        yield chunk
