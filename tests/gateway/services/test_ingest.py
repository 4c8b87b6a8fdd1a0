"""Documents that come: whose they are, as the sender says."""

import pytest

from gateway.services.ingest import claimed_patient
from profiles.model.document import DocumentEntry
from profiles.model.identifiers import Oid, PatientIdentifier, Uid
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from tests.support.hl7 import HOUSE
from tests.support.registered import entry

WHOSE = PatientIdentifier(value="P1", authority=HOUSE.patient_authority)
THEIRS, ELSEWHERE = Oid("1.2.4.4"), Oid("1.2.4.9")


def claiming(**told: object) -> tuple[DocumentEntry, Manifest]:
    """An entry that says this of its patient, and a manifest of Mallory Moe."""
    moe = Patient(
        identifiers=(WHOSE, PatientIdentifier(value="M", authority=THEIRS)), name=PersonName(family="Moe"),
        birth_date=Moment.from_dtm("19610417"),
    )  # fmt: skip
    manifest = Manifest(
        sop_instance_uid=Uid("1.2.1"), series_instance_uid=Uid("1.2.2"), created=Moment.from_dtm("20260301"),
        patient=moe, studies=(),
    )  # fmt: skip
    return entry(WHOSE, **told), manifest


def test_every_id_that_was_given_counts_once_and_the_metadatas_come_first() -> None:
    document, manifest = claiming(source_patient_id=PatientIdentifier(value="S", authority=ELSEWHERE))
    named = PatientIdentifier(value="N", authority=ELSEWHERE)
    claimed = claimed_patient(document, manifest, (named,))
    assert [each.value for each in claimed.identifiers] == ["N", "P1", "S", "M"]
    assert [each.value for each in claimed_patient(None, None, (named,)).identifiers] == ["N"]


@pytest.mark.parametrize(
    ("told", "family"),
    [
        (None, "Moe"),
        (Patient(identifiers=()), "Moe"),
        (Patient(identifiers=(), name=PersonName(family="Doe")), "Doe"),
        (Patient(identifiers=(), birth_date=Moment.from_dtm("1961")), ""),  # two halves may be of two persons
    ],
)
def test_demographics_are_the_metadatas_or_the_manifests_and_never_mixed(told: Patient | None, family: str) -> None:
    claimed = claimed_patient(*claiming(source_patient=told))
    assert claimed.name.family == family
    assert (claimed.birth_date == Moment.from_dtm("19610417")) is (family == "Moe")
