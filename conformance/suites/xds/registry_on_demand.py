"""ITI-61 at a document registry: what is made when it is asked for is registered without bytes, and found by who wants it.

What a newcomer gets wrong: there is no document yet. An entry that had a hash, a size or a time of creation would lie, and
whoever looks for stable documents does not want to find it.

Source: ITI TF-2 3.61 (On-Demand Documents); ITI TF-3 4.3.1.
"""

from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import Document, arrow, document, new_uid, submission
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import APPROVED, entry_of, errors_in, found, refused, submitted
from conformance.target import Target
from profiles.model.document import Association, AssociationType, AvailabilityStatus, EntryType
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest

REGISTRY = Actor.DOCUMENT_REGISTRY
MAKER = Oid("2.25.71190522.80")  # a source that nobody can ask
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
METADATA = "XDSRegistryMetadataError"


async def one_entry(target: Target) -> RegisterOnDemandRequest:
    """A registration that is right."""
    return _registration(target, _to_come(target))


ENVELOPE = envelope_cases(__name__, ITI_61, REGISTRY, one_entry)


# --- what is registered -----------------------------------------------------------------------------------------------


@case("ITI61/attributes", transaction="ITI-61", actor=REGISTRY, title="An entry is registered with what it says")
async def registered(target: Target) -> None:
    """And with nothing that only bytes could tell."""
    one = _to_come(target, title="Tête & cou <1>")
    await _taken(target, _registration(target, one))
    came = await entry_of(target, one.entry.unique_id)
    for name in (
        "entry_type", "patient_id", "class_code", "type_code", "format_code", "mime_type", "title", "repository_unique_id",
        "language_code", "source_patient_id", "creation_time", "hash", "size_bytes",
    ):  # fmt: skip
        expect(getattr(came, name), name).equals(getattr(one.entry, name))
    expect(came.availability_status, "availabilityStatus").equals(AvailabilityStatus.APPROVED)


@case("ITI61/found", transaction="ITI-61", actor=REGISTRY, title="It is found by who asks for on-demand documents")
async def by_type(target: Target) -> None:
    """And by nobody who asks for stable ones, as all do who do not say."""
    one = _to_come(target)
    await _taken(target, _registration(target, one))
    for types, there in (
        ((EntryType.STABLE,), False),
        ((EntryType.ON_DEMAND,), True),
        ((EntryType.STABLE, EntryType.ON_DEMAND), True),
    ):
        criteria = DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED, entry_types=types)
        answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=criteria)
        expect(
            one.entry.unique_id in [each.unique_id for each in answer.entries],
            f"whether it is found among {' and '.join(each.name.lower() for each in types)}",
        ).equals(there)


@case("ITI61/again", transaction="ITI-61", actor=REGISTRY, title="An on-demand uniqueId may be registered again")
async def again(target: Target) -> None:
    """It names what will be made."""
    one = _to_come(target)
    await _taken(target, _registration(target, one))
    await _taken(target, _registration(target, one))


@case("ITI61/replace", transaction="ITI-61", actor=REGISTRY, title="A replacement deprecates what it replaces")
async def replaced(target: Target) -> None:
    """One on-demand entry in the place of another."""
    old, new = _to_come(target), _to_come(target)
    await _taken(target, _registration(target, old))
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    relation = arrow(AssociationType.REPLACE, new.entry.entry_uuid, uuid_)
    await _taken(target, _registration(target, new, associations=(relation,)))
    for each, status in ((old, AvailabilityStatus.DEPRECATED), (new, AvailabilityStatus.APPROVED)):
        entry = await entry_of(target, each.entry.unique_id)
        expect(entry.availability_status, "the status of an entry").equals(status)


# --- what is wrong ----------------------------------------------------------------------------------------------------


@case("ITI61/no-bytes", transaction="ITI-61", actor=REGISTRY, title="An on-demand entry with a hash is refused")
async def with_hash(target: Target) -> None:
    """There are no bytes that it could be of."""
    await _refuses(target, METADATA, hash="da39a3ee5e6b4b0d3255bfef95601890afd80709")


@case("ITI61/no-bytes", transaction="ITI-61", actor=REGISTRY, title="An on-demand entry with a size is refused")
async def with_size(target: Target) -> None:
    """There are no bytes that could be counted."""
    await _refuses(target, METADATA, size_bytes=1)


@case(
    "ITI61/no-bytes",
    transaction="ITI-61",
    actor=REGISTRY,
    title="An on-demand entry with a time of creation is refused",
)
async def with_creation_time(target: Target) -> None:
    """It is not created."""
    await _refuses(target, METADATA, creation_time=Moment.from_dtm("20260301101500"))


@case("ITI61/required", transaction="ITI-61", actor=REGISTRY, title="An on-demand entry without repository is refused")
async def no_repository(target: Target) -> None:
    """Nobody could ask for it."""
    await _refuses(target, METADATA, repository_unique_id=None)


@case("ITI61/required", transaction="ITI-61", actor=REGISTRY, title="An on-demand entry without language is refused")
async def no_language(target: Target) -> None:
    """As an example of what is required of every entry."""
    await _refuses(target, METADATA, language_code="")


@case("ITI61/type", transaction="ITI-61", actor=REGISTRY, title="A stable entry is not registered so")
async def stable(target: Target) -> None:
    """Whole, and of the wrong objectType."""
    await _refused(target, _registration(target, document(target.patient(), repository_unique_id=MAKER)))


@case("ITI61/type", transaction="ITI-61", actor=REGISTRY, title="The uniqueId of a stable document is refused")
async def id_of_a_stable_one(target: Target) -> None:
    """A document is the one or the other."""
    (one,) = await submitted(target)
    before = await entry_of(target, one.entry.unique_id)
    request = _registration(target, _to_come(target, unique_id=one.entry.unique_id))
    response = (await target.call(ITI_61, request)).response
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(response.errors), "the error codes").is_there()
    expect(await entry_of(target, one.entry.unique_id), "the entry of the stable document").equals(before)


@case("ITI61/patient", transaction="ITI-61", actor=REGISTRY, title="A patient whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    one = _to_come(target, patient_id=nobody)
    await _refused(
        target, RegisterOnDemandRequest(submission=submission(nobody, [one])), "XDSUnknownPatientId"
    )  # fmt: skip


@case("ITI61/patient", transaction="ITI-61", actor=REGISTRY, title="A set and an entry of two patients are refused")
async def two_patients(target: Target) -> None:
    """The set's is the one that is known."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    await _refuses(target, "XDSPatientIdDoesNotMatch", patient_id=other)


@case("ITI61/set", transaction="ITI-61", actor=REGISTRY, title="A submission set's uniqueId is good once")
async def set_twice(target: Target) -> None:
    """With another entry."""
    uid = new_uid()
    await _taken(target, _registration(target, _to_come(target), unique_id=uid))
    request = _registration(target, _to_come(target), unique_id=uid)
    await _refused(target, request, "XDSDuplicateUniqueIdInRegistry")


@case("ITI61/reference", transaction="ITI-61", actor=REGISTRY, title="What is not registered cannot be replaced")
async def replaces_nothing(target: Target) -> None:
    """An entryUUID of nobody."""
    one = _to_come(target)
    gone = arrow(AssociationType.REPLACE, one.entry.entry_uuid, NOBODYS_UUID)
    await _refused(target, _registration(target, one, associations=(gone,)), "UnresolvedReferenceException")


@case("ITI61/atomic", transaction="ITI-61", actor=REGISTRY, title="One entry that is wrong keeps all others out")
async def atomic(target: Target) -> None:
    """Of two, the second has a size."""
    await _refused(target, _registration(target, _to_come(target), _to_come(target, size_bytes=1)))


# --- how it is registered ---------------------------------------------------------------------------------------------


def _to_come(target: Target, **fields: Any) -> Document:
    """A text of the known patient that a source of nobody would make."""
    given: dict[str, Any] = {
        "entry_type": EntryType.ON_DEMAND, "creation_time": None, "hash": "", "size_bytes": None,
        "repository_unique_id": MAKER,
    }  # fmt: skip
    return document(target.patient(), **given | fields)


def _registration(
    target: Target, *documents: Document, associations: tuple[Association, ...] = (), **fields: Any
) -> RegisterOnDemandRequest:
    return RegisterOnDemandRequest(
        submission=submission(target.patient(), documents, associations=associations, **fields)
    )  # fmt: skip


async def _taken(target: Target, request: RegisterOnDemandRequest) -> None:
    response = (await target.call(ITI_61, request)).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _refused(target: Target, request: RegisterOnDemandRequest, *codes: str) -> None:
    await refused(target, request, *codes, by=ITI_61)


async def _refuses(target: Target, *codes: str, **fields: Any) -> None:
    """A registration of one entry that says so."""
    await _refused(target, _registration(target, _to_come(target, **fields)), *codes)
