"""Removals: metadata from the registry (ITI-62), documents from the repository (ITI-86). All that is named, or nothing."""

from dataclasses import replace

import pytest

from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.ports.objects import StagedObject
from profiles.model.audit import Action, Outcome
from profiles.model.codes import MANIFEST_FORMAT
from profiles.model.content import Content
from profiles.model.document import Association, AssociationType, AvailabilityStatus, DocumentEntry, Submission
from profiles.model.identifiers import Uid
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.wire.audit.participants import PATIENT_RECORD
from profiles.wire.dicom.kos import encode_kos
from profiles.wire.ebxml.response import ERROR_CODES
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, DocumentRequest, RegistryResponse, RemoveDocumentsRequest, ResponseStatus
from tests.support.hl7 import HOUSE
from tests.support.registered import CT, NOW, entry_uuid, folder, instance, patient, relation, series, study
from tests.support.registry import JAN, KIM, RegistryHouse, brought, codes, registrable

MEMBER, APND = AssociationType.HAS_MEMBER, AssociationType.APPEND
BODY = b"%PDF-1.7 a report"
REPOSITORY = str(HOUSE.repository_unique_id)


class House(RegistryHouse):
    """A registry and a repository, asked to let go."""

    async def registers(self, *entries: DocumentEntry, **more: object) -> Submission:
        whole = brought(*entries, **more)  # type: ignore[arg-type]
        answer = await self.ask(ITI_42, RegisterRequest(submission=whole))
        assert answer.errors == ()
        return whole

    async def keeps(self, *entries: DocumentEntry, body: bytes = BODY) -> None:
        async with self.store.unit() as work:
            for each in entries:
                staged = StagedObject(content=Content.of(body, each.mime_type), inline=body, path=None)
                await work.documents.keep(each.unique_id, staged)

    async def removes(self, *ids: str) -> list[str]:
        """Codes, of which there are none when it was done; a refusal changes nothing."""
        before = self.memory.state
        return self.judged(before, await self.ask(ITI_62, RemoveMetadataRequest(entry_uuids=ids)), "ITI-62")

    async def removes_documents(self, *ids: str, repository: str = REPOSITORY) -> list[str]:
        before = self.memory.state
        named = tuple(DocumentRequest(repository_unique_id=repository, document_unique_id=each) for each in ids)
        return self.judged(before, await self.ask(ITI_86, RemoveDocumentsRequest(documents=named)), "ITI-86")

    def judged(self, before: object, answer: RegistryResponse, column: str) -> list[str]:
        changed = any(
            getattr(before, name) != getattr(self.memory.state, name)
            for name in ("entries", "sets", "folders", "associations", "unique_ids", "documents")
        )
        assert changed == (answer.status is ResponseStatus.SUCCESS)
        assert set(codes(answer.errors)) <= {code for code, those in ERROR_CODES.items() if column in those}
        assert all(each.location for each in answer.errors)
        return codes(answer.errors)


@pytest.fixture
async def here() -> House:
    house = House()
    await house.open()
    return house


def all_of(whole: Submission, *others: Association) -> list[str]:
    return [
        whole.submission_set.entry_uuid,
        *(each.entry_uuid for each in (*whole.entries, *whole.folders, *whole.associations, *others)),
    ]


# --- metadata ---------------------------------------------------------------------------------------------------------


async def test_a_whole_submission_is_removed_and_may_come_again(here: House) -> None:
    whole = await here.registers(registrable(), folders=(folder(JAN, codes=(CT,), title="f"),))
    other = await here.registers(registrable())
    assert await here.removes(*all_of(whole)) == []
    state = here.memory.state
    assert set(state.objects) == set(all_of(other))
    assert await here.ask(ITI_42, RegisterRequest(submission=whole)) == RegistryResponse()


async def test_what_is_not_there_is_named(here: House) -> None:
    whole = await here.registers(registrable())
    nothing, nobody = entry_uuid(), entry_uuid()
    assert await here.removes(*all_of(whole), nothing, nobody) == ["UnresolvedReferenceException"] * 2


async def test_what_is_held_is_not_there(here: House) -> None:
    pending = AvailabilityStatus.PENDING
    held = brought(registrable(availability_status=pending))
    async with here.store.unit() as work:
        await work.registry.put(held, NOW)
    assert set(await here.removes(*all_of(held)[1:])) == {"UnresolvedReferenceException"}


async def test_what_something_that_stays_refers_to_is_not_removed(here: House) -> None:
    document = registrable()
    whole = await here.registers(document)
    (member,) = whole.associations
    assert await here.removes(whole.submission_set.entry_uuid) == ["ReferencesExistException"]
    assert await here.removes(document.entry_uuid) == ["ReferencesExistException"]
    assert await here.removes(document.entry_uuid, whole.submission_set.entry_uuid) == ["ReferencesExistException"] * 2
    addendum = registrable()
    added = await here.registers(addendum, associations=(relation(APND, addendum.entry_uuid, document.entry_uuid),))
    assert await here.removes(*all_of(whole)) == ["ReferencesExistException"]
    assert await here.removes(*all_of(whole), *all_of(added)) == []
    assert member.entry_uuid not in here.memory.state.associations


async def test_nothing_is_left_of_no_submission(here: House) -> None:
    document, filed = registrable(), folder(JAN, codes=(CT,), title="f")
    whole = await here.registers(document, folders=(filed,))
    of_document, of_folder = whole.associations
    assert await here.removes(of_document.entry_uuid) == ["XDSUnreferencedObjectException"]
    assert await here.removes(document.entry_uuid, of_document.entry_uuid, filed.entry_uuid, of_folder.entry_uuid) == [
        "XDSUnreferencedObjectException"  # a set that has brought nothing
    ]
    assert await here.removes(document.entry_uuid, of_document.entry_uuid) == []


async def test_a_document_is_taken_out_of_a_folder_and_stays(here: House) -> None:
    document, filed = registrable(), folder(JAN, codes=(CT,), title="f")
    files = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    await here.registers(document, folders=(filed,), associations=(files,))
    here.clock.advance(300)
    assert await here.removes(files.entry_uuid) == []
    kept = here.memory.state.folders[filed.entry_uuid].last_update_time
    assert kept is not None and kept.at == here.clock.now()


async def test_a_document_that_two_sets_have_may_lose_one_of_them(here: House) -> None:
    document = registrable()
    await here.registers(document)
    again = brought()
    by_reference = relation(MEMBER, again.submission_set.entry_uuid, document.entry_uuid, original=False)
    await here.ask(ITI_42, RegisterRequest(submission=Submission(
        submission_set=again.submission_set, associations=(by_reference,)
    )))  # fmt: skip
    assert await here.removes(again.submission_set.entry_uuid, by_reference.entry_uuid) == []
    assert document.entry_uuid in here.memory.state.entries


async def test_an_empty_list_is_a_mistake(here: House) -> None:
    assert await here.removes() == ["XDSRegistryError"]


async def test_a_removal_is_audited_with_every_patient_and_object(here: House) -> None:
    of_jan, of_kim = await here.registers(registrable(JAN)), await here.registers(registrable(KIM), of=KIM)
    ids = [*all_of(of_jan), *all_of(of_kim)]
    assert await here.removes(*ids) == []
    records = here.audited()[-2:]
    assert {(each.event, each.action, each.outcome) for each in records} == {
        (PATIENT_RECORD, Action.DELETE, Outcome.SUCCESS)
    }
    assert [each.objects[0].id for each in records] == [str(JAN), str(KIM)]
    assert all([each.id for each in record.objects[1:]] == ids for record in records)
    assert await here.removes(entry_uuid()) == ["UnresolvedReferenceException"]
    assert here.audited()[-1].outcome is Outcome.MINOR_FAILURE


async def test_a_peer_removes_only_where_its_scopes_name_it(here: House) -> None:
    document = registrable()
    whole = await here.registers(document)
    await here.keeps(document)
    request = RemoveMetadataRequest(entry_uuids=tuple(all_of(whole)))
    documents = RemoveDocumentsRequest(
        documents=(DocumentRequest(repository_unique_id=REPOSITORY, document_unique_id=document.unique_id),)
    )
    stranger = Peer(name="Lakeside")
    assert codes((await here.ask(ITI_62, request, peer=stranger)).errors) == ["XDSRegistryError"]
    assert codes((await here.ask(ITI_86, documents, peer=stranger)).errors) == ["XDSDocumentUniqueIdError"]
    admin = Peer(name="Admin", scopes=frozenset({"ITI-62", "ITI-86"}))
    assert (await here.ask(ITI_62, request, peer=admin)).errors == ()
    assert (await here.ask(ITI_86, documents, peer=admin)).errors == ()


# --- documents --------------------------------------------------------------------------------------------------------


async def test_a_removed_document_is_not_retrieved_any_more(here: House) -> None:
    gone, kept = registrable(), registrable()
    await here.registers(gone, kept)
    await here.keeps(gone, kept)
    assert await here.removes_documents(gone.unique_id) == []
    assert set(here.memory.state.documents) == {kept.unique_id}
    assert gone.entry_uuid in here.memory.state.entries  # the registry's own is removed by ITI-62
    named = DocumentRequest(repository_unique_id=REPOSITORY, document_unique_id=gone.unique_id)
    answer = await here.ask(ITI_43, RetrieveDocumentSetRequest(documents=(named,)))
    assert codes(answer.head.errors) == ["XDSDocumentUniqueIdError"]


async def test_a_document_whose_metadata_went_first_is_removed(here: House) -> None:
    document = registrable()
    whole = await here.registers(document)
    await here.keeps(document)
    assert await here.removes(*all_of(whole)) == []
    assert await here.removes_documents(document.unique_id) == []


async def test_of_several_documents_all_go_or_none(here: House) -> None:
    one, two = registrable(), registrable()
    await here.registers(one, two)
    await here.keeps(one, two)
    assert await here.removes_documents(one.unique_id, "1.2.3.4.5", two.unique_id) == ["XDSDocumentUniqueIdError"]
    assert await here.removes_documents(one.unique_id, two.unique_id) == []


async def test_a_document_of_another_repository_is_not_ours_to_remove(here: House) -> None:
    document = registrable()
    await here.registers(document)
    await here.keeps(document)
    assert await here.removes_documents(document.unique_id, repository="1.2.99") == ["XDSUnknownRepositoryId"]


async def test_a_held_document_is_not_there(here: House) -> None:
    held = registrable(availability_status=AvailabilityStatus.PENDING)
    async with here.store.unit() as work:
        await work.registry.put(brought(held), NOW)
    await here.keeps(held)
    assert await here.removes_documents(held.unique_id) == ["XDSDocumentUniqueIdError"]


async def test_a_manifest_that_an_exchange_works_on_stays_until_it_has_ended(here: House) -> None:
    located = replace(instance("1.2.3.60.1.1.1"), transfer_syntax_uid=None)
    series_of = replace(series("1.2.3.60.1.1", located), retrieve_location_uid=HOUSE.retrieve_location_uid)
    whole = study("1.2.3.60.1", series_of, of=patient(JAN))
    body = encode_kos(
        Manifest(
            sop_instance_uid=Uid("1.2.3.60.9"), series_instance_uid=Uid("1.2.3.60.8"), created=Moment(NOW),
            patient=patient(JAN), studies=(whole,),
        )
    )  # fmt: skip
    document = registrable(format_code=MANIFEST_FORMAT)
    await here.registers(document)
    await here.keeps(document, body=body)
    job = ExchangeJob(
        id="job", kind=Kind.RECEIVE, state=State.RECEIVED, opened_at=NOW, updated_at=NOW,
        study_instance_uid=whole.study_instance_uid,
    )  # fmt: skip
    async with here.store.unit() as work:
        await work.ledger.open(job)
        await work.ledger.advance("job", Event.SETTLED, NOW)
    assert await here.removes_documents(document.unique_id) == ["XDSRemoveDocumentsError"]
    async with here.store.unit() as work:
        await work.ledger.advance("job", Event.STARTED, NOW)
        await work.ledger.advance("job", Event.PERMANENT, NOW, reason="no")
    assert await here.removes_documents(document.unique_id) == []


async def test_a_removed_document_is_audited_by_its_name_and_patient(here: House) -> None:
    document = registrable()
    await here.registers(document)
    await here.keeps(document)
    assert await here.removes_documents(document.unique_id) == []
    record = here.audited()[-1]
    assert (record.event, record.action) == (PATIENT_RECORD, Action.DELETE)
    assert [each.id for each in record.objects] == [str(JAN), document.unique_id]
