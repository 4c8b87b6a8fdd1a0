"""Facts of an exchange, for audit tests: who, when, what was handed over."""

from datetime import UTC, datetime

from profiles.errors import ExchangeError
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Facts, Party, StudyFact

PATIENT = PatientIdentifier(value="V-1", authority=Oid("1.2.3.4"))
STUDY = StudyFact(
    study_instance_uid="1.2.3.100",
    patient=PATIENT,
    accession_numbers=("A1",),
    sop_classes=(("1.2.840.10008.5.1.4.1.1.2", 3),),
)


def facts(
    *,
    studies: tuple[StudyFact, ...] = (STUDY,),
    patients: tuple[PatientIdentifier, ...] = (PATIENT,),
    delivered: tuple[str, ...] = (),
    undelivered: tuple[str, ...] = (),
    created: bool | None = None,
    query: bytes | None = None,
    error: ExchangeError | None = None,
) -> Facts:
    return Facts(
        at=datetime(2026, 11, 24, tzinfo=UTC),
        source_id="Valley",
        local=Party(user_id="https://valley.example/dicomweb", network_address="valley.example", process_id="7"),
        remote=Party(user_id="Lakeside", network_address="10.0.0.2"),
        studies=studies,
        patients=patients,
        delivered=delivered,
        undelivered=undelivered,
        created=created,
        query=query,
        error=error,
    )
