"""Overlays: what a merge laid over the heads of an archive that is not ours to rewrite.

One small file a study, durable before `add` comes back, read once and remembered. In it is every coercion with its time, so
that a head that passes through reads the same each time.
"""

import os
import uuid
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from gateway.adapters.durable import Folders, Sync, create, remove, sync_folder, translated, write_all
from gateway.ports.archive import Coercion
from gateway.ports.compute import Compute
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex

Overlay: TypeAlias = tuple[tuple[Coercion, datetime], ...]
"""Coercions and when they were asked for, the oldest first; empty: the archive's heads are served as they are."""

_NAME: Final = ("family", "given", "middle", "prefix", "suffix", "ideographic", "phonetic")
_REMEMBERED: Final = 10_000


class Overlays:
    """Overlays by study, in a folder of their own."""

    def __init__(self, folder: Path, compute: Compute, *, sync: Sync = os.fsync) -> None:
        self._folder = folder
        self._compute = compute
        self._sync = sync
        Folders(sync).make(folder)
        self._seen: dict[str, Overlay] = {}

    async def of(self, study_instance_uid: str) -> Overlay:
        """What is laid over a study."""
        if study_instance_uid not in self._seen:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            try:
                self._seen[study_instance_uid] = await self._compute.run(partial(self._read, study_instance_uid))
            except OSError as error:
                raise translated(error) from error
        return self._seen[study_instance_uid]

    async def add(self, study_instance_uid: str, coercion: Coercion, at: datetime) -> None:
        """Lay one more over it; the same one as the last is not laid twice."""
        before = await self.of(study_instance_uid)
        if before and before[-1][0] == coercion:
            return
        after = (*before, (coercion, at))
        try:
            await self._compute.run(partial(self._write, study_instance_uid, after))
        except OSError as error:
            raise translated(error) from error
        self._seen[study_instance_uid] = after

    async def clear(self, study_instance_uid: str) -> None:
        """Lay nothing over it any more."""
        if not await self.of(study_instance_uid):
            return
        try:
            await self._compute.run(partial(self._remove, study_instance_uid))
        except OSError as error:
            raise translated(error) from error
        self._seen[study_instance_uid] = ()

    def _remove(self, study_instance_uid: str) -> None:
        remove(self._path(study_instance_uid))
        sync_folder(self._folder, self._sync)

    def _path(self, study_instance_uid: str) -> Path:
        return self._folder / f"{sha256(study_instance_uid.encode('ascii', 'replace')).hexdigest()[:32]}.json"

    def _read(self, study_instance_uid: str) -> Overlay:
        try:
            body = self._path(study_instance_uid).read_bytes()
        except FileNotFoundError:
            return ()
        return tuple((_coercion(each), datetime.fromisoformat(each["at"])) for each in orjson.loads(body))

    def _write(self, study_instance_uid: str, overlay: Overlay) -> None:
        path = self._path(study_instance_uid)
        half = self._folder / f"{uuid.uuid4().hex}.half"
        descriptor = create(half)
        try:
            write_all(descriptor, (orjson.dumps([_written(each, at) for each, at in overlay]),))
            self._sync(descriptor)
            half.replace(path)
        except BaseException:
            remove(half)
            raise
        finally:
            os.close(descriptor)
        sync_folder(self._folder, self._sync)


def _written(coercion: Coercion, at: datetime) -> dict[str, Any]:
    patient, number = coercion.patient, coercion.accession_number
    return {
        "at": at.isoformat(),
        "source": coercion.source,
        "system": coercion.system,
        "accession": [number.value, number.authority] if number is not None else None,
        "identifiers": [[each.value, str(each.authority)] for each in patient.identifiers],
        "name": [getattr(patient.name, each) for each in _NAME],
        "birth_date": patient.birth_date.dtm if patient.birth_date is not None else None,
        "sex": patient.sex.value,
    }


def _coercion(written: dict[str, Any]) -> Coercion:
    born, number = written["birth_date"], written["accession"]
    return Coercion(
        patient=Patient(
            identifiers=tuple(
                PatientIdentifier(value=value, authority=Oid(authority)) for value, authority in written["identifiers"]
            ),
            name=PersonName(**dict(zip(_NAME, written["name"], strict=True))),
            birth_date=Moment.from_dtm(born) if born is not None else None,
            sex=Sex(written["sex"]),
        ),
        source=written["source"],
        system=written["system"],
        accession_number=AccessionNumber(value=number[0], authority=Oid(number[1]) if number[1] else None)
        if number is not None
        else None,
    )
