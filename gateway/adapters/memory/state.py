"""Everything that is kept in memory, and the right to change it or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from gateway.model.job import ExchangeJob, Step
from gateway.model.sighting import Sighting
from gateway.model.study import StudyRecord
from gateway.ports.answers import Given, MessageName
from gateway.ports.correlations import Correlation, DeferredQuestion
from gateway.ports.publications import Publication
from gateway.ports.registrations import Registration
from gateway.ports.support import KeptProbe
from profiles.model.audit import AuditRecord
from profiles.model.content import Content
from profiles.model.document import Association, DocumentEntry, Folder, SubmissionSet
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Instance, Series
from profiles.model.patient import IdentityLink, Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """A message as it came."""

    exchange_id: str
    at: datetime
    failed: bool
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """An instance that is kept and hidden; `chain` "": none."""

    instance: Instance
    metadata: bytes
    chain: str
    manifest: str
    at: datetime


@dataclass(slots=True)
class MemoryState:
    """Everything. Values are frozen, so that a copy of the dictionaries is a copy."""

    objects: dict[str, str] = field(default_factory=dict)
    unique_ids: dict[tuple[str, str], tuple[str, int | None]] = field(default_factory=dict)
    entries: dict[str, DocumentEntry] = field(default_factory=dict)  # in the order of registration
    sets: dict[str, SubmissionSet] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    associations: dict[str, Association] = field(default_factory=dict)
    superseded: dict[str, bool] = field(default_factory=dict)  # versions that have a newer one
    studies: dict[str, StudyRecord] = field(default_factory=dict)
    metadata: dict[tuple[str, str, str], bytes] = field(default_factory=dict)  # by study, series and instance UID
    chains: dict[tuple[str, str, str], str] = field(default_factory=dict)  # of those that have one
    expected: dict[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)  # SOP to series and chain
    withdrawn: dict[tuple[str, str, str], Hidden] = field(default_factory=dict)
    withdrawn_series: dict[tuple[str, str], Series] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)  # by study
    study_chains: dict[str, frozenset[str]] = field(default_factory=dict)
    patients: dict[str, Patient] = field(default_factory=dict)
    identifiers: dict[PatientIdentifier, tuple[str, PatientIdentifier | None]] = field(default_factory=dict)
    links: dict[tuple[PatientIdentifier, PatientIdentifier], IdentityLink] = field(default_factory=dict)
    exchanges: dict[str, ExchangeJob] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    documents: dict[str, Content] = field(default_factory=dict)
    raw: dict[str, RawMessage] = field(default_factory=dict)
    answers: dict[MessageName, Given] = field(default_factory=dict)
    publications: dict[tuple[str, str], Publication] = field(default_factory=dict)  # by study and registry
    registrations: dict[str, Registration] = field(default_factory=dict)  # by submission set
    correlations: dict[tuple[PatientIdentifier, Oid], Correlation] = field(default_factory=dict)  # by patient and home
    questions: dict[tuple[PatientIdentifier, Oid], DeferredQuestion] = field(default_factory=dict)  # the same
    probes: dict[tuple[str, str], KeptProbe] = field(default_factory=dict)  # by peer and transaction
    sightings: dict[tuple[str, str, str, str], Sighting] = field(default_factory=dict)
    audit: dict[str, tuple[str, tuple[AuditRecord, ...]]] = field(default_factory=dict)  # by number or intent

    def copy(self) -> "MemoryState":
        """The same, to be changed alone."""
        return MemoryState(**{each.name: dict(getattr(self, each.name)) for each in fields(self)})


class Reader:
    """A state, and the right to change it or not."""

    __slots__ = ("state", "writing")

    def __init__(self, state: MemoryState, *, writing: bool) -> None:
        self.state = state
        self.writing = writing

    def change(self) -> MemoryState:
        """The state, to be written."""
        if not self.writing:
            raise RuntimeError("a view is for reading")
        return self.state
