"""The retrieve as HTTP writes it: multipart/related of Part 10 files, each with its transfer syntax and location.

Source: DICOM PS3.18 10.4.1, 10.4.3.
"""

from collections.abc import AsyncIterator

from profiles.errors import UnknownDocument
from profiles.findings import Decoded
from profiles.model.content import DICOM, Part, Pour, Poured, flat
from profiles.wia.rad107.messages import RetrievableInstance, RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wire.dicom.web import BOUNDARY, accept_instances, instance_path, optional_uid_of, uid_of
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.multipart import multipart_length

PARTIAL_CONTENT = 206


def decode_request(request: HttpIn) -> Decoded[RetrieveInstancesRequest]:
    """Read the path and what the client accepts."""
    instance = optional_uid_of(request, "instance")
    accept = accept_instances(request, one=instance is not None)
    return Decoded(
        RetrieveInstancesRequest(
            study_instance_uid=uid_of(request, "study"),
            series_instance_uid=optional_uid_of(request, "series"),
            sop_instance_uid=instance,
            transfer_syntax_uids=accept.transfer_syntaxes,
            single=accept.single,
        )
    )


def encode_response(response: Poured[RetrieveInstancesHead], request: HttpIn) -> HttpOut:
    """200 when all of it comes, 206 when some of it does; a Content-Length when every size is known."""
    head = response.head
    if not head.instances:
        raise head.missing[0][1] if head.missing else UnknownDocument("no such instance", location=request.path)
    known = {each.sop_instance_uid: each for each in head.instances}
    status = PARTIAL_CONTENT if head.missing else 200
    if "instance" in request.variables and accept_instances(request, one=True).single:
        (only,) = head.instances
        return HttpOut(
            status=status,
            headers=(("Content-Location", _location(request, only)),),
            media_type=_media_type(only),
            stream=flat(response.pour),
            size_bytes=only.size_bytes,
        )
    return HttpOut(
        status=status,
        parts=_described(response.pour, known, request),
        part_type=DICOM,
        size_bytes=_size(head, request),
    )


def _media_type(instance: RetrievableInstance) -> str:
    return f"{DICOM}; transfer-syntax={instance.transfer_syntax_uid}"


def _location(request: HttpIn, instance: RetrievableInstance) -> str:
    path = instance_path(instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    return request.base + path


async def _described(pour: Pour, known: dict[str, RetrievableInstance], request: HttpIn) -> AsyncIterator[Part]:
    async for part in pour:
        instance = known[part.key]
        yield Part(
            key=part.key,
            media_type=_media_type(instance),
            size_bytes=instance.size_bytes,
            chunks=part.chunks,
            headers=(("Content-Location", _location(request, instance)),),
        )


def _size(head: RetrieveInstancesHead, request: HttpIn) -> int | None:
    """The length of the whole body, from heads that are written as `_described` makes them."""
    sizes = [each.size_bytes for each in head.instances]
    if any(size is None for size in sizes):
        return None
    return multipart_length(
        BOUNDARY,
        (
            (
                (("Content-Type", _media_type(each)), ("Content-Location", _location(request, each))),
                each.size_bytes or 0,
            )
            for each in head.instances
        ),
    )
