"""ORU^R01 of HL7 2.5.1 as the notification that images are available.

MSH PID PV1 { ORC TQ1 OBR { OBX } }: the study's UID is an OBX of the code 113014 (DCM, DICOM Study), addresses are OBX of
the type RP. What is read is wider than what is written: the UID is also taken from an OBX that only *names* it, as RAD-28
does.

Source: HL7 v2.5.1 7.3.1 (ORU_R01), 4.5 (ORC, OBR, TQ1), 7.4.2 (OBX); RAD TF-2 4.128, 4.28; RAD EBIW supplement.
"""

from collections.abc import Iterator
from dataclasses import replace

from profiles.errors import MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.model.codes import DCM, Code
from profiles.model.identifiers import AccessionNumber, Uid
from profiles.model.imaging import Study
from profiles.swf.oru_r01.messages import StudyAvailable
from profiles.wire.hl7v2.address import Hl7Out
from profiles.wire.hl7v2.datatypes import (
    NO_SITE,
    REQUIRED,
    TYPE_ERROR,
    UNKNOWN_KEY,
    Site,
    error,
    read_authority,
    read_code,
    read_entity,
    read_moment,
    write_authority,
    write_code,
    write_entity,
    write_moment,
)
from profiles.wire.hl7v2.message import FieldValue, Message, Segment, Written, read_message, write_message, written
from profiles.wire.hl7v2.segments import read_header, read_patient, read_visit, write_header, write_patient, write_visit

VERSION = "2.5.1"
DICOM_STUDY = Code(value="113014", system=DCM, display="DICOM Study")
_NAMED_UID = "study instance uid"  # RAD-28: OBX-3.2 carries the name and there is no code

_VIEWER = ("viewer", "text", "html")  # RP.2 to RP.4
_RETRIEVE = ("wado-rs", "application", "dicom")

_DONE = "CM"  # ORC-5, table 0038
_STATUS_CHANGED = "SC"  # ORC-1, table 0119
_NOT_A_RESULT = "O"  # OBX-11, table 0085: says what the order is about


# --- writing ----------------------------------------------------------------------------------------------------------


def encode_request(request: StudyAvailable, out: Hl7Out, site: Site = NO_SITE) -> bytes:
    """Write the announcement, without its MLLP frame."""
    sent = replace(out, address=request.address or out.address, control_id=request.control_id or out.control_id)
    study = request.study
    segments = [
        write_header(sent, ("ORU", "R01", "ORU_R01"), VERSION),
        write_patient(study.patient, site),
        write_visit(request.visit, default_class="U"),
    ]
    accessions: tuple[AccessionNumber | None, ...] = study.accession_numbers or (None,)
    for position, accession in enumerate(accessions):
        placer = study.placer_orders[position] if position < len(study.placer_orders) else None
        segments += _order(request, position + 1, accession, placer, site)
    return write_message(segments)


def _order(
    request: StudyAvailable,
    set_id: int,
    accession: AccessionNumber | None,
    placer: AccessionNumber | None,
    site: Site,
) -> Iterator[Written]:
    study = request.study
    filler = request.filler_order or accession or AccessionNumber(value=study.study_instance_uid)
    orders: dict[int, FieldValue] = {2: write_entity(placer, site), 3: write_entity(filler, site)}
    started = write_moment(study.started)
    procedure = write_code(study.procedure_codes[0]) if study.procedure_codes else ("", study.description)
    if not any(procedure):
        procedure = write_code(DICOM_STUDY)
    yield written("ORC", {1: _STATUS_CHANGED, **orders, 5: _DONE})
    yield written("TQ1", {1: "1", 7: started, 9: ("R", "Routine", "HL70078")})
    yield written(
        "OBR",
        {
            1: str(set_id),
            **orders,
            4: procedure,
            7: started,
            18: accession.value if accession else "",
            19: (write_authority(accession.authority, site),) if accession else "",
            24: request.department,
            25: request.status,
            27: ("", "", "", "", "", "R"),
            44: procedure,
        },
    )
    yield written("OBX", _observation(1, "ST", str(study.study_instance_uid)))
    links = ((request.viewer_url, _VIEWER), (request.retrieve_url, _RETRIEVE))
    for number, (url, kind) in enumerate(((url, kind) for url, kind in links if url), start=2):
        yield written("OBX", _observation(number, "RP", (url, *kind)))


def _observation(number: int, kind: str, value: FieldValue) -> dict[int, FieldValue]:
    return {1: str(number), 2: kind, 3: write_code(DICOM_STUDY), 5: value, 11: _NOT_A_RESULT}


# --- reading ----------------------------------------------------------------------------------------------------------


def decode_request(data: bytes, site: Site = NO_SITE) -> Decoded[StudyAvailable]:
    """Read an announcement; only what `StudyAvailable` has is taken, reports in the same message are not.

    Raises:
        MalformedMessage: It is no ORU^R01, has no PID, or no readable Study Instance UID.
    """
    message = read_message(data, default_codec=site.codec)
    header = read_header(message.msh)
    if (header.message_code, header.trigger_event) != ("ORU", "R01"):
        raise MalformedMessage("not an ORU^R01", code="201", location="MSH^1^9^1^2")
    pid = message.first("PID")
    if pid is None:
        raise MalformedMessage("whose study it is must be said in PID", code="100", location="PID^1")
    findings = list(message.findings)
    patient = read_patient(pid, site, findings)
    if not patient.identifiers:
        findings.append(
            error("oru.no-known-authority", "no identifier of an authority that is known here", UNKNOWN_KEY, pid.at(3))
        )
    orders = tuple(message.all("OBR"))
    first = orders[0] if orders else None
    controls = tuple(message.all("ORC"))
    code = read_code(first.value(4)) if first is not None else None
    accessions = [read_accession(order, site, findings) for order in orders]
    study = Study(
        study_instance_uid=_study_instance_uid(message),
        patient=patient,
        accession_numbers=tuple(dict.fromkeys(each for each in accessions if each is not None)),
        started=read_moment(first, 7, site, findings) if first is not None else None,
        description=code.display if code is not None and not code.value else "",
        procedure_codes=(code,) if code is not None and code.value and code != DICOM_STUDY else (),
        placer_orders=_numbers(controls, orders, 2, site),
    )
    links = dict(_links(message))
    request = StudyAvailable(
        study=study,
        viewer_url=links.get(_VIEWER[1:], ""),
        retrieve_url=links.get(_RETRIEVE[1:], ""),
        filler_order=next(iter(_numbers(controls, orders, 3, site)), None),
        visit=read_visit(message.first("PV1"), site),
        department=first.text(24) if first is not None else "",
        status=first.text(25) if first is not None else "",
        address=header.address,
        control_id=header.control_id,
        at=read_moment(message.msh, 7, site, findings),
    )
    return Decoded(request, tuple(findings))


def read_accession(order: Segment, site: Site, findings: list[Finding]) -> AccessionNumber | None:
    """OBR-18 with its issuer: in OBR-18 itself as EI, or in OBR-19."""
    value = order.value(18)
    if not value.part(1) or value.is_null:
        return None
    if value.part(2) or value.part(3):
        return read_entity(value, site)
    issuer = order.value(19).component(1)
    authority = read_authority(issuer, site, order.at(19), findings) if issuer.has_content else None
    return AccessionNumber(value=value.part(1), authority=authority)


def _numbers(
    controls: tuple[Segment, ...], orders: tuple[Segment, ...], number: int, site: Site
) -> tuple[AccessionNumber, ...]:
    """Placer (2) or filler (3) numbers: of ORC, else of OBR, for both fields repeat it."""
    found = [read_entity(segment.value(number), site) for segment in controls]
    if not any(found):
        found = [read_entity(segment.value(number), site) for segment in orders]
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _study_instance_uid(message: Message) -> Uid:
    for obx in message.all("OBX"):
        name = obx.value(3)
        coded = name.part(1) == DICOM_STUDY.value and obx.text(2) != "RP"
        if coded or name.part(2).lower() == _NAMED_UID:
            try:
                return Uid.from_urn(obx.part(5, 1))
            except ValueError as broken:
                raise MalformedMessage("not a Study Instance UID", code=TYPE_ERROR, location=obx.at(5)) from broken
    raise MalformedMessage("an OBX of the code 113014 says which study it is", code=REQUIRED, location="OBX^1^5")


def _links(message: Message) -> Iterator[tuple[tuple[str, str], str]]:
    for obx in message.all("OBX"):
        if obx.text(2) == "RP" and obx.part(5, 1):
            value = obx.value(5)
            yield (value.part(3).lower(), value.part(4).lower()), value.part(1)
