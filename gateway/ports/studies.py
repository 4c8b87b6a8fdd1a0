"""Studies: the index of what the archive has or will have. One row, many faces: ImagingStudy, QIDO, manifest, desk."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.study import StudyPage, StudyRecord, StudyStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedInstance:
    """An instance that is durable in the archive: `study` holds one series with one instance, as its header said.

    `metadata` is its DICOM JSON (one object, without bulk data), rendered once on arrival.
    """

    study: Study
    metadata: bytes


class Studies(Protocol):
    """The index. Adding is idempotent: the same instance twice is there once."""

    async def expect(self, study: Study, source: str, at: datetime) -> None:
        """A manifest named these instances; they are on their way. Creates the study as REGISTERED if it is new."""
        ...

    async def add(self, arrived: Sequence[ArrivedInstance], patient: Patient, source: str, at: datetime) -> None:
        """Instances are here. Study and series attributes are merged, the study belongs to `patient`.

        Raises:
            IdentityConflict: The study is there already for another patient.
        """
        ...

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        ...

    async def get(self, study_instance_uid: str) -> StudyRecord | None:
        """The study with all series and those instances that are here. None: no such study."""
        ...

    async def expected(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs that a manifest named and that have not arrived."""
        ...

    async def search(self, criteria: StudyCriteria, count: bool = True) -> StudyPage:
        """A page of studies with their series, without instances."""
        ...

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        ...

    def metadata(
        self, study_instance_uid: str, series_instance_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order."""
        ...

    async def merge(self, subsumed: PatientIdentifier, surviving: Patient, at: datetime) -> Sequence[str]:
        """Studies of one patient now belong to another; answers their UIDs."""
        ...

    async def refresh(self, patient: Patient, at: datetime) -> Sequence[str]:
        """A patient's demographics changed: every study of theirs shows the new ones; answers their UIDs."""
        ...

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` for a study that was never settled."""
        ...
