"""ITI-62 on the wire: `lcm:RemoveObjectsRequest` there, `rs:RegistryResponse` back.

Source: ITI TF-2 3.62.4; OASIS ebRS 3.0 5.8.
"""

from collections.abc import Iterator

from profiles.errors import MalformedMessage, Unsupported
from profiles.findings import Decoded
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.provide import (
    refuse_registration as refuse,
)
from profiles.wire.ebxml.rim import LCM, RIM, uuid_urn
from profiles.wire.ebxml.submission import MAX_OBJECTS, object_ref
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti62.messages import RemoveMetadataRequest

_REQUEST = f"{{{LCM}}}RemoveObjectsRequest"
_LIST = f"{{{RIM}}}ObjectRefList"
_REF = f"{{{RIM}}}ObjectRef"
_QUERY = f"{{{RIM}}}AdhocQuery"


def encode_request(request: RemoveMetadataRequest) -> SoapOut:
    """Write the request."""
    return SoapOut(body=pieces(_request(request)))


def _request(request: RemoveMetadataRequest) -> Iterator[str]:
    yield f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:ObjectRefList>'
    for entry_uuid in request.entry_uuids:
        yield object_ref(entry_uuid)
    yield "</rim:ObjectRefList></lcm:RemoveObjectsRequest>"


def decode_request(message: SoapIn) -> Decoded[RemoveMetadataRequest]:
    """Read the request: 0..n ids, in document order.

    Raises:
        MalformedMessage: It is another element, names something without its id, or more than we would look at.
        Unsupported: It says by a query what is meant.
    """
    if message.body.tag != _REQUEST:
        raise MalformedMessage("no lcm:RemoveObjectsRequest", location="Body")
    if next(message.body.iterchildren(_QUERY), None) is not None:
        raise Unsupported("what is removed is named one by one, not by a query", location="AdhocQuery")
    named = tuple(
        uuid_urn(reference.get("id"))
        for references in message.body.iterchildren(_LIST)
        for reference in references.iterchildren(_REF)
    )
    if not all(named):
        raise MalformedMessage("a rim:ObjectRef has no id", location="ObjectRef")
    if len(named) > MAX_OBJECTS:
        raise MalformedMessage(f"more than {MAX_OBJECTS} objects", location="ObjectRefList")
    return Decoded(RemoveMetadataRequest(entry_uuids=named))


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
