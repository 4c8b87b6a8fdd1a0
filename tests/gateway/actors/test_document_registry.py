"""A registry as its peers meet it: what is registered, what is refused with which code, and what is only warned of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from gateway.adapters.memory import MemoryStore
from gateway.ports.store import Work
from profiles.errors import Busy, HouseError, OutOfResources
from profiles.findings import Severity
from profiles.model.document import Association, AssociationType, DocumentEntry, EntryType, Submission
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.wire.ebxml.response import ERROR_CODES
from profiles.wire.ebxml.rim import RIM
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti42 import ITI_42, RegisterRequest, RegistryResponse, ResponseStatus
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, DocumentRequest, RemoveDocumentsRequest
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest
from tests.support.ebxml import judge, written
from tests.support.hl7 import HOUSE
from tests.support.registered import entry_uuid, folder, relation
from tests.support.registry import JAN, KIM, RegistryHouse, brought, codes, registrable, with_arrows

RPLC, MEMBER, APPEND = AssociationType.REPLACE, AssociationType.HAS_MEMBER, AssociationType.APPEND


async def house() -> RegistryHouse:
    return await RegistryHouse().open()


async def register(here: RegistryHouse, submitted: Submission) -> RegistryResponse:
    return await here.ask(ITI_42, RegisterRequest(submission=submitted))


async def refused(here: RegistryHouse, submitted: Submission) -> list[str]:
    before = here.memory.state
    answer = await register(here, submitted)
    assert answer.status is ResponseStatus.FAILURE
    after = here.memory.state
    assert (before.entries, before.sets, before.folders, before.associations) == (
        after.entries, after.sets, after.folders, after.associations,
    )  # fmt: skip
    assert set(codes(answer.errors)) <= {code for code, those in ERROR_CODES.items() if "ITI-42" in those}
    return codes(answer.errors)


@pytest.mark.judge_standard
async def test_a_registration_is_answered_by_the_schemas() -> None:
    here = await house()
    answer = await register(here, brought(registrable()))
    assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())
    judge(here.answer)


async def test_what_is_not_kept_of_the_metadata_is_told_as_a_warning() -> None:
    here, one = await house(), registrable()
    body = written(ITI_42.encode_request(RegisterRequest(submission=brought(one))))
    document = next(body.iter(f"{{{RIM}}}ExtrinsicObject"))
    for name, attributes in (
        ("Classification", {"classificationScheme": "urn:uuid:0e0e0e0e-0000-4000-8000-000000000001"}),
        ("ExternalIdentifier", {"identificationScheme": "urn:uuid:0e0e0e0e-0000-4000-8000-000000000002"}),
    ):
        extra = etree.SubElement(document, f"{{{RIM}}}{name}", attributes, id=f"extra-{name}")
        extra.set("classifiedObject" if name == "Classification" else "registryObject", one.entry_uuid)
    answer = await here.tell(ITI_42, body)
    assert answer.status is ResponseStatus.SUCCESS
    assert [(each.code, each.severity, each.location) for each in answer.errors] == [
        ("XDSExtraMetadataNotSaved", Severity.WARNING, one.entry_uuid)
    ] * 2
    assert one.entry_uuid in here.memory.state.entries


async def test_a_slot_of_others_is_kept_and_no_warning_is_due() -> None:
    here, one = await house(), registrable(extra=(("urn:example:ward", ("7",)),))
    answer = await register(here, brought(one))
    assert answer.errors == ()
    assert here.memory.state.entries[one.entry_uuid].extra == (("urn:example:ward", ("7",)),)


async def test_the_first_version_is_the_registry_s_whatever_the_sender_says() -> None:
    here, one = await house(), registrable()
    answer = await register(here, brought(replace(one, logical_id=entry_uuid())))
    assert answer.status is ResponseStatus.SUCCESS
    kept = here.memory.state.entries[one.entry_uuid]
    assert (kept.logical_id, kept.version) == ("", 1)


async def test_a_symbolic_id_becomes_a_uuid_everywhere() -> None:
    here, one = await house(), registrable(entry_uuid="Document01")
    answer = await register(here, brought(one))
    assert answer.status is ResponseStatus.SUCCESS
    (kept,) = here.memory.state.entries.values()
    assert kept.entry_uuid.startswith("urn:uuid:")
    assert [each.target for each in here.memory.state.associations.values()] == [kept.entry_uuid]


# --- every code that a registration may be refused with --------------------------------------------------------------


def replacing(new: DocumentEntry, old: str) -> Submission:
    return brought(new, associations=(relation(RPLC, new.entry_uuid, old),))


async def test_a_patient_whom_nobody_feeds_is_unknown() -> None:
    stranger = PatientIdentifier(value="nobody", authority=HOUSE.domain_authority)
    assert await refused(await house(), brought(registrable(stranger), of=stranger)) == ["XDSUnknownPatientId"]


async def test_an_id_of_another_domain_is_unknown() -> None:
    stranger = PatientIdentifier(value="jan", authority=Oid("1.2.99"))
    assert await refused(await house(), brought(registrable(stranger), of=stranger)) == ["XDSUnknownPatientId"]


async def test_an_entry_and_a_folder_are_the_submission_set_s_patient_s() -> None:
    here = await house()
    assert await refused(here, brought(registrable(KIM), of=JAN)) == ["XDSPatientIdDoesNotMatch"]
    filed = folder(KIM, codes=(registrable().class_code,), title="a folder")
    assert await refused(here, brought(folders=(filed,), of=JAN)) == ["XDSPatientIdDoesNotMatch"]


async def test_a_document_of_another_patient_is_not_replaced() -> None:
    here, of_kim = await house(), registrable(KIM)
    await register(here, brought(of_kim, of=KIM))
    assert await refused(here, replacing(registrable(JAN), of_kim.entry_uuid)) == ["XDSPatientIdDoesNotMatch"]


async def test_what_is_not_there_is_not_replaced() -> None:
    assert await refused(await house(), replacing(registrable(), entry_uuid())) == ["UnresolvedReferenceException"]


async def test_what_was_replaced_is_not_replaced_again() -> None:
    here, old, new = await house(), registrable(), registrable()
    await register(here, brought(old))
    await register(here, replacing(new, old.entry_uuid))
    assert await refused(here, replacing(registrable(), old.entry_uuid)) == ["XDSRegistryDeprecatedDocumentError"]


async def test_a_submission_set_is_registered_once() -> None:
    here, whole = await house(), brought(registrable())
    await register(here, whole)
    assert await refused(here, whole) == ["XDSDuplicateUniqueIdInRegistry"]


async def test_a_folder_is_registered_once() -> None:
    here = await house()
    filed = folder(JAN, codes=(registrable().class_code,), title="a folder")
    await register(here, brought(folders=(filed,)))
    again = replace(filed, entry_uuid=entry_uuid())
    assert await refused(here, brought(folders=(again,))) == ["XDSDuplicateUniqueIdInRegistry"]


async def test_a_uniqueid_stands_once_in_a_submission() -> None:
    one = registrable()
    two = registrable(unique_id=one.unique_id)
    assert await refused(await house(), brought(one, two)) == ["XDSRegistryDuplicateUniqueIdInMessage"]


@pytest.mark.parametrize(
    ("field", "value", "code"), [("hash", "1" * 40, "XDSNonIdenticalHash"), ("size_bytes", 11, "XDSNonIdenticalSize")]
)
async def test_a_uniqueid_is_one_document(field: str, value: object, code: str) -> None:
    here, one = await house(), registrable()
    await register(here, brought(one))
    assert await refused(here, brought(registrable(JAN, unique_id=one.unique_id, **{field: value}))) == [code]


async def test_what_a_registry_needs_is_named_when_it_is_missing() -> None:
    assert await refused(await house(), brought(registrable(hash="", language_code=""))) == [
        "XDSRegistryMetadataError", "XDSRegistryMetadataError",
    ]  # fmt: skip


async def test_a_folder_has_documents_as_members_and_nothing_else() -> None:
    here = await house()
    one, two = (folder(JAN, codes=(registrable().class_code,), title="a folder") for _ in range(2))
    wrong = relation(MEMBER, one.entry_uuid, two.entry_uuid)
    assert await refused(here, brought(folders=(one, two), associations=(wrong,))) == ["XDSRegistryMetadataError"]


async def test_an_arrow_of_an_update_is_none_of_a_registration() -> None:
    here, old = await house(), registrable()
    await register(here, brought(old))
    for type_ in (AssociationType.UPDATE_AVAILABILITY_STATUS, AssociationType.SUBMIT_ASSOCIATION):
        whole = brought()
        arrow: Association = relation(type_, whole.submission_set.entry_uuid, old.entry_uuid)
        assert await refused(here, with_arrows(whole, arrow)) == ["XDSRegistryMetadataError"]


async def test_an_addendum_starts_at_a_document_of_the_submission() -> None:
    here, old, older = await house(), registrable(), registrable()
    await register(here, brought(old, older))
    wrong = relation(APPEND, old.entry_uuid, older.entry_uuid)
    assert await refused(here, with_arrows(brought(), wrong)) == ["UnresolvedReferenceException"]


# --- documents that are made when they are asked for -------------------------------------------------------------------


def on_demand(**fields: object) -> DocumentEntry:
    bare = {"entry_type": EntryType.ON_DEMAND, "creation_time": None, "hash": "", "size_bytes": None}
    return registrable(JAN, **bare | fields)


async def register_on_demand(here: RegistryHouse, submitted: Submission) -> list[str]:
    before = here.memory.state.entries
    answer = await here.ask(ITI_61, RegisterOnDemandRequest(submission=submitted))
    assert (here.memory.state.entries == before) == (answer.status is ResponseStatus.FAILURE)
    return codes(answer.errors)


@pytest.mark.judge_standard
async def test_an_on_demand_entry_is_registered_and_found_by_who_asks_for_such() -> None:
    here, one = await house(), on_demand()
    judge(written(ITI_61.encode_request(RegisterOnDemandRequest(submission=brought(one)))))
    assert await register_on_demand(here, brought(one)) == []
    judge(here.answer)
    criteria = DocumentCriteria(patient_ids=(JAN,), statuses=(one.availability_status,))
    for types, found in (((EntryType.STABLE,), []), ((EntryType.ON_DEMAND,), [one.entry_uuid])):
        asked = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=replace(criteria, entry_types=types))
        assert [each.entry_uuid for each in (await here.ask(ITI_18, asked)).entries] == found


@pytest.mark.parametrize(
    ("field", "value"), [("creation_time", Moment.from_dtm("2026")), ("hash", "0" * 40), ("size_bytes", 0)]
)
async def test_an_on_demand_entry_says_nothing_of_bytes_that_there_are_not(field: str, value: object) -> None:
    here = await house()
    assert await register_on_demand(here, brought(on_demand(**{field: value}))) == ["XDSRegistryMetadataError"]


async def test_each_kind_of_entry_has_its_own_registration() -> None:
    here = await house()
    assert await register_on_demand(here, brought(registrable())) == ["XDSRegistryMetadataError"]
    assert await refused(here, brought(on_demand())) == ["XDSRegistryMetadataError"]
    assert await register_on_demand(here, brought(on_demand(repository_unique_id=None))) == ["XDSRegistryMetadataError"]


async def test_a_uniqueid_is_of_one_kind_and_an_on_demand_entry_may_come_again() -> None:
    here, one, stable = await house(), on_demand(), registrable()
    assert await register_on_demand(here, brought(one)) == []
    assert await register_on_demand(here, brought(on_demand(unique_id=one.unique_id))) == []
    await register(here, brought(stable))
    assert await register_on_demand(here, brought(on_demand(unique_id=stable.unique_id))) == [
        "XDSRegistryMetadataError"
    ]
    assert await refused(here, brought(registrable(JAN, unique_id=one.unique_id))) == ["XDSRegistryMetadataError"]


async def test_a_snapshot_points_at_the_on_demand_entry_that_it_was_made_of() -> None:
    here, one, snapshot = await house(), on_demand(), registrable()
    assert await register_on_demand(here, brought(one)) == []
    arrow = relation(AssociationType.IS_SNAPSHOT_OF, snapshot.entry_uuid, one.entry_uuid)
    answer = await register(here, brought(snapshot, associations=(arrow,)))
    assert answer.errors == ()


# --- a store that cannot ------------------------------------------------------------------------------------------------


class Unable(MemoryStore):
    """A store that is full, or busy, when it is asked."""

    trouble: HouseError | None = None

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Work]:
        if self.trouble is not None:
            raise self.trouble
        async with super().unit() as work:
            yield work

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Work]:
        if self.trouble is not None:
            raise self.trouble
        async with super().view() as work:
            yield work


def updated_once(old: DocumentEntry) -> Submission:
    whole = brought(replace(old, entry_uuid=entry_uuid(), logical_id=old.entry_uuid))
    extra = (("PreviousVersion", ("1",)),)
    return replace(whole, associations=tuple(replace(each, extra=extra) for each in whole.associations))


ONE = registrable()
FIND_HIS = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=(JAN,), statuses=(ONE.availability_status,))
)
EVERY: list[tuple[SoapTransaction[Any, Any], object, str]] = [
    (ITI_42, RegisterRequest(submission=brought(ONE)), "Registry"),
    (ITI_61, RegisterOnDemandRequest(submission=brought(on_demand())), "Registry"),
    (ITI_18, FIND_HIS, "Registry"),
    (ITI_51, replace(FIND_HIS, query=MultiPatientQuery.FIND_DOCUMENTS), "Registry"),
    (ITI_57, UpdateRequest(submission=updated_once(ONE)), "Registry"),
    (ITI_92, RestrictedUpdateRequest(submission=updated_once(ONE)), "Registry"),
    (ITI_62, RemoveMetadataRequest(entry_uuids=(ONE.entry_uuid,)), "Registry"),
    (
        ITI_86,
        RemoveDocumentsRequest(
            documents=(
                DocumentRequest(repository_unique_id=str(HOUSE.repository_unique_id), document_unique_id=ONE.unique_id),
            )
        ),
        "Repository",
    ),
]


@pytest.mark.parametrize(("transaction", "request_", "speaker"), EVERY, ids=[str(each[0]) for each in EVERY])
@pytest.mark.parametrize(("trouble", "word"), [(Busy("later"), "Busy"), (OutOfResources("full"), "OutOfResources")])
async def test_a_store_that_cannot_is_told_so_that_the_sender_comes_back(
    transaction: SoapTransaction[Any, Any], request_: object, speaker: str, trouble: HouseError, word: str
) -> None:
    store = Unable()
    here = await RegistryHouse(store).open()
    store.trouble = trouble
    answer = await here.ask(transaction, request_)
    assert answer.status is ResponseStatus.FAILURE
    assert codes(answer.errors) == [f"XDS{speaker}{word}"]
