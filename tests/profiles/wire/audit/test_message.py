"""What we write is valid, reads back as it was, and fits into a collector's line."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from profiles.model.audit import AuditCode, AuditRecord, ParticipantObject
from profiles.wire.audit import participants as p
from profiles.wire.audit.facts import Party
from profiles.wire.audit.message import MAX_MESSAGE_BYTES, OMITTED, date_time, encode
from profiles.wire.audit.read import decode
from tests.profiles.wire.audit.records import KINDS, RECORDS, STUDY
from tests.support.judges import standards

SUBMISSION = KINDS["a submission"]
RETRIEVE = KINDS["imaging retrieved"]


def with_objects(record: AuditRecord, *objects: ParticipantObject) -> AuditRecord:
    return replace(record, objects=(p.patient_object(STUDY.patient), *objects) if STUDY.patient else objects)


@given(RECORDS)
def test_a_record_reads_back_as_it_was_written(record: AuditRecord) -> None:
    assert decode(encode(record)).value == record


def test_a_submission_is_these_bytes() -> None:
    """ITI TF-2 3.41.5.1.2: Document Repository."""
    assert encode(SUBMISSION).decode() == (
        '<AuditMessage><EventIdentification EventActionCode="C" EventDateTime="2026-02-01T09:12:31.120Z"'
        ' EventOutcomeIndicator="0"><EventID csd-code="110107" codeSystemName="DCM" originalText="Import"/>'
        '<EventTypeCode csd-code="ITI-41" codeSystemName="IHE Transactions"'
        ' originalText="Provide and Register Document Set-b"/>'
        '<PurposeOfUse csd-code="TREAT" codeSystemName="2.16.840.1.113883.5.8" originalText="treatment"/>'
        "</EventIdentification>"
        '<ActiveParticipant UserID="http://www.w3.org/2005/08/addressing/anonymous" UserIsRequestor="true"'
        ' NetworkAccessPointID="203.0.113.17" NetworkAccessPointTypeCode="2">'
        '<RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source Role ID"/></ActiveParticipant>'
        '<ActiveParticipant UserID="https://valley.example/soap/repository" AlternativeUserID="4711"'
        ' UserIsRequestor="false" NetworkAccessPointID="valley.example" NetworkAccessPointTypeCode="1">'
        '<RoleIDCode csd-code="110152" codeSystemName="DCM" originalText="Destination Role ID"/></ActiveParticipant>'
        '<ActiveParticipant UserID="dr.a" UserName="DrA&lt;dr.a@https://idp.example.org&gt;" UserIsRequestor="true">'
        '<RoleIDCode csd-code="112247003" codeSystemName="SNOMED CT" originalText="Medical doctor"/>'
        "</ActiveParticipant>"
        '<AuditSourceIdentification AuditEnterpriseSiteID="1.2.3.1" AuditSourceID="valley">'
        '<AuditSourceTypeCode csd-code="4"/></AuditSourceIdentification>'
        '<ParticipantObjectIdentification ParticipantObjectID="V123^^^&amp;1.2.3.4&amp;ISO"'
        ' ParticipantObjectTypeCode="1" ParticipantObjectTypeCodeRole="1">'
        '<ParticipantObjectIDTypeCode csd-code="2" codeSystemName="RFC-3881" originalText="Patient Number"/>'
        "</ParticipantObjectIdentification>"
        '<ParticipantObjectIdentification ParticipantObjectID="1.2.3.77" ParticipantObjectTypeCode="2"'
        ' ParticipantObjectTypeCodeRole="20"><ParticipantObjectIDTypeCode'
        ' csd-code="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" codeSystemName="IHE XDS Metadata"'
        ' originalText="submission set classificationNode"/></ParticipantObjectIdentification></AuditMessage>'
    )


@pytest.mark.judge_standard
@pytest.mark.parametrize("schema", ["dicom2017c.xsd", "arr-ingest-lax.xsd"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].participants])
def test_each_kind_is_valid(kind: str, schema: str) -> None:
    judge = etree.XMLSchema(etree.parse(standards("atna-schema", schema)))
    judge.assertValid(etree.fromstring(encode(KINDS[kind])))


@pytest.mark.judge_standard
@settings(max_examples=60)
@given(RECORDS)
def test_any_record_is_valid(record: AuditRecord) -> None:
    judge = etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd")))
    judge.assertValid(etree.fromstring(encode(record)))


def test_a_large_study_keeps_its_counts_and_series_and_loses_its_instances() -> None:
    documents = [f"1.2.826.0.1.3680043.9.9999.1.{number}" for number in range(4000)]
    large = replace(STUDY, sop_classes=(("1.2.840.10008.5.1.4.1.1.2", 4000),))
    study = p.study_object(large, documents=documents, series=("1.2.3.4.5.1", "1.2.3.4.5.2"))
    written = encode(with_objects(RETRIEVE, study))
    read = decode(written).value.objects[1]
    assert len(written) <= MAX_MESSAGE_BYTES
    assert read.sop_classes == large.sop_classes
    assert dict(read.details)[OMITTED + p.DOCUMENT_UNIQUE_ID] == b"4000"
    assert [value for kind, value in read.details if kind == p.SERIES_UNIQUE_ID] == [b"1.2.3.4.5.1", b"1.2.3.4.5.2"]


def test_many_documents_say_how_many_more_there_were() -> None:
    documents = [p.document_object(f"1.2.826.0.1.3680043.9.{number}", "1.2.3.2") for number in range(1000)]
    written = encode(with_objects(SUBMISSION, *documents))
    read = decode(written).value
    assert len(written) <= MAX_MESSAGE_BYTES
    assert read.objects[0] == SUBMISSION.objects[0]
    omitted = dict(read.objects[-1].details)[OMITTED + "ParticipantObjectIdentification"]
    assert int(omitted) + len(read.objects) == 1001


def test_what_attackers_send_fits_too() -> None:
    code = AuditCode(code="&" * 40_000, system="<" * 40_000, text='"' * 40_000)
    strange = p.system(Party(user_id="é" * 100_000, network_address="&" * 90_000), requestor=True)
    subject = ParticipantObject(
        type_code=2,
        role=3,
        id_type=code,
        id="&" * 90_000,
        name="<" * 90_000,
        details=(("\n" * 90_000, b"x" * 90_000),) * 5,
        accessions=("&" * 90_000,) * 9,
        sop_classes=(("&" * 90_000, 1),) * 9,
        instances=("&" * 9_000,) * 9,
    )
    record = replace(
        SUBMISSION,
        event=code,
        types=(code,) * 9,
        purposes=(code,) * 9,
        outcome_description="&" * 90_000,
        source_id="&" * 90_000,
        enterprise_site_id="&" * 90_000,
        participants=(replace(strange, roles=(code,) * 9, media=code, user_name="&" * 90_000),) * 9,
        objects=(subject,) * 500,
    )
    written = encode(record)
    read = decode(written).value
    assert len(written) <= MAX_MESSAGE_BYTES
    assert dict(read.objects[-1].details)[OMITTED + "ParticipantObjectIdentification"] == b"497"


@given(st.integers(16 * 1024, 64 * 1024), st.integers(0, 400), st.integers(0, 60_000))
@settings(max_examples=40)
def test_a_message_is_never_longer_than_its_limit(limit: int, documents: int, query_bytes: int) -> None:
    query = p.query_object("urn:uuid:1", b"q" * query_bytes, p.transaction_code("ITI-18", "Registry Stored Query"))
    study = p.study_object(STUDY, documents=[f"1.2.3.{number}" for number in range(documents)])
    record = with_objects(SUBMISSION, query, study, *[p.document_object(f"1.{n}", "1.2") for n in range(documents)])
    assert len(encode(record, limit=limit)) <= limit


def test_a_name_is_not_written_beside_a_query() -> None:
    both = replace(SUBMISSION.objects[1], name="a name", query=b"a query")
    read = decode(encode(replace(SUBMISSION, objects=(both,)))).value.objects[0]
    assert (read.name, read.query) == ("", b"a query")


def test_a_time_without_zone_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="zone"):
        date_time(datetime(2026, 1, 1))  # noqa: DTZ001
