"""Provide and Register: documents and entries find each other, through real MTOM too."""

from copy import deepcopy
from dataclasses import replace

import pytest

from profiles.errors import MalformedMessage, RuleViolation
from profiles.findings import Finding
from profiles.model.content import Content
from profiles.model.document import Submission
from profiles.wire.ebxml.provide import (
    ProvideAndRegisterRequest,
    decode_provide_request,
    encode_provide_request,
    every_document_has_an_entry,
    every_entry_has_a_document,
    is_imaging,
)
from tests.profiles.xds.messages import PROVIDE
from tests.support.ebxml import ENTRY, SUBMISSION, drained, poured, soap_in, written

TWO = ProvideAndRegisterRequest(
    submission=replace(SUBMISSION, entries=(ENTRY, replace(ENTRY, entry_uuid="Document02", mime_type="text/xml"))),
    documents={"Document01": Content.of(b"one"), "Document02": Content.of(b"two, longer")},
)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.code, finding.location) for finding in findings]


async def test_documents_travel_as_parts_and_come_back() -> None:
    out = encode_provide_request(TWO)
    assert out.sizes == (("1.document@radgate", "application/dicom", 3), ("2.document@radgate", "text/xml", 11))
    decoded = decode_provide_request(soap_in(written(out), await drained(out.parts)))
    assert decoded.findings == ()
    assert decoded.value.submission == TWO.submission
    assert {key: await content.read(99) for key, content in decoded.value.documents.items()} == {
        "Document01": b"one",
        "Document02": b"two, longer",
    }


async def test_a_document_may_be_sent_again() -> None:
    first, second = encode_provide_request(TWO), encode_provide_request(TWO)
    assert await poured(first.parts) == await poured(second.parts)
    assert b"".join(first.body) == b"".join(second.body)


def test_sizes_are_not_told_where_one_is_unknown() -> None:
    unknown = replace(TWO.documents["Document01"], size_bytes=None)
    assert encode_provide_request(replace(TWO, documents={**TWO.documents, "Document01": unknown})).sizes is None


async def test_a_document_may_be_inline() -> None:
    body = written(encode_provide_request(PROVIDE))
    document = body.find("{*}Document")
    assert document is not None
    document.remove(document[0])
    document.text = " RElD\n TQ== "
    decoded = decode_provide_request(soap_in(body))
    assert await decoded.value.documents["Document01"].read(99) == b"DICM"


def test_an_element_whose_part_is_missing_is_named() -> None:
    decoded = decode_provide_request(soap_in(written(encode_provide_request(PROVIDE))))
    assert codes(decoded.findings) == [("XDSMissingDocument", "Document01")]
    assert decoded.value.documents == {}


async def test_a_part_without_an_element_is_named() -> None:
    out = encode_provide_request(PROVIDE)
    attachments = await drained(out.parts)
    decoded = decode_provide_request(soap_in(written(out), {**attachments, "stray@x": Content.of(b"?")}))
    assert codes(decoded.findings) == [("XDSMissingDocumentMetadata", "stray@x")]


async def test_two_elements_do_not_share_a_part_or_an_id() -> None:
    out = encode_provide_request(TWO)
    attachments = await drained(out.parts)
    body = written(out)
    shared, twice = deepcopy(body), deepcopy(body)
    for include in shared.iter("{http://www.w3.org/2004/08/xop/include}Include"):
        include.set("href", "cid:1.document@radgate")
    assert [finding.rule for finding in decode_provide_request(soap_in(shared, attachments)).findings] == [
        "ebrim/part-once",
        "ebrim/part-named",
    ]
    for document in twice.findall("{*}Document"):
        document.set("id", "Document01")
    assert [finding.rule for finding in decode_provide_request(soap_in(twice, attachments)).findings] == [
        "ebrim/document-once"
    ]


@pytest.mark.parametrize(
    ("documents", "entries", "expected"),
    [
        (("Document01",), ("Document01",), []),
        ((), (), []),
        ((), ("Document01",), [("XDSMissingDocument", "Document01")]),
        (("Document09",), (), [("XDSMissingDocumentMetadata", "Document09")]),
        (
            ("Document02",),
            ("Document01",),
            [("XDSMissingDocument", "Document01"), ("XDSMissingDocumentMetadata", "Document02")],
        ),
    ],
)
def test_documents_and_entries_are_pairs(
    documents: tuple[str, ...], entries: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    request = ProvideAndRegisterRequest(
        submission=Submission(
            submission_set=SUBMISSION.submission_set,
            entries=tuple(replace(ENTRY, entry_uuid=entry_uuid) for entry_uuid in entries),
        ),
        documents={entry_uuid: Content.of(b"x") for entry_uuid in documents},
    )
    assert codes((*every_entry_has_a_document(request), *every_document_has_an_entry(request))) == expected


def test_imaging_is_told_by_the_format_code() -> None:
    assert is_imaging(PROVIDE)
    report = replace(ENTRY, format_code=replace(ENTRY.format_code, value="urn:ihe:rad:PDF"))
    letter = replace(ENTRY, format_code=replace(ENTRY.format_code, value="urn:ihe:iti:xds-sd:pdf:2008"))
    assert is_imaging(replace(PROVIDE, submission=replace(SUBMISSION, entries=(letter, report))))
    assert not is_imaging(replace(PROVIDE, submission=replace(SUBMISSION, entries=(letter,))))
    assert not is_imaging(replace(PROVIDE, submission=replace(SUBMISSION, entries=())))


@pytest.mark.parametrize("missing", ["{*}SubmitObjectsRequest", "{*}SubmitObjectsRequest/{*}RegistryObjectList"])
def test_a_request_without_metadata_is_malformed(missing: str) -> None:
    body = written(encode_provide_request(PROVIDE))
    element = body.find(missing)
    assert element is not None
    element.getparent().remove(element)  # type: ignore[union-attr]
    with pytest.raises(MalformedMessage):
        decode_provide_request(soap_in(body))


def test_what_was_wrong_with_the_documents_is_told_beside_unreadable_metadata() -> None:
    body = written(encode_provide_request(PROVIDE))
    for identifier in body.iter("{*}ExternalIdentifier"):
        identifier.set("value", "")
    with pytest.raises(RuleViolation) as caught:
        decode_provide_request(soap_in(body))
    assert "XDSMissingDocument" in {finding.code for finding in caught.value.findings}
