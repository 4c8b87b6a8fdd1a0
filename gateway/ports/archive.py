"""Archive: where pixels live. Plan, then pour.

Bytes are kept as received. Coercion is a rewritten head beside the untouched rest; what is served is the coerced view,
unless the original is asked for.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.ports.studies import ArrivedInstance
from profiles.errors import ExchangeError
from profiles.model.content import Part, Pour
from profiles.model.identifiers import AccessionNumber
from profiles.model.imaging import Instance, Study
from profiles.model.patient import Patient
from profiles.wire.dicom.part10 import Part10Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercion:
    """What of a header is to read as ours: the patient, and the accession number if we have one of our own.

    `source` goes to Source of Previous Values, `system` to Modifying System (0400,0563).

    Source: DICOM PS3.3 C.12.1.1.9 (Original Attributes Sequence).
    """

    patient: Patient
    source: str
    system: str
    accession_number: AccessionNumber | None = None


class Stored(StrEnum):
    """What became of one instance."""

    NEW = "new"
    SAME = "same"  # we had it, byte for byte but for the file meta
    REFUSED = "refused"  # `error` says why; nothing was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutcome:
    """One instance of a pour, durable when this is handed out. `arrived` is None only when REFUSED.

    `key` is that of the part. `sop_class_uid` and `sop_instance_uid` are "" when the part could not be read so far.
    """

    key: str
    stored: Stored
    arrived: ArrivedInstance | None = None
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    error: ExchangeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An instance that is asked for, where the index says it is."""

    study_instance_uid: str
    series_instance_uid: str
    instance: Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInstance:
    """An instance that can be had, in this transfer syntax; `size_bytes` as it will be sent, None if not known."""

    wanted: Wanted
    transfer_syntax_uid: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What can be had (in the archive's own order) and what cannot, by SOP Instance UID, with the reason."""

    available: tuple[PlannedInstance, ...]
    missing: Mapping[str, ExchangeError]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPart(Part):
    """A part whose header somebody looked at: `reader` has had the first `reader.size_bytes` of what `chunks` give."""

    reader: Part10Reader


class Archive(Protocol):
    """The place."""

    def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in; an outcome comes when the instance is durable, not necessarily in the parts' order.

        The header of an `OpenedPart` need not be read again.

        A part whose bytes stop early or are not DICOM is REFUSED with MalformedMessage; the rest goes on. An instance
        that we have with other content is REFUSED with Duplicate; nothing is overwritten.

        Raises:
            OutOfResources: The disk is full.
            PeerUnavailable: The archive does not answer.
        """
        ...

    async def plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> Plan:
        """What of it can be had in one of these syntaxes. None: any, as stored. An empty set: nothing can."""
        ...

    def pour(self, plan: Plan, *, original: bool = False) -> Pour:
        """All that was planned as Part 10 files, keyed by SOP Instance UID, one pass. Breaks by raising."""
        ...

    async def frames(self, wanted: Wanted, numbers: Sequence[int]) -> Pour:
        """Pixel data of single frames (1-based) as stored, keyed by frame number; media type with transfer syntax.

        Raises:
            UnknownDocument: No such frame.
        """
        ...

    async def rewrite(self, study: Study, coercion: Coercion) -> None:
        """A merge or correction: give every instance of the study a new coerced head."""
        ...

    async def clear(self) -> None:
        """At start-up, before anything is stored: remove half files."""
        ...

    async def orphans(self, known: AsyncIterator[str]) -> Sequence[str]:
        """SOP Instance UIDs that are here and not in `known`.

        The archive may be at work meanwhile: what was stored since it was opened is not judged.
        """
        ...

    async def ready(self) -> str:
        """Why it cannot be used; empty when it can."""
        ...
