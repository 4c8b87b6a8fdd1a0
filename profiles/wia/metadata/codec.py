"""The retrieve as HTTP writes it: one JSON array, or XML parts.

Source: DICOM PS3.18 10.4.1.1.2, 8.7.3.2; Annex F.2.
"""

from collections.abc import AsyncIterator, Iterator

from profiles.errors import UnknownDocument
from profiles.findings import Decoded
from profiles.wia.metadata.messages import RetrieveMetadataRequest, RetrieveMetadataResponse
from profiles.wire.dicom.web import DICOM_JSON, accept_metadata, optional_uid_of, uid_of
from profiles.wire.dicom.xmlmodel import DICOM_XML, native_xml_parts
from profiles.wire.http import HttpIn, HttpOut

PIECE_BYTES = 64 * 1024


def decode_request(request: HttpIn) -> Decoded[RetrieveMetadataRequest]:
    """Read the path and what the client accepts."""
    return Decoded(
        RetrieveMetadataRequest(
            study_instance_uid=uid_of(request, "study"),
            series_instance_uid=optional_uid_of(request, "series"),
            sop_instance_uid=optional_uid_of(request, "instance"),
            xml=accept_metadata(request) == DICOM_XML,
        )
    )


def encode_response(response: RetrieveMetadataResponse, request: HttpIn) -> HttpOut:
    """Join what was rendered on arrival."""
    if not response.objects:
        raise UnknownDocument("no such instance", location=request.path)
    if accept_metadata(request) == DICOM_XML:
        return HttpOut(parts=native_xml_parts(response.objects), part_type=DICOM_XML)
    size = sum(map(len, response.objects)) + len(response.objects) + 1
    return HttpOut(media_type=DICOM_JSON, stream=_stream(response.objects), size_bytes=size)


async def _stream(objects: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for piece in _pieces(objects):
        yield piece


def _pieces(objects: tuple[bytes, ...]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    separator = b"["
    for each in objects:
        gathered += (separator, each)
        separator = b","
        size += len(each)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    gathered.append(b"]")
    yield b"".join(gathered)
