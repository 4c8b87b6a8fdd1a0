"""Every published sample is read, in each dialect, to the fields that an index must have."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.model.audit import AuditRecord
from profiles.wire.audit.message import encode
from profiles.wire.audit.participants import PATIENT_NUMBER
from profiles.wire.audit.read import decode
from profiles.wire.audit.syslog import decode as decode_syslog
from tests.profiles.wire.audit.records import KINDS
from tests.support.judges import standards

RFC_3881 = b"""<AuditMessage>
<EventIdentification EventDateTime="2015-03-05T12:52:31.356" EventOutcomeIndicator="x">
  <EventID code="110112" displayName="Query" codeSystem="1.2.840.10008.2.16.4"/></EventIdentification>
<ActiveParticipant UserID="a|b"><RoleIDCode code="110153" displayName="Source" codeSystemName="DCM"/></ActiveParticipant>
<AuditSourceIdentification AuditSourceID="first"/><AuditSourceIdentification AuditSourceID="second"/>
<ParticipantObjectIdentification ParticipantObjectID="1" ParticipantObjectTypeCode="2">
  <ParticipantObjectIDTypeCode code="2" displayName="PatientNumber" codeSystemName="RFC-3881"/>
  <ParticipantObjectDetail type="t" value="not base64!"/>
  <Accession Number="A1"/><SOPClass UID="1.2" NumberOfInstances="7"/>
</ParticipantObjectIdentification>
</AuditMessage>"""


def sample_names() -> list[str]:
    try:
        folder = standards("samples", "atna")
    except pytest.skip.Exception:
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix in {".xml", ".syslog"})


def as_indexed(record: AuditRecord) -> dict[str, Any]:
    """The shape of the collection's expected.json."""
    return {
        "event": record.event.code,
        "types": [code.code for code in record.types],
        "action": record.action.value,
        "outcome": str(int(record.outcome)),
        "sourceId": record.source_id,
        "participants": [
            {
                "nap": participant.network_access_point or None,
                "requestor": "true" if participant.is_requestor else "false",
                "roles": [role.code for role in participant.roles],
                "userId": participant.user_id,
            }
            for participant in record.participants
        ],
        "objects": [
            {
                "details": [kind for kind, _ in subject.details],
                "hasQuery": subject.query is not None,
                "id": subject.id,
                "idType": subject.id_type.code,
                "role": str(subject.role) if subject.role else None,
                "type": str(subject.type_code) if subject.type_code else None,
            }
            for subject in record.objects
        ],
        "patients": [subject.id for subject in record.objects if subject.id_type.code == PATIENT_NUMBER.code],
    }


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", sample_names() or ["none"])
def test_each_sample_reads_to_the_fields_that_an_index_must_have(name: str) -> None:
    folder = standards("samples", "atna")
    expected = json.loads((folder / "expected.json").read_bytes())[name]
    document = (folder / name).read_bytes()
    if name.endswith(".syslog"):
        message = decode_syslog(document)
        assert (message.priority, message.host, message.message_id, message.at) == (
            expected["pri"],
            expected["hostname"],
            expected["msgid"],
            expected["timestamp"],
        )
        document, expected = message.content, expected["audit"]
    read = decode(document).value
    assert as_indexed(read) == {field: expected[field] for field in as_indexed(read)}
    assert read.at == datetime.fromisoformat(expected["datetime"])
    assert decode(encode(read)).value == read


def test_rfc_3881_is_read_and_every_oddity_is_said() -> None:
    decoded = decode(RFC_3881)
    record = decoded.value
    assert (record.event.code, record.event.text, record.event.system) == ("110112", "Query", "1.2.840.10008.2.16.4")
    assert record.at == datetime(2015, 3, 5, 12, 52, 31, 356_000, tzinfo=UTC)
    assert record.participants[0].is_requestor
    assert record.source_id == "first"
    assert record.objects[0].details == (("t", b"not base64!"),)
    assert record.objects[0].accessions == ("A1",)
    assert record.objects[0].sop_classes == (("1.2", 7),)
    assert {finding.rule for finding in decoded.findings} == {
        "audit-csd-code",
        "audit-action",
        "audit-outcome",
        "audit-time-has-zone",
        "audit-one-source",
        "audit-base64",
    }


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<AuditMessage/>",
        b"<Other/>",
        b"<AuditMessage><EventIdentification EventDateTime='2026-01-01T00:00:00Z'/></AuditMessage>",
        b"<AuditMessage><EventIdentification EventDateTime='yesterday'><EventID csd-code='1'/></EventIdentification>"
        b"</AuditMessage>",
        b"<!DOCTYPE a><AuditMessage/>",
    ],
)
def test_what_is_not_an_event_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(document)


def test_a_byte_order_mark_and_a_namespace_do_not_disturb() -> None:
    written = encode(KINDS["a submission"])
    read = decode(b"\xef\xbb\xbf" + written.replace(b"<AuditMessage>", b'<AuditMessage xmlns="urn:some">')).value
    assert read == KINDS["a submission"]


@given(st.integers(0, 1000), st.binary(max_size=6))
def test_damaged_messages_are_read_or_refused(position: int, damage: bytes) -> None:
    written = encode(KINDS["imaging retrieved"])
    with suppress(MalformedMessage):
        decode(written[:position] + damage + written[position + len(damage) :])
