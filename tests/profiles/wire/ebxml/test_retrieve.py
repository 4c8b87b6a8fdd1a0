"""The response of retrievals: document unique ids above, content ids on the wire, and nothing too few or too many."""

from collections.abc import AsyncIterator

import pytest

from profiles.errors import InternalFault, MalformedMessage, PeerProtocolError
from profiles.model.content import Part, Poured
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.retrieve import (
    RetrievedDocument,
    RetrieveDocumentSetResponse,
    decode_retrieve_response,
    encode_retrieve_response,
    nothing,
)
from profiles.wire.soap.message import SoapOut
from tests.profiles.xds.messages import FAILURE
from tests.support.ebxml import pour_of, poured, soap_in, written


def documents(*uids: str, size_bytes: int | None = None) -> tuple[RetrievedDocument, ...]:
    return tuple(
        RetrievedDocument(
            repository_unique_id="1.2", document_unique_id=uid, mime_type="application/dicom", size_bytes=size_bytes
        )
        for uid in uids
    )


def encoded(uids: tuple[str, ...], *parts: tuple[str, bytes], size_bytes: int | None = None) -> SoapOut:
    head = RetrieveDocumentSetResponse(documents=documents(*uids, size_bytes=size_bytes))
    return encode_retrieve_response(Poured(head=head, pour=pour_of(*parts)))


async def test_documents_go_out_under_content_ids_in_any_order_and_come_back() -> None:
    out = encoded(("a", "b"), ("b", b"bb"), ("a", b"aa"))
    on_the_wire = await poured(out.parts)
    assert on_the_wire == [("2.document@radgate", b"bb"), ("1.document@radgate", b"aa")]
    decoded = decode_retrieve_response(soap_in(written(out), parts=pour_of(*on_the_wire)))
    assert [each.document_unique_id for each in decoded.value.head.documents] == ["a", "b"]
    assert await poured(decoded.value.pour) == [("b", b"bb"), ("a", b"aa")]


async def test_a_document_that_the_head_does_not_name_breaks_the_pour() -> None:
    with pytest.raises(InternalFault):
        await poured(encoded(("a",), ("a", b"aa"), ("x", b"xx")).parts)


async def test_a_document_that_is_not_poured_breaks_the_pour() -> None:
    with pytest.raises(InternalFault) as caught:
        await poured(encoded(("a", "b"), ("a", b"aa")).parts)
    assert caught.value.location == "b"


async def test_the_same_document_of_two_repositories_is_poured_twice() -> None:
    assert await poured(encoded(("a", "a"), ("a", b"1"), ("a", b"2")).parts) == [
        ("1.document@radgate", b"1"),
        ("2.document@radgate", b"2"),
    ]


def test_sizes_are_told_where_all_are_known() -> None:
    assert encoded(("a", "b"), size_bytes=5).sizes == (
        ("1.document@radgate", "application/dicom", 5),
        ("2.document@radgate", "application/dicom", 5),
    )
    assert encoded(("a", "b")).sizes is None


async def test_what_is_not_read_on_is_told_to_stop() -> None:
    stopped: list[str] = []

    async def source() -> AsyncIterator[Part]:
        try:
            async for part in pour_of(("a", b"a"), ("b", b"b")):
                yield part
        finally:
            stopped.append("source")

    head = RetrieveDocumentSetResponse(documents=documents("a", "b"))
    out = encode_retrieve_response(Poured(head=head, pour=source()))
    assert out.parts is not None
    async for _ in out.parts:
        break
    await out.parts.aclose()  # type: ignore[attr-defined]
    assert stopped == ["source"]
    body = written(encode_retrieve_response(Poured(head=head, pour=nothing())))
    reading = decode_retrieve_response(soap_in(body, parts=renamed(source()))).value.pour
    async for _ in reading:
        break
    await reading.aclose()  # type: ignore[attr-defined]
    assert stopped == ["source", "source"]


async def renamed(pour: AsyncIterator[Part]) -> AsyncIterator[Part]:
    try:
        async for part in pour:
            yield Part(key={"a": "1.document@radgate", "b": "2.document@radgate"}[part.key], chunks=part.chunks)
    finally:
        await pour.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([("1.document@radgate", b"a"), ("9@x", b"z")], "a part that no DocumentResponse names"),
        ([("9@x", b"z")], "a part that no DocumentResponse names"),
        ([("1.document@radgate", b"a")], "does not bring it"),
        ([], "does not bring it"),
    ],
)
async def test_an_answer_that_says_one_thing_and_brings_another_is_refused(
    parts: list[tuple[str, bytes]], complaint: str
) -> None:
    body = written(encoded(("a", "b")))
    decoded = decode_retrieve_response(soap_in(body, parts=pour_of(*parts)))
    with pytest.raises(PeerProtocolError, match=complaint):
        await poured(decoded.value.pour)


@pytest.mark.parametrize(("href", "key"), [("cid:a%20b%40c", "a b@c"), ("cid:a%20b", "a%20b"), ("CID:x@y", "x@y")])
async def test_content_ids_are_compared_decoded_and_as_written(href: str, key: str) -> None:
    body = written(encoded(("a",)))
    next(body.iter("{http://www.w3.org/2004/08/xop/include}Include")).set("href", href)
    decoded = decode_retrieve_response(soap_in(body, parts=pour_of((key, b"a"))))
    assert await poured(decoded.value.pour) == [("a", b"a")]


async def test_an_answer_without_documents_pours_nothing() -> None:
    head = RetrieveDocumentSetResponse(status=ResponseStatus.FAILURE, errors=FAILURE.errors)
    decoded = decode_retrieve_response(soap_in(written(encode_retrieve_response(Poured(head=head, pour=nothing())))))
    assert decoded.value.head == head
    assert await poured(decoded.value.pour) == []


@pytest.mark.parametrize("missing", ["RepositoryUniqueId", "DocumentUniqueId", "Document"])
def test_a_document_that_is_not_named_is_malformed(missing: str) -> None:
    body = written(encoded(("a",)))
    element = body.find(f".//{{*}}DocumentResponse/{{*}}{missing}")
    assert element is not None
    element.getparent().remove(element)  # type: ignore[union-attr]
    with pytest.raises(MalformedMessage):
        decode_retrieve_response(soap_in(body))


def test_two_documents_in_one_part_are_malformed() -> None:
    body = written(encoded(("a", "b")))
    for include in body.iter("{http://www.w3.org/2004/08/xop/include}Include"):
        include.set("href", "cid:same")
    with pytest.raises(MalformedMessage):
        decode_retrieve_response(soap_in(body))


def test_an_include_that_points_outside_is_malformed() -> None:
    body = written(encoded(("a",)))
    next(body.iter("{http://www.w3.org/2004/08/xop/include}Include")).set("href", "https://elsewhere.example/x")
    with pytest.raises(MalformedMessage):
        decode_retrieve_response(soap_in(body))


def test_a_missing_mime_type_is_reported() -> None:
    body = written(encoded(("a",)))
    element = body.find(".//{*}mimeType")
    assert element is not None
    element.text = " "
    decoded = decode_retrieve_response(soap_in(body))
    assert [finding.rule for finding in decoded.findings] == ["ebrim/mime-type"]
