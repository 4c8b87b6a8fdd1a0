"""Studies: the index of what the archive has or will have. One row, many faces: ImagingStudy, QIDO, manifest, desk."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.model.study import StudyPage, StudyRecord, StudyStatus, Withdrawn
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """A study as an archive lists it, before anybody looks into it.

    `instances` is None where it does not tell how many. `said` is all else that it tells of the study, `updated` when it
    was last written to: texts that are other ones only when what is told is.
    """

    study_instance_uid: str
    patient: Patient
    instances: int | None = None
    said: str = ""
    updated: str = ""


class Origin(StrEnum):
    """Why an instance is here, which says who may withdraw it."""

    PUSHED = "pushed"  # somebody gave it: no manifest withdraws it, and one that was withdrawn is seen again
    FETCHED = "fetched"  # a manifest named it: one that nothing expects any more is kept, and hidden
    KNOWN = "known"  # told of once more (rewritten; found in the archive): seen or hidden as it was


class Studies(Protocol):
    """The index. Adding is idempotent: the same instance twice is there once.

    What is withdrawn is kept and hidden: only `withdrawn`, and `get` and `metadata` that ask for everything, tell of it.
    Manifests that replace one another are a chain, called by the uniqueId of the first of them. An instance belongs to the
    chain that brought it; to none when it was pushed, when two chains name it, or when it came before chains were kept.
    """

    async def expect(self, study: Study, source: str, at: datetime, chains: Sequence[str] = ()) -> int:
        """A manifest named these instances; they are on their way. Creates the study as REGISTERED if it is new.

        `chains` are those that the manifest continues, more than one where it replaces several; none: not known. What was
        withdrawn and is named again is seen again; answers how many. A CANCELLED study is REGISTERED again.
        """
        ...

    async def withdraw(
        self, chains: Sequence[str], named: Sequence[Study], manifest: str, at: datetime
    ) -> Mapping[str, int]:
        """Hide what these chains alone brought and `named` does not name; what they alone announced is not awaited.

        A series of which nothing is left is hidden with its instances. A study of which nothing is left is REGISTERED when
        something of it is awaited, else CANCELLED; one that nobody may see yet (UNKNOWN) stays so.

        Args:
            chains: Whose manifests were replaced.
            named: What the manifests name that took their place.
            manifest: uniqueId of the manifest that took their place.
            at: When.

        Returns:
            How many instances were hidden, by Study Instance UID, for every study that changed.
        """
        ...

    async def lose(self, study_instance_uid: str, sop_instance_uids: Collection[str], at: datetime) -> int:
        """These are in the archive no more, and nothing is kept of them; answers how many of them could be seen.

        A series of which nothing is left is not shown. A study of which nothing is left is REGISTERED when something of it
        is awaited, else CANCELLED; one that nobody may see yet (UNKNOWN) stays so.
        """
        ...

    async def withdrawn(self, study_instance_uid: str) -> Sequence[Withdrawn]:
        """What of a study is kept and hidden, in the order of its UIDs."""
        ...

    async def add(
        self,
        arrived: Sequence[ArrivedInstance],
        patient: Patient,
        source: str,
        at: datetime,
        origin: Origin = Origin.PUSHED,
        *,
        anew: bool = False,
    ) -> None:
        """Instances are here. Study and series attributes are merged, the study belongs to `patient`.

        A CANCELLED study of which an instance is seen again is AVAILABLE. `anew`: what these say of the study and of their
        series stands in the place of what was said before, and the study is `patient`'s, whoever's it was.

        Raises:
            IdentityConflict: The study is there already for another patient.
        """
        ...

    async def told(self, study_instance_uid: str) -> str:
        """What `remember` was given last for this study; "": nothing."""
        ...

    async def remember(self, told: Mapping[str, str]) -> None:
        """Keep a text for each of these studies, by their UIDs: what an archive told of them last."""
        ...

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        ...

    async def get(self, study_instance_uid: str, *, everything: bool = False) -> StudyRecord | None:
        """The study with all series and those instances that are here; `everything`: withdrawn ones too.

        None: no such study.
        """
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
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        everything: bool = False,
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order; `everything`: those of withdrawn ones too."""
        ...

    async def merge(self, subsumed: PatientIdentifier, surviving: Patient, at: datetime) -> Sequence[str]:
        """Studies of one patient now belong to another; answers their UIDs."""
        ...

    async def refresh(self, patient: Patient, at: datetime) -> Sequence[str]:
        """A patient's demographics changed: every study of theirs shows the new ones; answers their UIDs."""
        ...

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` for a study that was never settled; of one of which something has come, nothing is lost."""
        ...
