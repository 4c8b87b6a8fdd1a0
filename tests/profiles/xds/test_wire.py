"""Transactions through real envelopes and MTOM framing, ours and that of others: nothing is lost between the codecs."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from profiles.errors import Busy
from profiles.model.content import Content, Poured
from profiles.transaction import SoapTransaction
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.soap.mtom import SoapLimits, pack, read_message
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti43 import ITI_43
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69
from tests.profiles.xds.messages import PARTIAL, REQUESTS, RETRIEVED
from tests.support.ebxml import pour_of, poured
from tests.support.judges import standards


class Memory:
    """A document put aside."""

    def __init__(self) -> None:
        self.body = bytearray()

    def write(self, chunk: bytes) -> None:
        self.body += chunk

    def finish(self, media_type: str) -> Content:
        return Content.of(bytes(self.body), media_type)


async def carried(
    transaction: SoapTransaction[Any, Any], out: SoapOut, action: str, *, chunk_bytes: int, as_pour: bool
) -> tuple[SoapIn, int | None, int]:
    """A message, sent and received: what came, the length that was said, and the length that it had."""
    envelope = encode_envelope(out.body, action=action, message_id="urn:uuid:1")
    packed = pack(transaction.packaging, envelope, out, unique="abc123", action=action)
    body = b"".join([chunk async for chunk in packed.chunks])
    return await received(body, packed.content_type, chunk_bytes, as_pour), packed.size_bytes, len(body)


async def received(body: bytes, content_type: str, chunk_bytes: int, as_pour: bool) -> SoapIn:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    message = await read_message(chunks(), content_type, limits=SoapLimits(), new_sink=Memory, as_pour=as_pour)
    return message.to_codec()


@pytest.mark.parametrize("chunk_bytes", [37, 1 << 20])
@pytest.mark.parametrize("name", sorted(REQUESTS))
async def test_a_request_arrives_as_it_was_sent(name: str, chunk_bytes: int) -> None:
    transaction, request = REQUESTS[name]
    out = transaction.encode_request(request)
    message, said, length = await carried(
        transaction, out, transaction.request_action, chunk_bytes=chunk_bytes, as_pour=False
    )
    decoded = transaction.decode_request(message)
    assert message.action == transaction.request_action
    assert decoded.findings == ()
    if not transaction.brings_documents:
        assert decoded.value == request
    else:
        assert replace(decoded.value, documents=request.documents) == request
        assert await decoded.value.documents["Document01"].read(99) == b"DICM of a kind..."
        assert said == length


@pytest.mark.parametrize("chunk_bytes", [37, 1 << 20])
@pytest.mark.parametrize("transaction", [ITI_43, RAD_69], ids=str)
async def test_documents_arrive_as_they_were_poured(transaction: SoapTransaction[Any, Any], chunk_bytes: int) -> None:
    head = RETRIEVED if transaction is ITI_43 else PARTIAL
    bodies = [(each.document_unique_id, each.document_unique_id.encode() * 99) for each in head.documents]
    out = transaction.encode_response(Poured(head=head, pour=pour_of(*bodies)))
    message, _, _ = await carried(transaction, out, transaction.response_action, chunk_bytes=chunk_bytes, as_pour=True)
    decoded = transaction.decode_response(message)
    assert decoded.value.head == head
    assert await poured(decoded.value.pour) == bodies


async def test_the_length_of_an_answer_is_said_where_every_size_is_known_and_true() -> None:
    bodies = [(each.document_unique_id, each.document_unique_id.encode() * 99) for each in RETRIEVED.documents]
    documents = tuple(
        replace(document, size_bytes=len(body)) for document, (_, body) in zip(RETRIEVED.documents, bodies, strict=True)
    )
    out = ITI_43.encode_response(Poured(head=replace(RETRIEVED, documents=documents), pour=pour_of(*bodies)))
    message, said, length = await carried(ITI_43, out, ITI_43.response_action, chunk_bytes=99, as_pour=True)
    assert said == length
    assert await poured(ITI_43.decode_response(message).value.pour) == bodies


@pytest.mark.parametrize("transaction", [ITI_41, RAD_68, ITI_43, RAD_69], ids=str)
async def test_an_answer_without_documents_is_packed_as_mtom_too(transaction: SoapTransaction[Any, Any]) -> None:
    out = transaction.encode_response(transaction.refuse(Busy("later")))
    message, _, _ = await carried(transaction, out, transaction.response_action, chunk_bytes=99, as_pour=True)
    answer = transaction.decode_response(message).value
    head = getattr(answer, "head", answer)
    assert [error.code for error in head.errors] == ["XDSRepositoryBusy"]
    if isinstance(answer, Poured):
        assert await poured(answer.pour) == []


@pytest.mark.judge_standard
@pytest.mark.parametrize("folder", ["mtom-xop", "mtom-inline-base64"])
async def test_a_submission_of_others_arrives(folder: str) -> None:
    content_type = standards("samples", "xds", "iti-41", "mtom-xop", "content-type.txt").read_text().strip()
    body = standards("samples", "xds", "iti-41", folder, "body.txt").read_bytes().replace(b"\n", b"\r\n")
    decoded = ITI_41.decode_request(await received(body, content_type, 99, as_pour=False))
    assert decoded.findings == ()
    assert list(decoded.value.documents) == ["Document01"]
    assert len(await decoded.value.documents["Document01"].read(9_999)) > 20


@pytest.mark.judge_standard
async def test_a_retrieval_of_others_arrives() -> None:
    text = standards("samples", "xds", "rad-69", "dcm4chee-rad69-http-request.txt").read_text()
    content_type = re.search(r"Content-Type: (multipart/related;[^']*)'", text)
    data = re.search(r"--data-binary '(.*?)'\s*$", text, re.DOTALL)
    assert content_type
    assert data
    body = data[1].replace("\r\n", "\n").replace("\n", "\r\n").encode()
    message = await received(body, content_type[1], 99, as_pour=False)
    request = RAD_69.decode_request(message).value
    assert message.action == RAD_69.request_action
    assert [each.document.repository_unique_id for each in request.instances()] == ["1.3.6.1.4.1.21367.13.80.110"]
