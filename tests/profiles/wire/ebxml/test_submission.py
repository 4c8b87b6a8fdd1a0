"""Registry objects: any submission comes back, peers' ways are understood, and what has no meaning is refused."""

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import etree

from profiles.errors import MalformedMessage, RuleViolation
from profiles.findings import Finding
from profiles.model.document import AvailabilityStatus, Submission
from profiles.wire.ebxml import rim
from profiles.wire.ebxml.entry import Phase, extrinsic_object, read_entry
from profiles.wire.ebxml.rim import RIM
from profiles.wire.ebxml.submission import (
    SUBMIT_OBJECTS_REQUEST,
    association,
    folder,
    read_objects,
    read_submission,
    submission_set,
    submit_objects_request,
)
from tests.profiles.wire.ebxml import strategies
from tests.support.ebxml import ENTRY, FOLDER, MEMBER, SET, SUBMISSION, WITH_FOLDER, judge, keys, parse

NAMESPACES = f'xmlns:rim="{RIM}"'


def written(submission: Submission) -> etree._Element:
    return parse("".join(submit_objects_request(submission)).encode())


def read(element: etree._Element) -> tuple[Submission, list[Finding]]:
    findings: list[Finding] = []
    return read_submission(element, findings), findings


def objects_of(element: etree._Element) -> etree._Element:
    found = element.find(f"{{{RIM}}}RegistryObjectList")
    assert found is not None
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(strategies.SUBMISSION)
def test_any_submission_comes_back(submission: Submission) -> None:
    element = written(submission)
    assert element.tag == SUBMIT_OBJECTS_REQUEST
    again, findings = read(element)
    assert again == submission
    assert findings == []


@pytest.mark.judge_standard
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(strategies.SUBMISSION)
def test_any_submission_is_valid_by_the_published_schemas(submission: Submission) -> None:
    judge(written(submission))


def test_an_entry_is_written_in_the_order_of_the_schema_with_every_id_its_own() -> None:
    element = parse(f"<x {NAMESPACES}>{extrinsic_object(ENTRY, Phase.REGISTERED)}</x>".encode())[0]
    names = [etree.QName(child).localname for child in element]
    order = ["Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier"]
    assert sorted(names, key=order.index) == names
    ids = [each.get("id") for each in element.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) == 12
    assert {each.get("classifiedObject") for each in element.iter(f"{{{RIM}}}Classification")} == {"Document01"}


def test_a_source_says_neither_status_nor_version_and_a_registry_does() -> None:
    submitted = parse(f"<x {NAMESPACES}>{extrinsic_object(ENTRY, Phase.SUBMITTED)}</x>".encode())[0]
    registered = parse(f"<x {NAMESPACES}>{extrinsic_object(ENTRY, Phase.REGISTERED)}</x>".encode())[0]
    assert submitted.get("status") is None
    assert submitted.get("lid") is None
    assert submitted.find(f"{{{RIM}}}VersionInfo") is None
    assert registered.get("status") == AvailabilityStatus.APPROVED
    assert registered.get("lid") == ENTRY.entry_uuid


def test_pending_is_ours_and_never_written() -> None:
    from dataclasses import replace

    held = replace(ENTRY, availability_status=AvailabilityStatus.PENDING)
    assert "pending" not in extrinsic_object(held, Phase.REGISTERED)


def test_ids_of_attributes_are_the_same_each_time_and_differ_between_objects() -> None:
    first, again, other = rim.ChildIds("a"), rim.ChildIds("a"), rim.ChildIds("b")
    assert [first(), first()] == [again(), again()]
    assert rim.ChildIds("a")() != other()
    assert rim.ChildIds("a")().startswith("urn:uuid:")
    assert len(rim.ChildIds("a")()) == 45


# --- as peers write -------------------------------------------------------------------------------------------------


def test_a_set_may_be_classified_beside_the_package() -> None:
    element = written(SUBMISSION)
    package = element.find(f".//{{{RIM}}}RegistryPackage")
    node = element.find(f".//{{{RIM}}}Classification[@classificationNode]")
    assert package is not None
    assert node is not None
    objects_of(element).insert(0, node)
    assert read(element)[0] == SUBMISSION


def test_uuids_with_blanks_and_capitals_are_understood() -> None:
    element = written(SUBMISSION)
    for each in element.iter(f"{{{RIM}}}ExternalIdentifier"):
        each.set("identificationScheme", each.get("identificationScheme", "").replace("-", "- ", 1).upper())
    for each in element.iter(f"{{{RIM}}}Classification"):
        if each.get("classificationScheme"):
            each.set("classificationScheme", each.get("classificationScheme", "").upper())
    assert read(element)[0] == SUBMISSION


def test_another_order_of_children_is_read_and_reported() -> None:
    element = written(SUBMISSION)
    entry = objects_of(element)[0]
    entry[:] = sorted(entry, key=lambda child: child.tag == f"{{{RIM}}}Slot")
    submission, findings = read(element)
    assert submission == SUBMISSION
    assert keys(findings) == ["ebrim/order"]


def test_comments_and_white_space_in_values_do_not_matter() -> None:
    text = (
        "".join(submit_objects_request(SUBMISSION))
        .replace("<rim:Value>", "<rim:Value>\n   <!-- here -->")
        .replace("</rim:Value>", "\n </rim:Value>")
    )
    submission, findings = read(etree.fromstring(text.encode()))
    assert submission == SUBMISSION
    assert findings == []


def test_a_slot_that_is_there_twice_is_put_together_and_reported() -> None:
    element = written(WITH_FOLDER)
    entry = objects_of(element)[0]
    entry.insert(0, parse(f"<x {NAMESPACES}>{rim.slot('urn:example:sort', ('c',))}</x>".encode())[0])
    submission, findings = read(element)
    assert dict(submission.entries[0].extra)["urn:example:sort"] == ("c", "a", "b")
    assert keys(findings) == ["ebrim/slot-repeated"]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("size", "a few", "ebrim/size"),
        ("size", "-1", "ebrim/size"),
        ("size", "٣", "ebrim/size"),
        ("creationTime", "today", "ebrim/dtm"),
        ("sourcePatientId", "PAT001", "ebrim/source-patient-id"),
        ("repositoryUniqueId", "ours", "ebrim/repository-unique-id"),
    ],
)
def test_a_value_that_cannot_be_read_is_an_error_and_left_out(name: str, text: str, rule: str) -> None:
    element = written(SUBMISSION)
    value = element.find(f".//{{{RIM}}}Slot[@name='{name}']/*/{{{RIM}}}Value")
    assert value is not None
    value.text = text
    submission, findings = read(element)
    assert [finding.rule for finding in findings if finding.severity == "error"] == [rule]
    assert len(submission.entries) == 1


@pytest.mark.parametrize("home", ["1.2.3", "urn:oid:1.2.3", "urn:oid:urn:oid:1.2.3", " URN:OID:1.2.3 "])
def test_a_home_is_read_as_peers_write_it(home: str) -> None:
    element = written(SUBMISSION)
    objects_of(element)[0].set("home", home)
    submission, findings = read(element)
    assert submission.entries[0].home_community_id == "1.2.3"
    assert keys(findings) == ([] if home == "urn:oid:1.2.3" else ["ebrim/home"])


def test_an_unreadable_home_is_left_out_and_an_empty_one_is_none() -> None:
    element = written(SUBMISSION)
    objects_of(element)[0].set("home", "here")
    assert keys(read(element)[1]) == ["ebrim/home"]
    objects_of(element)[0].set("home", "")
    submission, findings = read(element)
    assert submission.entries[0].home_community_id is None
    assert findings == []


def test_an_unknown_status_is_reported() -> None:
    element = written(SUBMISSION)
    objects_of(element)[0].set("status", "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved")
    assert keys(read(element)[1]) == ["ebrim/status"]
    objects_of(element)[0].set("status", AvailabilityStatus.DEPRECATED)
    assert read(element)[0].entries[0].availability_status is AvailabilityStatus.DEPRECATED


def test_an_association_type_without_its_urn_is_understood() -> None:
    element = written(SUBMISSION)
    element.findall(f".//{{{RIM}}}Association")[1].set("associationType", "RPLC")
    submission, findings = read(element)
    assert submission == SUBMISSION
    assert keys(findings) == ["ebrim/association-type"]


def test_documentation_of_an_association_is_named_as_not_kept() -> None:
    element = written(SUBMISSION)
    arrow = element.findall(f".//{{{RIM}}}Association")[1]
    code = rim.classification(
        rim.ChildIds("x"), "replacement", "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3", ENTRY.type_code
    )
    arrow.append(parse(f"<x {NAMESPACES}>{code}</x>".encode())[0])
    assert [finding.code for finding in read(element)[1]] == ["XDSExtraMetadataNotSaved"]


def test_a_classification_that_we_do_not_know_is_named_as_not_kept() -> None:
    element = written(SUBMISSION)
    entry = objects_of(element)[0]
    code = rim.classification(
        rim.ChildIds("x"), "Document01", "urn:uuid:00000000-0000-4000-8000-000000000099", ENTRY.type_code
    )
    entry.insert(20, parse(f"<x {NAMESPACES}>{code}</x>".encode())[0])
    submission, findings = read(element)
    assert submission == SUBMISSION
    assert [finding.code for finding in findings] == ["XDSExtraMetadataNotSaved"]


# --- refused ----------------------------------------------------------------------------------------------------------


def refused(element: etree._Element) -> RuleViolation:
    with pytest.raises(RuleViolation) as caught:
        read(element)
    return caught.value


def test_there_is_exactly_one_submission_set() -> None:
    element = written(SUBMISSION)
    package = objects_of(element).find(f"{{{RIM}}}RegistryPackage")
    assert package is not None
    objects_of(element).remove(package)
    assert "0 submission sets" in refused(element).detail
    objects_of(element).extend([package, parse(etree.tostring(package))])
    assert "2 submission sets" in refused(element).detail


@pytest.mark.parametrize("scheme", [rim.ENTRY_PATIENT_ID, rim.SET_PATIENT_ID])
def test_an_object_without_a_patient_is_refused(scheme: str) -> None:
    element = written(SUBMISSION)
    identifier = element.find(f".//{{{RIM}}}ExternalIdentifier[@identificationScheme='{scheme}']")
    assert identifier is not None
    identifier.set("value", "XAD77")
    error = refused(element)
    assert error.findings[0].rule == "ebrim/patient-id"
    assert error.location


@pytest.mark.parametrize(
    ("path", "attribute", "rule"),
    [
        ("Association", "associationType", "ebrim/association-type"),
        ("Association", "sourceObject", "ebrim/association-ends"),
        ("Association", "targetObject", "ebrim/association-ends"),
    ],
)
def test_an_arrow_without_ends_or_meaning_is_refused(path: str, attribute: str, rule: str) -> None:
    element = written(SUBMISSION)
    arrow = element.find(f".//{{{RIM}}}{path}")
    assert arrow is not None
    arrow.set(attribute, "")
    assert refused(element).findings[0].rule == rule


def test_a_package_of_no_kind_is_refused() -> None:
    element = written(SUBMISSION)
    node = element.find(f".//{{{RIM}}}Classification[@classificationNode]")
    assert node is not None
    node.getparent().remove(node)  # type: ignore[union-attr]
    assert refused(element).findings[0].rule == "ebrim/package-kind"


def test_an_element_of_another_kind_is_refused() -> None:
    element = written(SUBMISSION)
    etree.SubElement(objects_of(element), f"{{{RIM}}}Service")
    assert refused(element).findings[0].rule == "ebrim/object-kind"


def test_without_a_list_it_is_malformed() -> None:
    element = written(SUBMISSION)
    element.remove(objects_of(element))
    with pytest.raises(MalformedMessage):
        read(element)


def test_an_unreadable_entry_of_an_answer_is_counted_and_the_others_are_kept() -> None:
    element = written(SUBMISSION)
    identifier = element.find(f".//{{{RIM}}}ExternalIdentifier[@identificationScheme='{rim.ENTRY_PATIENT_ID}']")
    assert identifier is not None
    identifier.set("value", "")
    found = read_objects(objects_of(element), [])
    assert found.entries == []
    assert len(found.submission_sets) == 1
    assert len(found.unreadable) == 1


def test_single_objects_read_and_write_the_same() -> None:
    text = (
        submission_set(SET, Phase.REGISTERED)
        + folder(FOLDER, Phase.REGISTERED)
        + association(MEMBER, Phase.REGISTERED)
        + extrinsic_object(ENTRY, Phase.REGISTERED)
    )
    element = parse(f"<x {NAMESPACES}>{text}</x>".encode())
    findings: list[Finding] = []
    found = read_objects(element, findings)
    assert (found.submission_sets, found.folders, found.associations) == ([SET], [FOLDER], [MEMBER])
    assert found.entries == [ENTRY]
    assert read_entry(element[3], findings) == ENTRY
    assert findings == []
