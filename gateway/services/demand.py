"""Demand: the document of an on-demand entry, made when it is asked for. What it says is true at that moment.

Unless snapshots are kept, it is kept nowhere: each answer is a document of its own, under its own uniqueId, beside the one
that was asked for.

Source: ITI TF-2 3.43.4.2.3 (NewDocumentUniqueId, NewRepositoryUniqueId); ITI TF-1 10.2.7 (On-Demand Documents).
"""

from dataclasses import dataclass

from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.study import StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects
from gateway.ports.store import Store
from gateway.services.publish import manifest_of
from gateway.services.snapshot import Snapshots
from profiles.errors import ExchangeError
from profiles.model.content import DICOM, Content
from profiles.model.identifiers import PatientIdentifier
from profiles.wire.dicom.kos import encode_kos


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A document that did not exist before it was asked for; `patient_id` is the entry's.

    `repository_unique_id` is where it is kept; "": nowhere, and `why` says so where it should have been.
    """

    unique_id: str
    content: Content
    patient_id: PatientIdentifier
    repository_unique_id: str = ""
    why: str = ""
    cure: str = ""


class Demand:
    """The on-demand document source's answering side."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        objects: Objects,
        compute: Compute,
        clock: Clock,
        snapshots: Snapshots | None = None,
    ) -> None:
        """Stand on the ports; `snapshots` keeps what is made. None: it is kept nowhere."""
        self._house = house
        self._store = store
        self._objects = objects
        self._compute = compute
        self._clock = clock
        self._snapshots = snapshots

    async def made(self, unique_id: str) -> Made | None:
        """Our own manifest of the study whose on-demand entry names this document.

        None: no entry in force does, or the study is not whole now.
        """
        async with self._store.view() as work:
            entry = await work.publications.on_demand(unique_id)
            record = await work.studies.get(entry.study_instance_uid) if entry is not None else None
        if entry is None or entry.patient_id is None or record is None or record.status is not StudyStatus.AVAILABLE:
            return None
        manifest = manifest_of(record, self._house, self._clock)
        why = cure = ""
        if self._snapshots is not None:
            try:
                kept = await self._snapshots.kept(entry, manifest)
            except ExchangeError as error:
                why, cure = f"a document was made and not kept: {error.detail}", cure_of(error)
            else:
                return Made(
                    unique_id=kept.unique_id, content=kept.content, patient_id=kept.patient_id,
                    repository_unique_id=str(self._house.repository_unique_id),
                )  # fmt: skip
        body = await self._compute.run(lambda: encode_kos(manifest))
        spool = self._objects.spool(len(body))
        spool.write(body)
        return Made(
            unique_id=manifest.sop_instance_uid, content=spool.finish(DICOM), patient_id=entry.patient_id, why=why,
            cure=cure,
        )  # fmt: skip
