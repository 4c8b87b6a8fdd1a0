"""Frames: bare or in parts, each with its own address."""

from collections.abc import AsyncIterator

import pytest

from profiles.errors import MalformedMessage
from profiles.model.content import Part, Pour, Poured
from profiles.transaction import Side
from profiles.wia.frames import RETRIEVE_FRAMES, FrameForm, RetrieveFramesHead
from profiles.wire.dicom.syntaxes import EXPLICIT_LE
from profiles.wire.http import HttpIn
from profiles.wire.multipart import poured
from tests.profiles.wia.facts import facts

PATH = "/studies/1.2.1/series/1.2.2/instances/1.2.3/frames/"
OCTETS = "application/octet-stream"


def request(frames: str, accept: str | None = None) -> HttpIn:
    variables = {"study": "1.2.1", "series": "1.2.2", "instance": "1.2.3", "frames": frames}
    headers = {} if accept is None else {"accept": accept}
    return HttpIn(variables=variables, headers=headers, base="https://h/dicomweb", path=PATH + frames)


async def pour(*numbers: int) -> Pour:
    async def chunks(number: int) -> AsyncIterator[bytes]:
        yield bytes([number]) * 4

    for number in numbers:
        yield Part(key=str(number), chunks=chunks(number))


def test_the_list_is_read_in_its_order() -> None:
    assert RETRIEVE_FRAMES.decode_request(request("3,1,2")).value.frames == (3, 1, 2)


@pytest.mark.parametrize("bad", ["", "0", "-1", "1,,2", "one", "1.5"])
def test_a_list_that_is_none_is_a_bad_request(bad: str) -> None:
    with pytest.raises(MalformedMessage):
        RETRIEVE_FRAMES.decode_request(request(bad))


async def test_frames_are_written_with_their_addresses_and_length() -> None:
    form = FrameForm(media_type=OCTETS, transfer_syntax_uid=EXPLICIT_LE)
    head = RetrieveFramesHead(form=form, frames=(2, 1), sizes=(4, 4))
    out = RETRIEVE_FRAMES.encode_response(Poured(head=head, pour=pour(2, 1)), request("2,1"))
    assert out.parts is not None
    body = b"".join([chunk async for chunk in poured(out.parts, "b" * 32)])
    assert len(body) == out.size_bytes
    assert out.part_type == OCTETS
    first, second = body.split(b"\r\n--" + b"b" * 32)[:2]
    assert b"Content-Location: https://h/dicomweb" + PATH.encode() + b"2\r\n" in first
    assert first.endswith(b"\2\2\2\2")
    assert second.endswith(b"\1\1\1\1")
    assert b"transfer-syntax=1.2.840.10008.1.2.1" in first


async def test_one_frame_may_be_a_bare_body() -> None:
    form = FrameForm(media_type="image/jp2", transfer_syntax_uid="1.2.840.10008.1.2.4.90", single=True)
    head = RetrieveFramesHead(form=form, frames=(7,))
    out = RETRIEVE_FRAMES.encode_response(Poured(head=head, pour=pour(7)), request("7", "image/jp2"))
    assert out.stream is not None
    assert b"".join([chunk async for chunk in out.stream]) == b"\7\7\7\7"
    assert out.media_type == "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90"


def test_frames_handed_out_are_an_access() -> None:
    value = RETRIEVE_FRAMES.decode_request(request("1")).value
    (record,) = RETRIEVE_FRAMES.audit(Side.RESPONDER, value, None, facts(delivered=("1",)))
    assert (record.event.code, record.outcome) == ("110103", 0)
