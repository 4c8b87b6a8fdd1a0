"""Exchange: one turn as an actor sees it. Who asks, what time it is, and the unit of work that ends with the reply."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.model.job import ExchangeJob, Kind
from gateway.model.peer import Caller, Peer
from gateway.ports.store import Store, Work
from profiles.errors import AccessDenied, ExchangeError, PeerError, PeerUnavailable
from profiles.findings import Finding
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import StudyFact, User


@dataclass(slots=True, kw_only=True)
class Learned:
    """What the actor found out on the way, for audit and timeline. Texts are for operators: no patient data."""

    patients: tuple[PatientIdentifier, ...] = ()
    studies: tuple[StudyFact, ...] = ()
    created: bool | None = None
    text: str = ""
    why: str = ""
    cure: str = ""
    partial: bool = False
    failed: bool = False  # answered in full, and the answer is that nothing could be done
    warnings: tuple[Finding, ...] = ()


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One turn.

    `id` is the exchange that the step will be noted on: a new one of kind ASK, unless the actor opens a job of its own
    under this id (`job`), or says that the turn belongs to an older exchange (`id = ...`).
    """

    id: str
    caller: Caller
    now: datetime
    begin: Callable[[], Awaitable[Work]]
    """Open the unit of work that turn will commit; the same one every time. From here on: no peer, no archive."""

    user: User | None = None
    findings: tuple[Finding, ...] = ()
    learned: Learned = field(default_factory=Learned)
    staged: list[str] = field(default_factory=list)  # files that are nobody's if the turn comes to nothing
    job: ExchangeJob | None = None
    kind: Kind = Kind.ASK

    @property
    def peer(self) -> Peer | None:
        """The organisation that asks, if we know it."""
        return self.caller.peer


def outward(error: ExchangeError) -> ExchangeError:
    """What those who ask us are told of an error: of the systems behind us, only that one of them failed.

    The timeline has it whole: which host, why, and what helps.
    """
    if not isinstance(error, PeerError):
        return error
    told = PeerUnavailable("a system that this house depends on did not answer as it should", location=error.location)
    told.temporary = error.temporary
    return told


async def about_its_own_patient(patient: PatientIdentifier, exchange: Exchange, store: Store) -> None:
    """An assertion for one patient lets nothing leave this house of another: what is there cannot be taken back.

    Raises:
        AccessDenied: It is another, by every id that we know.
    """
    assertion = exchange.caller.assertion
    if assertion is None or assertion.patient in ("", str(patient)):
        return
    async with store.view() as work:
        known = await work.identity.get(patient)
    if known is None or assertion.patient not in map(str, known.identifiers):
        raise AccessDenied(
            "the assertion is about another patient",
            cure="The person asks with an assertion for this patient, or for none",
        )
