"""ITI-41 as a document source submits a document: whose it is, what it is, and the bytes themselves.

Source: ITI TF-2 3.41.4.1; ITI TF-3 4.2.2, 4.2.3.
"""

import hashlib
import uuid
from dataclasses import dataclass

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.submissions import Document
from conformance.suites.asking import NOT_WHOLE, Errand, Facts, asking_cases, cx, refusal, text_file
from conformance.target import Target
from profiles.model.document import AssociationType, DocumentEntry
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest

SOURCE = Actor.DOCUMENT_SOURCE
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What was submitted: one document, as it was given and as it came."""

    given: bytes
    request: ProvideAndRegisterRequest
    entry: DocumentEntry
    body: bytes


async def _text(target: Target) -> tuple[bytes, Facts]:
    text = f"A letter about nobody, {uuid.uuid4()}.\n"
    return text.encode(), {"file": str(text_file(target, text)), "patient": cx(target.patient())}


async def _better(target: Target) -> tuple[Document, Facts]:
    former = target.community.hold(target.patient())
    file = text_file(target, f"A better letter about nobody, {uuid.uuid4()}.\n", "better.txt")
    return former, {"file": str(file), "document": former.entry.unique_id, "patient": cx(target.patient())}


SUBMIT = Errand("submit", ITI_41, _text)
REPLACE = Errand("replace", ITI_41, _better)

CASES = asking_cases(
    __name__, SOURCE, SUBMIT, rules="ITI41/source-rules", told="ITI41/source-told",
    refusals={
        "a failure": RegistryResponse(status=ResponseStatus.FAILURE, errors=refusal("XDSRepositoryError")),
        "a partial success": RegistryResponse(status=NOT_WHOLE, errors=refusal("XDSRepositoryError")),
    },
)  # fmt: skip


@case("ITI41/source-document", transaction="ITI-41", actor=SOURCE, title="The document comes whole, beside its entry")
async def document(target: Target) -> None:
    """One entry and its bytes, attached."""
    submitted = await _submitted(target)
    expect(submitted.body, "the document").equals(submitted.given)


@case(
    "ITI41/source-hash",
    transaction="ITI-41",
    actor=SOURCE,
    title="Hash and size, where they are given, are those of the document",
)
async def hash_and_size(target: Target) -> None:
    """SHA-1 and length."""
    submitted = await _submitted(target)
    if submitted.entry.hash:
        expect(submitted.entry.hash, "hash").equals(hashlib.sha1(submitted.given, usedforsecurity=False).hexdigest())
    if submitted.entry.size_bytes is not None:
        expect(submitted.entry.size_bytes, "size").equals(len(submitted.given))


@case(
    "ITI41/source-patient",
    transaction="ITI-41",
    actor=SOURCE,
    title="Entry and set are of the patient, as the domain knows them",
)
async def patient(target: Target) -> None:
    """And the source's own id stands beside it."""
    submitted = await _submitted(target)
    expect(submitted.entry.patient_id, "patientId of the entry").equals(target.patient())
    expect(submitted.request.submission.submission_set.patient_id, "patientId of the set").equals(target.patient())
    expect(submitted.entry.source_patient_id, "sourcePatientId").is_there()


@case("ITI41/source-type", transaction="ITI-41", actor=SOURCE, title="The entry says what the document is")
async def media_type(target: Target) -> None:
    """Its media type, and a language."""
    entry = (await _submitted(target)).entry
    expect(entry.mime_type, "mimeType").equals("text/plain")
    expect(entry.language_code, "languageCode").is_there()


@case("ITI41/source-set", transaction="ITI-41", actor=SOURCE, title="The document is an original member of one set")
async def membership(target: Target) -> None:
    """Of a set with a uniqueId of its own and the OID of its source."""
    submitted = await _submitted(target)
    whole = submitted.request.submission.submission_set
    members = [
        (each.source, each.target, each.original)
        for each in submitted.request.submission.associations
        if each.type is AssociationType.HAS_MEMBER
    ]
    expect(members, "HasMember").equals([(whole.entry_uuid, submitted.entry.entry_uuid, True)])
    expect(whole.unique_id, "uniqueId of the set").differs_from(submitted.entry.unique_id)
    expect(_is_oid(whole.source_id), "whether sourceId is an OID").equals(True)


@case(
    "ITI41/source-new", transaction="ITI-41", actor=SOURCE, title="Nothing in a submission pretends to be there already"
)
async def unassigned(target: Target) -> None:
    """Neither home nor version, and a uniqueId that is an OID."""
    entry = (await _submitted(target)).entry
    expect((entry.logical_id, entry.version), "logicalID and version").is_one_of(("", 1), (entry.entry_uuid, 1))
    expect(_is_oid(entry.unique_id), "whether uniqueId is an OID").equals(True)


@case(
    "ITI41/source-replace",
    transaction="ITI-41",
    actor=SOURCE,
    title="A replacement names the entry that it takes the place of, and is of the same patient",
)
async def replacement(target: Target) -> None:
    """RPLC from the new entry to the entryUUID of the former one, under a uniqueId of its own."""
    former, asked = await REPLACE.asked(target)
    entry = _only_entry(asked)
    arrows = [
        (each.type, each.source, each.target)
        for each in asked.request.submission.associations
        if each.type is not AssociationType.HAS_MEMBER
    ]
    expect(arrows, "the relation").equals([(AssociationType.REPLACE, entry.entry_uuid, former.entry.entry_uuid)])
    expect(entry.patient_id, "patientId").equals(former.entry.patient_id)
    expect(entry.unique_id, "uniqueId").differs_from(former.entry.unique_id)


async def _submitted(target: Target) -> Submitted:
    given, asked = await SUBMIT.asked(target)
    request: ProvideAndRegisterRequest = asked.request
    entry = _only_entry(asked)
    expect(list(request.documents), "the documents").equals([entry.entry_uuid])
    body = await request.documents[entry.entry_uuid].read(MAX_BYTES)
    return Submitted(given=given, request=request, entry=entry, body=body)


def _only_entry(asked: Asked) -> DocumentEntry:
    entries = asked.request.submission.entries
    expect(len(entries), "the number of entries").equals(1)
    entry: DocumentEntry = entries[0]
    return entry


def _is_oid(text: str) -> bool:
    try:
        Oid(text)
    except ValueError:
        return False
    return True
