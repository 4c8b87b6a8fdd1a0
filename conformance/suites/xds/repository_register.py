"""ITI-42 as a document repository asks it: what it keeps is registered at the registry of its domain.

Source: ITI TF-2 3.41.4.1.3, 3.42.4.1.
"""

import hashlib
import uuid

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import Errand, Facts, asking_cases, cx, text_file
from conformance.suites.xds.changing import only_entry, refusals
from conformance.target import Target
from profiles.model.document import AssociationType, DocumentEntry, EntryType
from profiles.transaction import Actor
from profiles.xds.iti42 import ITI_42

REPOSITORY = Actor.DOCUMENT_REPOSITORY


async def _text(target: Target) -> tuple[bytes, Facts]:
    text = f"A letter about nobody, {uuid.uuid4()}.\n"
    return text.encode(), {"file": str(text_file(target, text)), "patient": cx(target.patient())}


REGISTER = Errand("register", ITI_42, _text)

CASES = asking_cases(
    __name__, REPOSITORY, REGISTER, rules="ITI42/asks-rules", told="ITI42/asks-told",
    refusals=refusals("XDSRegistryError"),
)  # fmt: skip


@case(
    "ITI42/asks-place",
    transaction="ITI-42",
    actor=REPOSITORY,
    title="The entry says where the document is: at this repository",
)
async def place(target: Target) -> None:
    """RepositoryUniqueId is the repository's own."""
    _, entry = await _registered(target)
    expect(str(entry.repository_unique_id), "repositoryUniqueId").equals(target.known("repository_unique_id"))


@case(
    "ITI42/asks-bytes",
    transaction="ITI-42",
    actor=REPOSITORY,
    title="The entry has the hash and the size of the document",
)
async def hash_and_size(target: Target) -> None:
    """Both, whatever its source said."""
    given, entry = await _registered(target)
    expect(entry.hash, "hash").equals(hashlib.sha1(given, usedforsecurity=False).hexdigest())
    expect(entry.size_bytes, "size").equals(len(given))


@case("ITI42/asks-entry", transaction="ITI-42", actor=REPOSITORY, title="Everything else is as it was submitted")
async def as_submitted(target: Target) -> None:
    """Patient and media type, of a document that is there."""
    _, entry = await _registered(target)
    expect(entry.patient_id, "patientId").equals(target.patient())
    expect(entry.mime_type, "mimeType").equals("text/plain")
    expect(entry.entry_type, "objectType").equals(EntryType.STABLE)


@case(
    "ITI42/asks-set",
    transaction="ITI-42",
    actor=REPOSITORY,
    title="The submission set comes with it, and with its members",
)
async def membership(target: Target) -> None:
    """HasMember with SubmissionSetStatus Original, of the patient's set."""
    _, asked = await REGISTER.asked(target)
    submission = asked.request.submission
    members = [
        (each.source, each.target, each.original)
        for each in submission.associations
        if each.type is AssociationType.HAS_MEMBER
    ]
    expect(members, "HasMember").equals([(submission.submission_set.entry_uuid, only_entry(asked).entry_uuid, True)])
    expect(submission.submission_set.patient_id, "patientId of the set").equals(target.patient())


async def _registered(target: Target) -> tuple[bytes, DocumentEntry]:
    given, asked = await REGISTER.asked(target)
    return given, only_entry(asked)
