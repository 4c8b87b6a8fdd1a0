"""Studies of nobody, for the FHIR tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.fhir.endpoint import endpoints_of
from profiles.wire.fhir.imaging_study import IndexedStudy

BASE = "https://valley.example/fhir/r4"
HOSPITAL = Oid("2.16.756.5.30.1.1")
ISSUER = Oid("1.2.3.4.5.6")
CT = Uid("1.2.840.10008.5.1.4.1.1.2")
SR = Uid("1.2.840.10008.5.1.4.1.1.88.33")
SECONDARY_CAPTURE = Uid("1.2.840.10008.5.1.4.1.1.7")
UPDATED = datetime(2026, 1, 5, 7, 40, 0, 123456, tzinfo=UTC)

ENDPOINTS = endpoints_of(
    dicomweb="https://valley.example/dicomweb",
    imaging_source="https://valley.example/soap/imaging-source",
    retrieve_location_uid=Oid("1.2.3.3"),
)

ANNA = Patient(
    identifiers=(
        PatientIdentifier(value="P1", authority=HOSPITAL),
        PatientIdentifier(value="77/a", authority=Oid("1.2.3.9")),
    ),
    name=PersonName(
        family="Müller", given="Anna", middle="Maria", prefix="Dr.", ideographic="山田^太郎", phonetic="やまだ^たろう"
    ),
    birth_date=Moment(datetime(1970, 2, 1, tzinfo=UTC), Precision.DAY, False),
    sex=Sex.FEMALE,
    address="Seestrasse 1&Seestrasse&1^^Zürich^^8001^CH",
)

CET = timezone(timedelta(hours=1))


def instances(series: str, count: int, sop_class: Uid = CT) -> tuple[Instance, ...]:
    return tuple(
        Instance(sop_instance_uid=Uid(f"{series}.{number}"), sop_class_uid=sop_class, number=number)
        for number in range(1, count + 1)
    )


STUDY = Study(
    study_instance_uid=Uid("1.2.3"),
    patient=ANNA,
    accession_numbers=(AccessionNumber(value="A42", authority=ISSUER), AccessionNumber(value="B 7")),
    study_id="17",
    started=Moment(datetime(2026, 1, 5, 8, 31, 17, tzinfo=CET)),
    description="CT <Thorax> & Abdomen\x1b",
    referring_physician=PersonName(family="Who", given="Ada", prefix="Dr."),
    procedure_codes=(
        Code(value="77477000", system="SCT", display="CT"),
        Code(value="X1", system="99LOCAL", display="local"),
    ),
    placer_orders=(AccessionNumber(value="O1", authority=Oid("1.2.3.5")),),
    series=(
        Series(
            series_instance_uid=Uid("1.2.3.1"),
            modality="CT",
            number=1,
            description="axial",
            body_part="CHEST",
            laterality="L",
            started=Moment(datetime(2026, 1, 5, 8, 32, tzinfo=CET)),
            instances=instances("1.2.3.1", 3),
        ),
        Series(
            series_instance_uid=Uid("1.2.3.2"),
            modality="SR",
            number=-1,
            instances=(Instance(sop_instance_uid=Uid("1.2.3.2.1"), sop_class_uid=SR),),
        ),
    ),
)

INDEXED = IndexedStudy(study=STUDY, status="available", updated=UPDATED, version=3)

EXPECTED = IndexedStudy(
    study=Study(
        study_instance_uid=Uid("1.2.4"),
        patient=replace(ANNA, identifiers=ANNA.identifiers[:1], name=PersonName(), address="", birth_date=None),
        series=(
            Series(series_instance_uid=Uid("1.2.4.1"), instances=instances("1.2.4.1", 1)),
            Series(series_instance_uid=Uid("1.2.4.2"), instances=instances("1.2.4.2", 1, SECONDARY_CAPTURE)),
            Series(series_instance_uid=Uid("1.2.4.3")),
        ),
    ),
    status="registered",
    updated=UPDATED,
)


def large(count: int, series: int = 4) -> IndexedStudy:
    """A study of `count` instances."""
    each = count // series
    return replace(
        INDEXED,
        study=replace(
            STUDY,
            series=tuple(
                replace(
                    STUDY.series[0],
                    series_instance_uid=Uid(f"1.2.826.0.1.3680043.10.43.{number}"),
                    instances=instances(f"1.2.826.0.1.3680043.10.43.{number}", each),
                )
                for number in range(1, series + 1)
            ),
        ),
    )
