"""Rewrite: a study is somebody else's from now on, or has another name; its heads say so, and the index with them.

The archive keeps what it received and serves it with a new head. What the index tells of the instances (WADO-RS metadata,
QIDO-RS) follows instance by instance, from what it told before: no pixel is read again. Both may be done twice.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from gateway.ports.archive import Archive, Coercion
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.store import Store
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.model.imaging import Study
from profiles.wire.dicom.recoerce import recoerced_json

BATCH_INSTANCES = 200  # of one commit: others get their turn between


class Rewrite:
    """New heads for what is here."""

    def __init__(self, *, store: Store, archive: Archive, compute: Compute, clock: Clock) -> None:
        """Stand on the ports."""
        self._store = store
        self._archive = archive
        self._compute = compute
        self._clock = clock

    async def run(self, study: Study, coercion: Coercion) -> None:
        """Give every instance of the study this patient; those that are withdrawn too, if `study` has them.

        Raises:
            UnknownDocument: The archive does not have one of them.
        """
        await self._archive.rewrite(study, coercion)
        at, uid = self._clock.now(), str(study.study_instance_uid)
        each_alone = [
            replace(study, patient=coercion.patient, series=(replace(series, instances=(instance,)),))
            for series, instance in study.instances()
        ]
        for start in range(0, len(each_alone), BATCH_INSTANCES):
            told: list[tuple[Study, bytes]] = []
            async with self._store.view() as work:
                for alone in each_alone[start : start + BATCH_INSTANCES]:
                    ((series, instance),) = alone.instances()
                    named = work.studies.metadata(
                        uid, series.series_instance_uid, instance.sop_instance_uid, everything=True
                    )
                    told += [(alone, metadata) async for metadata in named]
            arrived = await self._compute.run(partial(_renamed, told, coercion, at))
            async with self._store.unit() as work:
                await work.studies.add(arrived, coercion.patient, coercion.source, at, Origin.KNOWN)


def _renamed(told: Sequence[tuple[Study, bytes]], coercion: Coercion, at: datetime) -> list[ArrivedInstance]:
    return [
        ArrivedInstance(
            study=study,
            metadata=recoerced_json(
                metadata, patient=coercion.patient, accession=coercion.accession_number, source=coercion.source,
                system=coercion.system, at=at,
            ),
        )
        for study, metadata in told
    ]  # fmt: skip
