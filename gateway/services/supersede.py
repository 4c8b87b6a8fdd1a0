"""Supersede: a manifest takes the place of others. What it names is expected; what only they brought is hidden, and kept.

Manifests that replace one another (RPLC) are a chain, called by the uniqueId of the first of them. What a newcomer gets
wrong: who replaces a manifest speaks for it alone. What was pushed to us or is named by a manifest of another chain stays;
and while another entry of the chain is valid (a manifest submitted twice, of which one is replaced), nothing is hidden.

Source: RAD TF-2 4.68 (RAD68-006: a manifest whose instances became unavailable is replaced); ITI TF-3 4.2.2.2 (RPLC).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.job import Event, Kind, State
from gateway.model.study import StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.store import Work
from gateway.services.rules import When, happened
from profiles.model.codes import KOS_SOP_CLASS
from profiles.model.document import AssociationType, AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.imaging import Study
from profiles.model.query import DocumentCriteria, StudyCriteria

HAPPENED = {StudyStatus.CANCELLED: When.GONE, StudyStatus.AVAILABLE: When.CHANGED}
REPLACES = frozenset({AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What an entry continues.

    `begun_by` has the uniqueId of the first document, of several where one replaces several; () where nobody knows the
    entry. `alone`: no other manifest of the chain is valid, so that what this one does not name is gone.
    """

    begun_by: tuple[str, ...] = ()
    replaces: bool = False
    alone: bool = False


@dataclass(slots=True)
class Changed:
    """What became of instances that were here already."""

    shown: int = 0
    hidden: int = 0

    def __bool__(self) -> bool:
        """Whether anything did."""
        return bool(self.shown or self.hidden)

    @property
    def text(self) -> str:
        """Half a sentence for the timeline; "" where nothing did."""
        hidden = f"; {self.hidden} that it does not name any more are hidden" if self.hidden else ""
        return hidden + (f"; {self.shown} that it names again are shown again" if self.shown else "")


async def chain_of(work: Work, entry: DocumentEntry | None, brought: frozenset[str]) -> Chain:
    """What an entry continues; `brought` are the entries that came with it.

    It asks the registry once for each manifest of the chain, one after another.
    """
    if entry is None:
        return Chain()
    replaced: dict[str, set[str]] = {}
    waiting = [entry.entry_uuid]
    while waiting:
        found = await work.registry.associations(waiting)
        for uuid in waiting:
            replaced[uuid] = {each.target for each in found if each.source == uuid and each.type in REPLACES}
        waiting = sorted({target for uuid in waiting for target in replaced[uuid]} - replaced.keys())
    if not replaced[entry.entry_uuid]:
        return Chain(begun_by=(entry.unique_id,))
    members = [
        each
        async for each in work.registry.find(
            DocumentCriteria(
                entry_uuids=tuple(replaced), statuses=tuple(AvailabilityStatus), entry_types=tuple(EntryType)
            )
        )
    ]
    begun_by = tuple(sorted({each.unique_id for each in members if not replaced[each.entry_uuid]}))
    same = tuple(dict.fromkeys(each.unique_id for each in members))
    valid = DocumentCriteria(unique_ids=same, statuses=(AvailabilityStatus.APPROVED,))
    others = [
        each
        async for each in work.registry.find(valid)
        if each.entry_uuid not in brought and each.format_code.value == KOS_SOP_CLASS
    ]
    return Chain(begun_by=begun_by, replaces=True, alone=not others)


async def withdraw(work: Work, chains: Sequence[Chain], named: Sequence[Study], manifest: str, clock: Clock) -> int:
    """Hide what the chains brought and `named` does not name; answers how many instances that were.

    An exchange that waits for what is not awaited any more looks again at once, and finds itself complete. Others are told:
    of the first study that is named by the exchange that brought the manifest, of another by an exchange of its own.
    """
    gone = tuple(dict.fromkeys(uid for each in chains if each.replaces and each.alone for uid in each.begun_by))
    if not gone:
        return 0
    at = clock.now()
    hidden = await work.studies.withdraw(gone, named, manifest, at)
    for uid in hidden:
        waiting = await work.ledger.list(
            kinds=frozenset({Kind.RECEIVE, Kind.COLLECT}), states=frozenset({State.INCOMPLETE}), study_instance_uid=uid
        )
        for job in waiting:
            await work.ledger.advance(
                job.id, Event.TEMPORARY, at, due_at=at, reason="its manifest was replaced by one that names less",
                cure="It looks again by itself",
            )  # fmt: skip
        if all(uid != study.study_instance_uid for study in named[:1]):
            await _tell(work, uid, clock)
    return sum(hidden.values())


async def _tell(work: Work, study_instance_uid: str, clock: Clock) -> None:
    """What others were told of the study is not true any more; of one on its way they are told when it has come."""
    page = await work.studies.search(StudyCriteria(study_instance_uids=(study_instance_uid,), limit=1), count=False)
    for record in page.records:
        if record.status in HAPPENED:
            patient = str(record.study.patient.identifiers[0])
            await happened(work, clock, study_instance_uid, patient, HAPPENED[record.status])
