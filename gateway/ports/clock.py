"""Clock: now, and new ids. The only source of time and randomness; `profiles` takes both as arguments."""

from datetime import datetime
from typing import Protocol

from profiles.model.identifiers import Uid


class Clock(Protocol):
    """Time and ids."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    def new_uid(self) -> Uid:
        """A UID under 2.25, from a random UUID (DICOM PS3.5 B.2)."""
        ...

    def new_uuid(self) -> str:
        """A UUID, version 7: sorts by time; without `urn:uuid:`."""
        ...
