"""Metadata: one array, joined and never parsed; or XML parts."""

import json

import pytest

from profiles.errors import UnknownDocument
from profiles.transaction import Side
from profiles.wia.metadata import RETRIEVE_METADATA, RetrieveMetadataResponse
from profiles.wire.http import HttpIn
from tests.profiles.wia.facts import facts

XML = {"accept": 'multipart/related; type="application/dicom+xml"'}


@pytest.mark.parametrize("count", [1, 2, 500])
async def test_objects_are_joined_to_an_array_of_known_length(count: int) -> None:
    objects = tuple(b'{"00080018":{"vr":"UI","Value":["1.2.%d"]}}' % number for number in range(count))
    out = RETRIEVE_METADATA.encode_response(RetrieveMetadataResponse(objects=objects), HttpIn())
    assert out.stream is not None
    body = b"".join([chunk async for chunk in out.stream])
    assert len(body) == out.size_bytes
    assert [each["00080018"]["Value"][0] for each in json.loads(body)] == [f"1.2.{number}" for number in range(count)]


async def test_xml_comes_in_parts() -> None:
    asked = HttpIn(headers=XML, variables={"study": "1.2"})
    assert RETRIEVE_METADATA.decode_request(asked).value.xml
    out = RETRIEVE_METADATA.encode_response(RetrieveMetadataResponse(objects=(b"{}", b"{}")), asked)
    assert out.parts is not None
    assert [part.media_type async for part in out.parts] == ["application/dicom+xml"] * 2


def test_no_instance_is_not_found() -> None:
    with pytest.raises(UnknownDocument):
        RETRIEVE_METADATA.encode_response(RetrieveMetadataResponse(objects=()), HttpIn())


def test_a_look_at_metadata_is_an_access() -> None:
    request = RETRIEVE_METADATA.decode_request(HttpIn(variables={"study": "1.2.3.100"})).value
    response = RetrieveMetadataResponse(objects=(b"{}",))
    (record,) = RETRIEVE_METADATA.audit(Side.RESPONDER, request, response, facts())
    assert (record.event.code, record.action, record.outcome) == ("110103", "R", 0)
    assert [each.id for each in record.objects] == ["V-1^^^&1.2.3.4&ISO", "1.2.3.100"]
    (record,) = RETRIEVE_METADATA.audit(
        Side.RESPONDER, request, None, facts(studies=(), patients=(), error=UnknownDocument("no such study"))
    )
    assert (record.outcome, record.outcome_description) == (4, "no such study")
