"""What an archive answers in DICOM JSON: store responses, search results, metadata.

Source: DICOM PS3.18 Annex F (DICOM JSON), 10.5.3 and Table I.1-1 (Store Instances Response), 10.4.1.1.2 (metadata).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import aiohttp
import orjson

from gateway.adapters.arrival import Reading
from gateway.adapters.http import calling, hop_of
from gateway.ports.studies import ArrivedInstance, Glimpse
from profiles.errors import (
    ExchangeError,
    OutOfResources,
    PeerProtocolError,
    PeerRefused,
    PeerUnavailable,
    UnknownDocument,
)
from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import NO_NAME, Patient, PersonName, Sex
from profiles.wire.dicom.study import SYSTEMS

ANSWER_BYTES: Final = 256 * 1024 * 1024  # the metadata of a study of 20,000 instances has been seen at 200 MB

GLIMPSED: Final = (
    "00080020", "00080030", "00080050", "00080061", "00080080", "00080090", "00081030", "00081032", "00100021",
    "00200010", "00201208",
)  # fmt: skip
"""What is asked of every study in a search: date, time, accession number, modalities, institution, referring physician,
description, procedure codes, issuer of the patient id, study id, number of instances."""
_WHOSE_AND_HOW_MANY: Final = frozenset({"00100021", "00201208"})

REFERENCED, FAILED = "00081199", "00081198"
SOP_INSTANCE, REASON = "00081155", "00081197"


async def json_of(response: aiohttp.ClientResponse, address: str) -> Any:
    """The body as JSON; None where there is none.

    Raises:
        PeerProtocolError: It is not JSON, or too much.
    """
    body = bytearray()
    with calling(address):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > ANSWER_BYTES:
                raise PeerProtocolError(f"{hop_of(address)} answers with more than {ANSWER_BYTES} bytes of JSON")
    if not body.strip():
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PeerProtocolError(
            f"{hop_of(address)} does not answer in JSON", cure="check that archive.url is a DICOMweb service"
        ) from error


def refusal(status: int, address: str) -> ExchangeError:
    """What a status means that brings no answer."""
    hop = hop_of(address)
    match status:
        case 404 | 410:
            return UnknownDocument("the archive does not have it")
        case 401 | 403:
            return PeerRefused(
                f"{hop} does not let us in", code=str(status), cure="check archive.user and its password"
            )
        case 413 | 507:
            return OutOfResources(f"{hop} has no room for it", code=str(status), cure="free room in the archive")
        case 408 | 429 | 502 | 503 | 504:
            return PeerUnavailable(f"{hop} is busy or away ({status})", code=str(status), cure="it is tried again")
        case _:
            return PeerRefused(
                f"{hop} answers with status {status}", code=str(status), cure="look at the archive's log"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAnswer:
    """A Store Instances Response: what was kept, and why the rest was not, by SOP Instance UID."""

    stored: frozenset[str]
    failed: Mapping[str, int]

    @classmethod
    def read(cls, answer: Any) -> "StoreAnswer":
        """Read it.

        Raises:
            PeerProtocolError: It is none.
        """
        if isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]  # seen in the field: an array of one
        if not isinstance(answer, dict) or not (REFERENCED in answer or FAILED in answer):
            raise PeerProtocolError("the archive does not say what it stored", cure="look at the archive's log")
        return cls(
            stored=frozenset(first_value(each, SOP_INSTANCE) for each in values(answer, REFERENCED)) - {""},
            failed={
                first_value(each, SOP_INSTANCE): _number(each, REASON) or 0x0110 for each in values(answer, FAILED)
            },
        )

    def error(self, sop_instance_uid: str) -> ExchangeError:
        """Why an instance is not among the stored ones. The codes are those of PS3.18 Table I.2-2."""
        reason = self.failed.get(sop_instance_uid)
        if reason is None:
            return PeerProtocolError(
                "the archive did not say what became of the instance",
                location=sop_instance_uid,
                cure="look at the archive's log",
            )
        if 0xA700 <= reason <= 0xA7FF:
            return OutOfResources("the archive has no room for it", location=sop_instance_uid, code=f"{reason:04X}")
        return PeerRefused(
            f"the archive did not take the instance ({reason:04X})",
            location=sop_instance_uid,
            code=f"{reason:04X}",
            cure="look at the archive's log",
        )


# --- attributes -------------------------------------------------------------------------------------------------------


def values(dataset: Any, tag: str) -> list[Any]:
    """The values of an attribute, without nulls; none when it is absent or empty."""
    attribute = dataset.get(tag) if isinstance(dataset, dict) else None
    found = attribute.get("Value") if isinstance(attribute, dict) else None
    return [each for each in found if each is not None] if isinstance(found, list) else []


def first_value(dataset: Any, tag: str) -> str:
    """The first value as text; the alphabetic group of a name; "" when there is none."""
    found = values(dataset, tag)
    if not found:
        return ""
    if isinstance(found[0], dict):
        return str(found[0].get("Alphabetic", ""))
    return str(found[0])


def _number(dataset: Any, tag: str) -> int | None:
    try:
        return int(float(first_value(dataset, tag)))
    except (ValueError, OverflowError):
        return None


def arrived_of(dataset: dict[str, Any], reading: Reading) -> ArrivedInstance | None:
    """An instance as its metadata describes it. None: it lacks a UID, or has one that is none."""
    try:
        instance = Instance(
            sop_instance_uid=Uid(first_value(dataset, "00080018")),
            sop_class_uid=Uid(first_value(dataset, "00080016")),
            transfer_syntax_uid=_uid(first_value(dataset, "00083002")),
            number=_number(dataset, "00200013"),
            frames=max(1, _number(dataset, "00280008") or 1),
            rows=_number(dataset, "00280010"),
            columns=_number(dataset, "00280011"),
        )
        series = Series(
            series_instance_uid=Uid(first_value(dataset, "0020000E")),
            modality=first_value(dataset, "00080060"),
            number=_number(dataset, "00200011"),
            description=first_value(dataset, "0008103E"),
            body_part=first_value(dataset, "00180015"),
            laterality=first_value(dataset, "00200060"),
            started=_moment(dataset, "00080021", "00080031", reading.zone),
            instances=(instance,),
        )
        study = Study(
            study_instance_uid=Uid(first_value(dataset, "0020000D")),
            patient=_patient(dataset, reading.authority),
            accession_numbers=_numbers(dataset, "00080050", "00080051"),
            study_id=first_value(dataset, "00200010"),
            started=_moment(dataset, "00080020", "00080030", reading.zone),
            description=first_value(dataset, "00081030"),
            referring_physician=_name(dataset, "00080090"),
            institution=first_value(dataset, "00080080"),
            procedure_codes=tuple(_codes(dataset, "00081032")),
            placer_orders=_numbers(dataset, "00402016", "00400026"),
            series=(series,),
        )
    except ValueError:
        return None
    return ArrivedInstance(study=study, metadata=orjson.dumps(dataset))


def glimpse_of(match: dict[str, Any], reading: Reading, updated: str) -> Glimpse | None:
    """A study among the matches of a search. None: it lacks its UID, or what it says cannot be read."""
    uid, instances = first_value(match, "0020000D"), first_value(match, "00201208")
    said = [(tag, values(match, tag)) for tag in GLIMPSED if tag not in _WHOSE_AND_HOW_MANY]
    try:
        return Glimpse(
            study_instance_uid=Uid(uid), patient=_patient(match, reading.authority),
            instances=int(instances) if instances.isdecimal() else None,
            said=orjson.dumps([(tag, sorted(orjson.dumps(one).decode() for one in found)) for tag, found in said]).decode(),
            updated=updated,
        )  # fmt: skip
    except ValueError:
        return None


def _uid(text: str) -> Uid | None:
    try:
        return Uid(text)
    except ValueError:
        return None


def _patient(dataset: dict[str, Any], authority: Oid) -> Patient:
    value, sex = first_value(dataset, "00100020"), first_value(dataset, "00100040")
    issuer = _issuer(dataset, "00100024") or _dotted(first_value(dataset, "00100021"))
    born = first_value(dataset, "00100030")
    return Patient(
        identifiers=(PatientIdentifier(value=value, authority=issuer or authority),) if value.strip() else (),
        name=_name(dataset, "00100010"),
        birth_date=_date(born),
        sex=Sex(sex) if sex in frozenset(Sex) else Sex.UNKNOWN,
    )


def _numbers(dataset: dict[str, Any], tag: str, issuer: str) -> tuple[AccessionNumber, ...]:
    value = first_value(dataset, tag)
    return (AccessionNumber(value=value, authority=_issuer(dataset, issuer)),) if value else ()


def _codes(dataset: dict[str, Any], tag: str) -> Iterator[Code]:
    """As a header's are read: a code without a value is none, a designator that DICOM knows is its OID."""
    for item in values(dataset, tag):
        value = first_value(item, "00080100") or first_value(item, "00080119") or first_value(item, "00080120")
        if value:
            designator = first_value(item, "00080102")
            system = first_value(item, "0008010C") or SYSTEMS.get(designator, designator)
            yield Code(value=value, system=system, display=first_value(item, "00080104"))


def _issuer(dataset: dict[str, Any], tag: str) -> Oid | None:
    return next((oid for item in values(dataset, tag) if (oid := _dotted(first_value(item, "00400032")))), None)


def _dotted(text: str) -> Oid | None:
    return _uid(text) if "." in text else None


def _name(dataset: dict[str, Any], tag: str) -> PersonName:
    found = values(dataset, tag)
    if not found or not isinstance(found[0], dict):
        return NO_NAME
    family, given, middle, prefix, suffix, *_ = (*str(found[0].get("Alphabetic", "")).split("^"), *[""] * 5)
    return PersonName(
        family=family, given=given, middle=middle, prefix=prefix, suffix=suffix,
        ideographic=str(found[0].get("Ideographic", "")), phonetic=str(found[0].get("Phonetic", "")),
    )  # fmt: skip


def _moment(dataset: dict[str, Any], date: str, time: str, zone: tzinfo) -> Moment | None:
    day, clock = first_value(dataset, date), first_value(dataset, time)
    for text in (day + clock, day):
        try:
            return Moment.from_dtm(text, zone)
        except ValueError:
            continue
    return None


def _date(text: str) -> Moment | None:
    try:
        return Moment.from_dtm(text)
    except ValueError:
        return None
