"""RAD-68 as an imaging document source submits it: a manifest that is true, and an entry that fits it.

Source: RAD TF-2 4.68; RAD TF-3 4.68; DICOM PS3.3 A.35.4.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC
from io import BytesIO

from pydicom import Dataset, dcmread

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import Errand, Facts, refusal, well_addressed
from conformance.suites.wia.dicomweb import awaited, bodies_of, new_study, store
from conformance.suites.xdsi.source_retrieve import EXPLICIT_LITTLE, of
from conformance.target import Target
from profiles.model.codes import DCM, KOS_SOP_CLASS, MANIFEST_FORMAT
from profiles.model.document import ACCESSION, STUDY_INSTANCE_UID, AssociationType, DocumentEntry
from profiles.transaction import Actor
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus
from profiles.xdsi.rad68 import RAD_68, ProvideAndRegisterRequest
from profiles.xdsi.rad69 import RAD_69

SOURCE = Actor.IMAGING_DOCUMENT_SOURCE
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
TITLE = ("113030", "DCM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What was submitted of a study."""

    study: SampleStudy
    asked: Asked
    request: ProvideAndRegisterRequest
    entry: DocumentEntry
    body: bytes
    kos: Dataset


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="RAD-68",
    actor=SOURCE,
    title="A submission is addressed as it must be",
)
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; MTOM."""
    well_addressed((await _shared(target)).asked, RAD_68)


@case(
    "RAD68-003",
    transaction="RAD-68",
    actor=SOURCE,
    title="The document is a Key Object Selection with the title of a manifest",
)
async def is_manifest(target: Target) -> None:
    """SOP class and document title."""
    kos = (await _shared(target)).kos
    expect(str(kos.SOPClassUID), "SOP Class UID").equals(KOS_SOP_CLASS)
    title = kos.ConceptNameCodeSequence[0]
    expect((title.CodeValue, title.CodingSchemeDesignator), "the document title").equals(TITLE)


@case(
    "RAD68-008",
    transaction="RAD-68",
    actor=SOURCE,
    title="The evidence is the study's instances, all of them and no other",
)
async def evidence(target: Target) -> None:
    """In their series, with their SOP classes."""
    shared = await _shared(target)
    listed = [
        (str(series.SeriesInstanceUID), str(each.ReferencedSOPInstanceUID), str(each.ReferencedSOPClassUID))
        for study in shared.kos.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
    ]
    expect(listed, "the evidence").has_same(
        [
            (str(series.series_instance_uid), str(each.sop_instance_uid), str(each.sop_class_uid))
            for series in shared.study.series
            for each in series.instances
        ]
    )


@case("RAD68-009", transaction="RAD-68", actor=SOURCE, title="The content refers to what the evidence lists")
async def content(target: Target) -> None:
    """The same set, each once."""
    shared = await _shared(target)
    named = [
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in shared.kos.ContentSequence
        if item.RelationshipType == "CONTAINS" and "ReferencedSOPSequence" in item
    ]
    expect(named, "the content").has_same([str(each.sop_instance_uid) for each in shared.study.instances])


@case("RAD68/location", transaction="RAD-68", actor=SOURCE, title="Every series says where its images can be had")
async def retrieve_location(target: Target) -> None:
    """Retrieve Location UID, the source's own."""
    shared = await _shared(target)
    named = {
        str(series.get("RetrieveLocationUID", ""))
        for study in shared.kos.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
    }
    expect(named, "Retrieve Location UID").equals({target.known("retrieve_location_uid")})


@case(
    "RAD68-033",
    transaction="RAD-68",
    actor=SOURCE,
    title="The manifest is of the study's patient, and in a series of its own",
)
async def whose(target: Target) -> None:
    """Patient ID, and neither series nor instance UID of the study."""
    shared = await _shared(target)
    expect(str(shared.kos.PatientID), "Patient ID").equals(shared.study.patient.identifiers[0].value)
    used = {str(each.series_instance_uid) for each in shared.study.series}
    expect(str(shared.kos.SeriesInstanceUID) in used, "whether its series is one of the study's").equals(False)


@case(
    "RAD68-005",
    "RAD68-022",
    transaction="RAD-68",
    actor=SOURCE,
    title="The entry has the media type and format of a manifest",
)
async def media_type(target: Target) -> None:
    """application/dicom, and the SOP class as format code."""
    entry = (await _shared(target)).entry
    expect(entry.mime_type, "mimeType").equals("application/dicom")
    expect((entry.format_code.value, entry.format_code.system), "formatCode").equals(
        (MANIFEST_FORMAT.value, MANIFEST_FORMAT.system)
    )


@case(
    "RAD68/unique-id",
    transaction="RAD-68",
    actor=SOURCE,
    title="The entry's uniqueId is the manifest's SOP Instance UID",
)
async def unique_id(target: Target) -> None:
    """A bare UID."""
    shared = await _shared(target)
    expect(shared.entry.unique_id, "uniqueId").equals(str(shared.kos.SOPInstanceUID))


@case(
    "RAD68/hash",
    transaction="RAD-68",
    actor=SOURCE,
    title="Hash and size, where they are given, are those of the document",
)
async def hash_and_size(target: Target) -> None:
    """SHA-1 and length of the whole file."""
    shared = await _shared(target)
    if shared.entry.hash:
        expect(shared.entry.hash, "hash").equals(hashlib.sha1(shared.body, usedforsecurity=False).hexdigest())
    if shared.entry.size_bytes is not None:
        expect(shared.entry.size_bytes, "size").equals(len(shared.body))


@case("RAD68-019", transaction="RAD-68", actor=SOURCE, title="The event codes have every modality of the study")
async def modalities(target: Target) -> None:
    """From DCM, with their display names."""
    shared = await _shared(target)
    told = {code.value for code in shared.entry.event_codes if code.system == DCM}
    expect(told, "eventCodeList").contains(*{series.modality for series in shared.study.series})
    expect([code.value for code in shared.entry.event_codes if not code.display], "codes without a name").is_absent()


@case("RAD68/references", transaction="RAD-68", actor=SOURCE, title="The entry refers to accession number and study")
async def references(target: Target) -> None:
    """So that order and study find it."""
    shared = await _shared(target)
    told = {(each.value, each.type) for each in shared.entry.reference_ids}
    expect(told, "referenceIdList").contains(
        (shared.study.accession_number, ACCESSION), (str(shared.study.study_instance_uid), STUDY_INSTANCE_UID)
    )


@case(
    "RAD68/patient",
    transaction="RAD-68",
    actor=SOURCE,
    title="Entry and set are of the patient, as the domain knows them",
)
async def patient(target: Target) -> None:
    """And the source's own id stands beside it."""
    shared = await _shared(target)
    expect(shared.entry.patient_id, "patientId of the entry").equals(target.patient())
    expect(shared.request.submission.submission_set.patient_id, "patientId of the set").equals(target.patient())
    expect(shared.entry.source_patient_id, "sourcePatientId").is_there()


@case(
    "RAD68-018", transaction="RAD-68", actor=SOURCE, title="Times are in UTC, and the service began when the study did"
)
async def times(target: Target) -> None:
    """CreationTime and serviceStartTime."""
    entry = (await _shared(target)).entry
    expect(entry.creation_time, "creationTime").is_there()
    expect(entry.service_start_time, "serviceStartTime").is_there()
    assert entry.creation_time is not None
    expect(entry.creation_time.at.utcoffset(), "the offset of creationTime").equals(UTC.utcoffset(None))


@case("RAD68/set", transaction="RAD-68", actor=SOURCE, title="The manifest is an original member of one submission set")
async def membership(target: Target) -> None:
    """HasMember with SubmissionSetStatus Original; a sourceId."""
    shared = await _shared(target)
    submission = shared.request.submission
    members = [
        (each.source, each.target, each.original)
        for each in submission.associations
        if each.type is AssociationType.HAS_MEMBER
    ]
    expect(members, "HasMember").contains((submission.submission_set.entry_uuid, shared.entry.entry_uuid, True))
    expect(submission.submission_set.source_id, "sourceId").is_there()


@case("RAD68/rules", transaction="RAD-68", actor=SOURCE, title="Nothing about the submission is odd")
async def nothing_odd(target: Target) -> None:
    """What the codec and the rules of the transaction notice."""
    expect((await _shared(target)).asked.findings, "what is odd").is_absent()


@case("RAD68/retrievable", transaction="RAD-68", actor=SOURCE, title="Everything that the manifest lists can be had")
async def retrievable(target: Target) -> None:
    """By RAD-69 at the source."""
    shared = await _shared(target)
    answer = await target.call(RAD_69, of(target, shared.study, shared.study.instances, [EXPLICIT_LITTLE]))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)


async def _given(target: Target) -> tuple[SampleStudy, Facts]:
    study = await new_study(target, series=2, instances=2)
    await store(target, bodies_of(study))
    await awaited(target, study)
    return study, {"study": str(study.study_instance_uid)}


SHARE = Errand("share", RAD_68, _given)


@case("RAD68/told", transaction="RAD-68", actor=SOURCE, title="A manifest that was refused is not taken for shared")
async def refusal_told(target: Target) -> None:
    """A failure, with its reason."""
    no = RegistryResponse(status=ResponseStatus.FAILURE, errors=refusal("XDSRepositoryMetadataError"))
    said = await SHARE.otherwise(target, response=no)
    expect(said, "a complaint about a failure").is_there()


async def _shared(target: Target) -> Shared:
    """Make the system share a study that it was just given, once for all cases, and read what came."""
    study, asked = await SHARE.asked(target)
    request: ProvideAndRegisterRequest = asked.request
    expect(len(request.submission.entries), "the number of entries").equals(1)
    entry = request.submission.entries[0]
    expect(list(request.documents), "the documents").equals([entry.entry_uuid])
    body = await request.documents[entry.entry_uuid].read(MAX_MANIFEST_BYTES)
    return Shared(
        study=study, asked=asked, request=request, entry=entry, body=body, kos=dcmread(BytesIO(body))
    )  # fmt: skip
