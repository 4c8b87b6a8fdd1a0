"""A header as a `Study` of one series with one instance.

What a newcomer gets wrong: a patient id without an issuer is not an identity, so the caller says which authority the bytes
come from; and the issuer is an OID in the qualifiers sequence, while Issuer of Patient ID is free text that sometimes
happens to be one.

Source: DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.3.1 (General Series), C.12.1 (SOP Common).
"""

import re
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache

from profiles.errors import MalformedMessage
from profiles.model.codes import DCM, LOINC, SNOMED_CT, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, Sex
from profiles.wire.dicom.elements import Elements, Excerpt
from profiles.wire.dicom.names import from_pn
from profiles.wire.dicom.part10 import Part10Head

_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)")
SYSTEMS = {"DCM": DCM, "SCT": SNOMED_CT, "SRT": "2.16.840.1.113883.6.96", "LN": LOINC}
"""What designators of coding schemes mean (PS3.16 8)."""
DESIGNATORS = {DCM: "DCM", SNOMED_CT: "SCT", LOINC: "LN"}
"""Coding schemes that have a designator of their own in DICOM (PS3.16 8)."""


def study_of(head: Part10Head, *, authority: Oid, zone: tzinfo) -> Study:
    """The study, series and instance that a header describes.

    Args:
        head: A header that was read.
        authority: Who gave the patient id, where the header does not say.
        zone: The clock that dates and times were read from, where (0008,0201) does not say.

    Returns:
        Exactly one series with one instance. A header without a patient id gives a patient without identifiers.

    Raises:
        MalformedMessage: A UID is missing or is none; location is its tag.
    """
    dataset = head.dataset
    zone = zone_of(dataset, zone)
    instance = Instance(
        sop_instance_uid=_uid(head.sop_instance_uid, "(0008,0018)"),
        sop_class_uid=_uid(head.sop_class_uid, "(0008,0016)"),
        transfer_syntax_uid=_uid(head.transfer_syntax_uid, "(0002,0010)"),
        number=dataset.number(0x00200013),
        frames=max(1, dataset.number(0x00280008) or 1),
        rows=dataset.number(0x00280010),
        columns=dataset.number(0x00280011),
    )
    series = Series(
        series_instance_uid=_uid(dataset.first(0x0020000E), "(0020,000E)"),
        modality=dataset.first(0x00080060),
        number=dataset.number(0x00200011),
        description=dataset.text(0x0008103E),
        body_part=dataset.first(0x00180015),
        laterality=dataset.first(0x00200060) or dataset.first(0x00200062),
        started=moment_of(dataset, 0x00080021, 0x00080031, zone),
        instances=(instance,),
    )
    return study_with(dataset, (series,), patient_of(dataset, authority=authority), zone)


def study_with(dataset: Elements, series: tuple[Series, ...], patient: Patient, zone: tzinfo) -> Study:
    """The study level of a dataset, with these series."""
    return Study(
        study_instance_uid=_uid(dataset.first(0x0020000D), "(0020,000D)"),
        patient=patient,
        accession_numbers=accession_numbers_of(dataset),
        study_id=dataset.first(0x00200010),
        started=moment_of(dataset, 0x00080020, 0x00080030, zone),
        description=dataset.text(0x00081030),
        referring_physician=from_pn(dataset.first(0x00080090)),
        institution=dataset.first(0x00080080),
        procedure_codes=tuple(
            code for code in (code_of(item) for item in dataset.items(0x00081032)) if code is not None
        ),
        placer_orders=placer_orders_of(dataset),
        series=series,
    )


def patient_of(dataset: Elements, *, authority: Oid) -> Patient:
    """The patient, with the other ids that have an authority. No identifiers when the header has no patient id."""
    said = dataset.excerpt(_SAY_WHO)
    return _known(said, authority) if len(said.raw) <= _REMEMBERED_BYTES else _patient(said.elements(), authority)


_SAY_WHO = (0x00100010, 0x00100020, 0x00100021, 0x00100024, 0x00100030, 0x00100040, 0x00101002)
_REMEMBERED_BYTES = 4096  # what is longer is no ordinary patient, and is read each time


@lru_cache(maxsize=256)
def _known(said: Excerpt, authority: Oid) -> Patient:
    """Every image of a study says it again, and it is asked for more than once: a hundred microseconds each time."""
    return _patient(said.elements(), authority)


def _patient(dataset: Elements, authority: Oid) -> Patient:
    identifiers: list[PatientIdentifier] = []
    value = dataset.first(0x00100020)
    if value:
        identifiers.append(PatientIdentifier(value=value, authority=_issuer_of_patient_id(dataset) or authority))
    for item in dataset.items(0x00101002):
        other, issuer = item.first(0x00100020), _issuer_of_patient_id(item)
        if other and issuer is not None:
            identifiers.append(PatientIdentifier(value=other, authority=issuer))
    sex = dataset.first(0x00100040).upper()
    return Patient(
        identifiers=tuple(dict.fromkeys(identifiers)),
        name=from_pn(dataset.first(0x00100010)),
        birth_date=_date(dataset.first(0x00100030)),
        sex=Sex(sex) if sex in _SEXES else Sex.UNKNOWN,
    )


_SEXES = frozenset(Sex)


def accession_numbers_of(dataset: Elements) -> tuple[AccessionNumber, ...]:
    """Accession Number with its issuer, if the study has one."""
    value = dataset.first(0x00080050)
    return (AccessionNumber(value=value, authority=issuer_of(dataset, 0x00080051)),) if value else ()


def placer_orders_of(dataset: Elements) -> tuple[AccessionNumber, ...]:
    """Placer Order Number / Imaging Service Request with its issuer, if there is one."""
    value = dataset.first(0x00402016)
    return (AccessionNumber(value=value, authority=issuer_of(dataset, 0x00400026)),) if value else ()


def issuer_of(dataset: Elements, tag: int) -> Oid | None:
    """The OID in an HL7v2 Hierarchic Designator sequence: (0040,0032), when it is one.

    Drafts of MADO print the tags as (0010,0032) and (0010,0033), and files follow them.
    """
    for item in dataset.items(tag):
        for entity in (0x00400032, 0x00100032):
            oid = oid_or_none(item.first(entity))
            if oid is not None:
                return oid
    return None


def code_of(item: Elements) -> Code | None:
    """A code sequence's item. None when it has no value."""
    value = item.first(0x00080100) or item.first(0x00080119) or item.first(0x00080120)
    if not value:
        return None
    designator = item.first(0x00080102)
    system = item.first(0x0008010C) or SYSTEMS.get(designator, designator)
    return Code(value=value, system=system, display=item.text(0x00080104))


def zone_of(dataset: Elements, zone: tzinfo) -> tzinfo:
    """Timezone Offset From UTC (0008,0201), or the one handed in."""
    match = _OFFSET.fullmatch(dataset.first(0x00080201))
    if match is None:
        return zone
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return timezone(-offset if sign == "-" else offset)
    except ValueError:
        return zone


def moment_of(dataset: Elements, date_tag: int, time_tag: int, zone: tzinfo) -> Moment | None:
    """A DA and TM pair as one moment; a date alone is a date; None when the date is absent or no date."""
    date = dataset.first(date_tag).replace(".", "")  # YYYY.MM.DD is ACR-NEMA's form
    if len(date) != 8 or not date.isdigit():
        return None
    time = dataset.first(time_tag).replace(":", "")
    if time:
        try:
            return Moment.from_dtm(date + time, zone)
        except ValueError:
            pass  # the day may still be one
    return _date(date)


def _date(text: str) -> Moment | None:
    text = text.replace(".", "")
    if len(text) != 8 or not text.isdigit():
        return None
    try:
        return Moment.from_dtm(text)
    except ValueError:
        return None


def _issuer_of_patient_id(dataset: Elements) -> Oid | None:
    return issuer_of(dataset, 0x00100024) or oid_or_none(dataset.first(0x00100021))


def oid_or_none(text: str) -> Oid | None:
    """An OID, when the text is one and not a number or a name."""
    try:
        return Oid.from_urn(text) if "." in text else None
    except ValueError:
        return None


def _uid(text: str, location: str) -> Uid:
    try:
        return Uid(text)
    except ValueError:
        raise MalformedMessage("a UID is missing or is not one", location=location) from None
