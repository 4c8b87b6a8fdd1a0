"""RAD-68 at a document repository with its registry: manifests and reports are kept and found, contradictions refused.

What a newcomer gets wrong: on the wire this is ITI-41, and every rule of that holds; what is its own is that a manifest
says itself which document, which study and whose it is, so that metadata can be caught lying.

Source: RAD TF-2 4.68; ITI TF-2 3.41; ITI TF-3 4.2.
"""

import hashlib
import uuid
from dataclasses import replace
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy
from conformance.simulators.imaging_community import manifest_document
from conformance.submissions import Document, altered, arrow, document, new_uid, provided, reference
from conformance.suites.envelope import envelope_cases
from conformance.suites.wia.dicomweb import new_study
from conformance.suites.xds.documents import APPROVED, entry_of, errors_in, fetched, found, refused
from conformance.system import COMMUNITY
from conformance.target import Target
from profiles.model.codes import DCM, KOS_SOP_CLASS, MANIFEST_FORMAT, Code
from profiles.model.document import ACCESSION, STUDY_INSTANCE_UID, AssociationType, AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xdsi.rad68 import RAD_68

REPOSITORY = Actor.DOCUMENT_REPOSITORY
LOCATION = COMMUNITY[2]
IHE_FORMATS = "1.3.6.1.4.1.19376.1.2.3"
ACCESSIONS = "1.2.3.4.5.6"
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
CT = Code(value="CT", system=DCM, display="CT")
PDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
CDA = """<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id root="{root}" extension="{extension}"/>
<code code="18748-4" codeSystem="2.16.840.1.113883.6.1"/><title>Chest CT</title><effectiveTime value="20260301101500"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="en"/>
<recordTarget><patientRole><id root="{authority}" extension="{patient}"/></patientRole></recordTarget>
<author><time value="20260301101500"/><assignedAuthor><id root="1.2.3.4.5.7"/></assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.3.4.5.8"/>
</representedCustodianOrganization></assignedCustodian></custodian>
<component>{body}</component></ClinicalDocument>
"""
STRUCTURED = (
    "<structuredBody><component><section><title>Findings</title><text>Nothing.</text></section></component>"
    "</structuredBody>"
)
WRAPPED = '<nonXMLBody><text mediaType="text/plain">Nothing.</text></nonXMLBody>'


async def one_manifest(target: Target) -> ProvideAndRegisterRequest:
    """A submission that is right."""
    _, manifest = await _manifest(target)
    return provided(target.patient(), manifest)


ENVELOPE = envelope_cases(__name__, RAD_68, REPOSITORY, one_manifest)


# --- what is taken ----------------------------------------------------------------------------------------------------


@case("RAD68/kept", transaction="RAD-68", actor=REPOSITORY, title="A manifest is registered and comes back as it was")
async def manifest(target: Target) -> None:
    """Byte by byte, with the media type and the format of a manifest."""
    _, one = await _manifest(target)
    await _taken(target, provided(target.patient(), one))
    await _comes_back(target, one)


@case("RAD68/found", transaction="RAD-68", actor=REPOSITORY, title="A manifest is found by study and accession number")
async def by_study(target: Target) -> None:
    """Whoever has an order has nothing else."""
    study, one = await _manifest(target)
    await _taken(target, provided(target.patient(), one))
    for pattern in (
        f"{study.study_instance_uid}^^^^{STUDY_INSTANCE_UID}",
        f"{study.accession_number}^^^&{ACCESSIONS}&ISO^{ACCESSION}",
    ):
        expect(await _by_reference(target, pattern), f"what is found by {pattern.partition('^')[0]}").contains(
            one.entry.unique_id
        )


@case("RAD68/found", transaction="RAD-68", actor=REPOSITORY, title="A manifest is found by format and modality")
async def by_modality(target: Target) -> None:
    """Manifests of the patient's CTs; and not those of other modalities."""
    _, one = await _manifest(target)
    await _taken(target, provided(target.patient(), one))
    for modality, there in ((CT, True), (replace(CT, value="MG"), False)):
        answer = await found(
            target, StoredQuery.FIND_DOCUMENTS,
            criteria=DocumentCriteria(
                patient_ids=(target.patient(),), statuses=APPROVED, format_codes=(MANIFEST_FORMAT,),
                event_codes=((modality,),),
            ),
        )  # fmt: skip
        expect(
            one.entry.unique_id in [each.unique_id for each in answer.entries],
            f"whether the manifest of a CT is found by {modality.value}",
        ).equals(there)


@case("RAD68/reports", transaction="RAD-68", actor=REPOSITORY, title="A report as PDF is kept")
async def pdf(target: Target) -> None:
    """By its own format code."""
    one = await _report(target, PDF, "application/pdf", "urn:ihe:rad:PDF")
    await _taken(target, provided(target.patient(), one))
    await _comes_back(target, one)


@case("RAD68/reports", transaction="RAD-68", actor=REPOSITORY, title="A report as CDA is kept")
async def cda(target: Target) -> None:
    """Its uniqueId is root and extension of its id."""
    one = await _cda(target, STRUCTURED, "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013")
    await _taken(target, provided(target.patient(), one))
    await _comes_back(target, one)


@case("RAD68/reports", transaction="RAD-68", actor=REPOSITORY, title="A report as text that is wrapped in CDA is kept")
async def wrapped_text(target: Target) -> None:
    """A header around text/plain."""
    one = await _cda(target, WRAPPED, "urn:ihe:rad:TEXT")
    await _taken(target, provided(target.patient(), one))
    await _comes_back(target, one)


@case("RAD68/reports", "RAD68/found", transaction="RAD-68", actor=REPOSITORY, title="The study finds its report too")
async def together(target: Target) -> None:
    """Manifest and report of one submission."""
    study, images = await _manifest(target)
    words = await _report(target, PDF, "application/pdf", "urn:ihe:rad:PDF", study)
    await _taken(target, provided(target.patient(), images, words))
    expect(
        await _by_reference(target, f"{study.study_instance_uid}^^^^{STUDY_INSTANCE_UID}"), "what the study finds"
    ).has_same([images.entry.unique_id, words.entry.unique_id])


@case("RAD68/replacing", transaction="RAD-68", actor=REPOSITORY, title="A manifest takes the place of the one before")
async def replaced(target: Target) -> None:
    """Of the study, one manifest is in force."""
    study, old = await _manifest(target)
    await _taken(target, provided(target.patient(), old))
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    new = manifest_document(study, target.patient(), LOCATION)
    takes_place = arrow(AssociationType.REPLACE, new.entry.entry_uuid, uuid_)
    await _taken(target, provided(target.patient(), new, associations=(takes_place,)))
    expect((await entry_of(target, old.entry.unique_id)).availability_status, "the status of the one before").equals(
        AvailabilityStatus.DEPRECATED
    )
    expect(
        await _by_reference(target, f"{study.study_instance_uid}^^^^{STUDY_INSTANCE_UID}"), "what is in force"
    ).equals([new.entry.unique_id])


# --- what contradicts itself ------------------------------------------------------------------------------------------


@case("RAD68/agrees", transaction="RAD-68", actor=REPOSITORY, title="A manifest of another study is refused")
async def another_study(target: Target) -> None:
    """Metadata say one study, the manifest lists another."""
    await _refused_with(target, "InvalidDocumentContent", reference_ids=(reference(new_uid(), STUDY_INSTANCE_UID),))


@case("RAD68/agrees", transaction="RAD-68", actor=REPOSITORY, title="A manifest under another uniqueId is refused")
async def another_id(target: Target) -> None:
    """The uniqueId is the SOP Instance UID."""
    await _refused_with(target, "InvalidDocumentContent", unique_id=new_uid())


@case("RAD68/agrees", transaction="RAD-68", actor=REPOSITORY, title="A manifest of another patient is refused")
async def another_patient(target: Target) -> None:
    """SourcePatientId is the Patient ID of the file."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    await _refused_with(target, "InvalidDocumentContent", source_patient_id=other)


@case("RAD68/is-manifest", transaction="RAD-68", actor=REPOSITORY, title="A text is no manifest, and is refused as one")
async def no_manifest(target: Target) -> None:
    """FormatCode and media type of a manifest, and no DICOM."""
    patient = target.patient()
    lying = document(patient, mime_type="application/dicom", format_code=MANIFEST_FORMAT)
    await refused(target, provided(patient, lying), "InvalidDocumentContent", by=RAD_68)


@case("RAD68/is-manifest", transaction="RAD-68", actor=REPOSITORY, title="A key image note is refused as a manifest")
async def key_images(target: Target) -> None:
    """The same SOP class, with the title "Of Interest"."""
    _, one = await _manifest(target)
    note = altered(one, one.body.replace(b"113030", b"113000"))
    await refused(target, provided(target.patient(), note), "InvalidDocumentContent", by=RAD_68)


@case("RAD68/media-type", transaction="RAD-68", actor=REPOSITORY, title="A manifest that is said to be text is refused")
async def media_type(target: Target) -> None:
    """Its media type is application/dicom."""
    await _refused_with(
        target, "XDSRepositoryMetadataError", "XDSRegistryMetadataError", "InvalidDocumentContent",
        mime_type="text/plain",
    )  # fmt: skip


@case("RAD68/document", transaction="RAD-68", actor=REPOSITORY, title="A manifest that has another hash is refused")
async def wrong_hash(target: Target) -> None:
    """Somebody changed it on its way."""
    await _refused_with(
        target, "XDSRepositoryMetadataError", "XDSNonIdenticalHash",
        hash=hashlib.sha1(b"", usedforsecurity=False).hexdigest(),
    )  # fmt: skip


@case("RAD68/document", transaction="RAD-68", actor=REPOSITORY, title="A manifest that has another size is refused")
async def wrong_size(target: Target) -> None:
    """One byte."""
    await _refused_with(target, "XDSRepositoryMetadataError", "XDSNonIdenticalSize", size_bytes=1)


@case("RAD68/document", transaction="RAD-68", actor=REPOSITORY, title="A manifest that is told and not sent is refused")
async def not_sent(target: Target) -> None:
    """The metadata without the bytes."""
    request = await one_manifest(target)
    await refused(target, replace(request, documents={}), "XDSMissingDocument", by=RAD_68)


@case("RAD68/domain", transaction="RAD-68", actor=REPOSITORY, title="A manifest of whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    one = manifest_document(await new_study(target, instances=1), nobody, LOCATION)
    await refused(target, provided(nobody, one), "XDSUnknownPatientId", by=RAD_68)


@case("RAD68/reference", transaction="RAD-68", actor=REPOSITORY, title="What nobody registered cannot be replaced")
async def replaces_nothing(target: Target) -> None:
    """An entryUUID of nobody."""
    _, one = await _manifest(target)
    gone = arrow(AssociationType.REPLACE, one.entry.entry_uuid, NOBODYS_UUID)
    request = provided(target.patient(), one, associations=(gone,))
    await refused(target, request, "UnresolvedReferenceException", by=RAD_68)


@case("RAD68/reference", transaction="RAD-68", actor=REPOSITORY, title="A manifest is replaced once")
async def replaced_twice(target: Target) -> None:
    """What is deprecated has its successor already."""
    study, old = await _manifest(target)
    await _taken(target, provided(target.patient(), old))
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    second, third = (manifest_document(study, target.patient(), LOCATION) for _ in range(2))
    arrows = [arrow(AssociationType.REPLACE, each.entry.entry_uuid, uuid_) for each in (second, third)]
    await _taken(target, provided(target.patient(), second, associations=arrows[:1]))
    request = provided(target.patient(), third, associations=arrows[1:])
    await refused(target, request, "XDSRegistryDeprecatedDocumentError", by=RAD_68)


@case("RAD68/whole", transaction="RAD-68", actor=REPOSITORY, title="A manifest that is wrong keeps its report out")
async def whole(target: Target) -> None:
    """One submission, taken whole or not at all."""
    patient = target.patient()
    study, one = await _manifest(target)
    lying = replace(one, entry=replace(one.entry, hash=hashlib.sha1(b"", usedforsecurity=False).hexdigest()))
    words = await _report(target, PDF, "application/pdf", "urn:ihe:rad:PDF", study)
    await refused(target, provided(patient, words, lying), by=RAD_68)
    answer = await fetched(target, words.entry.unique_id)
    expect(answer.received, "what of it can be fetched").is_absent()


# --- what is submitted ------------------------------------------------------------------------------------------------


async def _manifest(target: Target) -> tuple[SampleStudy, Document]:
    """A study that nobody has seen, and its manifest."""
    study = await new_study(target, instances=2)
    return study, manifest_document(study, target.patient(), LOCATION)


async def _report(
    target: Target, text: str, mime_type: str, format_code: str, study: SampleStudy | None = None, **fields: Any
) -> Document:
    """A report of a study, of one that nobody has seen where none is given."""
    of = study or await new_study(target, instances=1)
    return document(
        target.patient(), text + " " * (uuid.uuid4().int % 40), mime_type=mime_type,
        format_code=Code(value=format_code, system=IHE_FORMATS, display=format_code),
        reference_ids=(
            reference(of.accession_number, ACCESSION, ACCESSIONS),
            reference(of.study_instance_uid, STUDY_INSTANCE_UID),
        ),
        **fields,
    )  # fmt: skip


async def _cda(target: Target, body: str, format_code: str) -> Document:
    root, extension, patient = new_uid(), "R1", target.patient()
    text = CDA.format(root=root, extension=extension, authority=patient.authority, patient=patient.value, body=body)
    return await _report(target, text, "text/xml", format_code, unique_id=f"{root}^{extension}")


async def _taken(target: Target, request: ProvideAndRegisterRequest) -> None:
    answer = await target.call(RAD_68, request)
    expect(errors_in(answer.response.errors), "the errors").is_absent()
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _comes_back(target: Target, one: Document) -> None:
    """Its entry says what it is, and its bytes are those that were sent."""
    entry = await entry_of(target, one.entry.unique_id)
    for name in ("mime_type", "format_code", "hash", "size_bytes", "reference_ids", "event_codes", "creation_time"):
        expect(getattr(entry, name), name).equals(getattr(one.entry, name))
    came = (await fetched(target, one.entry.unique_id)).received
    expect([(each.sha1, each.size_bytes) for each in came], "SHA-1 and size of what came").equals(
        [(one.entry.hash, len(one.body))]
    )
    expect([each.media_type for each in came], "its media type").equals([one.entry.mime_type])
    if one.entry.format_code.value == KOS_SOP_CLASS:
        expect([each.sop_instance_uid for each in came], "the SOP Instance UID of what came").equals(
            [one.entry.unique_id]
        )


async def _by_reference(target: Target, pattern: str) -> list[str]:
    """UniqueIds of what is in force and refers to this."""
    answer = await found(
        target, StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID,
        criteria=DocumentCriteria(
            patient_ids=(target.patient(),), statuses=APPROVED, reference_ids=((pattern,),)
        ),
    )  # fmt: skip
    return [each.unique_id for each in answer.entries]


async def _refused_with(target: Target, *codes: str, **fields: Any) -> None:
    """A manifest whose entry says something else is refused."""
    _, one = await _manifest(target)
    lying = replace(one, entry=replace(one.entry, **fields))
    await refused(target, provided(target.patient(), lying), *codes, by=RAD_68)
