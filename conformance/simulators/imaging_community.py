"""A community for those who ask: registry, repository and imaging document source of synthetic studies, behind one address.

Each study has a manifest and its entry. What is submitted here is taken, and kept for the case to look at.

Source: RAD TF-2 4.68, 4.69; ITI TF-2 3.18, 3.43.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.samples import SampleStudy
from conformance.simulators.soap_server import SoapCounterpart
from conformance.submissions import Document, document, new_uid, reference
from profiles.model.codes import DCM, MANIFEST_FORMAT, Code
from profiles.model.content import Part, Pour, Poured, once
from profiles.model.document import ACCESSION, STUDY_INSTANCE_UID, AvailabilityStatus
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment
from profiles.wire.dicom.kos import encode_kos
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus, status_of
from profiles.wire.ebxml.retrieve import RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xds.iti18 import ITI_18, ReturnType, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import RAD_68, ProvideAndRegisterRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest

OF_IMAGES = (ITI_18.id, ITI_43.id, RAD_69.id, RAD_68.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A study, and the manifest that tells of it."""

    study: SampleStudy
    manifest: Document


class ImagingCommunity:
    """Answers ITI-18, ITI-43, RAD-69 and RAD-68 at a counterpart. `submitted` are the requests of RAD-68 that came."""

    def __init__(
        self, counterpart: SoapCounterpart, *, repository: Oid, retrieve_location: Oid, home: Oid | None = None
    ) -> None:
        """`repository` has the manifests, `retrieve_location` the images: two ids, that nobody may take for each other.

        `home` stands on whatever comes from here; None: on nothing.
        """
        self.counterpart = counterpart
        self.home = home
        self.repository = repository
        self.retrieve_location = retrieve_location
        self.submitted: list[ProvideAndRegisterRequest] = []
        self.remembered: dict[Hashable, Any] = {}  # what cases share: see `Target.once`
        self._offered: dict[str, Offered] = {}
        self._stand()

    def _stand(self) -> None:
        """Answer what this community is asked by."""
        self.counterpart.answers(ITI_18, self.query)
        self.counterpart.answers(ITI_43, self.retrieve)
        self.counterpart.answers(RAD_69, self.retrieve_images)
        self.counterpart.answers(RAD_68, self.take)

    def offer(self, study: SampleStudy, patient: PatientIdentifier) -> Offered:
        """Have a study, under this id of its patient."""
        manifest = manifest_document(study, patient, self.retrieve_location)
        entry = replace(
            manifest.entry, entry_uuid=f"urn:uuid:{uuid.uuid4()}", repository_unique_id=self.repository,
            home_community_id=self.home,
        )  # fmt: skip
        offered = Offered(study=study, manifest=replace(manifest, entry=entry))
        self._offered[entry.unique_id] = offered
        return offered

    def empty(self) -> None:
        """Have nothing any more."""
        self._offered.clear()
        self.submitted.clear()

    async def query(self, request: StoredQueryRequest) -> StoredQueryResponse:
        """Entries that fit patient, ids and status; or references to them."""
        criteria = request.criteria
        entries = tuple(
            each.manifest.entry
            for each in self._offered.values()
            if (not criteria.patient_ids or each.manifest.entry.patient_id in criteria.patient_ids)
            and (not criteria.unique_ids or each.manifest.entry.unique_id in criteria.unique_ids)
            and (not criteria.entry_uuids or each.manifest.entry.entry_uuid in criteria.entry_uuids)
            and AvailabilityStatus.APPROVED in (criteria.statuses or (AvailabilityStatus.APPROVED,))
        )
        response = StoredQueryResponse(entries=entries)
        return response if request.return_type is ReturnType.LEAF_CLASS else response.as_references()

    async def retrieve(self, request: RetrieveDocumentSetRequest) -> Poured[RetrieveDocumentSetResponse]:
        """Manifests, each from the repository that has them."""
        held = {
            each.document_unique_id: self._offered[each.document_unique_id].manifest.body
            for each in request.documents
            if each.document_unique_id in self._offered and each.repository_unique_id == self.repository
        }
        return poured(str(self.repository), held, [each.document_unique_id for each in request.documents], self.home)

    async def retrieve_images(self, request: RetrieveImagingDocumentSetRequest) -> Poured[RetrieveDocumentSetResponse]:
        """Instances, each from its study, series and location; in whatever syntax they are kept."""
        paths: dict[tuple[str, str, str], Path] = {
            (each.study.study_instance_uid, series.series_instance_uid, instance.sop_instance_uid): instance.path
            for each in self._offered.values()
            for series in each.study.series
            for instance in series.instances
        }
        held: dict[str, bytes] = {}
        for each in request.instances():
            path = paths.get((each.study_instance_uid, each.series_instance_uid, each.document.document_unique_id))
            if path is not None and each.document.repository_unique_id == self.retrieve_location:
                held[each.document.document_unique_id] = await asyncio.to_thread(path.read_bytes)
        asked = [each.document.document_unique_id for each in request.instances()]
        return poured(str(self.retrieve_location), held, asked, self.home)

    async def take(self, request: ProvideAndRegisterRequest) -> RegistryResponse:
        """Whatever comes."""
        self.submitted.append(request)
        return RegistryResponse(status=ResponseStatus.SUCCESS)


def manifest_document(study: SampleStudy, patient: PatientIdentifier, retrieve_location: Oid) -> Document:
    """The manifest of a study, as its source would submit it: the images are at `retrieve_location`."""
    return _document(study, patient, _manifest(study, retrieve_location))


def poured(
    repository: str, held: dict[str, bytes], asked: list[str], home: Oid | None = None
) -> Poured[RetrieveDocumentSetResponse]:
    """What is held, by uniqueId, and an error for each that was asked for and is not."""
    errors = tuple(
        RegistryError(
            code="XDSDocumentUniqueIdError", context="It is not here", location=f"{uid} {home.urn}" if home else uid
        )
        for uid in asked
        if uid not in held
    )
    documents = tuple(
        RetrievedDocument(
            repository_unique_id=repository,
            document_unique_id=uid,
            home_community_id=home,
            mime_type="application/dicom",
            size_bytes=len(body),
        )
        for uid, body in held.items()
    )
    head = RetrieveDocumentSetResponse(status=status_of(errors, len(documents)), errors=errors, documents=documents)
    return Poured(head=head, pour=_pour(held))


async def _pour(held: dict[str, bytes]) -> Pour:
    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        async for chunk in once(body):
            yield chunk

    for uid, body in held.items():
        yield Part(key=uid, media_type="application/dicom", size_bytes=len(body), chunks=chunks(body))


def _manifest(study: SampleStudy, location: Oid) -> Manifest:
    """What a source of these images would publish of them."""
    return Manifest(
        sop_instance_uid=Uid(new_uid()),
        series_instance_uid=Uid(new_uid()),
        created=Moment(datetime.now(UTC).replace(microsecond=0)),
        patient=study.patient,
        studies=(
            Study(
                study_instance_uid=study.study_instance_uid,
                patient=study.patient,
                accession_numbers=(AccessionNumber(value=study.accession_number, authority=None),),
                description=study.description,
                series=tuple(
                    Series(
                        series_instance_uid=series.series_instance_uid,
                        retrieve_location_uid=location,
                        instances=tuple(
                            Instance(sop_instance_uid=each.sop_instance_uid, sop_class_uid=each.sop_class_uid)
                            for each in series.instances
                        ),
                    )
                    for series in study.series
                ),
            ),
        ),
    )


def _document(study: SampleStudy, patient: PatientIdentifier, manifest: Manifest) -> Document:
    """The manifest as a document; its uniqueId is the SOP Instance UID in it (RAD68)."""
    kos = encode_kos(manifest)
    one = document(
        patient, unique_id=manifest.sop_instance_uid, mime_type="application/dicom",
        format_code=MANIFEST_FORMAT, title=study.description, size_bytes=len(kos),
        hash=hashlib.sha1(kos, usedforsecurity=False).hexdigest(), source_patient_id=study.patient.identifiers[0],
        event_codes=tuple(
            Code(value=each, system=DCM, display=each) for each in dict.fromkeys(one.modality for one in study.series)
        ),
        reference_ids=(
            reference(study.accession_number, ACCESSION, "1.2.3.4.5.6"),
            reference(study.study_instance_uid, STUDY_INSTANCE_UID),
        ),
    )  # fmt: skip
    return replace(one, body=kos)
