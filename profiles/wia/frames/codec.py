"""The retrieve as HTTP writes it: one part per frame, or the one frame bare.

Source: DICOM PS3.18 10.4.1.1.6, 8.7.3.3.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from profiles.findings import Decoded
from profiles.model.content import Part, Pour, Poured, flat
from profiles.wia.frames.messages import RetrieveFramesHead, RetrieveFramesRequest
from profiles.wire.dicom.web import BOUNDARY, FrameForm, accept_frames, frame_numbers_of, uid_of
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.multipart import multipart_length


def decode_request(request: HttpIn) -> Decoded[RetrieveFramesRequest]:
    """Read the path and what the client accepts."""
    frames = frame_numbers_of(request)
    return Decoded(
        RetrieveFramesRequest(
            study_instance_uid=uid_of(request, "study"),
            series_instance_uid=uid_of(request, "series"),
            sop_instance_uid=uid_of(request, "instance"),
            frames=frames,
            accept=accept_frames(request, one=len(frames) == 1),
        )
    )


def encode_response(response: Poured[RetrieveFramesHead], request: HttpIn) -> HttpOut:
    """Frames as they come, each with the address that it has on its own."""
    head = response.head
    base = f"{request.base}{request.path.rpartition('/')[0]}"
    media_type = _media_type(head.form)
    if head.form.single:
        return HttpOut(
            media_type=media_type,
            headers=(("Content-Location", f"{base}/{head.frames[0]}"),),
            stream=flat(response.pour),
            size_bytes=head.sizes[0] if head.sizes else None,
        )
    return HttpOut(
        parts=_described(response.pour, media_type, base, head),
        part_type=head.form.media_type,
        size_bytes=_size(head, media_type, base),
    )


def _media_type(form: FrameForm) -> str:
    return f"{form.media_type}; transfer-syntax={form.transfer_syntax_uid}"


async def _described(pour: Pour, media_type: str, base: str, head: RetrieveFramesHead) -> AsyncIterator[Part]:
    position = 0
    async for part in pour:
        yield replace(
            part,
            media_type=media_type,
            headers=(("Content-Location", f"{base}/{part.key}"),),
            size_bytes=head.sizes[position] if head.sizes else part.size_bytes,
        )
        position += 1


def _size(head: RetrieveFramesHead, media_type: str, base: str) -> int | None:
    if head.sizes is None:
        return None
    heads = ((("Content-Type", media_type), ("Content-Location", f"{base}/{number}")) for number in head.frames)
    return multipart_length(BOUNDARY, zip(heads, head.sizes, strict=True))
