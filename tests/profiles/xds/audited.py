"""Facts of exchanges, for the audit tests; and the published schemas as judges of what is written of the records."""

from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from profiles.errors import PeerUnavailable, RuleViolation
from profiles.model.audit import AuditRecord, ParticipantObject
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Facts, Party, User
from profiles.wire.audit.message import MAX_MESSAGE_BYTES, encode
from profiles.wire.audit.participants import DESTINATION_ROLE, SOURCE_ROLE
from tests.support.judges import standards

PATIENT = PatientIdentifier(value="V123", authority=Oid("1.2.3.4"))
OTHER = PatientIdentifier(value="V124", authority=Oid("1.2.3.4"))
ME = Party(user_id="https://valley.example/soap/repository", network_address="valley.example", process_id="4711")
THEM = Party(user_id="http://www.w3.org/2005/08/addressing/anonymous", network_address="203.0.113.17")
REFUSED = RuleViolation("the hash is another one", code="XDSRepositoryMetadataError")
DOWN = PeerUnavailable("the connection broke")
DOCTOR = User(user_id="dr.a")


def facts(**known: object) -> Facts:
    """What the house knew."""
    whole: dict[str, object] = {
        "at": datetime(2026, 3, 1, 10, 15, tzinfo=UTC),
        "source_id": "valley",
        "local": ME,
        "remote": THEM,
        **known,
    }
    return Facts(**whole)  # type: ignore[arg-type]


def parties(record: AuditRecord) -> list[tuple[str, str, bool]]:
    """Each system: who, as what, whether it asked."""
    names = {SOURCE_ROLE: "source", DESTINATION_ROLE: "destination"}
    return [
        (participant.user_id, names[participant.roles[0]], participant.is_requestor)
        for participant in record.participants
        if participant.roles
    ]


def ids(record: AuditRecord) -> list[str]:
    """What it is about."""
    return [subject.id for subject in record.objects]


def details(subject: ParticipantObject) -> list[tuple[str, str]]:
    """The details of an object as text."""
    return [(kind, value.decode()) for kind, value in subject.details]


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd")))


def judge(*records: AuditRecord) -> None:
    """Fails unless the published schema accepts each message, and it fits into a syslog message."""
    for record in records:
        message = encode(record)
        assert len(message) < MAX_MESSAGE_BYTES
        _schema().assertValid(etree.fromstring(message))
