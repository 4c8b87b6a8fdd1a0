"""Every error code of the Framework's table that a transaction of ours can produce, provoked over the wire, one by one.

A case brings a house to the point and makes the message that is refused there (or warned of). What is read from the answer
is what any product would read: status, code, severity, location; and that no text of it has a patient in it. Which
transactions may say a code is the table's to tell; what no transaction of ours says is listed with the reason.

Source: ITI TF-3 table 4.2.4.1-2 and its supplements; notes 1.5 (status, location), 1.6 (codes).
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from profiles.model.content import Content
from profiles.model.document import (
    STUDY_INSTANCE_UID,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    ReferenceId,
    Submission,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient, PersonName
from profiles.model.query import DocumentCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import ERROR_CODES, NAMES_IT, ResponseStatus
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest
from tests.support.communities import GATEWAY, IMAGING_GATEWAY, IMAGING_RESPONDING, NOBODY, RESPONDING, VALLEY_HOME
from tests.support.disk import fill, small_disk
from tests.support.judges import standards
from tests.support.registered import entry_uuid, folder, relation
from tests.support.registry import brought, registrable
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    RECIPIENT,
    REPOSITORY,
    SECRETS,
    SOMEBODY_ELSE,
    SOURCE,
    VALLEY_LOCATION,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Message,
    SampleStudy,
    ScriptedSource,
    World,
    message_of,
    offer_of,
    rad68,
    rad69_request,
    read_soap,
    world,
    write_study,
)

REGISTRY = "/soap/registry"
NOTHING = "urn:uuid:00000000-0000-4000-8000-000000000000"
OTTOLINE_ID = PatientIdentifier(value="DO70001", authority=DOMAIN)
STRANGER_ID = PatientIdentifier(value="DO90009", authority=DOMAIN)
PATIENTS = (*SECRETS, "ottoline", "do70001", "do90009", "nemo", "lk90009")
"""What no text of an answer may have, in small letters."""
APPROVED, DEPRECATED = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
RPLC, STATUS = AssociationType.REPLACE, AssociationType.UPDATE_AVAILABILITY_STATUS

DOORS: Mapping[str, tuple[SoapTransaction[Any, Any], str]] = {
    "ITI-18": (ITI_18, REGISTRY),
    "ITI-38": (ITI_38, RESPONDING),
    "ITI-39": (ITI_39, RESPONDING),
    "ITI-41": (ITI_41, REPOSITORY),
    "ITI-42": (ITI_42, REGISTRY),
    "ITI-43": (ITI_43, REPOSITORY),
    "ITI-57": (ITI_57, REGISTRY),
    "ITI-62": (ITI_62, REGISTRY),
    "ITI-80": (ITI_80, RESPONDING),
    "ITI-86": (ITI_86, REPOSITORY),
    "ITI-92": (ITI_92, REGISTRY),
    "RAD-69": (RAD_69, SOURCE),
    "RAD-75": (RAD_75, IMAGING_RESPONDING),
}
COLUMNS: Mapping[str, str] = {
    "ITI-41": "P", "ITI-42": "R", "ITI-18": "SQ", "ITI-38": "XGQ", "ITI-43": "RS", "RAD-69": "RS", "ITI-39": "XGR",
    "RAD-75": "XGR", "ITI-80": "XCDR",
}  # fmt: skip
"""What the table calls a transaction, where it does not call it by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A message, where it goes, and what its answer is to say beside the code."""

    message: Message
    path: str
    location: str | None = None  # None: the Framework leaves it free
    names: str = ""  # what the text names: the document or object concerned
    peer: str = ""
    status: ResponseStatus = ResponseStatus.FAILURE
    severity: str = "Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, as it stands on the wire."""

    status: str
    errors: tuple[Mapping[str, str], ...]

    @property
    def codes(self) -> set[str]:
        return {error["errorCode"] for error in self.errors}


class Stage:
    """Valley, who knows Zebediah and Ottoline in the affinity domain."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.valley = here.valley

    async def sends(self, message: Message, path: str, peer: str = "") -> Answered:
        reply = await self.valley.post(path, message, peer=peer)
        assert reply.status == 200, reply.body  # a business error is no fault
        read = await read_soap(reply.content_type, reply.body)
        assert read.fault is None, reply.body
        body = read.to_codec().body
        status = next(each.get("status") for each in body.iter() if each.get("status", "").startswith("urn:"))
        found = [dict(each.attrib) for each in body.iter("{*}RegistryError")]
        return Answered(status=str(status), errors=tuple({str(k): str(v) for k, v in each.items()} for each in found))

    async def does(self, transaction: str, request: object) -> None:
        """What must succeed before anything can be refused."""
        of, path = DOORS[transaction]
        answer = await self.sends(await message_of(of, request), path)
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())

    async def registers(self, *entries: DocumentEntry, of: PatientIdentifier = DOMAIN_ID, **more: Any) -> Submission:
        whole = brought(*entries, of=of, **more)
        await self.does("ITI-42", RegisterRequest(submission=whole))
        return whole

    async def provides(self, entry: DocumentEntry) -> None:
        whole = brought(entry, of=DOMAIN_ID)
        await self.does("ITI-41", ProvideAndRegisterRequest(submission=whole, documents={entry.entry_uuid: BODY}))

    async def keeps(self) -> SampleStudy:
        study = write_study(self.here.folder / "kept", series=1, instances=2)
        status, _ = await self.valley.push([one.path.read_bytes() for one in study.instances], peer="")
        assert status == 200
        await self.valley.rests("done", kind="store")
        return study


BODY = Content.of(b"%PDF-1.7 a report", "application/pdf")


def document(of: PatientIdentifier = DOMAIN_ID, **fields: Any) -> DocumentEntry:
    told = {"hash": "", "size_bytes": None, "mime_type": "application/pdf", "repository_unique_id": VALLEY_REPOSITORY}
    return registrable(of, **told | fields)


def registered(of: PatientIdentifier = DOMAIN_ID, **fields: Any) -> DocumentEntry:
    return document(of, **{"hash": "0" * 40, "size_bytes": 10} | fields)


async def submitting(doing: str, whole: Submission, **asked: Any) -> Asked:
    """The same metadata, provided with documents or registered."""
    transaction, path = DOORS[doing]
    request: object = RegisterRequest(submission=whole)
    if doing == "ITI-41":
        request = ProvideAndRegisterRequest(
            submission=whole, documents={each.entry_uuid: BODY for each in whole.entries}
        )
    return Asked(message=await message_of(transaction, request), path=path, **asked)


def entry_for(doing: str, **fields: Any) -> DocumentEntry:
    return document(**fields) if doing == "ITI-41" else registered(**fields)


async def asking(doing: str, request: object, **asked: Any) -> Asked:
    transaction, path = DOORS[doing]
    return Asked(message=await message_of(transaction, request), **{"path": path, **asked})


async def questioning(doing: str, request: StoredQueryRequest, **asked: Any) -> Asked:
    """A stored query; a gateway's errors point at its home."""
    if doing == "ITI-38":
        asked = {"location": VALLEY_HOME.urn, **asked}
    return await asking(doing, request, **asked)


async def retrieving(
    doing: str, study: SampleStudy, *, repository: Oid | None = None, home: Oid | None = None, path: str = "",
    location: str | None = None, **request: Any,
) -> Asked:  # fmt: skip
    """One document of its first instance's id; where its errors point is per transaction (notes 1.5)."""
    uid = str(study.instances[0].sop_instance_uid)
    across = doing in ("ITI-39", "RAD-75")
    at = home or (VALLEY_HOME if across else None)
    asked: object
    if doing in ("ITI-43", "ITI-39"):
        place = str(repository or VALLEY_REPOSITORY)
        wanted = DocumentRequest(repository_unique_id=place, document_unique_id=uid, home_community_id=at)
        asked = RetrieveDocumentSetRequest(documents=(wanted,))
    else:
        one = replace(study, series=(replace(study.series[0], instances=study.series[0].instances[:1]),))
        asked = at_home(rad69_request(one, location=repository or VALLEY_LOCATION, **request), at)
    theirs = {"ITI-39": f"{uid} {VALLEY_HOME.urn}", "RAD-75": VALLEY_HOME.urn}.get(doing, uid)
    return await asking(doing, asked, path=path or DOORS[doing][1], location=theirs if location is None else location)


def at_home(request: RetrieveImagingDocumentSetRequest, home: Oid | None) -> RetrieveImagingDocumentSetRequest:
    (study,) = request.studies
    series = tuple(
        replace(each, documents=tuple(replace(one, home_community_id=home) for one in each.documents))
        for each in study.series
    )
    return replace(request, studies=(replace(study, series=series),))


# --- the cases --------------------------------------------------------------------------------------------------------

Provoke = Callable[[Stage, str], Awaitable[Asked]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A code of a transaction, and how it is provoked."""

    code: str
    transaction: str
    provoke: Provoke
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code} {self.transaction}"


CASES: list[Case] = []


def says(code: str, *transactions: str, **settings: Any) -> Callable[[Provoke], Provoke]:
    """The function makes these transactions say the code."""

    def mark(provoke: Provoke) -> Provoke:
        CASES.extend(
            Case(code=code, transaction=each, provoke=provoke, settings=settings) for each in transactions
        )  # fmt: skip
        return provoke

    return mark


# what is submitted


@says("DocumentQueued", "ITI-41")
async def nobody_knows_whose_it_is(at: Stage, doing: str) -> Asked:
    nemo = Patient(
        identifiers=(PatientIdentifier(value="LK90009", authority=Oid("1.2.4.4")),), name=PersonName(family="Nemo")
    )
    offer = offer_of(at.here.study(patient=nemo), patient_id=nemo.identifiers[0])
    return Asked(
        message=await rad68(offer), path=RECIPIENT, peer="Lakeside", status=ResponseStatus.SUCCESS, severity="Warning",
        location=offer.submission.submission_set.unique_id,
    )  # fmt: skip


@says("InvalidDocumentContent", "ITI-41")
async def the_manifest_is_of_another_study(at: Stage, doing: str) -> Asked:
    offer = offer_of(at.here.study(), patient_id=DOMAIN_ID)
    offer = offer.entry(reference_ids=(ReferenceId(value="1.2.3.4.5.6", type=STUDY_INSTANCE_UID),))
    return Asked(message=await rad68(offer), path=REPOSITORY, names=offer.submission.entries[0].unique_id)


@says("UnresolvedReferenceException", "ITI-41", "ITI-42")
async def nobody_registered_what_is_replaced(at: Stage, doing: str) -> Asked:
    new = entry_for(doing)
    whole = brought(new, associations=(relation(RPLC, new.entry_uuid, NOTHING),), of=DOMAIN_ID)
    return await submitting(doing, whole, location=NOTHING)


@says("XDSDuplicateUniqueIdInRegistry", "ITI-41", "ITI-42")
async def the_set_was_submitted_before(at: Stage, doing: str) -> Asked:
    first = await at.registers(registered())
    again = brought(entry_for(doing), of=DOMAIN_ID)
    used = first.submission_set.unique_id
    again = replace(again, submission_set=replace(again.submission_set, unique_id=used))
    return await submitting(doing, again, location=used)


@says("XDSExtraMetadataNotSaved", "ITI-41", "ITI-42")
async def a_classification_is_of_no_scheme_that_we_keep(at: Stage, doing: str) -> Asked:
    entry = entry_for(doing)
    asked = await submitting(
        doing,
        brought(entry, of=DOMAIN_ID),
        status=ResponseStatus.SUCCESS,
        severity="Warning",
        location=entry.entry_uuid,
    )
    extra = (
        f'<rim:Classification id="x1" classificationScheme="{NOTHING}" classifiedObject="{entry.entry_uuid}"'
        ' nodeRepresentation="x"/>'
    ).encode()
    first = b"<rim:ExternalIdentifier"
    before, found, after = asked.message.body.partition(first)
    assert found
    return replace(asked, message=replace(asked.message, body=before + extra + first + after))


@says("XDSMissingDocument", "ITI-41")
async def the_document_did_not_come_along(at: Stage, doing: str) -> Asked:
    entry = document()
    request = ProvideAndRegisterRequest(submission=brought(entry, of=DOMAIN_ID), documents={})
    return await asking(doing, request, location=entry.entry_uuid)


@says("XDSMissingDocumentMetadata", "ITI-41")
async def a_document_came_of_which_nothing_is_said(at: Stage, doing: str) -> Asked:
    entry = document()
    documents = {entry.entry_uuid: BODY, "Document02": BODY}
    request = ProvideAndRegisterRequest(submission=brought(entry, of=DOMAIN_ID), documents=documents)
    return await asking(doing, request, location="Document02")


@says("XDSNonIdenticalHash", "ITI-41", "ITI-42")
async def the_document_has_other_bytes_than_before(at: Stage, doing: str) -> Asked:
    first = document()
    await at.provides(first)
    again = entry_for(doing, unique_id=first.unique_id)
    whole = brought(again, of=DOMAIN_ID)
    asked = await submitting(doing, whole, location=first.unique_id, names=first.unique_id)
    if doing == "ITI-41":
        other = {again.entry_uuid: Content.of(b"%PDF-1.7 another", "application/pdf")}
        message = await message_of(ITI_41, ProvideAndRegisterRequest(submission=whole, documents=other))
        asked = replace(asked, message=message)
    return asked


@says("XDSNonIdenticalSize", "ITI-42")
async def the_document_has_another_size_than_before(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    again = registered(unique_id=first.unique_id, size_bytes=11)
    return await submitting(doing, brought(again, of=DOMAIN_ID), location=first.unique_id, names=first.unique_id)


@says("XDSPatientIdDoesNotMatch", "ITI-41", "ITI-42")
async def two_patients_are_in_one_submission(at: Stage, doing: str) -> Asked:
    entry = entry_for(doing, of=OTTOLINE_ID)
    return await submitting(doing, brought(entry, of=DOMAIN_ID), location=entry.entry_uuid)


@says("XDSRegistryDeprecatedDocumentError", "ITI-41", "ITI-42")
async def what_is_replaced_was_replaced_before(at: Stage, doing: str) -> Asked:
    first, second, third = registered(), registered(), entry_for(doing)
    await at.registers(first)
    await at.registers(second, associations=(relation(RPLC, second.entry_uuid, first.entry_uuid),))
    late = relation(RPLC, third.entry_uuid, first.entry_uuid)
    return await submitting(doing, brought(third, associations=(late,), of=DOMAIN_ID), location=first.entry_uuid)


@says("XDSRepositoryDuplicateUniqueIdInMessage", "ITI-41")
@says("XDSRegistryDuplicateUniqueIdInMessage", "ITI-42")
async def a_unique_id_is_there_twice(at: Stage, doing: str) -> Asked:
    one = entry_for(doing)
    two = entry_for(doing, unique_id=one.unique_id)
    return await submitting(doing, brought(one, two, of=DOMAIN_ID), location=one.unique_id)


@says("XDSRepositoryMetadataError", "ITI-41")
@says("XDSRegistryMetadataError", "ITI-42")
async def the_language_is_missing(at: Stage, doing: str) -> Asked:
    entry = entry_for(doing, language_code="")
    return await submitting(doing, brought(entry, of=DOMAIN_ID), location=entry.entry_uuid, names="languageCode")


SOURCES = {"Strict": {"source_ids": ["1.2.99.5"], "scopes": ["ITI-41", "ITI-42"]}}


@says("XDSRepositoryError", "ITI-41", peers=SOURCES)
@says("XDSRegistryError", "ITI-42", peers=SOURCES)
async def the_source_id_is_another_peer_s(at: Stage, doing: str) -> Asked:
    return await submitting(doing, brought(entry_for(doing), of=DOMAIN_ID), peer="Strict")


@says("XDSUnknownPatientId", "ITI-41", "ITI-42")
async def the_domain_has_no_such_patient(at: Stage, doing: str) -> Asked:
    return await submitting(doing, brought(entry_for(doing, of=STRANGER_ID), of=STRANGER_ID))


# what is asked

FIND = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(APPROVED,))
)


def by_uuid(*uuids: str, home: Oid | None = None, **more: Any) -> StoredQueryRequest:
    criteria = DocumentCriteria(entry_uuids=uuids or (NOTHING,), **more)
    return StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=criteria, home_community_id=home)


@says("XDSUnknownPatientId", "ITI-18", "ITI-38")
async def nobody_has_the_patient_id(at: Stage, doing: str) -> Asked:
    return await questioning(doing, replace(FIND, criteria=replace(FIND.criteria, patient_ids=(STRANGER_ID,))))


@says("XDSRegistryError", "ITI-18", "ITI-38")
async def a_time_is_none(at: Stage, doing: str) -> Asked:
    asked = await questioning(doing, FIND)
    found = rb'<rim:Slot name="\$XDSDocumentEntryStatus">'
    wrong = b'<rim:Slot name="$XDSDocumentEntryCreationTimeFrom"><rim:ValueList><rim:Value>yesterday</rim:Value>'
    wrong += b"</rim:ValueList></rim:Slot>"
    body = re.sub(found, lambda each: wrong + each.group(), asked.message.body, count=1)
    assert body != asked.message.body
    return replace(asked, message=replace(asked.message, body=body), names="$XDSDocumentEntryCreationTimeFrom")


@says("XDSResultNotSinglePatient", "ITI-18", "ITI-38")
async def the_answer_would_be_about_two_patients(at: Stage, doing: str) -> Asked:
    hers, his = registered(OTTOLINE_ID), registered()
    await at.registers(his)
    await at.registers(hers, of=OTTOLINE_ID)
    return await questioning(doing, by_uuid(hers.entry_uuid, his.entry_uuid, home=VALLEY_HOME))


@says("XDSStoredQueryMissingParam", "ITI-18", "ITI-38")
async def the_status_is_not_said(at: Stage, doing: str) -> Asked:
    asked = await questioning(doing, FIND, names="$XDSDocumentEntryStatus")
    return replace(asked, message=asked.message.spoiled(b"$XDSDocumentEntryStatus", b"$NoSuchParameter"))


@says("XDSStoredQueryParamNumber", "ITI-18", "ITI-38")
async def a_document_is_named_in_two_ways(at: Stage, doing: str) -> Asked:
    return await questioning(doing, by_uuid(unique_ids=("1.2.3",), home=VALLEY_HOME), names="$XDSDocumentEntry")


@says("XDSTooManyResults", "ITI-18", "ITI-38", limits={"results": 1})
async def more_is_found_than_is_answered(at: Stage, doing: str) -> Asked:
    await at.registers(registered(), registered())
    return await questioning(doing, FIND)


@says("XDSUnknownStoredQuery", "ITI-18", "ITI-38")
async def there_is_no_such_query(at: Stage, doing: str) -> Asked:
    asked = await questioning(doing, FIND)
    return replace(asked, message=asked.message.spoiled(StoredQuery.FIND_DOCUMENTS.value.encode(), NOTHING.encode()))


@says("XDSMissingHomeCommunityId", "ITI-18", "ITI-38")
async def neither_patient_nor_community_is_named(at: Stage, doing: str) -> Asked:
    asked = await questioning(doing, by_uuid())
    return asked if doing == "ITI-38" else replace(asked, path=GATEWAY)


@says("XDSUnknownCommunity", "ITI-18", "ITI-38")
async def the_community_is_nobody_s(at: Stage, doing: str) -> Asked:
    asked = await questioning(doing, by_uuid(home=NOBODY))
    return asked if doing == "ITI-38" else replace(asked, path=GATEWAY)


AWAY = {
    "Away": {
        "home_community_id": NOBODY,
        "forward": True,
        "endpoint": dict.fromkeys(("ITI-38", "ITI-39", "ITI-80", "RAD-75"), "http://127.0.0.1:1/soap"),
    }
}


@says("XDSUnavailableCommunity", "ITI-18", peers=AWAY)
async def the_community_does_not_answer(at: Stage, doing: str) -> Asked:
    return await questioning(doing, by_uuid(home=NOBODY), path=GATEWAY, location=NOBODY.urn)


# what is handed to another community


async def across(
    at: Stage, *recipients: str, home: Oid | None = VALLEY_HOME, location: str | None = None, of: Patient | None = None
) -> Asked:
    """A manifest, for a community and for somebody there."""
    patient_id = DOMAIN_ID if of is None else of.identifiers[0]
    offer = offer_of(at.here.study(**({} if of is None else {"patient": of})), patient_id=patient_id)
    whole = replace(offer.submission.submission_set, intended_recipients=recipients)
    request = ProvideAndRegisterRequest(
        submission=replace(offer.submission, submission_set=whole),
        documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body)},
        home_community_id=home,
    )
    at_set = whole.unique_id if location is None else location
    return await asking("ITI-80", request, location=at_set)


@says("UnknownRecipient", "ITI-80", house={"recipients": ["Valley Imaging"]})
async def nobody_here_has_the_recipient_s_name(at: Stage, doing: str) -> Asked:
    return await across(at, "Hillside|^Quillfeather^Zebediah")  # who may be the patient


@says("UnavailableRecipient", "ITI-80", peers=AWAY)
async def the_recipient_s_community_does_not_answer(at: Stage, doing: str) -> Asked:
    return await across(at, "Hillside", home=NOBODY, location=NOBODY.urn)


@says("XDSUnavailableCommunity", "ITI-80", peers=AWAY)
@says("XDSUnknownCommunity", "ITI-80")
async def it_is_for_a_community_that_cannot_be_given_it(at: Stage, doing: str) -> Asked:
    return await across(at, home=NOBODY, location=NOBODY.urn)


@says("XDSMissingHomeCommunityId", "ITI-80")
async def it_does_not_say_for_which_community_it_is(at: Stage, doing: str) -> Asked:
    return await across(at, home=None)


@says("DocumentQueued", "ITI-80")
async def nobody_knows_whose_it_is_that_came_from_another_community(at: Stage, doing: str) -> Asked:
    nemo = Patient(
        identifiers=(PatientIdentifier(value="LK90009", authority=Oid("1.2.4.4")),), name=PersonName(family="Nemo")
    )
    return replace(await across(at, of=nemo), peer="Lakeside", status=ResponseStatus.SUCCESS, severity="Warning")


# what is retrieved


@says("XDSUnavailableCommunity", "ITI-43", "RAD-69", peers=AWAY)
@says("XDSUnknownCommunity", "ITI-43", "RAD-69")
async def it_is_of_a_community_that_cannot_be_asked(at: Stage, doing: str) -> Asked:
    path = GATEWAY if doing == "ITI-43" else IMAGING_GATEWAY
    study = write_study(at.here.folder / "theirs", series=1, instances=1)
    return await retrieving(doing, study, home=NOBODY, path=path, location=NOBODY.urn)


@says("XDSUnknownCommunity", "ITI-39", "RAD-75")
async def it_is_of_another_community(at: Stage, doing: str) -> Asked:
    return await retrieving(doing, await at.keeps(), home=NOBODY)


@says("XDSMissingHomeCommunityId", "ITI-39", "RAD-75")
async def its_community_is_not_named(at: Stage, doing: str) -> Asked:
    asked = await retrieving(doing, await at.keeps())
    home = rb"<(\w+:)?HomeCommunityId>[^<]*</(\w+:)?HomeCommunityId>"
    body, times = re.subn(home, b"", asked.message.body)
    assert times
    return replace(asked, message=replace(asked.message, body=body))


@says("XDSUnknownRepositoryId", "ITI-43", "RAD-69", "ITI-39", "RAD-75")
async def it_is_of_another_repository(at: Stage, doing: str) -> Asked:
    return await retrieving(doing, await at.keeps(), repository=Oid("1.2.99.2"))


@says("XDSDocumentUniqueIdError", "ITI-43", "RAD-69", "ITI-39", "RAD-75")
async def it_is_not_here(at: Stage, doing: str) -> Asked:
    return await retrieving(doing, write_study(at.here.folder / "never-sent", series=1, instances=1))


@says("XDSRepositoryError", "RAD-69", "RAD-75")
async def it_cannot_be_had_in_this_syntax(at: Stage, doing: str) -> Asked:
    return await retrieving(doing, await at.keeps(), syntaxes=("1.2.840.10008.1.2.4.90",))


# what is changed


def version_of(
    old: DocumentEntry | Folder, previous: int = 1, *, of: PatientIdentifier = DOMAIN_ID, **fields: Any
) -> Submission:
    changed = {"entry_uuid": entry_uuid(), "logical_id": old.entry_uuid} | fields
    new: Any = replace(old, **changed)
    whole = brought(folders=(new,), of=of) if isinstance(new, Folder) else brought(new, of=of)
    extra = (("PreviousVersion", (str(previous),)),)
    return replace(whole, associations=tuple(replace(each, extra=extra) for each in whole.associations))


def change_of(target: str, original: AvailabilityStatus, new: AvailabilityStatus) -> Submission:
    whole = brought(of=DOMAIN_ID)
    extra = (("OriginalStatus", (str(original),)), ("NewStatus", (str(new),)))
    arrow = replace(relation(STATUS, whole.submission_set.entry_uuid, target), extra=extra)
    return replace(whole, associations=(arrow,))


async def updating(doing: str, told: Submission, at: str | None = None, **asked: Any) -> Asked:
    kind = UpdateRequest if doing == "ITI-57" else RestrictedUpdateRequest
    return await asking(doing, kind(submission=told), location=at, names=at or "", **asked)


@says("UnresolvedReferenceException", "ITI-57")
async def nobody_registered_what_is_deprecated(at: Stage, doing: str) -> Asked:
    return replace(await updating(doing, change_of(NOTHING, APPROVED, DEPRECATED)), location=NOTHING)


@says("XDSMetadataUpdateError", "ITI-57")
async def the_status_was_another_one(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    return await updating(doing, change_of(first.entry_uuid, DEPRECATED, APPROVED), first.entry_uuid)


@says("XDSMetadataUpdateOperationError", "ITI-57")
async def the_status_is_to_be_what_it_was(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    told = change_of(first.entry_uuid, APPROVED, APPROVED)
    return await updating(doing, told, told.associations[0].entry_uuid)


@says("XDSMetadataVersionError", "ITI-57", "ITI-92")
async def the_version_that_is_followed_is_not_the_newest(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    return await updating(doing, version_of(first, 7), first.entry_uuid)


@says("XDSPatientIDReconciliationError", "ITI-57")
async def the_new_version_is_another_patient_s_than_the_set(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    told = version_of(first)
    told = replace(told, submission_set=replace(told.submission_set, patient_id=OTTOLINE_ID))
    return await updating(doing, told, told.entries[0].entry_uuid)


@says("XDSObjectTypeError", "ITI-92")
async def a_folder_is_not_updated_so(at: Stage, doing: str) -> Asked:
    filed = folder(DOMAIN_ID, codes=(registered().class_code,), title="a folder")
    await at.registers(folders=(filed,))
    told = version_of(filed)
    return await updating(doing, told, told.folders[0].entry_uuid)


@says("XDSMetadataIdentifierError", "ITI-92")
async def there_is_no_such_logical_id(at: Stage, doing: str) -> Asked:
    return await updating(doing, version_of(registered(), logical_id=NOTHING), NOTHING)


@says("XDSInvalidRequestException", "ITI-92")
async def a_first_version_comes_as_an_update(at: Stage, doing: str) -> Asked:
    told = version_of(registered(), logical_id="")
    return await updating(doing, told, told.entries[0].entry_uuid)


@says("UnmodifiableMetadataError", "ITI-92")
async def what_is_fixed_is_changed(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    told = version_of(first, mime_type="text/plain")
    return await updating(doing, told, told.entries[0].entry_uuid)


@says("XDSMetadataAnnotationError", "ITI-92")
async def the_new_version_is_no_member_of_the_set(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    told = replace(version_of(first), associations=())
    return await updating(doing, told, told.entries[0].entry_uuid)


@says("LocalPolicyRestrictionError", "ITI-92")
async def the_peer_may_not(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    return await updating(doing, version_of(first), peer="Lakeside")


# what is removed


@says("UnresolvedReferenceException", "ITI-62")
async def nobody_registered_what_is_removed(at: Stage, doing: str) -> Asked:
    return await asking(doing, RemoveMetadataRequest(entry_uuids=(NOTHING,)), location=NOTHING)


@says("ReferencesExistException", "ITI-62")
async def something_that_stays_refers_to_it(at: Stage, doing: str) -> Asked:
    first = registered()
    await at.registers(first)
    id = first.entry_uuid
    return await asking(doing, RemoveMetadataRequest(entry_uuids=(id,)), location=id, names=id)


@says("XDSUnreferencedObjectException", "ITI-62")
async def a_document_would_be_of_no_submission(at: Stage, doing: str) -> Asked:
    first = registered()
    (member,) = (await at.registers(first, folders=())).associations
    request = RemoveMetadataRequest(entry_uuids=(member.entry_uuid,))
    return await asking(doing, request)


def removing(unique_id: str, repository: str = VALLEY_REPOSITORY) -> RemoveDocumentsRequest:
    wanted = DocumentRequest(repository_unique_id=repository, document_unique_id=unique_id)
    return RemoveDocumentsRequest(documents=(wanted,))


@says("XDSDocumentUniqueIdError", "ITI-86")
async def what_is_removed_is_not_here(at: Stage, doing: str) -> Asked:
    return await asking(doing, removing("1.2.99.7"), location="1.2.99.7")


@says("XDSUnknownRepositoryId", "ITI-86")
async def what_is_removed_is_another_repository_s(at: Stage, doing: str) -> Asked:
    first = document()
    await at.provides(first)
    return await asking(doing, removing(first.unique_id, "1.2.99.2"), location=first.unique_id)


@says("XDSRemoveDocumentsError", "ITI-86")
async def an_exchange_needs_the_manifest(at: Stage, doing: str) -> Asked:
    async def never(source: ScriptedSource, asked: object) -> web.StreamResponse:
        await source.hang()
        return web.Response(status=503)

    at.here.source.script = [never]
    offer = offer_of(at.here.study(), patient_id=DOMAIN_ID)
    assert await (await at.valley.provide(offer)).codes() == ()
    await at.valley.rests("moving")
    unique_id = offer.submission.entries[0].unique_id
    return await asking(doing, removing(unique_id), location=unique_id, names=unique_id)


# --- the tests --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def stage(folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    async with world(folder, **settings) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(replace(SOMEBODY_ELSE, identifiers=(*SOMEBODY_ELSE.identifiers, OTTOLINE_ID)))
        yield Stage(here)


def says_no_name(answer: Answered) -> None:
    for error in answer.errors:
        text = " ".join(error.values()).lower()
        assert not [each for each in PATIENTS if each in text], error


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_code_is_said_with_status_severity_and_location(tmp_path: Path, case: Case) -> None:
    async with stage(tmp_path, **case.settings) as at:
        asked = await case.provoke(at, case.transaction)
        if asked.status is ResponseStatus.SUCCESS:
            answer = await at.sends(asked.message, asked.path, asked.peer)
        else:
            calls = case.code in ("XDSUnavailableCommunity", "UnavailableRecipient")  # which is audited too
            async with at.valley.refusing(audits=2 if calls else 1):
                answer = await at.sends(asked.message, asked.path, asked.peer)
                await at.valley.closed(case.transaction)
        assert answer.status == asked.status
        assert answer.codes == {case.code}
        says_no_name(answer)
        for error in answer.errors:
            assert error["severity"].rpartition(":")[2] == asked.severity
            assert error["codeContext"]
            assert asked.location in (None, error.get("location", ""))
            assert asked.names in error["codeContext"]


# --- when it is the house that cannot ---------------------------------------------------------------------------------

STRAINED = ("ITI-41", "ITI-42", "ITI-18", "ITI-38", "ITI-43", "RAD-69", "ITI-39", "RAD-75")
FOR_A_REGISTRY = frozenset({"ITI-42", "ITI-18", "ITI-38"})


def of_the_house(trouble: str, transaction: str) -> str:
    """XDSRegistryBusy and its like: named after the one who says it."""
    return f"XDS{'Registry' if transaction in FOR_A_REGISTRY else 'Repository'}{trouble}"


async def good(at: Stage, doing: str, study: SampleStudy) -> Asked:
    if doing in ("ITI-41", "ITI-42"):
        return await submitting(doing, brought(entry_for(doing), of=DOMAIN_ID))
    return await (questioning(doing, FIND) if doing in FOR_A_REGISTRY else retrieving(doing, study))


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Another program holds the database for itself."""
    with closing(sqlite3.connect(data / "radgate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


async def test_a_house_that_is_too_busy_says_so_on_every_wire_and_recovers(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        study = await at.keeps()
        for transaction in STRAINED:
            asked = await good(at, transaction, study)
            before = at.valley.kept().clinical
            with locked(at.valley.data):
                answer = await at.sends(asked.message, asked.path)
            assert (transaction, answer.codes) == (transaction, {of_the_house("Busy", transaction)})
            assert answer.status == ResponseStatus.FAILURE
            says_no_name(answer)
            assert at.valley.kept().clinical == before
        for transaction in ("ITI-41", "ITI-42", "ITI-18"):
            asked = await good(at, transaction, study)
            assert (await at.sends(asked.message, asked.path)).status == ResponseStatus.SUCCESS


@pytest.mark.judge_program
async def test_a_house_without_room_says_so_on_every_wire_and_recovers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "valley", 24):
        async with stage(tmp_path) as at:
            study = await at.keeps()
            asked = {each: await good(at, each, study) for each in STRAINED}
            before, ballast = at.valley.kept().clinical, fill(at.valley.data)
            for transaction, each in asked.items():
                answer = await at.sends(each.message, each.path)
                assert (transaction, answer.codes) == (transaction, {of_the_house("OutOfResources", transaction)})
                assert answer.status == ResponseStatus.FAILURE
                says_no_name(answer)
            assert at.valley.kept().clinical == before
            ballast.unlink()
            for each in ("ITI-41", "ITI-42", "ITI-18"):
                assert (await at.sends(asked[each].message, asked[each].path)).status == ResponseStatus.SUCCESS


# --- that nothing is left out -----------------------------------------------------------------------------------------

_OURS = "our repository and registry are one house, and each speaks in its own name"
_ONE_ANSWERS = "the house hands out what it was asked for by name; no table of ours limits or mixes that"
_XDR = "whatever is said of a document beside its bytes is registered with it; nothing is passed over"
NEVER: Mapping[tuple[str, str], str] = {
    **{
        (code, "P"): _XDR
        for code in (
            "PartialAppendContentNotProcessed",
            "PartialFolderContentNotProcessed",
            "PartialRelationshipContentNotProcessed",
            "PartialReplaceContentNotProcessed",
            "PartialTransformNotProcessed",
            "PartialTransformReplaceNotProcessed",
            "PartialTransformContentNotProcessed",
            "PartialTransformReplaceContentNotProcessed",
        )
    },
    ("XDSMissingHomeCommunityId", "RS"): "what names no home is ours: an initiating gateway asks our own repository",
    ("XDSNonIdenticalSize", "P"): "our repository counts and hashes the bytes itself: another size is another hash",
    ("XDSRegistryBusy", "P"): _OURS,
    ("XDSRegistryDuplicateUniqueIdInMessage", "P"): _OURS,
    ("XDSRepositoryDuplicateUniqueIdInMessage", "R"): _OURS,
    **{("XDSRegistryError", column): _OURS for column in ("P", "RS", "XGR")},
    **{("XDSRepositoryError", column): _OURS for column in ("R", "SQ", "XGQ")},
    ("XDSRegistryMetadataError", "P"): _OURS,
    ("XDSRepositoryMetadataError", "R"): _OURS,
    **{("XDSRegistryOutOfResources", column): _OURS for column in ("P", "RS", "XGR")},
    **{("XDSRepositoryOutOfResources", column): _OURS for column in ("R", "SQ", "XGQ")},
    ("XDSRegistryNotAvailable", "P"): "this house is its own registry; where it is not, test_registry_elsewhere.py",
    ("XDSReplaceFailed", "P"): "deprecated",
    ("XDSReplaceFailed", "R"): "deprecated",
    **{("XDSResultNotSinglePatient", column): _ONE_ANSWERS for column in ("RS", "XGR")},
    **{("XDSTooManyResults", column): _ONE_ANSWERS for column in ("RS", "XGR")},
    **{(code, "MHD"): "MHD is not played" for code in ("UnknownRecipient", "UnavailableRecipient")},
    ("FHIRDocumentNotSupported", "MHD"): "MHD is not played",
    ("TranscodingError", "XCF"): "XCF is not played",
}
"""What the table has and no transaction of ours says, with the reason."""

BESIDE = {
    *((code, "ITI-86") for code in ("XDSDocumentUniqueIdError", "XDSUnknownRepositoryId")),
    *(
        (code, "XCDR")
        for code in ("DocumentQueued", "XDSMissingHomeCommunityId", "XDSUnavailableCommunity", "XDSUnknownCommunity")
    ),
}
"""What the table does not give to ITI-86, and notes 3.14 do; and to XCDR, which is a submission and names a community."""


def provoked() -> set[tuple[str, str]]:
    """Codes with the columns that the tests above prove."""
    of_cases = {(case.code, COLUMNS.get(case.transaction, case.transaction)) for case in CASES}
    strained = {
        (of_the_house(trouble, each), COLUMNS[each]) for trouble in ("Busy", "OutOfResources") for each in STRAINED
    }
    return of_cases | strained


def rows(notes: str) -> set[tuple[str, str]]:
    """The rows of the two tables of section 1.6: every code with every column."""
    found: set[tuple[str, str]] = set()
    section = notes[notes.index("### 1.6 Error codes") : notes.index("### 1.7")]
    for line in section.splitlines():
        if not line.startswith("| ") or line.startswith("| Code "):
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        codes = [each for each in re.findall(r"\b[A-Z][A-Za-z]{8,}\b", cells[0]) if not each.isupper()]
        parts = re.split(r"[/;]", next(cell for cell in reversed(cells) if cell))
        shared = len(parts) == 1
        for place, code in enumerate(codes):
            found |= {(code, column) for column in columns_of(parts[0 if shared else place])}
    return found


def columns_of(text: str) -> set[str]:
    if text.strip() == "all":
        return {"P", "R", "SQ", "RS", "XGQ", "XGR"}
    named = re.findall(r"ITI-\d\d|\b\d\d\b|XCDR|MHD|XCF|XGQ|XGR|SQ|RS|P|R", text)
    return {f"ITI-{each}" if each.isdecimal() else each for each in named}


@pytest.mark.judge_standard
def test_every_row_of_the_table_is_provoked_or_cannot_be() -> None:
    table = rows(standards("xds-soap.md").read_text(encoding="utf-8"))
    assert len(table) > 90
    assert table - provoked() - NEVER.keys() == set(), "in the table, neither provoked nor excused"
    assert NEVER.keys() - table == set(), "excused, and not in the table"
    assert NEVER.keys() & provoked() == set(), "excused, and provoked"
    assert provoked() - table == BESIDE


def test_every_code_that_a_transaction_of_ours_may_say_is_provoked_or_excused() -> None:
    assert ERROR_CODES.keys() == {code for code, _ in provoked()} | {code for code, _ in NEVER} & ERROR_CODES.keys()


def test_where_the_text_names_the_object_a_case_says_so() -> None:
    assert {case.code for case in CASES} >= NAMES_IT
