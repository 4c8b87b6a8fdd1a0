"""Publish: our own manifest of a study we have, provided to a peer (RAD-68).

Every house publishes its own manifest: a new KOS, our Retrieve Location UID, our addresses, the patient id of
the domain that the peer's registry speaks. The manifest is kept and registered here too, before it is sent, so that what
a consumer asks us for is known. The same study again replaces what was published before.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gateway.model.house import House
from gateway.model.job import ExchangeJob
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.ingest import study_fact
from profiles.errors import UnknownDocument, UnknownPatient
from profiles.model.content import DICOM, Content
from profiles.model.document import Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import encode_kos
from profiles.wire.ebxml.response import refusal
from profiles.xdsi.rad68 import (
    RAD_68,
    ProvideAndRegisterRequest,
    SiteCodes,
    chosen_codes,
    entry_for,
    submission_for,
)


class Publish:
    """The imaging document source's giving side."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        objects: Objects,
        peers: Peers,
        directory: Directory,
        compute: Compute,
        clock: Clock,
        codes: Callable[[], SiteCodes],
    ) -> None:
        """`codes` tells what the affinity domain and the site decide; it may read a file, so it is asked in a thread."""
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._codes = codes

    async def share(self, job: ExchangeJob, study_instance_uid: str, peer_name: str) -> None:
        """Build the manifest, keep it, provide it.

        Raises:
            UnknownDocument: The study is not here, or not whole.
            UnknownPatient: The patient has no id in the affinity domain.
            UnmappedCode: The affinity domain's codes have nothing for what the study says.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(peer_name)
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
            patient = await work.identity.get(record.study.patient.identifiers[0]) if record is not None else None
        if record is None or record.status is not StudyStatus.AVAILABLE or patient is None:
            raise UnknownDocument("the study is not available here", cure="Wait until it has arrived, or accept it")
        known = record.study.patient
        identifier = self._shared_id(tuple(dict.fromkeys((*patient.identifiers, *known.identifiers))))
        now = self._clock.now()
        manifest = self._manifest(record, now)
        codes = await self._compute.run(self._codes)
        body = await self._compute.run(lambda: encode_kos(manifest))
        content = await self._spooled(body)
        submission = self._submission(manifest, identifier, content, codes, now)
        await self._keep(manifest, content)
        facts = Facts(
            at=now, source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(identifier,), studies=(study_fact([record.study], known),),
        )  # fmt: skip
        request = ProvideAndRegisterRequest(submission=submission, documents={"Document01": content})
        async with self._peers.call(RAD_68, peer, request, exchange_id=job.id, facts=facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            queued = any(error.code == "DocumentQueued" for error in call.response.errors)
            said = "; the peer holds it until a person decides" if queued else ""
            call.learned(text=f"Our manifest of {manifest.instance_count} instances was taken{said}")

    def _shared_id(self, identifiers: tuple[PatientIdentifier, ...]) -> PatientIdentifier:
        found = next((each for each in identifiers if each.authority == self._house.domain_authority), None)
        if found is None:
            raise UnknownPatient(
                "the patient has no id in the affinity domain",
                cure="Have an ADT name it in PID-3, beside our own id; then release the exchange",
            )
        return found

    def _manifest(self, record: StudyRecord, now: datetime) -> Manifest:
        series = tuple(
            replace(
                each,
                retrieve_location_uid=self._house.retrieve_location_uid,
                retrieve_url=self._house.dicomweb_url,
                retrieve_ae_title=self._house.ae_title,
            )
            for each in record.study.series
        )
        return Manifest(
            sop_instance_uid=self._clock.new_uid(),
            series_instance_uid=self._clock.new_uid(),
            created=Moment(now),
            patient=record.study.patient,
            studies=(replace(record.study, series=series),),
            institution=record.study.institution or self._house.name,
            manufacturer="radgate",
        )

    async def _spooled(self, body: bytes) -> Content:
        spool = self._objects.spool(len(body))
        spool.write(body)
        return spool.finish(DICOM)

    async def _keep(self, manifest: Manifest, content: Content) -> None:
        staged = await self._objects.stage(content)
        async with self._store.unit() as work:
            await work.documents.keep(manifest.sop_instance_uid, staged)

    def _submission(
        self, manifest: Manifest, identifier: PatientIdentifier, content: Content, codes: SiteCodes, now: datetime
    ) -> Submission:
        entry = entry_for(
            manifest, entry_uuid="Document01", patient_id=identifier, codes=codes, sha1=content.sha1 or "",
            size_bytes=content.size_bytes,
        )  # fmt: skip
        return submission_for(
            entry, submission_set_uuid="SubmissionSet01", unique_id=self._clock.new_uid(), source_id=self._house.source_id,
            submission_time=Moment(now), content_type_code=chosen_codes(manifest, codes).content_type_code,
        )  # fmt: skip
