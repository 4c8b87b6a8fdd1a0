"""A manifest of a study that says something of everything: two modalities, regions, procedure, accessions, an order."""

from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex

CT, CR, SR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.1"), Uid("1.2.840.10008.5.1.4.1.1.88.11")
PATIENT = Patient(
    identifiers=(PatientIdentifier(value="PAT001", authority=Oid("1.2.3.4.5")),),
    name=PersonName(family="Test", given="Anna", prefix="Dr", suffix="Jr"),
    birth_date=Moment.from_dtm("19700101"),
    sex=Sex.FEMALE,
)


def series(number: int, modality: str, body_part: str = "", sop_class: Uid = CT) -> Series:
    """A series of one instance."""
    return Series(
        series_instance_uid=Uid(f"1.2.5.{number}"),
        modality=modality,
        body_part=body_part,
        retrieve_location_uid=Oid("1.2.3.3"),
        instances=(Instance(sop_instance_uid=Uid(f"1.2.5.{number}.1"), sop_class_uid=sop_class),),
    )


STUDY = Study(
    study_instance_uid=Uid("1.2.5"),
    patient=PATIENT,
    accession_numbers=(AccessionNumber(value="ACC42", authority=Oid("1.2.6")), AccessionNumber(value="ACC43")),
    placer_orders=(AccessionNumber(value="ORD1", authority=Oid("1.2.7")),),
    started=Moment.from_dtm("20260301103000+0100"),
    description="CT Chest",
    institution="Lakeside & Sons",
    procedure_codes=(Code(value="CTCH", system="99LAKE"),),
    series=(
        series(1, "CT", "CHEST"),
        series(2, "CT", "Chest "),
        series(3, "SR", "", SR),
        series(4, "KO", "ELSEWHERE", SR),
        series(5, "PT", "ABDOMEN"),
    ),
)
MANIFEST = Manifest(
    sop_instance_uid=Uid("1.2.9"),
    series_instance_uid=Uid("1.2.9.1"),
    created=Moment.from_dtm("20260301111500+0100"),
    patient=PATIENT,
    studies=(STUDY,),
)
