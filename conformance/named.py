"""A system as the command line names it: a description's file, the name of a preset, or the address of one transaction."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from conformance.samples import read_study
from conformance.system import BadDescription, KnownStudy, System, patient_of, read_system
from profiles.catalogue import transaction
from profiles.ehr.interaction import FhirTransaction
from profiles.transaction import Hl7Transaction, HttpTransaction, SoapTransaction

PRESETS = Path(__file__).parent / "presets"


def presets() -> tuple[str, ...]:
    """Their names."""
    return tuple(sorted(each.stem for each in PRESETS.glob("*.toml")))


def system_named(
    target: str, *, transaction_id: str | None = None, study: Path | None = None, patient: str = ""
) -> System:
    """The system that is meant.

    Args:
        target: A file, a preset's name, or where `transaction_id` is asked: of DICOMweb and FHIR the base address,
            of HL7 v2 `mllp://host:port`. Of an address nothing is known and the responder's part of it is claimed.
        transaction_id: What an address answers.
        study: A folder of DICOM files, one study, which it holds too.
        patient: An id that it knows a patient by, that of the study too, as `value^^^&oid&ISO`; "": none.

    Raises:
        BadDescription: There is no such file or preset, or it says what cannot be.
    """
    system = _at(target, transaction_id) if "://" in target else read_system(_file(target))
    if study is not None and not patient:
        raise BadDescription("--study: say by --patient whose it is, as value^^^&oid&ISO")
    if not patient:
        return system
    try:
        who = patient_of(patient)
    except ValueError as error:
        raise BadDescription(f"--patient {patient} is not value^^^&oid&ISO: {error}") from error
    if study is None:
        return replace(system, known_patients=(who, *system.known_patients))
    held = read_study(study)
    if len(held) != 1:
        raise BadDescription(f"--study {study} holds {len(held)} studies; one is asked for")
    return replace(system, studies=(KnownStudy(study=held[0], patient=who), *system.studies))


def _file(target: str) -> Path:
    path = Path(target)
    if path.exists() or path.suffix:
        return path
    if target not in presets():
        raise BadDescription(
            f"--target {target} is no file, no address, and none of the presets {', '.join(presets())}"
        )
    return PRESETS / f"{target}.toml"


def _at(address: str, transaction_id: str | None) -> System:
    if transaction_id is None:
        raise BadDescription(f"--target {address}: say by --transaction what is asked there, or describe it in a file")
    try:
        asked = transaction(transaction_id)
    except KeyError as error:
        raise BadDescription(f"no transaction is called {transaction_id!r}") from error
    match asked:
        case SoapTransaction():
            endpoint, schemes = asked.id, ("http", "https")
        case FhirTransaction():
            endpoint, schemes = "FHIR", ("http", "https")
        case HttpTransaction():
            endpoint, schemes = "DICOMWEB", ("http", "https")
        case Hl7Transaction():
            endpoint, schemes = "MLLP", ("mllp", "mllps")
        case _:
            raise BadDescription(f"{asked.id} has no address of its own: describe the system in a file")
    place = urlsplit(address)
    if place.scheme not in schemes or not place.hostname or (endpoint == "MLLP" and not _port(address)):
        raise BadDescription(
            f"--target {address}: {asked.id} is asked at {schemes[0]}://host:port or {schemes[1]}://..."
        )
    return System(
        name=address, endpoints={endpoint: address if endpoint == asked.id else address.rstrip("/")},
        claims=frozenset({(asked.responder, asked.id)}),
    )  # fmt: skip


def _port(address: str) -> int | None:
    try:
        return urlsplit(address).port
    except ValueError:
        return None
