"""Publications: which registry has which entry of a study by us, so that the next one can take its place.

What a newcomer gets wrong: a registry that did not answer may have taken what it was sent. So an entry is offered here
before it is sent, and in force only when its registry said so; what comes next replaces an offered one that the registry
knows, else the one that was in force.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from profiles.model.identifiers import PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The stable document that was kept last of an on-demand entry; `digest` is of all that it says and of what it is."""

    entry_uuid: str
    unique_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What one registry has of one study by us.

    `entry_uuid`, `unique_id` (of the document), `patient_id` and `digest` (of all that was said; the same again says
    nothing new) are those of the entry that it took last; "" and None before it took one. `offered` are entryUUIDs of which
    no answer ever came, the last one first; mostly none.
    """

    study_instance_uid: str
    peer: str  # whose registry; "": our own
    at: datetime
    entry_uuid: str = ""
    unique_id: str = ""
    patient_id: PatientIdentifier | None = None
    digest: str = ""
    in_force: bool = False  # False: not taken yet, or withdrawn since
    offered: tuple[str, ...] = ()
    on_demand: bool = False  # its document is made when it is asked for, and kept nowhere
    snapshot: Snapshot | None = None  # unless it was kept, by option


class Publications(Protocol):
    """One row for each study and registry."""

    async def keep(self, publication: Publication) -> None:
        """Put it in the place of what was known of this study and registry."""
        ...

    async def get(self, study_instance_uid: str, peer: str) -> Publication | None:
        """What this registry has of the study. None: nothing was ever offered to it."""
        ...

    async def on_demand(self, unique_id: str) -> Publication | None:
        """The on-demand entry in force whose document has this uniqueId. None: there is none."""
        ...

    async def counts(self) -> Mapping[tuple[str, bool], int]:
        """Of how many studies each registry has an entry in force, by its name and whether it is on demand."""
        ...

    async def latest(self, limit: int) -> Sequence[Publication]:
        """What was taken, offered or withdrawn last, the last one first."""
        ...

    async def of(self, study_instance_uid: str) -> Sequence[Publication]:
        """What every registry has of the study, in the order of their names."""
        ...
