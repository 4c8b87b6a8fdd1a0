"""`simulate`: the simulators by themselves, for whoever builds or tries a system that asks, tells or audits.

A community (images and documents, by SOAP), two others behind their gateways, an archive (DICOMweb), a receiver of HL7 v2
and an audit repository stand on this machine until they are stopped, and say of each message what came and what is odd
about it: of a person no more than ids are printed.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from ssl import SSLContext

from conformance.around import Around
from conformance.certificates import Authority
from conformance.counterparts import by_hand, standing
from conformance.samples import SampleStudy, read_study, sample_patient, write_ct_study
from conformance.simulators.audit_repository import AuditMessage, AuditRepository
from conformance.simulators.dicomweb_archive import AskedByWeb, DicomwebArchive
from conformance.simulators.document_community import OF_DOCUMENTS
from conformance.simulators.foreign_community import BETWEEN_COMMUNITIES, ForeignCommunity
from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.simulators.imaging_community import OF_IMAGES, ImagingCommunity
from conformance.simulators.soap_server import Asked, SoapCounterpart
from conformance.system import FOREIGN, BadDescription, Counterpart, Foreign, door_of
from profiles.catalogue import by_trigger_event
from profiles.errors import ExchangeError
from profiles.findings import Finding
from profiles.model.identifiers import Oid
from profiles.wire.hl7v2.message import read_message
from profiles.wire.hl7v2.segments import read_header

LOOK_S = 1.0  # how often what is no message, such as a broken frame, is looked for
AUTHORITY = Oid("2.25.71190522.10.4")  # of the synthetic patient

Say = Callable[[str], None]
NextOf = Callable[[int], Awaitable[Iterable[str]]]  # what is said of the message of this place; nothing: none came yet


async def simulate(say: Say, *, port_base: int = 0, studies: Path | None = None, tls: Path | None = None) -> None:
    """Listen until cancelled, and tell of whatever comes.

    Args:
        say: Takes a line.
        port_base: SOAP listens there, audit, MLLP, the other two communities and the archive at the next ports; 0: at any
            that are free.
        studies: DICOM files that the communities and the archive have; None: a synthetic study.
        tls: A new folder, into which certificates go: of the simulators, and one for whoever comes; None: without TLS.

    Raises:
        BadDescription: Nobody can listen there, there is no study, or the folder has something in it already.
    """
    door = _door(tls, say) if tls is not None else None
    async with AsyncExitStack() as stack:
        ports = [port_base + place if port_base else 0 for place in range(4 + len(FOREIGN))]
        foreign = tuple(
            Foreign(name=name, port=port, tls=door) for name, port in zip(FOREIGN, ports[3:-1], strict=True)
        )
        counterpart = Counterpart(soap_port=ports[0], audit_port=ports[1], foreign=foreign, tls=door)
        around = await stack.enter_async_context(standing(counterpart, by_hand(say)))
        receiver = Hl7Receiver(counterpart.host, ports[2], ssl=door)
        archive = DicomwebArchive(counterpart.host, ports[-1], ssl=door)
        for simulator in (receiver, archive):
            try:
                await simulator.start()
            except OSError as error:
                raise BadDescription(f"cannot listen: {error.strerror or error}") from error
            stack.push_async_callback(simulator.stop)
        assert around.community is not None
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="radgate-simulate-")))
        offered = await asyncio.to_thread(_studies, studies, scratch)
        for line in (*_addresses(around, receiver, tls=tls is not None), *_offer(around.community, offered)):
            say(line)
        for community in around.foreign:
            for study in offered:
                community.offer(study, community.patient)
            say(_told_of(community))
        for study in offered:
            archive.offer(study)
        say(f"DICOMweb  {archive.address}")
        say("Listening; Ctrl-C stops.")
        await _watch(around, receiver, archive, say)


def _door(folder: Path, say: Say) -> SSLContext:
    if folder.exists() and any(folder.iterdir()):
        raise BadDescription(f"--tls {folder} has something in it: certificates are made new, into a new folder")
    authority = Authority(folder, "radgate simulators root")
    ours, theirs = authority.issue("Simulator"), authority.issue("Client")
    say(f"trust     {authority.path}")
    say(f"yours     {theirs.certificate}, {theirs.key}")
    return door_of(certificate=ours.certificate, key=ours.key, trust=ours.authority)


def _studies(folder: Path | None, scratch: Path) -> tuple[SampleStudy, ...]:
    if folder is None:
        patient = sample_patient(3, AUTHORITY, prefix="S")
        return (write_ct_study(scratch, seed=61, patient=patient, series=2, instances=3, rows=128),)
    found = read_study(folder)
    if not found:
        raise BadDescription(f"--studies {folder}: no DICOM file is there")
    return found


def _addresses(around: Around, receiver: Hl7Receiver, *, tls: bool) -> Iterator[str]:
    assert around.community is not None
    assert around.audit is not None
    soap = around.community.counterpart
    for name in (*OF_IMAGES, *OF_DOCUMENTS):
        yield f"{name:<9} {soap.address(name)}"
    yield f"{'audit':<9} {'tls' if tls else 'tcp'}://{around.audit.host}:{around.audit.port} (syslog, RFC 5425 frames)"
    yield f"{'MLLP':<9} {'mllps' if tls else 'mllp'}://{receiver.host}:{receiver.port}"


def _offer(community: ImagingCommunity, studies: Iterable[SampleStudy]) -> Iterator[str]:
    yield f"repository {community.repository}, retrieve location {community.retrieve_location}"
    for study in studies:
        patient = study.patient.identifiers[0]
        community.offer(study, patient)
        yield (
            f"study     {study.study_instance_uid}, {len(study.instances)} instances, "
            f"of {patient.value}^^^&{patient.authority}&ISO"
        )


def _told_of(community: ForeignCommunity) -> str:
    first, *others = BETWEEN_COMMUNITIES
    return (
        f"{community.name:<9} {community.counterpart.address(first)} and {', '.join(others)}; home {community.home.urn}, "
        f"repository {community.repository}, retrieve location {community.retrieve_location}, "
        f"patient {community.patient.value}^^^&{community.patient.authority}&ISO"
    )


async def _watch(around: Around, receiver: Hl7Receiver, archive: DicomwebArchive, say: Say) -> None:
    """Tell of messages in the order in which each simulator got them."""
    assert around.community is not None
    assert around.audit is not None
    audit = around.audit

    def of_soap(counterpart: SoapCounterpart, name: str = "") -> NextOf:
        async def next_of(seen: int) -> Iterable[str]:
            asked = await counterpart.awaited(lambda _: True, seen, LOOK_S)
            return () if asked is None else told_of_request(asked, name)

        return next_of

    async def of_audit(seen: int) -> Iterable[str]:
        message = await audit.awaited(lambda _: True, seen, LOOK_S)
        return () if message is None else told_of_audit(message)

    async def of_web(seen: int) -> Iterable[str]:
        asked = await archive.awaited(lambda _: True, seen, LOOK_S)
        return () if asked is None else told_of_web(asked)

    async def of_hl7(seen: int) -> Iterable[str]:
        try:
            return told_of_hl7((await receiver.received(seen + 1, LOOK_S))[seen])
        except TimeoutError:
            return ()

    async with asyncio.TaskGroup() as group:
        group.create_task(_follow(of_soap(around.community.counterpart), say))
        for each in around.foreign:
            group.create_task(_follow(of_soap(each.counterpart, each.name), say))
        group.create_task(_follow(of_web, say))
        group.create_task(_follow(of_audit, say))
        group.create_task(_follow(of_hl7, say))
        group.create_task(_frames(audit, say))


async def _follow(next_of: NextOf, say: Say) -> None:
    seen = 0
    while True:
        lines = tuple(await next_of(seen))
        if lines:
            seen += 1
            say(f"{time.strftime('%H:%M:%S')}  {lines[0]}")
            for line in lines[1:]:
                say(f"          {line}")


async def _frames(audit: AuditRepository, say: Say) -> None:
    seen = 0
    while True:
        await asyncio.sleep(LOOK_S)
        for problem in audit.problems[seen:]:
            say(f"{time.strftime('%H:%M:%S')}  audit: {problem}")
        seen = len(audit.problems)


# --- what is said of a message ----------------------------------------------------------------------------------------


def told_of_request(asked: Asked, name: str = "") -> Iterator[str]:
    """A line of what came by SOAP (to whom, where there are several), then one for each thing that is odd."""
    how = f", {asked.packaging.value}" if asked.packaging is not None else ""
    yield f"{asked.transaction}{f' to {name}' if name else ''}, {len(asked.body):,} bytes{how}"
    yield from _odd(asked.problem, asked.findings)


def told_of_web(asked: AskedByWeb) -> Iterator[str]:
    """Method and path (match parameters may name a person), then what is odd."""
    came = f", {asked.body_bytes:,} bytes" if asked.body_bytes else ""
    yield f"{asked.transaction or 'no transaction'}: {asked.method} {asked.path}{came}"
    yield from _odd(asked.problem, asked.findings)


def told_of_audit(message: AuditMessage) -> Iterator[str]:
    """The event, its transactions and its outcome, then what is odd."""
    if message.record is None:
        yield f"audit, {len(message.raw):,} bytes"
    else:
        record = message.record
        types = "/".join(each.code for each in record.types)
        yield f"audit of {record.event.code} {types}: {record.action.value}, outcome {int(record.outcome)}"
    yield from _odd(message.problem, message.findings)


def told_of_hl7(message: bytes) -> Iterator[str]:
    """Message type and control id, then what is odd to the transactions that it can be."""
    try:
        header = read_header(read_message(message).segments[0])
    except ExchangeError as error:
        yield f"HL7 v2, {len(message):,} bytes"
        yield f"cannot be read: {error.detail}"
        return
    kinds = by_trigger_event(header.message_code, header.trigger_event, header.version)
    names = "/".join(each.id for each in kinds) or "no transaction that is known here"
    yield (
        f"{header.message_code}^{header.trigger_event} {header.version}, {names}, "
        f"{len(message):,} bytes, control id {header.control_id or 'missing'}"
    )
    for kind in kinds:
        try:
            decoded = kind.decode_request(message)
        except ExchangeError as error:
            yield f"{kind.id} cannot be read: {error.detail}"
            continue
        noticed = (*decoded.findings, *(each for check in kind.checks for each in check(decoded.value)))
        yield from (f"{kind.id} {line}" for line in _odd("", noticed))


def _odd(problem: str, findings: Iterable[Finding]) -> Iterator[str]:
    if problem:
        yield f"cannot be read: {problem}"
    for each in findings:
        yield f"{each.severity.value}: {each.rule}: {each.text} ({each.location or 'as a whole'})"
