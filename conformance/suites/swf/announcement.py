"""ORU^R01 of an image manager: it says that a study is there, to whom it was told to say so.

A study is brought by STOW-RS; what is said of it is read by its segments, so that nothing of ours stands between.

Source: HL7 v2.5.1 7.3.1 (ORU_R01), 4.5 (ORC, OBR), 7.4.2 (OBX); ITI TF-2x Appendix C (MLLP, acknowledgements, MSH-18).
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy, write_mr_study
from conformance.simulators.hl7_listener import HANG_UP
from conformance.suites.pix.messages import adt, cx, new_patient, sent
from conformance.suites.wia.dicomweb import DICOM, bodies_of, retrieved, store
from conformance.target import Target
from conformance.verdict import Failed, Unreachable
from profiles.model.identifiers import Uid
from profiles.model.patient import Patient, PersonName
from profiles.transaction import Actor
from profiles.wire.hl7v2.ack import AckCode, AckError, Acknowledgement

MANAGER = Actor.IMAGE_MANAGER
ORU = "ORU^R01"
DICOM_STUDY: Final = ("113014", "DCM")  # OBX-3.1 and OBX-3.3
QUIET_S = 6.0  # what comes again by mistake comes within this time
AGAIN_S = 10.0  # and what comes again because it must, at the latest: for this even the impatient wait
CODECS = {"": "ascii", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "8859/1": "iso8859-1", "8859/15": "iso8859-15"}
STRANGER = b"MSH|^~\\&|RIS|SIMULATOR|||20260101||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|NOBODY\r"
DEFINITE: Mapping[str, Acknowledgement] = {
    "AA": Acknowledgement(code=AckCode.ACCEPT),
    "CA": Acknowledgement(code=AckCode.COMMIT_ACCEPT),
    "AE": Acknowledgement(code=AckCode.ERROR, errors=(AckError(code="101", location="PID^1^3"),)),
}
ANSWERS: Mapping[str, Acknowledgement | bytes] = {
    "nothing": HANG_UP,
    "of another": STRANGER,
    "AR": Acknowledgement(code=AckCode.REJECT, errors=(AckError(code="207", text="not now"),)),
    **DEFINITE,
}
"""What is said to the first message about a study; to those after it AA."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message by its segments: (name, fields), where field 9 of MSH is MSH-9 and field 3 of PID is PID-3."""

    raw: bytes = field(repr=False)
    segments: tuple[tuple[str, list[str]], ...]

    @classmethod
    def of(cls, raw: bytes) -> "Message":
        """Read it, in the character set of MSH-18.

        Raises:
            Failed: It is no message with usual delimiters, or its text is not of the character set that it names.
        """
        if not raw.startswith(b"MSH|^~\\&|"):
            raise Failed("expected a message that begins with MSH and the usual delimiters")
        charset = (raw.split(b"\r", 1)[0].split(b"|") + [b""] * 18)[17].decode("ascii", "replace")
        try:
            text = raw.decode(CODECS.get(charset.partition("~")[0], "utf-8"))
        except UnicodeDecodeError as error:
            raise Failed(
                f"expected text of the character set of MSH-18, {charset or 'none'}: {error.reason}"
            ) from error
        segments = []
        for line in filter(None, text.split("\r")):
            name, *fields = line.split("|")
            segments.append((name, [name, *(("|",) if name == "MSH" else ()), *fields, *[""] * 50]))
        return cls(raw, tuple(segments))

    def first(self, name: str) -> list[str]:
        """The fields of the first segment of a name.

        Raises:
            Failed: There is none.
        """
        found = next((fields for each, fields in self.segments if each == name), None)
        if found is None:
            raise Failed(f"expected a segment {name}; there is none")
        return found

    def all(self, name: str) -> list[list[str]]:
        """The fields of all segments of a name."""
        return [fields for each, fields in self.segments if each == name]

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.first("MSH")[10]


async def stored(target: Target, *answers: Acknowledgement | bytes | None, of: Patient | None = None) -> SampleStudy:
    """A study that nobody has seen is stored; `answers` are said to what is said of it, then AA."""
    patient = of or Patient(identifiers=(target.patient(),), name=PersonName(family="Conformance", given="Case"))
    uid = Uid(f"2.25.{uuid.uuid4().int}")
    number = uuid.uuid4().hex[:12].upper()
    folder, seed = target.scratch() / str(uid), uuid.uuid4().int % 1_000_000
    study = await asyncio.to_thread(
        lambda: write_mr_study(
            folder, seed=seed, patient=patient, study_instance_uid=uid, accession_number=number, instances=2, rows=32
        )
    )
    target.hl7.will_say(uid, *answers)
    answer = await store(target, bodies_of(study))
    if answer.status != 200:
        raise Unreachable(f"a study cannot be stored (HTTP {answer.status}): see wia.manager_store")
    return study


async def one(target: Target) -> tuple[SampleStudy, Message]:
    """A study and what is said of it, once for all cases."""
    key = ("one", target.hl7.edit)
    if key not in target.hl7.remembered:
        target.hl7.remembered[key] = await stored(target)
    study = target.hl7.remembered[key]
    assert isinstance(study, SampleStudy)
    (first, *_) = await target.announced(study.study_instance_uid)
    return study, Message.of(first)


@case("ORU/told", transaction=ORU, actor=MANAGER, title="A study that has come is announced")
async def told(target: Target) -> None:
    """By ORU^R01 of a version that has this structure, from the system, in frames that are whole."""
    _, message = await one(target)
    header = message.first("MSH")
    expect(header[9].split("^")[:2], "MSH-9").equals(["ORU", "R01"])
    expect(header[9].split("^")[2:], "MSH-9.3").is_one_of(["ORU_R01"], [])
    expect(header[11].partition("^")[0], "MSH-11").is_one_of("P", "T", "D")
    expect(header[12].partition("^")[0], "MSH-12").is_one_of("2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8")
    address = target.system.hl7
    expect((header[3], header[4]), "MSH-3 and MSH-4").equals(
        (address.receiving_application, address.receiving_facility)
    )
    expect(header[5], "MSH-5").is_there()
    expect(header[7], "MSH-7").is_there()
    expect(target.hl7.problems, "what is odd about the frames").is_absent()


@case("ORU/control-id", transaction=ORU, actor=MANAGER, title="Every announcement has a control id of its own")
async def control_ids(target: Target) -> None:
    """MSH-10, of at most 20 characters in 2.5.1."""
    _, message = await one(target)
    study = await stored(target)
    (other,) = map(Message.of, await target.announced(study.study_instance_uid))
    for each in (message, other):
        expect(0 < len(each.control_id) <= 20, f"whether MSH-10 {each.control_id} is of 1 to 20 characters").equals(
            True
        )
    expect(other.control_id, "MSH-10 of another study").differs_from(message.control_id)


@case("ORU/segments", transaction=ORU, actor=MANAGER, title="Patient, order and observations stand in their order")
async def structure(target: Target) -> None:
    """MSH, PID, then OBR behind its ORC, then the OBX of it, numbered from 1."""
    _, message = await one(target)
    names = [name for name, _ in message.segments if name in {"MSH", "PID", "PV1", "ORC", "OBR", "OBX"}]
    expect(names[:2], "the first segments").equals(["MSH", "PID"])
    order = [name for name in dict.fromkeys(names) if name != "PV1"]
    expect([name for name in order if name != "ORC"], "the order of segments").equals(["MSH", "PID", "OBR", "OBX"])
    expect(names.index("OBR") < names.index("OBX"), "whether OBR is before OBX").equals(True)
    if "ORC" in names:
        expect(names.index("ORC") < names.index("OBR"), "whether ORC is before OBR").equals(True)
    if "PV1" in names:
        expect(names.index("PV1"), "the place of PV1").equals(2)
    orders = names.count("OBR")
    numbers = [fields[1] for fields in message.all("OBX")]
    expect(len(numbers) >= orders, "whether every order has an observation").equals(True)
    expect(numbers[0], "OBX-1 of the first").equals("1")


@case("ORU/study", transaction=ORU, actor=MANAGER, title="An observation of code 113014 says which study it is")
async def which_study(target: Target) -> None:
    """OBX-2 is ST, OBX-3 113014 of DCM, OBX-5 the Study Instance UID; OBX-11 says that it is no result."""
    study, message = await one(target)
    named = [fields for fields in message.all("OBX") if fields[2] == "ST" and _is_study(fields[3])]
    expect([fields[5] for fields in named], "OBX-5 of what names the study").equals([study.study_instance_uid])
    expect(named[0][11], "OBX-11").equals("O")


@case("ORU/patient", transaction=ORU, actor=MANAGER, title="The patient is named by the id that the system knows")
async def whose(target: Target) -> None:
    """PID-3 with its authority; PID-5."""
    study, message = await one(target)
    pid = message.first("PID")
    patient = study.patient.identifiers[0]
    ids = [(each[0], each[3].split("&")[1:]) for each in _components(pid[3], 4)]
    expect(ids, "PID-3").contains((patient.value, [str(patient.authority), "ISO"]))
    expect(pid[5], "PID-5").is_there()


@case(
    "ORU/order", transaction=ORU, actor=MANAGER, title="The order is named by its accession number, as not reported yet"
)
async def which_order(target: Target) -> None:
    """OBR-18 or the filler number of OBR-3; OBR-4 is there; OBR-25 is no final result, for there is no report."""
    study, message = await one(target)
    obr = message.first("OBR")
    expect(obr[4], "OBR-4").is_there()
    expect({obr[18].partition("^")[0], obr[3].partition("^")[0]}, "OBR-18 and OBR-3").contains(study.accession_number)
    expect(obr[25], "OBR-25").is_one_of("R", "S", "I", "O")
    for orc in message.all("ORC"):
        expect(orc[1], "ORC-1").equals("SC")
        expect(orc[5], "ORC-5").is_one_of("CM", "IP")
        expect((orc[2], orc[3]), "ORC-2 and ORC-3").equals((obr[2], obr[3]))


@case("ORU/links", transaction=ORU, actor=MANAGER, title="Addresses are of the type RP, and lead to the study")
async def links(target: Target) -> None:
    """https, with what is there as type and subtype; the one of DICOM answers by WADO-RS. None need be given."""
    _, message = await one(target)
    pointers = [fields[5].split("^") + [""] * 4 for fields in message.all("OBX") if fields[2] == "RP"]
    for address, _, kind, subtype, *_ in pointers:
        expect(address.startswith("https://"), f"whether {address} is https").equals(True)
        expect((kind, subtype), "RP.3 and RP.4").is_one_of(("text", "html"), ("application", "dicom"))
    root = target.endpoint("DICOMWEB")
    for address in (each[0] for each in pointers if each[2:4] == ["application", "dicom"]):
        expect(address.startswith(f"{root}/studies/"), f"whether {address} is below {root}").equals(True)
        expect((await retrieved(target, address.removeprefix(root), DICOM)).status, "its HTTP status").equals(200)


@case("ORU/charset", transaction=ORU, actor=MANAGER, title="MSH-18 names the character set, where it is not ASCII")
async def character_set(target: Target) -> None:
    """A name with umlaut and ampersand comes through; a message that is ASCII names nothing else."""
    plain = await _of(target, "Plain", "Case")
    expect(plain.raw.isascii(), "whether a message about a plain name is ASCII").equals(True)
    expect(plain.first("MSH")[18], "MSH-18 of an ASCII message").is_one_of("", "ASCII")
    accented = await _of(target, "Grün&Wald", "Zoë")
    charset = accented.first("MSH")[18].partition("~")[0]
    expect(charset, "MSH-18").is_one_of(*(each for each in CODECS if each not in ("", "ASCII")))
    expect(accented.first("PID")[5].split("^")[:2], "PID-5").equals(["Grün\\T\\Wald", "Zoë"])


@case(
    "ORU/again",
    transaction=ORU,
    actor=MANAGER,
    title="What was not answered comes again with the same control id",
)
async def again_without_answer(target: Target) -> None:
    """The connection is closed instead."""
    await _comes_again(target, "nothing")


@case("ORU/again", transaction=ORU, actor=MANAGER, title="An acknowledgement of another message is none of this one")
async def again_after_anothers(target: Target) -> None:
    """MSA-2 is not its MSH-10: it comes again with the same control id."""
    await _comes_again(target, "of another")


@case(
    "ORU/again",
    transaction=ORU,
    actor=MANAGER,
    title="What was rejected because it was not the time comes again with the same control id",
)
async def again_after_reject(target: Target) -> None:
    """AR with 207."""
    await _comes_again(target, "AR")


@case(
    "ORU/rest",
    transaction=ORU,
    actor=MANAGER,
    title="What was accepted, committed or refused for good does not come again",
)
async def rests(target: Target) -> None:
    """AA, CA, and AE with 101."""
    told = await _answered(target)
    for name in DEFINITE:
        await target.announced(told.studies[name].study_instance_uid)
    await asyncio.sleep(max(0.0, told.at + QUIET_S - time.monotonic()))
    for name in DEFINITE:
        came = len(await target.announced(told.studies[name].study_instance_uid))
        expect(came, f"how often it came after {name}").equals(1)


async def _of(target: Target, family: str, given: str) -> Message:
    """What is said of a study of a patient of this name, who is fed first."""
    identifier = new_patient(target)
    name = f"{family}^{given}".replace("&", "\\T\\")
    header, _, rest = adt(target, "A04", f"PID|||{cx(identifier)}||{name}||19700101|F").decode().partition("\r")
    if (await sent(target, f"{header}{'|' * 6}UNICODE UTF-8\r{rest}".encode())).msa[1] != "AA":
        raise Unreachable("a patient is not taken by ITI-8: see pix.registry_feed")
    study = await stored(target, of=Patient(identifiers=(identifier,), name=PersonName(family=family, given=given)))
    (message,) = map(Message.of, await target.announced(study.study_instance_uid))
    return message


@dataclass(frozen=True, slots=True)
class _Told:
    """A study for each of `ANSWERS`, and when the last was stored (`time.monotonic`)."""

    studies: Mapping[str, SampleStudy]
    at: float


async def _answered(target: Target) -> _Told:
    """Studies of which the first message is answered otherwise, once for all cases: what comes again takes its time."""
    key = ("answered", target.hl7.edit)
    if key not in target.hl7.remembered:
        studies = {name: await stored(target, answer) for name, answer in ANSWERS.items()}
        target.hl7.remembered[key] = _Told(studies, time.monotonic())
    told = target.hl7.remembered[key]
    assert isinstance(told, _Told)
    return told


async def _comes_again(target: Target, answer: str) -> None:
    study = (await _answered(target)).studies[answer]
    first, second, *_ = map(Message.of, await target.announced(study.study_instance_uid, 2, at_least_s=AGAIN_S))
    expect(second.control_id, "MSH-10 of what came again").equals(first.control_id)
    expect(_content(second), "what came again").equals(_content(first))


def _content(message: Message) -> list[tuple[str, list[str]]]:
    """All but MSH, whose time may be another one."""
    return [each for each in message.segments if each[0] != "MSH"]


def _is_study(coded: str) -> bool:
    code, _, rest = coded.partition("^")
    return (code, rest.partition("^")[2].partition("^")[0]) == DICOM_STUDY


def _components(repeated: str, at_least: int) -> list[list[str]]:
    return [each.split("^") + [""] * at_least for each in repeated.split("~")]
