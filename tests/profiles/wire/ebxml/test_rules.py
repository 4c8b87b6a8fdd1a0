"""Rules of metadata: each is broken once, and nothing else complains."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.model.codes import Code
from profiles.model.document import Association, AssociationType, EntryType, Submission
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.wire.ebxml.response import Speaker
from profiles.wire.ebxml.rim import NO_CODE
from profiles.wire.ebxml.rules import registered_attributes_are_there, submission_findings
from tests.support.ebxml import ENTRY, FOLDER, MEMBER, OLD_ENTRY, REPLACEMENT, SET, SUBMISSION, WITH_FOLDER

REGISTRY, REPOSITORY = Speaker.REGISTRY, Speaker.REPOSITORY
OTHER = PatientIdentifier(value="XAD78", authority=Oid("1.2"))


def entry(**changes: Any) -> Submission:
    return replace(SUBMISSION, entries=(replace(ENTRY, **changes),))


def whole(**changes: Any) -> Submission:
    return replace(SUBMISSION, submission_set=replace(SET, **changes))


def folder(**changes: Any) -> Submission:
    return replace(WITH_FOLDER, folders=(replace(FOLDER, **changes),))


def arrows(*more: Association, without: Association | None = None) -> Submission:
    kept = tuple(arrow for arrow in SUBMISSION.associations if arrow is not without)
    return replace(SUBMISSION, associations=(*kept, *more))


def arrow(kind: AssociationType, source: str, target: str, original: bool | None = None) -> Association:
    return Association(entry_uuid="one-more", type=kind, source=source, target=target, original=original)


@pytest.mark.parametrize("submission", [SUBMISSION, WITH_FOLDER])
@pytest.mark.parametrize("speaker", Speaker)
def test_a_whole_submission_breaks_no_rule(submission: Submission, speaker: Speaker) -> None:
    assert list(submission_findings(submission, speaker)) == []
    assert list(registered_attributes_are_there(submission)) == []


UNRESOLVED = "UnresolvedReferenceException"
BROKEN: list[tuple[str, Submission, list[tuple[str, str]]]] = [
    ("class code", entry(class_code=NO_CODE), [("required/classCode", "")]),
    ("type code", entry(type_code=NO_CODE), [("required/typeCode", "")]),
    ("format code", entry(format_code=NO_CODE), [("required/formatCode", "")]),
    ("facility", entry(healthcare_facility_type_code=NO_CODE), [("required/healthcareFacilityTypeCode", "")]),
    ("practice", entry(practice_setting_code=NO_CODE), [("required/practiceSettingCode", "")]),
    ("confidentiality", entry(confidentiality_codes=()), [("required/confidentialityCode", "")]),
    ("creation time", entry(creation_time=None), [("required/creationTime", "")]),
    ("language", entry(language_code=""), [("required/languageCode", "")]),
    ("mime type", entry(mime_type=""), [("required/mimeType", "")]),
    ("source patient id", entry(source_patient_id=None), [("required/sourcePatientId", "")]),
    ("unique id", entry(unique_id=""), [("required/uniqueId", "")]),
    ("content type", whole(content_type_code=NO_CODE), [("required/contentTypeCode", "")]),
    ("source id", whole(source_id=""), [("required/sourceId", "")]),
    ("set unique id", whole(unique_id=""), [("required/uniqueId", "")]),
    ("folder code", folder(codes=()), [("required/codeList", "")]),
    ("folder title", folder(title=""), [("required/title", "")]),
    ("folder unique id", folder(unique_id=""), [("required/uniqueId", "")]),
    ("hash", entry(hash="abc"), [("hash", "")]),
    ("long unique id", entry(unique_id="1" * 129), [("unique-id", "")]),
    ("long title", entry(title="x" * 129), [("title", "")]),
    ("on demand", entry(entry_type=EntryType.ON_DEMAND), [("object-type", "")]),
    ("times", entry(service_stop_time=Moment.from_dtm("20260301092959")), [("service-times", "")]),
    ("scheme", entry(event_codes=(Code(value="CT", system=""),)), [("coding-scheme", "")]),
    ("code", entry(event_codes=(Code(value="", system="1.2"),)), [("code", "")]),
    ("set oid", whole(unique_id="set-1"), [("oid", "")]),
    ("source oid", whole(source_id="here"), [("oid", "")]),
    ("folder oid", folder(unique_id="f"), [("oid", "")]),
    ("patients", entry(patient_id=OTHER), [("one-patient", "XDSPatientIdDoesNotMatch")]),
    ("folder's patient", folder(patient_id=OTHER), [("one-patient", "XDSPatientIdDoesNotMatch")]),
    (
        "unique ids",
        whole(unique_id=ENTRY.unique_id),
        [("unique-id-once", "XDSRepositoryDuplicateUniqueIdInMessage")],
    ),
    ("ids", arrows(replace(REPLACEMENT, entry_uuid="member"), without=REPLACEMENT), [("object-id-once", "")]),
    ("uuid", arrows(replace(REPLACEMENT, entry_uuid="urn:uuid:1"), without=REPLACEMENT), [("entry-uuid", "")]),
    ("no member", arrows(without=MEMBER), [("member", "")]),
    (
        "folder is no member",
        replace(WITH_FOLDER, associations=tuple(a for a in WITH_FOLDER.associations if a.entry_uuid != "set-folder")),
        [("member", "")],
    ),
    (
        "symbolic id",
        arrows(replace(REPLACEMENT, target="Document77"), without=REPLACEMENT),
        [("symbolic-id", UNRESOLVED)],
    ),
    (
        "source elsewhere",
        arrows(arrow(AssociationType.APPEND, OLD_ENTRY, "Document01")),
        [("association-source", UNRESOLVED)],
    ),
    (
        "slot on a replacement",
        arrows(replace(REPLACEMENT, original=True), without=REPLACEMENT),
        [("association-slot", "")],
    ),
    ("original", arrows(replace(MEMBER, original=False), without=MEMBER), [("original", "")]),
    (
        "original elsewhere",
        arrows(arrow(AssociationType.HAS_MEMBER, "SubmissionSet01", OLD_ENTRY, original=True)),
        [("original", UNRESOLVED)],
    ),
    (
        "update",
        arrows(arrow(AssociationType.SUBMIT_ASSOCIATION, "SubmissionSet01", "replacement")),
        [("association-type", "")],
    ),
]


@pytest.mark.parametrize(("_", "submission", "expected"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_a_broken_rule_is_the_only_one_that_complains(
    _: str, submission: Submission, expected: list[tuple[str, str]]
) -> None:
    found = list(submission_findings(submission, REPOSITORY))
    assert [(finding.rule.removeprefix("xds-metadata/"), finding.code) for finding in found] == expected
    assert all(finding.location for finding in found)


def test_a_reference_to_what_is_registered_already_is_fine() -> None:
    submission = arrows(arrow(AssociationType.HAS_MEMBER, "SubmissionSet01", OLD_ENTRY, original=False))
    assert list(submission_findings(submission, REGISTRY)) == []


def test_a_date_and_a_time_of_the_same_day_do_not_contradict() -> None:
    submission = entry(service_stop_time=Moment.from_dtm("20260301"))
    assert list(submission_findings(submission, REGISTRY)) == []


def test_a_registry_names_its_own_code_for_duplicates() -> None:
    codes = [finding.code for finding in submission_findings(whole(unique_id=ENTRY.unique_id), REGISTRY)]
    assert codes == ["XDSRegistryDuplicateUniqueIdInMessage"]


@pytest.mark.parametrize(
    ("change", "attribute"),
    [({"hash": ""}, "hash"), ({"size_bytes": None}, "size"), ({"repository_unique_id": None}, "repositoryUniqueId")],
)
def test_a_repository_has_counted_before_it_registers(change: dict[str, Any], attribute: str) -> None:
    assert [finding.rule for finding in registered_attributes_are_there(entry(**change))] == [
        f"xds-metadata/required/{attribute}"
    ]


def test_an_empty_document_has_a_size() -> None:
    assert list(registered_attributes_are_there(entry(size_bytes=0))) == []


def test_findings_hold_no_patient_data() -> None:
    for _, submission, _ in BROKEN:
        for finding in submission_findings(submission, REPOSITORY):
            assert "XAD7" not in finding.text + finding.location
            assert "Anna" not in finding.text
