"""A manifest as an entry, the entry as a submission, and where an entry and a manifest contradict each other."""

from dataclasses import replace
from hashlib import sha1

import pytest

from profiles.findings import Severity
from profiles.model.codes import DCM, LOINC, MANIFEST_FORMAT, SNOMED_CT, Code
from profiles.model.document import ACCESSION, ORDER, STUDY_INSTANCE_UID, AssociationType, ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.model.patient import PersonName
from profiles.wire.dicom.kos import decode_kos, encode_kos
from profiles.wire.ebxml.response import Speaker
from profiles.wire.ebxml.rules import submission_findings
from profiles.xds.iti42 import ITI_42
from profiles.xdsi.rad68 import (
    ACQUISITION_MODALITIES,
    DEFAULTS,
    RAD_68,
    CodeRow,
    CodeSet,
    ProvideAndRegisterRequest,
    SiteCodes,
    contradictions,
    entry_for,
    modalities_of_entry,
    submission_for,
)
from tests.support.ebxml import PATIENT_ID, judge, keys, sample, soap_in, written
from tests.support.judges import standards
from tests.support.manifests import CR, MANIFEST, PATIENT, SR, STUDY, series


def entry(manifest: Manifest = MANIFEST, codes: SiteCodes | None = None):  # type: ignore[no-untyped-def]
    return entry_for(
        manifest,
        entry_uuid="Document01",
        patient_id=PATIENT_ID,
        codes=codes or SiteCodes(),
        sha1="0" * 40,
        size_bytes=7,
    )


# --- manifest -> entry ------------------------------------------------------------------------------------------------


def test_an_entry_says_what_the_manifest_is() -> None:
    made = entry()
    assert (made.mime_type, made.format_code) == ("application/dicom", MANIFEST_FORMAT)
    assert made.unique_id == "1.2.9"
    assert (made.title, made.hash, made.size_bytes) == ("CT Chest", "0" * 40, 7)
    assert made.repository_unique_id is None  # the repository's word


def test_its_patient_is_the_affinity_domain_s_and_its_source_patient_the_manifest_s() -> None:
    made = entry()
    assert made.patient_id == PATIENT_ID
    assert made.source_patient_id == PATIENT.identifiers[0]
    assert made.source_patient == PATIENT


def test_times_are_utc() -> None:
    made = entry()
    assert made.creation_time is not None
    assert made.service_start_time is not None
    assert (made.creation_time.dtm, made.service_start_time.dtm) == ("20260301101500", "20260301093000")


def test_a_study_without_a_date_has_no_start_and_never_now() -> None:
    assert entry(replace(MANIFEST, studies=(replace(STUDY, started=None),))).service_start_time is None


def test_events_are_acquisition_modalities_and_then_regions_once_each() -> None:
    assert [(code.value, code.system, code.display) for code in entry().event_codes] == [
        ("CT", DCM, "Computed Tomography"),
        ("PT", DCM, "Positron emission tomography"),
        ("816094009", SNOMED_CT, "Thorax"),
        ("818981001", SNOMED_CT, "Abdomen"),
    ]


@pytest.mark.parametrize(
    ("codes", "modalities"),
    [
        ((), set()),
        ((Code(value="CT", system=DCM), Code(value="69536005", system=SNOMED_CT)), {"CT"}),
        ((Code(value="CT", system="DCM"), Code(value="PT", system=DCM)), {"CT", "PT"}),
        ((Code(value="SR", system=DCM), Code(value="MR", system="1.2.3.100")), set()),
    ],
)
def test_the_modalities_of_an_entry_are_its_event_codes_of_cid_29(
    codes: tuple[Code, ...], modalities: set[str]
) -> None:
    assert modalities_of_entry(replace(entry(), event_codes=codes)) == modalities


def test_without_modalities_the_sop_classes_tell_where_they_leave_no_doubt() -> None:
    study = replace(STUDY, series=(series(1, "", sop_class=CR), series(2, "", sop_class=SR)))
    assert [code.value for code in entry(replace(MANIFEST, studies=(study,))).event_codes] == ["CR"]


def test_a_site_adds_its_regions_and_words() -> None:
    codes = SiteCodes(
        modalities={**ACQUISITION_MODALITIES, "CT": "Computertomographie"},
        body_parts={"ELSEWHERE": Code(value="1", system=SNOMED_CT, display="E")},
    )
    assert [code.display for code in entry(codes=codes).event_codes] == [
        "Computertomographie",
        "Positron emission tomography",
        "E",
    ]


def test_references_are_every_accession_and_order_and_the_study() -> None:
    assert entry(codes=SiteCodes(accession_authority=Oid("1.2.8"))).reference_ids == (
        ReferenceId(value="ACC42", type=ACCESSION, authority="1.2.6"),
        ReferenceId(value="ACC43", type=ACCESSION, authority="1.2.8"),
        ReferenceId(value="ORD1", type=ORDER, authority="1.2.7"),
        ReferenceId(value="1.2.5", type=STUDY_INSTANCE_UID),
    )


def test_the_type_is_the_mapped_procedure_or_the_site_s_own() -> None:
    assert entry().type_code == Code(value="18748-4", system=LOINC, display="Diagnostic imaging study")
    mapped = Code(value="24627-2", system=LOINC, display="CT Chest")
    codes = SiteCodes(rows=(CodeRow(procedure=("CTCH", "99LAKE"), gives={CodeSet.TYPE: (mapped,)}),))
    assert entry(codes=codes).type_code == mapped


def test_the_author_is_the_institution() -> None:
    (author,) = entry().authors
    assert author.institutions == (r"Lakeside \T\ Sons",)
    nameless = replace(MANIFEST, studies=(replace(STUDY, institution=""),))
    assert entry(nameless).authors == ()


def test_a_long_title_is_cut() -> None:
    assert len(entry(replace(MANIFEST, studies=(replace(STUDY, description="x" * 300),))).title) == 127


# --- entry -> submission ----------------------------------------------------------------------------------------------


def submission(replaces: str | None = None):  # type: ignore[no-untyped-def]
    return submission_for(
        entry(),
        submission_set_uuid="Set01",
        unique_id="1.2.77",
        source_id=Oid("1.2.3.3"),
        submission_time=Moment.from_dtm("20260301101600"),
        content_type_code=DEFAULTS[CodeSet.CONTENT_TYPE][0],
        replaces=replaces,
    )


def test_a_submission_breaks_no_rule_and_carries_the_patient() -> None:
    made = submission()
    assert list(submission_findings(made, Speaker.REPOSITORY)) == []
    assert made.submission_set.patient_id == PATIENT_ID
    assert [arrow.original for arrow in made.associations] == [True]


def test_a_replacement_points_from_new_to_old() -> None:
    old = "urn:uuid:00000000-0000-4000-8000-000000000001"
    made = submission(replaces=old)
    assert list(submission_findings(made, Speaker.REPOSITORY)) == []
    arrow = made.associations[1]
    assert (arrow.type, arrow.source, arrow.target) == (AssociationType.REPLACE, "Document01", old)


@pytest.mark.judge_standard
def test_a_manifest_of_ours_is_a_valid_submission_without_warnings() -> None:
    from profiles.model.content import Content

    body = encode_kos(MANIFEST)
    read = decode_kos(body).value
    made = entry_for(
        MANIFEST,
        entry_uuid="Document01",
        patient_id=PATIENT_ID,
        codes=SiteCodes(),
        sha1=sha1(body, usedforsecurity=False).hexdigest(),
        size_bytes=len(body),
    )
    request = ProvideAndRegisterRequest(
        submission=replace(submission(), entries=(made,)), documents={"Document01": Content.of(body)}
    )
    judge(written(RAD_68.encode_request(request)))
    assert [finding for check in RAD_68.checks for finding in check(request)] == []
    assert contradictions(made, read) == ()


# --- entry against manifest -------------------------------------------------------------------------------------------


def test_an_entry_of_ours_agrees_with_its_manifest() -> None:
    assert contradictions(entry(), MANIFEST) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unique_id": "1.2.10"}, "SOP Instance UID"),
        (
            {"reference_ids": (ReferenceId(value="1.2.6", type=STUDY_INSTANCE_UID),)},
            "a study that the manifest does not list",
        ),
        ({"source_patient_id": PatientIdentifier(value="PAT002", authority=Oid("1.2.3.4.5"))}, "sourcePatientId"),
    ],
)
def test_another_document_study_or_patient_refuses_the_document(change: dict[str, object], says: str) -> None:
    (finding,) = contradictions(replace(entry(), **change), MANIFEST)
    assert finding.severity is Severity.ERROR
    assert finding.code == "InvalidDocumentContent"
    assert says in finding.text
    assert finding.text.startswith(str(change.get("unique_id", "1.2.9")))
    assert "PAT00" not in finding.text


def test_one_error_tells_all_that_is_wrong_with_a_document() -> None:
    bad = replace(entry(), unique_id="1.2.10", source_patient_id=PatientIdentifier(value="X", authority=Oid("1.2")))
    assert len(contradictions(bad, MANIFEST)) == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"mime_type": "application/octet-stream"}, "RAD68-005"),
        ({"event_codes": (Code(value="MR", system=DCM),)}, "RAD68-019"),
        ({"reference_ids": (ReferenceId(value="ACC99", type=ACCESSION),)}, "RAD68/accession-agrees"),
        ({"source_patient": replace(PATIENT, birth_date=Moment.from_dtm("19710101"))}, "RAD68/birth-date-agrees"),
        ({"source_patient": replace(PATIENT, name=PersonName(family="Other"))}, "RAD68/name-agrees"),
    ],
)
def test_what_may_be_a_mapping_warns(change: dict[str, object], rule: str) -> None:
    (finding,) = contradictions(replace(entry(), **change), MANIFEST)
    assert (finding.severity, finding.rule) == (Severity.WARNING, rule)
    assert "Test" not in finding.text


def test_a_manifest_of_nothing_is_refused() -> None:
    assert "lists no study" in contradictions(entry(), replace(MANIFEST, studies=()))[0].text


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", ["IDCDEPT001-a", "IDCDEPT041-a"])
def test_manifests_of_others_with_their_metadata_are_not_refused(name: str) -> None:
    metadata = ITI_42.decode_request(soap_in(sample("rad-68", f"metadata-{name}.xml"))).value.submission
    manifest = decode_kos(standards("samples", "xds", "rad-68", f"kos-{name}.dcm").read_bytes()).value
    (told,) = metadata.entries
    findings = contradictions(replace(told, unique_id=manifest.sop_instance_uid), manifest)  # a template's id
    assert {finding.severity for finding in findings} <= {Severity.WARNING}
    if name == "IDCDEPT001-a":  # it says CT, and its manifest lists a CR image
        assert "RAD68-019" in keys(findings)
