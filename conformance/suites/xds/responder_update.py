"""ITI-92 at an update responder: some attributes of an entry may be another's to change, and nothing else.

What a newcomer gets wrong: it looks like ITI-57 and is less. There are new versions of entries and no other operation, and
what says whose a document is, which bytes it is and where they are stays.

Source: ITI TF-2 3.92 (Restricted Metadata Update).
"""

from dataclasses import replace
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import NORMAL, REPORT, new_uid
from conformance.suites.envelope import envelope_cases
from conformance.suites.pix.messages import another_patient
from conformance.suites.xds.documents import errors_in, failed
from conformance.suites.xds.versions import (
    filed,
    newest_of,
    next_of,
    registered,
    status_change,
    still,
    update_of,
    versions_of,
)
from conformance.target import Target
from profiles.model.codes import DCM, Code
from profiles.model.document import AvailabilityStatus, DocumentEntry, EntryType, Submission, logical_id_of
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest

RESPONDER = Actor.UPDATE_RESPONDER
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
UNMODIFIABLE, VERSION = "UnmodifiableMetadataError", "XDSMetadataVersionError"
NEW_TITLE = "Told anew"
RESTRICTED = Code(value="R", system=NORMAL.system, display="Restricted")
HEAD = Code(value="T-D1100", system=DCM, display="Head")


async def one_update(target: Target) -> RestrictedUpdateRequest:
    """An update that is right."""
    old = await registered(target)
    return RestrictedUpdateRequest(submission=update_of(target.patient(), next_of(old, title=NEW_TITLE)))


ENVELOPE = envelope_cases(__name__, ITI_92, RESPONDER, one_update)


# --- what may be changed ----------------------------------------------------------------------------------------------


@case("ITI92/version", transaction="ITI-92", actor=RESPONDER, title="An entry has a new version, and the old one stays")
async def new_version(target: Target) -> None:
    """Numbered, of one logical id; the old one deprecated, and not found by whoever knows of no versions."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title=NEW_TITLE)))
    versions = await versions_of(target, old.unique_id)
    expect(
        [(number, each.title, each.availability_status) for number, each in sorted(versions.items())], "the versions"
    ).equals([(1, old.title, AvailabilityStatus.DEPRECATED), (2, NEW_TITLE, AvailabilityStatus.APPROVED)])
    expect({logical_id_of(each) for each in versions.values()}, "their logical id").equals({old.entry_uuid})
    expect((await newest_of(target, old.unique_id)).title, "the title by uniqueId").equals(NEW_TITLE)


@case("ITI92/attributes", transaction="ITI-92", actor=RESPONDER, title="Words and codes of an entry are changed")
async def attributes(target: Target) -> None:
    """What it is called, and who may see it."""
    old = await registered(target)
    told: dict[str, Any] = {
        "title": NEW_TITLE, "comments": "As was found later", "confidentiality_codes": (RESTRICTED,),
        "event_codes": (HEAD,), "class_code": replace(REPORT, value="IMAGES", display="Images"),
    }  # fmt: skip
    await _done(target, update_of(target.patient(), next_of(old, **told)))
    newest = await newest_of(target, old.unique_id)
    for name, value in told.items():
        expect(getattr(newest, name), name).equals(value)


# --- what stays -------------------------------------------------------------------------------------------------------


@case("ITI92/fixed", transaction="ITI-92", actor=RESPONDER, title="A document stays its patient's")
async def another_patients(target: Target) -> None:
    """Set and entry are of somebody else, who is known."""
    old, other = await registered(target), await another_patient(target)
    request = update_of(other, next_of(old, patient_id=other))
    await _refused(target, old, request, UNMODIFIABLE, "XDSPatientIDReconciliationError")


@case("ITI92/fixed", transaction="ITI-92", actor=RESPONDER, title="Whose it was at its source stays")
async def another_source(target: Target) -> None:
    """SourcePatientId."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    await _keeps(target, UNMODIFIABLE, source_patient_id=other)


@case("ITI92/fixed", transaction="ITI-92", actor=RESPONDER, title="Which bytes it is stays")
async def another_document(target: Target) -> None:
    """Hash, size and media type."""
    await _keeps(target, UNMODIFIABLE, hash="da39a3ee5e6b4b0d3255bfef95601890afd80709")
    await _keeps(target, UNMODIFIABLE, size_bytes=1)
    await _keeps(target, UNMODIFIABLE, mime_type="application/pdf")


@case("ITI92/fixed", transaction="ITI-92", actor=RESPONDER, title="When it was made stays")
async def another_time(target: Target) -> None:
    """CreationTime."""
    await _keeps(target, UNMODIFIABLE, creation_time=Moment.from_dtm("20010101"))


@case("ITI92/fixed", transaction="ITI-92", actor=RESPONDER, title="Where it is stays")
async def another_repository(target: Target) -> None:
    """RepositoryUniqueId."""
    await _keeps(target, UNMODIFIABLE, repository_unique_id=Oid("2.25.71190522.79"))


@case("ITI92/identity", transaction="ITI-92", actor=RESPONDER, title="All versions have one uniqueId")
async def another_unique_id(target: Target) -> None:
    """Another would be another document."""
    await _keeps(target, "XDSMetadataIdentifierError", UNMODIFIABLE, unique_id=new_uid())


@case("ITI92/type", transaction="ITI-92", actor=RESPONDER, title="A stable document does not become an on-demand one")
async def another_type(target: Target) -> None:
    """ObjectType stays."""
    await _keeps(
        target, "XDSObjectTypeError", UNMODIFIABLE,
        entry_type=EntryType.ON_DEMAND, hash="", size_bytes=None, creation_time=None,
    )  # fmt: skip


# --- what is no such update -------------------------------------------------------------------------------------------


@case("ITI92/type", transaction="ITI-92", actor=RESPONDER, title="Folders are not updated by it")
async def of_a_folder(target: Target) -> None:
    """Entries are."""
    old, place = await filed(target)
    await _refused(target, old, update_of(target.patient(), next_of(place, title=NEW_TITLE)), "XDSObjectTypeError")


@case("ITI92/operations", transaction="ITI-92", actor=RESPONDER, title="No status is changed by it")
async def status(target: Target) -> None:
    """That is an operation of ITI-57."""
    old = await registered(target)
    change = status_change(
        old.entry_uuid, original=AvailabilityStatus.APPROVED, new=AvailabilityStatus.DEPRECATED
    )  # fmt: skip
    await _refused(target, old, update_of(target.patient(), operations=(change,)))


@case("ITI92/first", transaction="ITI-92", actor=RESPONDER, title="A first version is registered, and no update")
async def first_version(target: Target) -> None:
    """A new document without a logical id."""
    old = await registered(target)
    new = next_of(old, logical_id="", unique_id=new_uid(), previous="1")
    await _refused(target, old, update_of(target.patient(), new), "XDSInvalidRequestException")


@case("ITI92/number", transaction="ITI-92", actor=RESPONDER, title="A version that is not there has no successor")
async def another_number(target: Target) -> None:
    """The newest is number 1."""
    old = await registered(target)
    await _refused(target, old, update_of(target.patient(), next_of(old, previous="7")), VERSION)


@case("ITI92/number", transaction="ITI-92", actor=RESPONDER, title="A version has one successor")
async def outdated(target: Target) -> None:
    """Somebody else was quicker."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title="Second")))
    await _refused(target, old, update_of(target.patient(), next_of(old, title="Also second")), VERSION)


@case("ITI92/annotation", transaction="ITI-92", actor=RESPONDER, title="An update that names no version is refused")
async def no_number(target: Target) -> None:
    """PreviousVersion is what makes it one."""
    old = await registered(target)
    request = update_of(target.patient(), next_of(old, previous=None))
    await _refused(target, old, request, "XDSMetadataAnnotationError")


@case("ITI92/identity", transaction="ITI-92", actor=RESPONDER, title="A logical id of nobody is refused")
async def unknown_logical_id(target: Target) -> None:
    """There is nothing that it could follow."""
    old = await registered(target)
    request = update_of(target.patient(), next_of(old, logical_id=NOBODYS_UUID))
    await _refused(target, old, request, "XDSMetadataIdentifierError", VERSION)


@case("ITI92/whole", transaction="ITI-92", actor=RESPONDER, title="A version without a required attribute is refused")
async def incomplete(target: Target) -> None:
    """What is left out is not taken from the version before."""
    await _keeps(target, language_code="")


@case("ITI92/patient", transaction="ITI-92", actor=RESPONDER, title="An update of whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    old = await registered(target)
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    await _refused(target, old, update_of(nobody, next_of(old, patient_id=nobody)), "XDSUnknownPatientId", UNMODIFIABLE)


@case("ITI92/atomic", transaction="ITI-92", actor=RESPONDER, title="One version that is wrong keeps all others out")
async def atomic(target: Target) -> None:
    """Two entries, and the second names a version that is not there."""
    first, second = await registered(target), await registered(target)
    versions = (next_of(first, title=NEW_TITLE), next_of(second, previous="7"))
    await _refused(target, first, update_of(target.patient(), *versions))


# --- how it is asked --------------------------------------------------------------------------------------------------


async def _done(target: Target, update: Submission) -> None:
    response = (await target.call(ITI_92, RestrictedUpdateRequest(submission=update))).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _refused(target: Target, old: DocumentEntry, update: Submission, *codes: str) -> None:
    """An update that fails with one of these codes, and leaves a document as it was."""
    before = await versions_of(target, old.unique_id)
    failed((await target.call(ITI_92, RestrictedUpdateRequest(submission=update))).response, *codes)
    await still(target, old.unique_id, before)


async def _keeps(target: Target, *codes: str, **fields: Any) -> None:
    """A new version that is other in this is refused."""
    old = await registered(target)
    await _refused(target, old, update_of(target.patient(), next_of(old, **fields)), *codes)
