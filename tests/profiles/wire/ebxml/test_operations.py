"""Operations of an update: which are read, and what of an update is none."""

from dataclasses import replace

import pytest

from profiles.model.document import Association, AssociationType, AvailabilityStatus, Submission
from profiles.wire.ebxml.operations import (
    RESTRICTED_UPDATE,
    UPDATE,
    NewAssociation,
    NewVersion,
    StatusChange,
    read_operations,
)
from tests.support.registered import entry, entry_uuid, folder, relation, submission

APPROVED, DEPRECATED = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
MEMBER, RPLC, STATUS, SUBMIT = (
    AssociationType.HAS_MEMBER,
    AssociationType.REPLACE,
    AssociationType.UPDATE_AVAILABILITY_STATUS,
    AssociationType.SUBMIT_ASSOCIATION,
)
OLD = entry_uuid()
NEW_ENTRY = entry(logical_id=OLD)
NEW_FOLDER = folder(logical_id=OLD)


def with_slots(arrow: Association, **slots: str) -> Association:
    return replace(arrow, extra=tuple((name, (value,)) for name, value in slots.items()))


def version_of(whole: Submission, **slots: str) -> Submission:
    """The submission, with these slots on every membership."""
    return replace(whole, associations=tuple(with_slots(each, **slots) for each in whole.associations))


def with_arrows(*arrows: Association) -> Submission:
    """A bare set with these associations; "set" as source or target is the set."""
    whole = submission()
    id = whole.submission_set.entry_uuid
    told = [
        replace(each, source=each.source.replace("set", id, 1) if each.source == "set" else each.source)
        for each in arrows
    ]
    return replace(whole, associations=tuple(told))


def status(target: str = OLD, **slots: str) -> Association:
    named = {"OriginalStatus": str(APPROVED), "NewStatus": str(DEPRECATED)} | slots
    return with_slots(relation(STATUS, "set", target), **named)


def test_a_new_version_names_the_number_that_it_follows() -> None:
    for named in (NEW_ENTRY, NEW_FOLDER):
        whole = submission(named) if named is NEW_ENTRY else submission(folders=(NEW_FOLDER,))
        for slots, propagate in (
            ({}, True), ({"AssociationPropagation": "yes"}, True), ({"AssociationPropagation": "No"}, False)
        ):  # fmt: skip
            told = version_of(whole, PreviousVersion="3", **slots)
            assert read_operations(told, UPDATE) == ((NewVersion(object=named, previous=3, propagate=propagate),), ())


def test_a_status_is_changed_from_one_to_the_other() -> None:
    arrow = status()
    operations, findings = read_operations(with_arrows(arrow), UPDATE)
    assert findings == ()
    assert operations == (StatusChange(id=arrow.entry_uuid, target=OLD, original=APPROVED, new=DEPRECATED),)


def test_an_association_between_registered_objects_is_submitted() -> None:
    new = relation(RPLC, OLD, entry_uuid())
    told = with_arrows(new, relation(SUBMIT, "set", new.entry_uuid), relation(MEMBER, "set", new.entry_uuid))
    assert read_operations(told, UPDATE) == ((NewAssociation(association=new),), ())


NOT_FROM_SET = with_arrows(replace(status(), source=entry_uuid()))
UNDECODABLE = [
    ("nothing", submission(), "operation"),
    ("no number", submission(NEW_ENTRY), "previous-version"),
    ("not a number", version_of(submission(NEW_ENTRY), PreviousVersion="1.1"), "previous-version"),
    ("a version before the first", version_of(submission(NEW_ENTRY), PreviousVersion="0"), "previous-version"),
    (
        "propagation",
        version_of(submission(NEW_ENTRY), PreviousVersion="1", AssociationPropagation="perhaps"),
        "propagation",
    ),
    ("no member", replace(submission(NEW_ENTRY), associations=()), "member"),
    ("status missing", with_arrows(replace(status(), extra=())), "status"),
    ("status of others", with_arrows(status(NewStatus="urn:x:Withdrawn")), "status"),
    ("pending is ours", with_arrows(status(NewStatus=str(AvailabilityStatus.PENDING))), "status"),
    ("same status", with_arrows(status(NewStatus=str(APPROVED))), "status"),
    ("not from the set", NOT_FROM_SET, "operation-source"),
    ("an association of no operation", with_arrows(relation(RPLC, OLD, entry_uuid())), "operation"),
    ("a member by reference", with_arrows(relation(MEMBER, "set", OLD)), "operation"),
    ("nothing is submitted", with_arrows(relation(SUBMIT, "set", entry_uuid())), "submit-association"),
]


@pytest.mark.parametrize(("_", "told", "rule"), UNDECODABLE, ids=[name for name, _, _ in UNDECODABLE])
def test_what_is_no_operation_refuses_the_update(_: str, told: Submission, rule: str) -> None:
    findings = read_operations(told, UPDATE)[1]
    assert [(each.rule, each.code) for each in findings] == [(f"xds-update/{rule}", "XDSMetadataUpdateOperationError")]


def test_an_object_is_a_member_of_an_update_once() -> None:
    whole = version_of(submission(NEW_ENTRY), PreviousVersion="1")
    (member,) = whole.associations
    twice = replace(whole, associations=(member, replace(member, entry_uuid=entry_uuid())))
    assert [each.rule for each in read_operations(twice, UPDATE)[1]] == ["xds-update/member-once"]


@pytest.mark.parametrize("lid", ["", "Document00"])
def test_a_first_version_is_registered_and_not_updated(lid: str) -> None:
    whole = version_of(submission(replace(NEW_ENTRY, logical_id=lid)), PreviousVersion="1")
    assert [each.code for each in read_operations(whole, UPDATE)[1]] == ["XDSMetadataUpdateError"]
    assert [each.code for each in read_operations(whole, RESTRICTED_UPDATE)[1]] == ["XDSInvalidRequestException"]


def test_what_is_associated_or_changes_its_status_is_registered() -> None:
    assert [each.code for each in read_operations(with_arrows(status("Document01")), UPDATE)[1]] == [
        "UnresolvedReferenceException"
    ]
    new = relation(RPLC, "Document01", OLD)
    told = with_arrows(new, relation(SUBMIT, "set", new.entry_uuid))
    assert [each.code for each in read_operations(told, UPDATE)[1]] == ["XDSMetadataUpdateError"]


RESTRICTED = [
    ("folder", version_of(submission(folders=(NEW_FOLDER,)), PreviousVersion="1"), "XDSObjectTypeError"),
    ("status", with_arrows(status()), "UnmodifiableMetadataError"),
    ("number", submission(NEW_ENTRY), "XDSMetadataAnnotationError"),
    ("member", replace(submission(NEW_ENTRY), associations=()), "XDSMetadataAnnotationError"),
    ("nothing", submission(), "XDSMetadataAnnotationError"),
]


@pytest.mark.parametrize(("_", "told", "code"), RESTRICTED, ids=[name for name, _, _ in RESTRICTED])
def test_a_restricted_update_has_words_of_its_own(_: str, told: Submission, code: str) -> None:
    assert [each.code for each in read_operations(told, RESTRICTED_UPDATE)[1]] == [code]


def test_a_restricted_update_submits_no_association() -> None:
    new = relation(RPLC, OLD, entry_uuid())
    told = with_arrows(new, relation(SUBMIT, "set", new.entry_uuid))
    found = read_operations(told, RESTRICTED_UPDATE)[1]
    assert {each.code for each in found} == {"UnmodifiableMetadataError", "XDSMetadataAnnotationError"}
