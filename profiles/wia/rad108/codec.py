"""The store as HTTP writes it: multipart in, a Store Instances Response Module out.

Source: DICOM PS3.18 10.5, Annex I.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice

from profiles.errors import ExchangeError, MalformedMessage, Unsupported
from profiles.findings import Decoded
from profiles.model.content import DICOM, Part, Pour
from profiles.wia.rad108.messages import InstanceOutcome, StoreInstancesRequest, StoreInstancesResponse
from profiles.wire.dicom.status import (
    BAD_REQUEST,
    COERCED,
    UNSUPPORTED_MEDIA_TYPE,
    failure_reason_of,
    headers_of,
    http_status_of,
)
from profiles.wire.dicom.web import (
    DICOM_JSON,
    Attributes,
    accept_metadata,
    attribute,
    instance_path,
    json_body,
    optional_uid_of,
    sequence,
)
from profiles.wire.dicom.xmlmodel import DICOM_XML, native_xml
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.media_type import parse_media_type

ACCEPTED, CONFLICT = 202, 409
PIECE_ITEMS = 200  # some 80 KiB, and two milliseconds to write


def decode_request(request: HttpIn) -> Decoded[StoreInstancesRequest]:
    """Read the path and what the parts are.

    Raises:
        Unsupported: Not DICOM in parts (415), or the answer would not be acceptable (406).
        MalformedMessage: No Content-Type (400).
    """
    text = request.headers.get("content-type", "")
    if not text:
        raise MalformedMessage("the request has no Content-Type", code=BAD_REQUEST, location="Content-Type")
    media_type = parse_media_type(text)
    of_parts = media_type.parameters.get("type", DICOM).lower()
    if media_type.name not in ("multipart/related", DICOM) or of_parts != DICOM or request.parts is None:
        raise Unsupported(
            f'instances are stored as multipart/related; type="{DICOM}"',
            code=UNSUPPORTED_MEDIA_TYPE,
            location="Content-Type",
        )
    accept_metadata(request)
    return Decoded(
        StoreInstancesRequest(study_instance_uid=optional_uid_of(request, "study"), pour=_numbered(request.parts))
    )


async def _numbered(pour: Pour) -> Pour:
    """Parts keyed by their position: a content id says nothing here, and need not be unique to be stored."""
    position = 0
    async for part in pour:
        yield Part(
            key=str(position),
            media_type=part.media_type,
            size_bytes=part.size_bytes,
            chunks=part.chunks,
            headers=part.headers,
        )
        position += 1


def encode_response(response: StoreInstancesResponse, request: HttpIn) -> HttpOut:
    """200 all kept, 202 some of it or with warnings, 409 (or the error that all share) nothing.

    JSON is written while it goes out: of a large study it is some megabytes, and much more as objects.
    """
    if not response.outcomes:
        raise MalformedMessage("the request has no part", code=BAD_REQUEST)
    kept = any(each.error is None for each in response.outcomes)
    status = 200
    headers: tuple[tuple[str, str], ...] = ()
    if any(each.error is not None or each.coerced for each in response.outcomes):
        status = ACCEPTED
    if not kept:
        status, headers = _refusal([each.error for each in response.outcomes if each.error is not None])
    module, sequences = _module(response, request.base)
    if accept_metadata(request) == DICOM_XML:
        for tag, items in sequences.items():
            if found := list(items):
                sequence(module, tag, found)
        return HttpOut(status=status, headers=headers, media_type=DICOM_XML, body=native_xml(module))
    return HttpOut(status=status, headers=headers, media_type=DICOM_JSON, stream=_in_pieces(module, sequences))


async def _in_pieces(module: Attributes, sequences: Mapping[str, Iterator[Attributes]]) -> AsyncIterator[bytes]:
    """The module as JSON, so many items at a time; all tags of sequences are behind the others, and ascend."""
    yield json_body(module)[:-1]
    for tag, items in sequences.items():
        before = f',"{tag}":{{"Value":['.encode()
        while some := list(islice(items, PIECE_ITEMS)):
            yield before + json_body(some)[1:-1]
            before = b","
        if before == b",":
            yield b'],"vr":"SQ"}'
    yield b"}"


def _refusal(failed: list[ExchangeError]) -> tuple[int, tuple[tuple[str, str], ...]]:
    """409, unless the reason is ours for all of them: then its own status, so that the sender comes back."""
    statuses = {http_status_of(error) for error in failed}
    if len(statuses) == 1 and min(statuses) >= 500:
        return statuses.pop(), headers_of(failed[0])
    return CONFLICT, ()


def _module(response: StoreInstancesResponse, base: str) -> tuple[Attributes, Mapping[str, Iterator[Attributes]]]:
    """The Store Instances Response Module in DICOM JSON: its attributes, and the items of its sequences."""
    module: Attributes = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    studies = {each.study_instance_uid for each in response.outcomes if each.error is None}
    attribute(module, "00081190", "UR", f"{base}/studies/{studies.pop()}" if len(studies) == 1 else "")
    refused = [(each, each.error) for each in response.outcomes if each.error is not None]
    return module, {
        "00081198": (_failed(each, error) for each, error in refused if each.sop_instance_uid),
        "00081199": (_kept(each, base) for each in response.outcomes if each.error is None),
        "0008119A": (
            {"00081197": {"vr": "US", "Value": [failure_reason_of(error)]}}
            for each, error in refused
            if not each.sop_instance_uid
        ),
    }


def _kept(outcome: InstanceOutcome, base: str) -> Attributes:
    item: Attributes = {}
    attribute(item, "00081150", "UI", outcome.sop_class_uid)
    attribute(item, "00081155", "UI", outcome.sop_instance_uid)
    path = instance_path(outcome.study_instance_uid, outcome.series_instance_uid, outcome.sop_instance_uid)
    attribute(item, "00081190", "UR", base + path)
    if outcome.coerced:
        attribute(item, "00081196", "US", COERCED)
    return item


def _failed(outcome: InstanceOutcome, error: ExchangeError) -> Attributes:
    item: Attributes = {}
    attribute(item, "00081150", "UI", outcome.sop_class_uid)
    attribute(item, "00081155", "UI", outcome.sop_instance_uid)
    attribute(item, "00081197", "US", failure_reason_of(error))
    attribute(item, "00000902", "LO", error.detail[:64])  # Error Comment: what the reason alone does not tell
    return item
