"""The suite of the Registry port, on every store."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.ports.registry import Registry
from gateway.ports.store import Store
from profiles.errors import Duplicate, ExchangeError, RuleViolation, UnknownDocument
from profiles.model.document import (
    AssociationType,
    Author,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    ReferenceId,
    Submission,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import PersonName
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria, TimeRange
from tests.support.registered import (
    ANN,
    BEN,
    CAT,
    CLASS,
    CT,
    DOMAIN,
    HEAD,
    LATER,
    MR,
    NORMAL,
    NOW,
    OTHER_DOMAIN,
    RESTRICTED,
    entry,
    entry_uuid,
    folder,
    patient,
    relation,
    submission,
)

APPROVED, DEPRECATED, PENDING = (
    AvailabilityStatus.APPROVED,
    AvailabilityStatus.DEPRECATED,
    AvailabilityStatus.PENDING,
)
RPLC, XFRM, APND, XFRM_RPLC, SIGNS, SNAPSHOT, MEMBER = (
    AssociationType.REPLACE,
    AssociationType.TRANSFORM,
    AssociationType.APPEND,
    AssociationType.TRANSFORM_REPLACE,
    AssociationType.SIGNS,
    AssociationType.IS_SNAPSHOT_OF,
    AssociationType.HAS_MEMBER,
)
RELATIONS = (RPLC, XFRM, APND, XFRM_RPLC, SIGNS, SNAPSHOT)
ACCESSION = ReferenceId(value="A_1", type="urn:ihe:iti:xds:2013:accession", authority="1.2.3.5")


async def put(store: Store, *submissions: Submission, at: datetime = NOW) -> None:
    for each in submissions:
        async with store.unit() as work:
            await work.registry.put(each, at)


async def refused(store: Store, submitted: Submission) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        await put(store, submitted)
    return caught.value


async def found(store: Store, **criteria: object) -> list[str]:
    """uniqueIds of what fits, in the order of the answer; `count` must agree."""
    asked = DocumentCriteria(**criteria)  # type: ignore[arg-type]
    async with store.view() as work:
        entries = [each async for each in work.registry.find(asked)]
        assert await work.registry.count(asked) == len(entries)
    return [each.unique_id for each in entries]


async def status_of(store: Store, registered: DocumentEntry) -> AvailabilityStatus:
    async with store.view() as work:
        (same,) = [
            each
            for each in await work.registry.entries(registered.unique_id)
            if each.entry_uuid == registered.entry_uuid
        ]
    return same.availability_status


def full() -> DocumentEntry:
    """An entry with everything in it."""
    return entry(
        ANN,
        event_codes=(CT, HEAD),
        confidentiality_codes=(NORMAL, RESTRICTED),
        mime_type="application/dicom",
        title="CT Schädel",
        comments="with contrast",
        authors=(
            Author(
                person="11^Welby^Marcus^^^Dr^^^&1.2.3.6&ISO",
                institutions=("Valley^^^^^&1.2.3&ISO^^^^1",),
                roles=("radiologist",),
                specialties=("neuro",),
                telecommunications=("^^Internet^welby@valley.example",),
            ),
            Author(institutions=("Lakeside",)),
        ),
        legal_authenticator="11^Welby^Marcus",
        creation_time=Moment.from_dtm("2026"),
        service_start_time=Moment.from_dtm("20260301"),
        service_stop_time=Moment.from_dtm("202603011230+0200"),
        language_code="en-US",
        source_patient_id=PatientIdentifier(value="77", authority=OTHER_DOMAIN),
        source_patient=patient(
            PatientIdentifier(value="77", authority=OTHER_DOMAIN),
            name=PersonName(family="Doe", given="Jane", suffix="Jr", ideographic="山田^花子"),
            address="1 Main^^Town",
        ),
        hash="ab" * 20,
        size_bytes=0,
        repository_unique_id=Oid("1.2.3.2"),
        home_community_id=Oid("1.2.3.1"),
        uri="kos.dcm",
        reference_ids=(ACCESSION, ReferenceId(value="1.2.3", type="urn:ihe:iti:xds:2016:studyInstanceUID")),
        extra=(("urn:example:note", ("a", "b")),),
    )


# --- what is registered comes back ------------------------------------------------------------------------------------


async def test_everything_of_a_submission_comes_back_as_it_was(store: Store) -> None:
    document, bare = full(), entry(ANN, hash="", size_bytes=None, creation_time=None, confidentiality_codes=())
    filed = folder(ANN, title="Head", comments="both", codes=(HEAD,), last_update_time=Moment(NOW))
    submitted = submission(
        document,
        bare,
        folders=(filed,),
        associations=(relation(MEMBER, filed.entry_uuid, document.entry_uuid),),
        title="Export",
        comments="by night",
        authors=document.authors,
        intended_recipients=("Valley^^^^^&1.2.3&ISO^^^^1|11^Welby",),
        home_community_id=Oid("1.2.3.1"),
        extra=(("urn:example:batch", ("7",)),),
    )
    await put(store, submitted)
    async with store.view() as work:
        assert [each async for each in work.registry.find(DocumentCriteria())] == [document, bare]
        assert await work.registry.entries(document.unique_id) == [document]
        assert await work.registry.submission_sets([submitted.submission_set.entry_uuid]) == [submitted.submission_set]
        assert await work.registry.folders([filed.entry_uuid]) == [filed]
        associations = await work.registry.associations([document.entry_uuid, bare.entry_uuid, filed.entry_uuid])
        assert {each.entry_uuid: each for each in associations} == {
            each.entry_uuid: each for each in submitted.associations
        }


async def test_associations_are_found_from_either_end_and_once(store: Store) -> None:
    document = entry()
    submitted = submission(document)
    await put(store, submitted)
    (member,) = submitted.associations
    async with store.view() as work:
        for asked in ([member.source], [member.target], [member.source, member.target], [member.target] * 3):
            assert await work.registry.associations(asked) == [member]
        assert await work.registry.associations([member.entry_uuid, entry_uuid()]) == []
        assert await work.registry.associations([]) == []


async def test_objects_are_answered_in_the_order_asked_and_unknown_ones_left_out(store: Store) -> None:
    sets = [submission(entry()) for _ in range(3)]
    await put(store, *sets)
    uuids = [each.submission_set.entry_uuid for each in sets]
    async with store.view() as work:
        asked = [uuids[2], entry_uuid(), uuids[0], uuids[2]]
        assert [each.entry_uuid for each in await work.registry.submission_sets(asked)] == [uuids[2], uuids[0]]
        assert await work.registry.folders(uuids) == []


async def test_hundreds_of_entries_come_in_the_order_of_registration(store: Store) -> None:
    documents = [entry() for _ in range(230)]
    for start in range(0, 230, 46):
        await put(store, submission(*documents[start : start + 46]))
    assert await found(store, patient_ids=(ANN,)) == [each.unique_id for each in documents]
    assert await found(store) == [each.unique_id for each in documents]
    assert await found(store, patient_ids=(ANN, BEN)) == [each.unique_id for each in documents]


# --- ids ----------------------------------------------------------------------------------------------------------------


async def test_a_submission_set_sent_again_is_a_duplicate(store: Store) -> None:
    first = submission(entry())
    await put(store, first)
    again = submission(entry(), unique_id=first.submission_set.unique_id)
    error = await refused(store, again)
    assert isinstance(error, Duplicate)
    assert (error.code, error.location) == ("XDSDuplicateUniqueIdInRegistry", first.submission_set.unique_id)
    assert len(await found(store)) == 1


async def test_a_folder_uniqueid_in_use_is_a_duplicate(store: Store) -> None:
    filed = folder()
    await put(store, submission(folders=(filed,)))
    error = await refused(store, submission(folders=(folder(unique_id=filed.unique_id),)))
    assert (type(error), error.code) == (Duplicate, "XDSDuplicateUniqueIdInRegistry")


async def test_an_entryuuid_in_use_is_a_duplicate_whatever_object_has_it(store: Store) -> None:
    first = submission(entry())
    await put(store, first)
    for used in (first.submission_set.entry_uuid, first.entries[0].entry_uuid, first.associations[0].entry_uuid):
        error = await refused(store, submission(entry(entry_uuid=used)))
        assert (type(error), error.location) == (Duplicate, used)


async def test_an_id_twice_in_one_submission_is_a_duplicate(store: Store) -> None:
    one = entry()
    error = await refused(store, submission(one, entry(unique_id=one.unique_id)))
    assert (type(error), error.code) == (Duplicate, "XDSRegistryDuplicateUniqueIdInMessage")
    error = await refused(store, submission(one, entry(entry_uuid=one.entry_uuid)))
    assert isinstance(error, Duplicate)


async def test_the_same_document_registered_again_is_a_second_entry(store: Store) -> None:
    one = entry(hash="ab" * 20)
    two = entry(unique_id=one.unique_id, hash="AB" * 20)
    await put(store, submission(one), submission(two))
    async with store.view() as work:
        assert await work.registry.entries(one.unique_id) == [one, two]


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"hash": "1" * 40}, "XDSNonIdenticalHash"), ({"size_bytes": 11}, "XDSNonIdenticalSize")],
)
async def test_the_same_uniqueid_with_other_bytes_is_refused(
    store: Store, fields: dict[str, object], code: str
) -> None:
    one = entry()
    await put(store, submission(one))
    error = await refused(store, submission(entry(unique_id=one.unique_id, **fields)))
    assert (type(error), error.code, error.location) == (RuleViolation, code, one.unique_id)


async def test_a_hash_that_was_not_told_is_learned_from_the_next_who_tells(store: Store) -> None:
    one = entry(hash="", size_bytes=None)
    await put(store, submission(one), submission(entry(unique_id=one.unique_id)))
    error = await refused(store, submission(entry(unique_id=one.unique_id, hash="2" * 40)))
    assert error.code == "XDSNonIdenticalHash"
    await put(store, submission(entry(unique_id=one.unique_id, hash="", size_bytes=None)))


async def test_a_refused_submission_leaves_nothing_behind(store: Store) -> None:
    one = entry()
    wrong = submission(one, associations=(relation(RPLC, one.entry_uuid, entry_uuid()),))
    await refused(store, wrong)
    assert await found(store) == []
    await put(store, submission(one, unique_id=wrong.submission_set.unique_id))


# --- associations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [RPLC, XFRM_RPLC])
async def test_replacing_deprecates_the_document_with_its_transforms_and_addenda(
    store: Store, type_: AssociationType
) -> None:
    old, transform, addendum, addendum_of_transform, other = (entry() for _ in range(5))
    await put(
        store,
        submission(old, other),
        submission(transform, associations=(relation(XFRM, transform.entry_uuid, old.entry_uuid),)),
        submission(addendum, associations=(relation(APND, addendum.entry_uuid, old.entry_uuid),)),
        submission(
            addendum_of_transform,
            associations=(relation(APND, addendum_of_transform.entry_uuid, transform.entry_uuid),),
        ),
    )
    new = entry()
    await put(store, submission(new, associations=(relation(type_, new.entry_uuid, old.entry_uuid),)))
    for gone in (old, transform, addendum, addendum_of_transform):
        assert await status_of(store, gone) is DEPRECATED
    for there in (new, other):
        assert await status_of(store, there) is APPROVED
    assert await found(store, statuses=(APPROVED,)) == [other.unique_id, new.unique_id]


async def test_a_replacement_goes_into_the_folders_of_what_it_replaces(store: Store) -> None:
    old, filed = entry(), folder()
    await put(
        store,
        submission(old, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, old.entry_uuid),)),
    )
    new = entry()
    submitted = submission(
        new,
        associations=(relation(RPLC, new.entry_uuid, old.entry_uuid),),
    )
    await put(store, submitted, at=LATER)
    async with store.view() as work:
        members = [
            each for each in await work.registry.associations([filed.entry_uuid]) if each.source == filed.entry_uuid
        ]
        assert {each.target for each in members} == {old.entry_uuid, new.entry_uuid}
        assert all(each.type is MEMBER for each in members)
        (updated,) = await work.registry.folders([filed.entry_uuid])
    assert updated.last_update_time == Moment(LATER)


async def test_a_document_is_added_to_a_folder_that_is_there(store: Store) -> None:
    filed = folder()
    await put(store, submission(folders=(filed,)))
    new = entry()
    await put(store, submission(new, associations=(relation(MEMBER, filed.entry_uuid, new.entry_uuid),)), at=LATER)
    assert await found(store) == [new.unique_id]
    assert await updated(store, filed) == Moment(LATER)


async def updated(store: Store, filed: Folder) -> Moment | None:
    """lastUpdateTime; a search by it must find the folder there and only there."""
    async with store.view() as work:
        (same,) = await work.registry.folders([filed.entry_uuid])
        time = same.last_update_time
        assert time is not None
        after = Moment(time.at + timedelta(seconds=1))
        for start, end, there in ((time, after, True), (after, None, False), (None, time, False)):
            asked = FolderCriteria(entry_uuids=(filed.entry_uuid,), last_update_time=TimeRange(start=start, end=end))
            assert bool(await work.registry.find_folders(asked)) is there
    return time


async def test_a_new_folder_was_last_updated_when_it_was_registered_whatever_its_sender_says(store: Store) -> None:
    filed = folder(last_update_time=Moment.from_dtm("2001"))
    await put(store, submission(folders=(filed,)), at=LATER.replace(microsecond=250_000))
    assert await updated(store, filed) == Moment(LATER)


async def test_a_registered_document_is_added_to_a_registered_folder_by_an_association_alone(store: Store) -> None:
    filed, document = folder(), entry()
    await put(store, submission(folders=(filed,)), submission(document))
    added = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    whole = submission()
    member = relation(MEMBER, whole.submission_set.entry_uuid, added.entry_uuid, original=True)
    await put(store, replace(whole, associations=(added, member)), at=LATER)
    async with store.view() as work:
        arrows = await work.registry.associations([filed.entry_uuid])
    assert (filed.entry_uuid, document.entry_uuid) in {(each.source, each.target) for each in arrows}
    assert await updated(store, filed) == Moment(LATER)


async def test_a_registered_document_is_a_member_by_reference_of_another_set_and_changes_no_folder(
    store: Store,
) -> None:
    filed, document = folder(), entry()
    await put(store, submission(document, folders=(filed,)))
    whole = submission()
    by_reference = relation(MEMBER, whole.submission_set.entry_uuid, document.entry_uuid, original=False)
    await put(store, replace(whole, associations=(by_reference,)), at=LATER)
    async with store.view() as work:
        arrows = await work.registry.associations([whole.submission_set.entry_uuid])
    assert [each.original for each in arrows] == [False]
    assert await updated(store, filed) == Moment(NOW)


async def test_a_replacement_that_is_filed_already_is_not_filed_twice(store: Store) -> None:
    old, new, filed = entry(), entry(), folder()
    await put(
        store,
        submission(old, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, old.entry_uuid),)),
        submission(
            new,
            associations=(
                relation(RPLC, new.entry_uuid, old.entry_uuid),
                relation(MEMBER, filed.entry_uuid, new.entry_uuid),
            ),
        ),
    )
    async with store.view() as work:
        arrows = await work.registry.associations([filed.entry_uuid])
    assert sorted(each.target for each in arrows if each.source == filed.entry_uuid) == sorted(
        [old.entry_uuid, new.entry_uuid]
    )


async def test_nothing_but_a_document_is_filed_and_only_sets_and_folders_have_members(store: Store) -> None:
    filed, other, document, another = folder(), folder(), entry(), entry()
    first = submission(document, folders=(filed,))
    await put(store, first)
    for source, target in (
        (filed.entry_uuid, other.entry_uuid),
        (filed.entry_uuid, first.submission_set.entry_uuid),
        (other.entry_uuid, filed.entry_uuid),
        (another.entry_uuid, document.entry_uuid),
    ):
        wrong = relation(MEMBER, source, target)
        error = await refused(store, submission(another, folders=(other,), associations=(wrong,)))
        assert (error.code, error.location) == ("XDSRegistryMetadataError", wrong.entry_uuid)


async def test_one_document_is_not_replaced_by_two_of_a_submission(store: Store) -> None:
    old, one, two = entry(), entry(), entry()
    await put(store, submission(old))
    both = tuple(relation(RPLC, each.entry_uuid, old.entry_uuid) for each in (one, two))
    error = await refused(store, submission(one, two, associations=both))
    assert (error.code, error.location) == ("XDSRegistryDeprecatedDocumentError", old.entry_uuid)
    assert await status_of(store, old) is APPROVED


async def test_a_signature_leaves_what_it_signs_approved(store: Store) -> None:
    document, signature = entry(), entry()
    signs = relation(SIGNS, signature.entry_uuid, document.entry_uuid)
    await put(store, submission(document), submission(signature, associations=(signs,)))
    assert await status_of(store, document) is APPROVED
    async with store.view() as work:
        assert signs in await work.registry.associations([document.entry_uuid])


async def test_a_transform_or_addendum_of_what_is_replaced_is_not_deprecated_where_it_is_of_another(
    store: Store,
) -> None:
    old, other, addendum = entry(), entry(), entry()
    await put(
        store,
        submission(old, other),
        submission(addendum, associations=(relation(SIGNS, addendum.entry_uuid, old.entry_uuid),)),
    )
    new = entry()
    await put(store, submission(new, associations=(relation(RPLC, new.entry_uuid, old.entry_uuid),)))
    assert await status_of(store, addendum) is APPROVED  # a signature does not go with what it signs


async def test_a_relation_to_nothing_is_unresolved(store: Store) -> None:
    for type_ in RELATIONS:
        one, nothing = entry(), entry_uuid()
        error = await refused(store, submission(one, associations=(relation(type_, one.entry_uuid, nothing),)))
        assert (type(error), error.code, error.location) == (RuleViolation, "UnresolvedReferenceException", nothing)


async def test_a_relation_from_what_was_not_sent_is_unresolved(store: Store) -> None:
    old, older = entry(), entry()
    await put(store, submission(old, older))
    error = await refused(store, submission(entry(), associations=(relation(RPLC, old.entry_uuid, older.entry_uuid),)))
    assert error.code == "UnresolvedReferenceException"


async def test_a_relation_to_a_folder_is_unresolved(store: Store) -> None:
    filed, one = folder(), entry()
    await put(store, submission(folders=(filed,)))
    for type_ in RELATIONS:
        error = await refused(store, submission(one, associations=(relation(type_, one.entry_uuid, filed.entry_uuid),)))
        assert error.code == "UnresolvedReferenceException"


async def test_a_document_does_not_replace_one_of_its_own_submission_but_may_transform_it(store: Store) -> None:
    one, two = entry(), entry()
    error = await refused(store, submission(one, two, associations=(relation(RPLC, two.entry_uuid, one.entry_uuid),)))
    assert error.code == "UnresolvedReferenceException"
    await put(store, submission(one, two, associations=(relation(XFRM, two.entry_uuid, one.entry_uuid),)))


async def test_a_relation_to_a_deprecated_document_is_refused(store: Store) -> None:
    old, new, late = entry(), entry(), entry()
    replaces = relation(RPLC, new.entry_uuid, old.entry_uuid)
    await put(store, submission(old), submission(new, associations=(replaces,)))
    for type_ in RELATIONS:
        error = await refused(store, submission(late, associations=(relation(type_, late.entry_uuid, old.entry_uuid),)))
        assert (error.code, error.location) == ("XDSRegistryDeprecatedDocumentError", old.entry_uuid)


async def test_what_is_referred_to_is_the_same_patients(store: Store) -> None:
    of_ann = entry(ANN)
    await put(store, submission(of_ann))
    for type_ in (*RELATIONS, MEMBER):
        of_ben = entry(BEN)
        right = submission(of_ben, patient_id=BEN)
        source = right.submission_set.entry_uuid if type_ is MEMBER else of_ben.entry_uuid
        wrong = replace(right, associations=(*right.associations, relation(type_, source, of_ann.entry_uuid)))
        error = await refused(store, wrong)
        assert (error.code, error.location) == ("XDSPatientIdDoesNotMatch", of_ann.entry_uuid)


async def test_who_files_in_a_folder_of_another_patient_is_refused(store: Store) -> None:
    of_ann, of_ben = folder(ANN), entry(BEN)
    await put(store, submission(folders=(of_ann,)))
    wrong = relation(MEMBER, of_ann.entry_uuid, of_ben.entry_uuid)
    error = await refused(store, submission(of_ben, patient_id=BEN, associations=(wrong,)))
    assert error.code == "XDSPatientIdDoesNotMatch"


# --- held submissions ---------------------------------------------------------------------------------------------------


async def test_a_held_entry_is_found_only_when_it_is_asked_for(store: Store) -> None:
    held, seen = entry(availability_status=PENDING), entry()
    await put(store, submission(held, availability_status=PENDING), submission(seen))
    assert await found(store) == [seen.unique_id]
    assert await found(store, statuses=(APPROVED, DEPRECATED)) == [seen.unique_id]
    assert await found(store, statuses=(PENDING,)) == [held.unique_id]
    assert await found(store, unique_ids=(held.unique_id,)) == []


async def test_a_held_entry_goes_to_the_patient_that_a_person_chose_with_its_submission_set(store: Store) -> None:
    held = entry(CAT, availability_status=PENDING)
    submitted = submission(held, patient_id=CAT, availability_status=PENDING)
    await put(store, submitted)
    async with store.unit() as work:
        await work.registry.reassign(held.entry_uuid, ANN)
        for each in (held.entry_uuid, submitted.submission_set.entry_uuid):
            await work.registry.set_status(each, APPROVED, NOW)
    assert await found(store, patient_ids=(ANN,)) == [held.unique_id]
    assert await found(store, patient_ids=(CAT,), statuses=(APPROVED, PENDING)) == []
    async with store.view() as work:
        (now,) = await work.registry.submission_sets([submitted.submission_set.entry_uuid])
    assert (now.patient_id, now.availability_status) == (ANN, APPROVED)


async def test_a_held_replacement_replaces_when_it_is_released(store: Store) -> None:
    old, filed = entry(), folder()
    await put(
        store,
        submission(old, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, old.entry_uuid),)),
    )
    held = entry(availability_status=PENDING)
    await put(
        store,
        submission(
            held,
            associations=(relation(RPLC, held.entry_uuid, old.entry_uuid),),
            availability_status=PENDING,
            submission_time=Moment(LATER),
        ),
    )
    assert await status_of(store, old) is APPROVED
    async with store.unit() as work:
        await work.registry.set_status(held.entry_uuid, APPROVED, NOW)
    assert await status_of(store, old) is DEPRECATED
    async with store.view() as work:
        members = await work.registry.associations([filed.entry_uuid])
    assert held.entry_uuid in {each.target for each in members}


async def test_a_held_document_may_be_replaced_by_a_held_one_and_by_no_other(store: Store) -> None:
    held, seen, again = entry(availability_status=PENDING), entry(), entry(availability_status=PENDING)
    await put(store, submission(held))
    error = await refused(store, submission(seen, associations=(relation(RPLC, seen.entry_uuid, held.entry_uuid),)))
    assert error.code == "UnresolvedReferenceException"
    await put(store, submission(again, associations=(relation(RPLC, again.entry_uuid, held.entry_uuid),)))


async def test_what_is_held_is_no_member_of_what_others_submit(store: Store) -> None:
    held, filed = entry(availability_status=PENDING), folder(availability_status=PENDING)
    await put(store, submission(held, folders=(filed,), availability_status=PENDING))
    whole, new = submission(), entry()
    by_reference = relation(MEMBER, whole.submission_set.entry_uuid, held.entry_uuid, original=False)
    for wrong in (
        replace(whole, associations=(by_reference,)),
        submission(new, associations=(relation(MEMBER, filed.entry_uuid, new.entry_uuid),)),
    ):
        error = await refused(store, wrong)
        assert error.code == "UnresolvedReferenceException"


async def test_a_held_document_changes_its_folder_when_it_is_released(store: Store) -> None:
    filed, held = folder(), entry(availability_status=PENDING)
    await put(store, submission(folders=(filed,)))
    files = relation(MEMBER, filed.entry_uuid, held.entry_uuid)
    await put(store, submission(held, associations=(files,), availability_status=PENDING), at=LATER)
    assert await updated(store, filed) == Moment(NOW)
    released = LATER + timedelta(minutes=1)
    async with store.unit() as work:
        await work.registry.set_status(held.entry_uuid, APPROVED, released)
    assert await updated(store, filed) == Moment(released)


async def test_every_kind_of_object_has_a_status_that_can_be_set(store: Store) -> None:
    one, filed = entry(), folder()
    submitted = submission(one, folders=(filed,))
    await put(store, submitted)
    async with store.unit() as work:
        for each in (one, filed, submitted.submission_set, submitted.associations[0]):
            await work.registry.set_status(each.entry_uuid, DEPRECATED, NOW)
        (set_,) = await work.registry.submission_sets([submitted.submission_set.entry_uuid])
        (folder_,) = await work.registry.folders([filed.entry_uuid])
        associations = await work.registry.associations([one.entry_uuid])
        (entry_,) = await work.registry.entries(one.unique_id)
    for each in (set_, folder_, associations[0], entry_):
        assert each.availability_status is DEPRECATED


async def test_an_unknown_object_has_no_status_and_no_patient(store: Store) -> None:
    for change in ("set_status", "reassign"):
        with pytest.raises(UnknownDocument):
            async with store.unit() as work:
                await getattr(work.registry, change)(
                    entry_uuid(), *((APPROVED, NOW) if change == "set_status" else (ANN,))
                )


# --- merges -------------------------------------------------------------------------------------------------------------


async def test_after_merges_the_last_survivor_has_everything_of_the_chain(store: Store) -> None:
    documents = {each: entry(each) for each in (ANN, BEN, CAT)}
    filed = folder(ANN)
    first = submission(documents[ANN], folders=(filed,), patient_id=ANN)
    await put(store, first, submission(documents[BEN], patient_id=BEN), submission(documents[CAT], patient_id=CAT))
    async with store.unit() as work:
        assert await work.registry.merge(ANN, BEN, NOW) == 1
        assert await work.registry.merge(BEN, CAT, NOW) == 2
    assert await found(store, patient_ids=(ANN,)) == await found(store, patient_ids=(BEN,)) == []
    assert await found(store, patient_ids=(CAT,)) == [documents[each].unique_id for each in (ANN, BEN, CAT)]
    async with store.view() as work:
        (moved,) = await work.registry.folders([filed.entry_uuid])
        (set_,) = await work.registry.submission_sets([first.submission_set.entry_uuid])
        (document,) = await work.registry.entries(documents[ANN].unique_id)
    assert moved.patient_id == set_.patient_id == document.patient_id == CAT
    assert document.source_patient == documents[ANN].source_patient


async def test_a_merge_of_somebody_without_documents_moves_nothing(store: Store) -> None:
    async with store.unit() as work:
        assert await work.registry.merge(ANN, BEN, NOW) == 0


# --- finding ------------------------------------------------------------------------------------------------------------


async def test_codes_are_compared_by_value_and_system_and_not_by_their_display(store: Store) -> None:
    one = entry()
    await put(store, submission(one))
    same = CLASS.__class__(value=CLASS.value, system=CLASS.system, display="Bilder")
    other = CLASS.__class__(value=CLASS.value, system="1.2.3.101")
    for field in (
        "class_codes",
        "type_codes",
        "format_codes",
        "practice_setting_codes",
        "healthcare_facility_type_codes",
    ):
        assert await found(store, **{field: (same,)}) == [one.unique_id]
        assert await found(store, **{field: (other, same)}) == [one.unique_id]
        assert await found(store, **{field: (other,)}) == []


async def test_event_and_confidentiality_codes_are_and_of_or(store: Store) -> None:
    head, knee = (
        entry(event_codes=(CT, HEAD)),
        entry(event_codes=(MR,), confidentiality_codes=(NORMAL, RESTRICTED)),
    )
    await put(store, submission(head, knee))
    for of in ((ANN,), ()):  # a patient's, and everybody's: two plans
        assert await found(store, patient_ids=of, event_codes=((CT, MR),)) == [head.unique_id, knee.unique_id]
        assert await found(store, patient_ids=of, event_codes=((CT, MR), (HEAD,))) == [head.unique_id]
        assert await found(store, patient_ids=of, event_codes=((CT,), (MR,))) == []
        both = ((NORMAL,), (RESTRICTED,))
        assert await found(store, patient_ids=of, confidentiality_codes=both) == [knee.unique_id]


LIKE = [
    (r"A\_1^^^&1.2.3.5&ISO^urn:ihe:iti:xds:2013:accession", ["it"]),
    ("A_1^^^&1.2.3.5&ISO^urn:ihe:iti:xds:2013:accession", ["it", "other"]),
    (r"A\_1%", ["it"]),
    ("A_1%", ["it", "other"]),  # an unescaped _ is any one character
    ("%accession", ["it", "other"]),
    ("a_1%", []),  # case matters
    ("A_1", []),  # the whole text, not a part
    ("%[_]%", []),  # what GLOB or a regular expression would read as its own is a character here
    ("%*%", []),
    ("%", ["it", "other"]),
]


async def test_reference_ids_are_sql_like_patterns(store: Store) -> None:
    documents = {
        "it": entry(reference_ids=(ACCESSION,)),
        "other": entry(reference_ids=(ReferenceId(value="AX1", type=ACCESSION.type, authority="1.2.3.5"),)),
        "none": entry(),
    }
    await put(store, submission(*documents.values()))
    for pattern, expected in LIKE:
        for of in ((ANN,), ()):  # a patient's, and everybody's: two plans
            names = [documents[name].unique_id for name in expected]
            assert await found(store, patient_ids=of, reference_ids=((pattern,),)) == names, pattern


async def test_reference_ids_are_and_of_or(store: Store) -> None:
    study = ReferenceId(value="1.2.3", type="urn:ihe:iti:xds:2016:studyInstanceUID")
    both, one = entry(reference_ids=(ACCESSION, study)), entry(reference_ids=(ACCESSION,))
    await put(store, submission(both, one))
    assert await found(store, reference_ids=(("%accession",), ("1.2.3^%",))) == [both.unique_id]
    assert await found(store, reference_ids=(("%accession", "1.2.3^%"),)) == [both.unique_id, one.unique_id]


async def test_authors_are_sql_like_patterns_too(store: Store) -> None:
    welby = entry(authors=(Author(person="11^Welby^Marcus"), Author(person=r"12^O\T\Neil^Pat")))
    await put(store, submission(welby, entry()))
    for pattern, count in (("%^Welby^%", 1), ("%welby%", 0), (r"%O\T\Neil%", 1), ("nobody", 0), ("12%", 1)):
        assert len(await found(store, author_persons=(pattern,))) == count
    assert len(await found(store, author_persons=("nobody", "11^%"))) == 1


TIMES = [
    # asked (from, to), the entry's time, found
    (("20260301", None), "20260301", True),  # from is included
    (("20260302", None), "20260301", False),
    ((None, "20260301"), "20260301", False),  # to is not
    ((None, "20260302"), "20260301", True),
    (("20260101", "20270101"), "202606151200", True),
    (("20260101", "20270101"), "2027", False),
    (("20260301120000", "20260301120001"), "20260301130000+0100", True),
    (("20260101", "20270101"), None, True),  # what has no such time is not filtered by it
]


@pytest.mark.parametrize("field", ["creation_time", "service_start_time", "service_stop_time"])
async def test_times_are_from_inclusive_to_exclusive(store: Store, field: str) -> None:
    for asked, time, expected in TIMES:
        start, end = (None if text is None else Moment.from_dtm(text) for text in asked)
        one = entry(**{field: None if time is None else Moment.from_dtm(time)})
        await put(store, submission(one))
        there = await found(store, unique_ids=(one.unique_id,), **{field: TimeRange(start=start, end=end)})
        assert bool(there) is expected, (asked, time)


async def test_creation_time_does_not_filter_on_demand_entries(store: Store) -> None:
    one = entry(entry_type=EntryType.ON_DEMAND, creation_time=Moment.from_dtm("2020"))
    await put(store, submission(one))
    asked = TimeRange(start=Moment.from_dtm("2025"))
    assert await found(store, creation_time=asked, entry_types=(EntryType.ON_DEMAND,)) == [one.unique_id]
    assert await found(store, creation_time=asked) == []  # stable ones are asked for by default


async def test_entries_are_named_by_uuid_or_uniqueid_and_every_field_narrows(store: Store) -> None:
    of_ann, of_ben = entry(ANN), entry(BEN)
    await put(store, submission(of_ann), submission(of_ben, patient_id=BEN))
    assert await found(store, entry_uuids=(of_ann.entry_uuid, of_ben.entry_uuid)) == [
        of_ann.unique_id,
        of_ben.unique_id,
    ]
    assert await found(store, unique_ids=(of_ben.unique_id,)) == [of_ben.unique_id]
    assert await found(store, unique_ids=(of_ben.unique_id,), patient_ids=(ANN,)) == []
    stranger = PatientIdentifier(value=ANN.value, authority=OTHER_DOMAIN)
    assert await found(store, patient_ids=(stranger,)) == []
    assert DOMAIN != OTHER_DOMAIN


async def test_finding_can_be_left_off_at_any_entry(store: Store) -> None:
    await put(store, submission(*(entry() for _ in range(150))))

    async def first(registry: Registry) -> DocumentEntry:
        async for each in registry.find(DocumentCriteria()):
            return each
        raise AssertionError

    async with store.view() as work:
        assert await first(work.registry) == await first(work.registry)


# --- submission sets and folders --------------------------------------------------------------------------------------


async def sets_found(store: Store, **criteria: object) -> list[str]:
    async with store.view() as work:
        found = await work.registry.find_submission_sets(SubmissionSetCriteria(**criteria))  # type: ignore[arg-type]
    return [each.unique_id for each in found]


async def folders_found(store: Store, **criteria: object) -> list[str]:
    async with store.view() as work:
        found = await work.registry.find_folders(FolderCriteria(**criteria))  # type: ignore[arg-type]
    return sorted(each.unique_id for each in found)


async def test_submission_sets_are_found_by_each_of_their_parameters(store: Store) -> None:
    early = submission(unique_id="1.1", authors=(Author(person="11^Welby"),), content_type_code=CT)
    late = submission(
        unique_id="1.2", source_id="1.2.3.56", submission_time=Moment(LATER), availability_status=DEPRECATED
    )
    held = submission(unique_id="1.3", availability_status=PENDING)
    other = submission(unique_id="1.4", patient_id=BEN)
    await put(store, late, early, held, other)
    assert await sets_found(store, patient_ids=(ANN,)) == ["1.1", "1.2"]
    assert await sets_found(store, patient_ids=(ANN,), statuses=(DEPRECATED,)) == ["1.2"]
    assert await sets_found(store, statuses=(PENDING,)) == ["1.3"]
    assert await sets_found(store, patient_ids=(ANN,), source_ids=("1.2.3.56", "1.9")) == ["1.2"]
    assert await sets_found(store, patient_ids=(ANN,), submission_time=TimeRange(start=Moment(LATER))) == ["1.2"]
    assert await sets_found(store, patient_ids=(ANN,), submission_time=TimeRange(end=Moment(LATER))) == ["1.1"]
    assert await sets_found(store, patient_ids=(ANN,), author_person="%Welby") == ["1.1"]
    assert await sets_found(store, patient_ids=(ANN,), author_person="welby%") == []
    assert await sets_found(store, patient_ids=(ANN,), content_type_codes=(replace(CT, display="x"), MR)) == ["1.1"]
    assert await sets_found(store, unique_ids=("1.4", "1.2")) == ["1.4", "1.2"]
    assert await sets_found(store, entry_uuids=(early.submission_set.entry_uuid,)) == ["1.1"]


async def test_folders_are_found_by_each_of_their_parameters(store: Store) -> None:
    first = folder(unique_id="1.1", codes=(CT, HEAD))
    second = folder(unique_id="1.2", codes=(MR,), availability_status=DEPRECATED)
    held = folder(unique_id="1.3", availability_status=PENDING)
    other = folder(BEN, unique_id="1.4")
    await put(store, submission(folders=(first, held)), submission(folders=(other,), patient_id=BEN))
    await put(store, submission(folders=(second,)), at=LATER)
    assert await folders_found(store, patient_ids=(ANN,)) == ["1.1", "1.2"]
    assert await folders_found(store, patient_ids=(ANN, BEN), statuses=(APPROVED,)) == ["1.1", "1.4"]
    assert await folders_found(store, statuses=(PENDING,)) == ["1.3"]
    assert await folders_found(store, patient_ids=(ANN,), last_update_time=TimeRange(end=Moment(LATER))) == ["1.1"]
    assert await folders_found(store, patient_ids=(ANN,), codes=((CT, MR),)) == ["1.1", "1.2"]
    assert await folders_found(store, patient_ids=(ANN,), codes=((CT, MR), (HEAD,))) == ["1.1"]
    assert await folders_found(store, unique_ids=("1.4", "1.9")) == ["1.4"]
    assert await folders_found(store, entry_uuids=(second.entry_uuid,)) == ["1.2"]


async def test_what_is_held_is_told_of_objects_and_of_associations_that_lead_to_them(store: Store) -> None:
    seen, hidden, hidden_folder = entry(), entry(availability_status=PENDING), folder(availability_status=PENDING)
    arrow = relation(RPLC, hidden.entry_uuid, seen.entry_uuid)
    shown = submission(seen)
    waiting = submission(hidden, folders=(hidden_folder,), associations=(arrow,), availability_status=PENDING)
    await put(store, shown, waiting)
    asked = [
        seen.entry_uuid,
        shown.submission_set.entry_uuid,
        shown.associations[0].entry_uuid,
        hidden.entry_uuid,
        hidden_folder.entry_uuid,
        waiting.submission_set.entry_uuid,
        arrow.entry_uuid,
        entry_uuid(),
    ]
    async with store.view() as work:
        assert await work.registry.held(asked) == frozenset(asked[3:7])
        assert await work.registry.held([]) == frozenset()


# --- versions -----------------------------------------------------------------------------------------------------------


def next_version(old: DocumentEntry, **fields: object) -> DocumentEntry:
    changed = {"entry_uuid": entry_uuid(), "logical_id": old.logical_id or old.entry_uuid, "version": old.version + 1}
    return replace(old, **changed | fields)  # type: ignore[arg-type]


async def test_a_new_version_supersedes_the_one_before_and_shares_its_uniqueid(store: Store) -> None:
    first = entry(title="first")
    second = next_version(first, title="second")
    third = next_version(second, title="third")
    await put(store, submission(first), submission(second), submission(third))
    lid = first.entry_uuid
    assert await found(store, logical_ids=(lid,)) == [first.unique_id] * 3
    async with store.view() as work:
        latest = [each async for each in work.registry.find(DocumentCriteria(logical_ids=(lid,), latest=True))]
        assert latest == [third]
        everything = await work.registry.objects([third.entry_uuid, first.entry_uuid, second.entry_uuid])
        assert [(each.title, each.version) for each in everything if isinstance(each, DocumentEntry)] == [
            ("third", 3), ("first", 1), ("second", 2),
        ]  # fmt: skip
        old = first.entry_uuid, second.entry_uuid
        assert await work.registry.superseded([*old, third.entry_uuid, entry_uuid()]) == frozenset(old)
    assert [await status_of(store, each) for each in (first, second, third)] == [DEPRECATED, DEPRECATED, APPROVED]


async def test_a_version_of_what_got_one_in_between_is_refused(store: Store) -> None:
    first = entry()
    await put(store, submission(first), submission(next_version(first)))
    for late in (next_version(first), next_version(first, version=4), next_version(entry())):
        error = await refused(store, submission(late))
        assert (error.code, error.location) == ("XDSMetadataVersionError", late.entry_uuid)


async def test_of_two_who_make_a_version_at_once_one_comes_too_late(store: Store) -> None:
    first = entry()
    await put(store, submission(first))
    results = await asyncio.gather(
        *(put(store, submission(next_version(first))) for _ in range(2)), return_exceptions=True
    )
    (late,) = [each for each in results if each is not None]
    assert isinstance(late, RuleViolation) and late.code == "XDSMetadataVersionError"


async def test_a_new_version_of_a_folder_has_the_uniqueid_of_the_first(store: Store) -> None:
    first = folder(title="first")
    second = replace(first, entry_uuid=entry_uuid(), logical_id=first.entry_uuid, version=2, title="second")
    await put(store, submission(folders=(first,)))
    await put(store, submission(folders=(second,)), at=LATER)
    async with store.view() as work:
        asked = FolderCriteria(unique_ids=(first.unique_id,), logical_ids=(first.entry_uuid,), latest=True)
        (newest,) = await work.registry.find_folders(asked)
        both = await work.registry.find_folders(replace(asked, latest=False))
        assert await work.registry.superseded([first.entry_uuid, second.entry_uuid]) == {first.entry_uuid}
    assert (newest.title, newest.version, newest.last_update_time) == ("second", 2, Moment(LATER))
    assert {each.title: each.availability_status for each in both} == {"first": DEPRECATED, "second": APPROVED}


async def test_objects_of_every_kind_are_found_by_their_ids(store: Store) -> None:
    document, filed = entry(availability_status=PENDING), folder()
    whole = submission(document, folders=(filed,))
    await put(store, whole)
    arrow = whole.associations[0]
    wanted = [arrow.entry_uuid, filed.entry_uuid, entry_uuid(), whole.submission_set.entry_uuid, document.entry_uuid]
    async with store.view() as work:
        there = await work.registry.objects(wanted)
    assert [each.entry_uuid for each in there] == [each for each in wanted if each != wanted[2]]


async def test_associations_are_added_as_they_are_and_their_folders_updated(store: Store) -> None:
    document, filed, old, new = entry(), folder(), entry(), entry()
    await put(store, submission(document, old, new, folders=(filed,)))
    added = (
        relation(MEMBER, filed.entry_uuid, document.entry_uuid),
        relation(RPLC, new.entry_uuid, old.entry_uuid),
    )
    async with store.unit() as work:
        await work.registry.associate(added, LATER)
    async with store.view() as work:
        assert set(added) <= set(await work.registry.associations([filed.entry_uuid, old.entry_uuid]))
    assert await updated(store, filed) == Moment(LATER)
    assert await status_of(store, old) is APPROVED
    with pytest.raises(Duplicate):
        async with store.unit() as work:
            await work.registry.associate(added[:1], LATER)


async def test_the_status_of_a_membership_updates_the_folder(store: Store) -> None:
    document, filed = entry(), folder()
    files = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    await put(store, submission(document, folders=(filed,), associations=(files,)))
    async with store.unit() as work:
        await work.registry.set_status(files.entry_uuid, DEPRECATED, LATER)
    assert await updated(store, filed) == Moment(LATER)


async def test_what_is_removed_is_nowhere_and_its_ids_may_be_used_again(store: Store) -> None:
    document, filed = entry(event_codes=(CT,), reference_ids=(ACCESSION,)), folder()
    files = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    whole = submission(document, folders=(filed,), associations=(files,))
    other = entry()
    await put(store, whole, submission(other))
    gone = [
        whole.submission_set.entry_uuid, document.entry_uuid, filed.entry_uuid,
        *(each.entry_uuid for each in whole.associations),
    ]  # fmt: skip
    async with store.unit() as work:
        await work.registry.remove([*gone, entry_uuid()], LATER)
    assert await found(store) == [other.unique_id]
    assert await found(store, event_codes=((CT,),)) == []
    async with store.view() as work:
        assert await work.registry.objects(gone) == []
        assert await work.registry.associations(gone) == []
    with_other_bytes = replace(document, hash="1" * 40)
    await put(store, replace(whole, entries=(with_other_bytes,)))


async def test_a_member_that_is_taken_out_updates_the_folder_and_the_uniqueid_of_a_second_entry_stays(
    store: Store,
) -> None:
    document, filed = entry(), folder()
    files = relation(MEMBER, filed.entry_uuid, document.entry_uuid)
    again = replace(document, entry_uuid=entry_uuid())
    await put(store, submission(document, folders=(filed,), associations=(files,)), submission(again))
    async with store.unit() as work:
        await work.registry.remove([files.entry_uuid, document.entry_uuid], LATER)
    assert await updated(store, filed) == Moment(LATER)
    error = await refused(store, submission(replace(document, entry_uuid=entry_uuid(), hash="1" * 40)))
    assert error.code == "XDSNonIdenticalHash"


async def test_where_the_newest_version_goes_the_one_before_it_is_the_newest(store: Store) -> None:
    first = entry()
    second = next_version(first)
    third = next_version(second)
    await put(store, submission(first), submission(second), submission(third))
    async with store.unit() as work:
        await work.registry.remove([third.entry_uuid], LATER)
        assert await work.registry.superseded([first.entry_uuid, second.entry_uuid]) == {first.entry_uuid}
    async with store.unit() as work:
        await work.registry.remove([first.entry_uuid], LATER)
        assert await work.registry.superseded([second.entry_uuid]) == frozenset()
    assert await found(store, logical_ids=(first.entry_uuid,), latest=True) == [second.unique_id]


async def test_a_uniqueid_is_that_of_a_stable_document_or_of_one_on_demand(store: Store) -> None:
    stable = entry(hash="", size_bytes=None)
    on_demand = entry(entry_type=EntryType.ON_DEMAND, hash="", size_bytes=None)
    await put(store, submission(stable), submission(on_demand))
    for there, other in ((stable, EntryType.ON_DEMAND), (on_demand, EntryType.STABLE)):
        again = replace(there, entry_uuid=entry_uuid(), entry_type=other)
        error = await refused(store, submission(again))
        assert (error.code, error.location) == ("XDSRegistryMetadataError", there.unique_id)
    await put(store, submission(replace(on_demand, entry_uuid=entry_uuid())))
