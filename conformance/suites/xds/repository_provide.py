"""ITI-41 at a document repository with its registry: what is taken is there, what is refused leaves nothing behind.

Source: ITI TF-2 3.41, 3.42; ITI TF-3 4.2.
"""

import base64
import re
from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import altered, arrow, document, folder, new_uid, provided, submission
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import entries_of, entry_of, errors_in, failed, fetched, found, refused, submitted
from conformance.target import Target, Wrong
from profiles.model.content import Content
from profiles.model.document import AssociationType, AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import FolderCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti41 import ITI_41

REPOSITORY = Actor.DOCUMENT_REPOSITORY


async def one_document(target: Target) -> ProvideAndRegisterRequest:
    """A submission that is right."""
    return provided(target.patient(), document(target.patient()))


ENVELOPE = envelope_cases(__name__, ITI_41, REPOSITORY, one_document)


@case("ITI41/store", transaction="ITI-41", actor=REPOSITORY, title="A document that is taken can be found and fetched")
async def taken(target: Target) -> None:
    """By the registry and the repository that belong together."""
    one = document(target.patient())
    answer = await target.call(ITI_41, provided(target.patient(), one))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    expect((await entries_of(target, one.entry.unique_id)).keys(), "what is registered").contains(one.entry.unique_id)
    came = (await fetched(target, one.entry.unique_id)).received
    expect([each.sha1 for each in came], "the SHA-1 of what came").equals([one.entry.hash])


@case("ITI41/store", transaction="ITI-41", actor=REPOSITORY, title="Several documents of one submission are all taken")
async def several(target: Target) -> None:
    """Each under its own id."""
    three = await submitted(target, *(document(target.patient()) for _ in range(3)))
    came = (await fetched(target, *(each.entry.unique_id for each in three))).received
    expect([(each.key, each.sha1) for each in came], "what came").has_same(
        [(each.entry.unique_id, each.entry.hash) for each in three]
    )


@case("ITI41/attributes", transaction="ITI-41", actor=REPOSITORY, title="Hash, size and repository are filled in")
async def filled_in(target: Target) -> None:
    """The source may leave them out."""
    one = document(target.patient())
    bare = replace(one, entry=replace(one.entry, hash="", size_bytes=None))
    await submitted(target, bare)
    entry = await entry_of(target, one.entry.unique_id)
    expect(entry.hash, "hash").equals(one.entry.hash)
    expect(entry.size_bytes, "size").equals(len(one.body))
    expect(str(entry.repository_unique_id), "repositoryUniqueId").equals(target.known("repository_unique_id"))


@case(
    "ITI41/inline",
    transaction="ITI-41",
    actor=REPOSITORY,
    title="A document that is inline is taken like an attached one",
)
async def inline(target: Target) -> None:
    """Base64 in the element instead of xop:Include."""
    one = document(target.patient())
    encoded = base64.b64encode(one.body)

    def alone(body: bytes) -> bytes:
        """The root part, and no other."""
        boundary = body[: body.index(b"\r\n")]
        root = body.split(boundary)[1]
        return boundary + re.sub(rb"<xop:Include[^>]*/>", encoded, root, count=1) + boundary + b"--\r\n"

    inside = Wrong(body=alone)
    answer = await target.call(ITI_41, provided(target.patient(), one), wrong=inside)
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    came = (await fetched(target, one.entry.unique_id)).received
    expect([each.sha1 for each in came], "the SHA-1 of what came").equals([one.entry.hash])


@case("ITI41/hash", transaction="ITI-41", actor=REPOSITORY, title="A hash that is not the document's is refused")
async def wrong_hash(target: Target) -> None:
    """Somebody changed it on its way."""
    one = document(target.patient())
    lying = replace(one, entry=replace(one.entry, hash="da39a3ee5e6b4b0d3255bfef95601890afd80709"))
    await refused(target, provided(target.patient(), lying), "XDSRepositoryMetadataError", "XDSNonIdenticalHash")


@case("ITI41/hash", transaction="ITI-41", actor=REPOSITORY, title="A size that is not the document's is refused")
async def wrong_size(target: Target) -> None:
    """One byte more than there is."""
    one = document(target.patient())
    lying = replace(one, entry=replace(one.entry, size_bytes=len(one.body) + 1))
    await refused(target, provided(target.patient(), lying), "XDSRepositoryMetadataError", "XDSNonIdenticalSize")


@case("ITI41/pairs", transaction="ITI-41", actor=REPOSITORY, title="An entry without its document is refused")
async def missing_document(target: Target) -> None:
    """The metadata of two, the bytes of one."""
    patient = target.patient()
    request = provided(patient, document(patient), document(patient))
    first = next(iter(request.documents))
    half = replace(request, documents={first: request.documents[first]})
    await refused(target, half, "XDSMissingDocument")


@case("ITI41/pairs", transaction="ITI-41", actor=REPOSITORY, title="A document without its entry is refused")
async def missing_metadata(target: Target) -> None:
    """One more attached than told."""
    request = provided(target.patient(), document(target.patient()))
    more = replace(request, documents={**request.documents, "Document-more": Content.of(b"whose?", "text/plain")})
    await refused(target, more, "XDSMissingDocumentMetadata")


@case("ITI41/resent", transaction="ITI-41", actor=REPOSITORY, title="The same document may be submitted again")
async def resent(target: Target) -> None:
    """Same uniqueId, same bytes, a set of its own."""
    (one,) = await submitted(target)
    answer = await target.call(ITI_41, provided(target.patient(), one))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)


@case(
    "ITI41/resent",
    transaction="ITI-41",
    actor=REPOSITORY,
    title="Other bytes under the uniqueId of a document are refused",
)
async def other_bytes(target: Target) -> None:
    """What somebody has cited must not become something else."""
    (one,) = await submitted(target)
    response = (await target.call(ITI_41, provided(target.patient(), altered(one, b"Something else.\n")))).response
    failed(response, "XDSNonIdenticalHash", "XDSNonIdenticalSize")
    came = (await fetched(target, one.entry.unique_id)).received
    expect([each.sha1 for each in came], "the SHA-1 of what came").equals([one.entry.hash])


@case("ITI41/set", transaction="ITI-41", actor=REPOSITORY, title="A submission set's uniqueId is good once")
async def set_twice(target: Target) -> None:
    """With another document."""
    patient, uid = target.patient(), new_uid()
    first = await target.call(ITI_41, provided(patient, document(patient), unique_id=uid))
    expect(first.response.status, "the status of the first").equals(ResponseStatus.SUCCESS)
    await refused(target, provided(patient, document(patient), unique_id=uid), "XDSDuplicateUniqueIdInRegistry")


@case(
    "ITI41/duplicates",
    transaction="ITI-41",
    actor=REPOSITORY,
    title="A uniqueId that is twice in a submission is refused",
)
async def twice_in_message(target: Target) -> None:
    """Two documents, one id."""
    patient, uid = target.patient(), new_uid()
    await refused(
        target, provided(patient, document(patient, unique_id=uid), document(patient, unique_id=uid)),
        "XDSRegistryDuplicateUniqueIdInMessage", "XDSRepositoryDuplicateUniqueIdInMessage",
    )  # fmt: skip


@case("ITI41/patient", transaction="ITI-41", actor=REPOSITORY, title="A patient whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    await refused(target, provided(nobody, document(nobody)), "XDSUnknownPatientId")


@case("ITI41/patient", transaction="ITI-41", actor=REPOSITORY, title="A set and an entry of two patients are refused")
async def two_patients(target: Target) -> None:
    """The set's is the one that is known."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    await refused(target, provided(target.patient(), document(other)), "XDSPatientIdDoesNotMatch")


@case("ITI41/metadata", transaction="ITI-41", actor=REPOSITORY, title="An entry without a uniqueId is refused")
async def no_unique_id(target: Target) -> None:
    """Nobody could ask for it."""
    request = provided(target.patient(), document(target.patient()))
    without = Wrong(
        body=lambda body: re.sub(
            rb"<rim:ExternalIdentifier (?:(?!</rim:Ext).)*2e82c1f6-a085-4c72-9da3-8640a32e42ab.*?</rim:ExternalIdentifier>",
            b"", body, count=1, flags=re.DOTALL,
        )
    )  # fmt: skip
    response = (await target.call(ITI_41, request, wrong=without)).response
    failed(response, "XDSRepositoryMetadataError", "XDSRegistryMetadataError")


@case("ITI41/atomic", transaction="ITI-41", actor=REPOSITORY, title="One document that is wrong keeps all others out")
async def atomic(target: Target) -> None:
    """Of two, the second has another's hash."""
    patient = target.patient()
    right, other = document(patient), document(patient)
    lying = replace(other, entry=replace(other.entry, hash=right.entry.hash))
    await refused(target, provided(patient, right, lying))
    answer = await fetched(target, right.entry.unique_id)
    expect(answer.received, "what of it can be fetched").is_absent()


@case("ITI41/replace", transaction="ITI-41", actor=REPOSITORY, title="A replacement deprecates what it replaces")
async def replaced(target: Target) -> None:
    """And is in force itself."""
    (old,) = await submitted(target)
    new = document(target.patient())
    await _related(target, AssociationType.REPLACE, old.entry.unique_id, new.entry.unique_id)
    expect((await entry_of(target, old.entry.unique_id)).availability_status, "the status of what was replaced").equals(
        AvailabilityStatus.DEPRECATED
    )


@case("ITI41/replace", transaction="ITI-41", actor=REPOSITORY, title="What is appended to stays in force")
async def appended(target: Target) -> None:
    """APND adds."""
    (old,) = await submitted(target)
    await _related(target, AssociationType.APPEND, old.entry.unique_id)
    expect(
        (await entry_of(target, old.entry.unique_id)).availability_status, "the status of what was appended to"
    ).equals(AvailabilityStatus.APPROVED)


@case("ITI41/reference", transaction="ITI-41", actor=REPOSITORY, title="What is not there cannot be replaced")
async def replaces_nothing(target: Target) -> None:
    """An entryUUID of nobody."""
    patient = target.patient()
    one = document(patient)
    gone = arrow(AssociationType.REPLACE, one.entry.entry_uuid, "urn:uuid:00000000-0000-4000-8000-000000000000")
    await refused(target, provided(patient, one, associations=(gone,)), "UnresolvedReferenceException")


@case("ITI41/reference", transaction="ITI-41", actor=REPOSITORY, title="What is deprecated cannot be replaced again")
async def replaces_deprecated(target: Target) -> None:
    """Two successors would be two truths."""
    (old,) = await submitted(target)
    uuid = (await entry_of(target, old.entry.unique_id)).entry_uuid
    await _related(target, AssociationType.REPLACE, old.entry.unique_id)
    patient = target.patient()
    one = document(patient)
    again = arrow(AssociationType.REPLACE, one.entry.entry_uuid, uuid)
    await refused(target, provided(patient, one, associations=(again,)), "XDSRegistryDeprecatedDocumentError")


@case("ITI41/folder", transaction="ITI-41", actor=REPOSITORY, title="A folder is registered with what is in it")
async def foldered(target: Target) -> None:
    """Folder and document come in one submission."""
    patient = target.patient()
    one, place = document(patient), folder(patient)
    inside = arrow(AssociationType.HAS_MEMBER, place.entry_uuid, one.entry.entry_uuid)
    request = ProvideAndRegisterRequest(
        submission=submission(patient, [one], folders=[place], associations=[inside]),
        documents={one.entry.entry_uuid: Content.of(one.body, "text/plain")},
    )
    answer = await target.call(ITI_41, request)
    expect(errors_in(answer.response.errors), "the errors").is_absent()
    contents = await found(
        target, StoredQuery.GET_FOLDER_AND_CONTENTS, folders=FolderCriteria(unique_ids=(place.unique_id,))
    )
    expect([each.unique_id for each in contents.folders], "the folder").equals([place.unique_id])
    expect([each.unique_id for each in contents.entries], "what is in it").equals([one.entry.unique_id])


async def _related(target: Target, kind: AssociationType, unique_id: str, new_id: str = "") -> None:
    """Submit a document that has this relation to one that is there."""
    uuid = (await entry_of(target, unique_id)).entry_uuid
    patient = target.patient()
    one = document(patient, unique_id=new_id or new_uid())
    relation = arrow(kind, one.entry.entry_uuid, uuid)
    answer = await target.call(ITI_41, provided(patient, one, associations=(relation,)))
    expect(errors_in(answer.response.errors), "the errors").is_absent()
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
