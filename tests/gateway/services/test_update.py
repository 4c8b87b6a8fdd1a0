"""An update of the registry (ITI-57, ITI-92): what is done, what is refused and how, all or nothing."""

from dataclasses import replace

import pytest

from gateway.model.peer import Peer
from profiles.model.audit import Action, Outcome
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    Submission,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.wire.audit.participants import IMPORT
from profiles.wire.ebxml.response import ERROR_CODES
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti92 import FIXED, ITI_92, RegistryResponse, ResponseStatus, RestrictedUpdateRequest
from tests.support.hl7 import HOUSE
from tests.support.registered import CT, MR, entry_uuid, folder, relation, unique_id
from tests.support.registry import (
    JAN,
    KIM,
    RegistryHouse,
    brought,
    codes,
    next_of,
    registrable,
    version,
    with_arrows,
)

APPROVED, DEPRECATED, PENDING = (
    AvailabilityStatus.APPROVED,
    AvailabilityStatus.DEPRECATED,
    AvailabilityStatus.PENDING,
)
MEMBER, RPLC, APND, SIGNS, STATUS, SUBMIT = (
    AssociationType.HAS_MEMBER,
    AssociationType.REPLACE,
    AssociationType.APPEND,
    AssociationType.SIGNS,
    AssociationType.UPDATE_AVAILABILITY_STATUS,
    AssociationType.SUBMIT_ASSOCIATION,
)


class House(RegistryHouse):
    """A registry whose answers are looked at behind its back."""

    async def registers(self, *entries: DocumentEntry, **more: object) -> Submission:
        whole = brought(*entries, **more)  # type: ignore[arg-type]
        answer = await self.ask(ITI_42, RegisterRequest(submission=whole))
        assert answer.errors == ()
        return whole

    async def updates(self, told: Submission) -> RegistryResponse:
        return await self.ask(ITI_57, UpdateRequest(submission=told))

    async def does(self, told: Submission) -> None:
        answer = await self.updates(told)
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())

    async def refuses(self, told: Submission, *, restricted: bool = False) -> list[str]:
        """Codes of a failure that changed nothing."""
        before = self.memory.state
        if restricted:
            answer = await self.ask(ITI_92, RestrictedUpdateRequest(submission=told))
        else:
            answer = await self.updates(told)
        assert answer.status is ResponseStatus.FAILURE
        after = self.memory.state
        for name in ("entries", "sets", "folders", "associations", "superseded", "unique_ids"):
            assert getattr(before, name) == getattr(after, name), name
        column = "ITI-92" if restricted else "ITI-57"
        assert set(codes(answer.errors)) <= {code for code, those in ERROR_CODES.items() if column in those}
        return codes(answer.errors)

    def entry(self, id: str) -> DocumentEntry:
        return self.memory.state.entries[id]

    def folder(self, id: str) -> Folder:
        return self.memory.state.folders[id]

    def arrows(self, *ends: str) -> set[tuple[str, str, AssociationType]]:
        """Associations between these."""
        return {
            (each.source, each.target, each.type)
            for each in self.memory.state.associations.values()
            if {each.source, each.target} <= set(ends)
        }


@pytest.fixture
async def here() -> House:
    house = House()
    await house.open()
    return house


def status(
    target: str, original: AvailabilityStatus, new: AvailabilityStatus, of: PatientIdentifier = JAN
) -> Submission:
    whole = brought(of=of)
    extra = (("OriginalStatus", (str(original),)), ("NewStatus", (str(new),)))
    return with_arrows(whole, replace(relation(STATUS, whole.submission_set.entry_uuid, target), extra=extra))


def associated(new: Association, of: PatientIdentifier = JAN) -> Submission:
    whole = brought(of=of)
    return with_arrows(whole, new, relation(SUBMIT, whole.submission_set.entry_uuid, new.entry_uuid))


def a_folder(of: PatientIdentifier = JAN, **fields: object) -> Folder:
    return folder(of, codes=(CT,), title="a folder", **fields)


# --- new versions -----------------------------------------------------------------------------------------------------


async def test_a_new_version_follows_and_the_one_before_is_deprecated(here: House) -> None:
    first = registrable(title="first")
    await here.registers(first)
    second = next_of(first, title="second", event_codes=(MR,))
    await here.does(version(second))
    third = next_of(second, title="third")
    await here.does(version(third, 2))
    told = [(here.entry(each.entry_uuid).title, here.entry(each.entry_uuid).version) for each in (first, second, third)]
    assert told == [("first", 1), ("second", 2), ("third", 3)]
    statuses = [here.entry(each.entry_uuid).availability_status for each in (first, second, third)]
    assert statuses == [DEPRECATED, DEPRECATED, APPROVED]


async def test_a_symbolic_id_of_a_new_version_becomes_a_uuid(here: House) -> None:
    first = registrable()
    await here.registers(first)
    await here.does(version(next_of(first, entry_uuid="Document01")))
    (second,) = [each for each in here.memory.state.entries.values() if each.version == 2]
    assert second.entry_uuid.startswith("urn:uuid:")
    assert second.logical_id == first.entry_uuid


async def test_the_update_s_own_submission_set_is_registered_with_the_new_version(here: House) -> None:
    first = registrable()
    await here.registers(first)
    told = version(second := next_of(first))
    await here.does(told)
    assert told.submission_set.entry_uuid in here.memory.state.sets
    assert (told.submission_set.entry_uuid, second.entry_uuid, MEMBER) in here.arrows(
        told.submission_set.entry_uuid, second.entry_uuid
    )


async def test_an_on_demand_entry_is_updated_too(here: House) -> None:
    first = registrable(entry_type=EntryType.ON_DEMAND, creation_time=None, hash="", size_bytes=None)
    async with here.store.unit() as work:
        await work.registry.put(brought(first), here.clock.now())
    await here.does(version(next_of(first, title="second")))


async def test_a_folder_has_versions_and_was_last_updated_by_the_update(here: House) -> None:
    first, document = a_folder(), registrable()
    await here.registers(
        document, folders=(first,), associations=(relation(MEMBER, first.entry_uuid, document.entry_uuid),)
    )
    here.clock.advance(300)
    await here.does(version(second := next_of(first, title="renamed")))
    kept = here.folder(second.entry_uuid)
    assert (kept.title, kept.version, kept.last_update_time) == (
        "renamed", 2, Moment(here.clock.now().replace(microsecond=0)),
    )  # fmt: skip
    assert here.folder(first.entry_uuid).availability_status is DEPRECATED
    assert here.arrows(second.entry_uuid, document.entry_uuid) == {(second.entry_uuid, document.entry_uuid, MEMBER)}


async def test_the_associations_of_a_version_are_made_for_the_next_one_too(here: House) -> None:
    old, first, addendum, filed = registrable(), registrable(), registrable(), a_folder()
    await here.registers(old)
    await here.registers(
        first, folders=(filed,),
        associations=(
            relation(RPLC, first.entry_uuid, old.entry_uuid), relation(MEMBER, filed.entry_uuid, first.entry_uuid)
        ),
    )  # fmt: skip
    await here.registers(addendum, associations=(relation(APND, addendum.entry_uuid, first.entry_uuid),))
    here.clock.advance(300)
    await here.does(version(second := next_of(first)))
    there = second.entry_uuid
    assert here.arrows(there, old.entry_uuid, addendum.entry_uuid, filed.entry_uuid) >= {
        (there, old.entry_uuid, RPLC), (addendum.entry_uuid, there, APND), (filed.entry_uuid, there, MEMBER),
    }  # fmt: skip
    assert here.entry(addendum.entry_uuid).availability_status is APPROVED
    assert here.folder(filed.entry_uuid).last_update_time == Moment(here.clock.now().replace(microsecond=0))


async def test_associations_stay_with_the_version_where_the_update_says_so(here: House) -> None:
    first, filed = registrable(), a_folder()
    await here.registers(first, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, first.entry_uuid),))
    await here.does(version(second := next_of(first), AssociationPropagation="no"))
    assert here.arrows(filed.entry_uuid, second.entry_uuid) == set()


async def test_a_deprecated_association_stays_where_it_is(here: House) -> None:
    first, filed = registrable(), a_folder()
    files = relation(MEMBER, filed.entry_uuid, first.entry_uuid)
    await here.registers(first, folders=(filed,), associations=(files,))
    await here.does(status(files.entry_uuid, APPROVED, DEPRECATED))
    await here.does(version(second := next_of(first)))
    assert here.arrows(filed.entry_uuid, second.entry_uuid) == set()


async def test_two_ends_that_are_updated_together_are_associated_as_their_new_versions(here: House) -> None:
    document, filed = registrable(), a_folder()
    await here.registers(
        document, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, document.entry_uuid),)
    )
    new_document, new_folder = next_of(document), next_of(filed)
    one, two = version(new_document), version(new_folder)
    moved = tuple(replace(each, source=one.submission_set.entry_uuid) for each in two.associations)
    await here.does(replace(one, folders=two.folders, associations=(*one.associations, *moved)))
    assert here.arrows(new_folder.entry_uuid, new_document.entry_uuid) == {
        (new_folder.entry_uuid, new_document.entry_uuid, MEMBER)
    }


async def test_a_document_is_given_to_another_patient_where_nothing_else_would_go_with_it(here: House) -> None:
    first = registrable(JAN)
    await here.registers(first)
    await here.does(version(second := next_of(first, patient_id=KIM)))
    assert here.entry(second.entry_uuid).patient_id == KIM
    assert here.entry(first.entry_uuid).patient_id == JAN


# --- what a new version is refused for --------------------------------------------------------------------------------


async def test_a_version_of_nothing_is_refused(here: House) -> None:
    assert await here.refuses(version(next_of(registrable()))) == ["XDSMetadataVersionError"]


@pytest.mark.parametrize("previous", [2, 7])
async def test_another_number_than_the_newest_is_refused(here: House, previous: int) -> None:
    first = registrable()
    await here.registers(first)
    assert await here.refuses(version(next_of(first), previous)) == ["XDSMetadataVersionError"]


async def test_who_has_seen_an_older_version_comes_too_late(here: House) -> None:
    first = registrable()
    await here.registers(first)
    await here.does(version(next_of(first)))
    assert await here.refuses(version(next_of(first))) == ["XDSMetadataVersionError"]


async def test_two_versions_of_one_object_in_an_update_are_refused(here: House) -> None:
    first = registrable()
    await here.registers(first)
    one, two = version(next_of(first)), version(next_of(first, unique_id=first.unique_id))
    moved = tuple(replace(each, source=one.submission_set.entry_uuid) for each in two.associations)
    both = replace(one, entries=(*one.entries, *two.entries), associations=(*one.associations, *moved))
    assert await here.refuses(both) == ["XDSRegistryDuplicateUniqueIdInMessage"]


async def test_a_deprecated_document_gets_no_version(here: House) -> None:
    first = registrable()
    await here.registers(first)
    await here.does(status(first.entry_uuid, APPROVED, DEPRECATED))
    assert await here.refuses(version(next_of(first))) == ["XDSMetadataUpdateError"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unique_id", "1.2.3.9999"), ("hash", "f" * 40), ("size_bytes", 11), ("repository_unique_id", Oid("1.2.99")),
    ],
)  # fmt: skip
async def test_what_names_the_document_stays_as_it_is(here: House, field: str, value: object) -> None:
    first = registrable()
    await here.registers(first)
    assert await here.refuses(version(next_of(first, **{field: value}))) == ["XDSMetadataUpdateError"]


async def test_a_stable_document_does_not_become_one_on_demand(here: House) -> None:
    first = registrable()
    await here.registers(first)
    other = next_of(first, entry_type=EntryType.ON_DEMAND, creation_time=None, hash="", size_bytes=None)
    assert await here.refuses(version(other)) == ["XDSMetadataUpdateError"]


async def test_a_folder_keeps_its_uniqueid(here: House) -> None:
    first = a_folder()
    await here.registers(folders=(first,))
    assert await here.refuses(version(next_of(first, unique_id=unique_id()))) == ["XDSMetadataUpdateError"]


async def test_a_version_that_would_take_a_folder_of_another_patient_along_is_refused(here: House) -> None:
    first, filed = registrable(JAN), a_folder(JAN)
    await here.registers(first, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, first.entry_uuid),))
    assert await here.refuses(version(next_of(first, patient_id=KIM))) == ["XDSPatientIDReconciliationError"]
    await here.does(version(next_of(first, patient_id=KIM), AssociationPropagation="no"))


async def test_a_version_of_another_patient_than_the_set_s_is_refused(here: House) -> None:
    first = registrable(JAN)
    await here.registers(first)
    told = version(next_of(first))
    foreign = replace(told, submission_set=replace(told.submission_set, patient_id=KIM))
    assert await here.refuses(foreign) == ["XDSPatientIDReconciliationError"]


async def test_a_patient_whom_nobody_feeds_is_unknown(here: House) -> None:
    first = registrable(JAN)
    await here.registers(first)
    stranger = PatientIdentifier(value="nobody", authority=HOUSE.domain_authority)
    assert await here.refuses(version(next_of(first, patient_id=stranger))) == ["XDSUnknownPatientId"]


async def test_an_incomplete_version_is_refused(here: House) -> None:
    first = registrable()
    await here.registers(first)
    assert await here.refuses(version(next_of(first, language_code=""))) == ["XDSRegistryMetadataError"]


async def test_a_first_version_does_not_come_by_an_update(here: House) -> None:
    assert await here.refuses(version(registrable())) == ["XDSMetadataUpdateError"]


async def test_an_update_set_is_registered_once(here: House) -> None:
    first = registrable()
    await here.registers(first)
    told = version(second := next_of(first))
    await here.does(told)
    again = version(next_of(second), 2)
    same = replace(again, submission_set=replace(again.submission_set, unique_id=told.submission_set.unique_id))
    assert await here.refuses(same) == ["XDSDuplicateUniqueIdInRegistry"]


async def test_what_is_held_is_nobody_s_to_change(here: House) -> None:
    held = registrable(availability_status=PENDING)
    async with here.store.unit() as work:
        await work.registry.put(brought(held), here.clock.now())
    assert await here.refuses(version(next_of(held, availability_status=APPROVED))) == ["XDSMetadataVersionError"]
    assert await here.refuses(status(held.entry_uuid, APPROVED, DEPRECATED)) == ["UnresolvedReferenceException"]


# --- changes of status ------------------------------------------------------------------------------------------------


async def test_a_status_goes_there_and_back(here: House) -> None:
    document, filed = registrable(), a_folder()
    files = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    await here.registers(document, folders=(filed,), associations=(files,))
    for id, kept in (
        (document.entry_uuid, lambda: here.entry(document.entry_uuid)),
        (filed.entry_uuid, lambda: here.folder(filed.entry_uuid)),
        (files.entry_uuid, lambda: here.memory.state.associations[files.entry_uuid]),
    ):
        await here.does(status(id, APPROVED, DEPRECATED))
        assert kept().availability_status is DEPRECATED
        await here.does(status(id, DEPRECATED, APPROVED))
        assert kept().availability_status is APPROVED


async def test_a_status_that_is_another_one_is_not_changed(here: House) -> None:
    document = registrable()
    await here.registers(document)
    assert await here.refuses(status(document.entry_uuid, DEPRECATED, APPROVED)) == ["XDSMetadataUpdateError"]


async def test_a_status_of_nothing_is_not_changed(here: House) -> None:
    assert await here.refuses(status(entry_uuid(), APPROVED, DEPRECATED)) == ["UnresolvedReferenceException"]


async def test_an_older_version_keeps_its_status(here: House) -> None:
    first = registrable()
    await here.registers(first)
    await here.does(version(next_of(first)))
    assert await here.refuses(status(first.entry_uuid, DEPRECATED, APPROVED)) == ["XDSMetadataUpdateError"]


async def test_a_submission_set_and_what_it_did_keep_their_status(here: House) -> None:
    whole = await here.registers(registrable())
    told = status(whole.submission_set.entry_uuid, APPROVED, DEPRECATED)
    assert await here.refuses(told) == ["XDSMetadataUpdateOperationError"]
    (member,) = whole.associations
    assert await here.refuses(status(member.entry_uuid, APPROVED, DEPRECATED)) == ["XDSMetadataUpdateError"]


async def test_a_status_of_another_patient_s_document_is_not_changed(here: House) -> None:
    document = registrable(KIM)
    await here.registers(document, of=KIM)
    told = status(document.entry_uuid, APPROVED, DEPRECATED, of=JAN)
    assert await here.refuses(told) == ["XDSPatientIDReconciliationError"]


async def test_the_same_status_and_an_unknown_one_cannot_be_decoded(here: House) -> None:
    document = registrable()
    await here.registers(document)
    told = status(document.entry_uuid, APPROVED, APPROVED)
    assert await here.refuses(told) == ["XDSMetadataUpdateOperationError"]


# --- new associations -------------------------------------------------------------------------------------------------


async def test_a_registered_document_is_filed_in_a_registered_folder(here: House) -> None:
    document, filed = registrable(), a_folder()
    await here.registers(document, folders=(filed,))
    here.clock.advance(300)
    await here.does(associated(relation(MEMBER, filed.entry_uuid, document.entry_uuid)))
    assert here.arrows(filed.entry_uuid, document.entry_uuid) == {(filed.entry_uuid, document.entry_uuid, MEMBER)}
    assert here.folder(filed.entry_uuid).last_update_time == Moment(here.clock.now().replace(microsecond=0))


async def test_a_registered_document_replaces_another_and_goes_into_its_folders(here: House) -> None:
    old, new, filed = registrable(), registrable(), a_folder()
    await here.registers(old, new, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, old.entry_uuid),))
    await here.does(associated(relation(RPLC, new.entry_uuid, old.entry_uuid)))
    assert here.entry(old.entry_uuid).availability_status is DEPRECATED
    assert here.arrows(filed.entry_uuid, new.entry_uuid) == {(filed.entry_uuid, new.entry_uuid, MEMBER)}


@pytest.mark.parametrize("missing", [0, 1])
async def test_an_association_with_nothing_is_refused(here: House, missing: int) -> None:
    document = registrable()
    await here.registers(document)
    ends = [document.entry_uuid, document.entry_uuid]
    ends[missing] = entry_uuid()
    assert await here.refuses(associated(relation(SIGNS, *ends))) == ["UnresolvedReferenceException"]


async def test_an_association_with_a_deprecated_document_is_refused(here: House) -> None:
    old, new = registrable(), registrable()
    await here.registers(old, new)
    await here.does(status(old.entry_uuid, APPROVED, DEPRECATED))
    assert await here.refuses(associated(relation(APND, new.entry_uuid, old.entry_uuid))) == ["XDSMetadataUpdateError"]


async def test_an_association_between_patients_is_refused(here: House) -> None:
    of_jan, of_kim = registrable(JAN), registrable(KIM)
    await here.registers(of_jan)
    await here.registers(of_kim, of=KIM)
    told = associated(relation(APND, of_jan.entry_uuid, of_kim.entry_uuid))
    assert await here.refuses(told) == ["XDSPatientIDReconciliationError"]


async def test_the_same_association_twice_is_refused(here: House) -> None:
    old, new = registrable(), registrable()
    await here.registers(old)
    await here.registers(new, associations=(relation(APND, new.entry_uuid, old.entry_uuid),))
    assert await here.refuses(associated(relation(APND, new.entry_uuid, old.entry_uuid))) == ["XDSMetadataUpdateError"]


async def test_an_association_between_what_is_not_so_associated_is_refused(here: House) -> None:
    document, filed = registrable(), a_folder()
    whole = await here.registers(document, folders=(filed,))
    for wrong in (
        relation(APND, document.entry_uuid, filed.entry_uuid),
        relation(MEMBER, document.entry_uuid, filed.entry_uuid),
        relation(MEMBER, whole.submission_set.entry_uuid, document.entry_uuid),
        relation(APND, document.entry_uuid, document.entry_uuid),
    ):
        assert await here.refuses(associated(wrong)) == ["XDSMetadataUpdateError"]


async def test_of_several_operations_all_are_done_or_none(here: House) -> None:
    document, other = registrable(), registrable()
    await here.registers(document, other)
    good = version(next_of(document))
    bad = replace(status(other.entry_uuid, DEPRECATED, APPROVED).associations[0], source=good.submission_set.entry_uuid)
    assert await here.refuses(with_arrows(good, bad)) == ["XDSMetadataUpdateError"]
    right = replace(status(other.entry_uuid, APPROVED, DEPRECATED).associations[0], source=bad.source)
    await here.does(with_arrows(good, right))


# --- the restricted form ----------------------------------------------------------------------------------------------


async def test_a_restricted_update_makes_a_version_too(here: House) -> None:
    first = registrable()
    await here.registers(first)
    second = next_of(first, title="second", confidentiality_codes=(CT,))
    answer = await here.ask(ITI_92, RestrictedUpdateRequest(submission=version(second)))
    assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())
    assert here.entry(second.entry_uuid).version == 2


OTHERS: dict[str, tuple[str, object]] = {
    "sourcePatientId": ("source_patient_id", PatientIdentifier(value="P2", authority=Oid("1.2.3.9"))),
    "creationTime": ("creation_time", Moment.from_dtm("2001")),
    "mimeType": ("mime_type", "text/plain"),
    "hash": ("hash", "f" * 40),
    "size": ("size_bytes", 11),
    "repositoryUniqueId": ("repository_unique_id", Oid("1.2.99")),
    "homeCommunityId": ("home_community_id", Oid("1.2.98")),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
async def test_a_restricted_update_leaves_what_is_fixed(here: House, name: str) -> None:
    assert name in FIXED
    first = registrable()
    await here.registers(first)
    field, value = OTHERS[name]
    told = version(next_of(first, **{field: value}))
    assert await here.refuses(told, restricted=True) == ["UnmodifiableMetadataError"]


async def test_a_restricted_update_has_its_own_word_for_each_refusal(here: House) -> None:
    first, filed = registrable(), a_folder()
    await here.registers(first, folders=(filed,))
    new = registrable(unique_id=first.unique_id)
    on_demand = {"entry_type": EntryType.ON_DEMAND, "creation_time": None, "hash": "", "size_bytes": None}
    for told, code in (
        (version(next_of(first, patient_id=KIM)), "UnmodifiableMetadataError"),
        (version(next_of(registrable())), "XDSMetadataIdentifierError"),
        (version(next_of(first, unique_id=unique_id())), "XDSMetadataIdentifierError"),
        (version(next_of(first), 2), "XDSMetadataVersionError"),
        (version(next_of(first, **on_demand)), "XDSObjectTypeError"),
        (version(next_of(filed)), "XDSObjectTypeError"),
        (version(new), "XDSInvalidRequestException"),
        (status(first.entry_uuid, APPROVED, DEPRECATED), "UnmodifiableMetadataError"),
        (replace(version(next_of(first)), associations=()), "XDSMetadataAnnotationError"),
    ):
        assert await here.refuses(told, restricted=True) == [code]
    await here.does(status(first.entry_uuid, APPROVED, DEPRECATED))
    assert await here.refuses(version(next_of(first)), restricted=True) == ["XDSMetadataVersionError"]
    foreign = version(next_of(first))
    foreign = replace(foreign, submission_set=replace(foreign.submission_set, patient_id=KIM))
    assert await here.refuses(foreign, restricted=True) == ["XDSPatientIDReconciliationError"]


# --- who may, and what is audited -------------------------------------------------------------------------------------


async def test_a_peer_updates_only_where_its_scopes_name_it(here: House) -> None:
    first = registrable()
    await here.registers(first)
    told = version(next_of(first))
    stranger, admin = Peer(name="Lakeside"), Peer(name="Admin", scopes=frozenset({"ITI-57", "ITI-92"}))
    denied = await here.ask(ITI_57, UpdateRequest(submission=told), peer=stranger)
    assert codes(denied.errors) == ["XDSRegistryError"]
    denied = await here.ask(ITI_92, RestrictedUpdateRequest(submission=told), peer=stranger)
    assert codes(denied.errors) == ["LocalPolicyRestrictionError"]
    answer = await here.ask(ITI_57, UpdateRequest(submission=told), peer=admin)
    assert answer.status is ResponseStatus.SUCCESS


async def test_an_update_is_audited_whether_it_was_done_or_not(here: House) -> None:
    first = registrable()
    await here.registers(first)
    told = version(next_of(first))
    await here.does(told)
    await here.refuses(version(next_of(first)))
    done, refused = here.audited()[-2:]
    for record, outcome in ((done, Outcome.SUCCESS), (refused, Outcome.MINOR_FAILURE)):
        assert (record.event, record.action, record.outcome) == (IMPORT, Action.UPDATE, outcome)
        assert [code.code for code in record.types] == ["ITI-57"]
        assert record.objects[0].id == str(JAN)
    assert done.objects[1].id == told.submission_set.unique_id
