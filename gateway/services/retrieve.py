"""Retrieve: plan, then pour. Which instances or documents can be had, their true status first, then their bytes.

Used by RAD-69, ITI-43 and WADO-RS alike: what differs is how the request names things and how the answer is written.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.model.cure import cure_of
from gateway.model.house import House, Repository
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.archive import Archive, Plan, Wanted
from gateway.ports.store import Store
from gateway.services.demand import Demand, Made
from gateway.services.exchange import Exchange, outward
from gateway.services.ingest import study_fact
from profiles.errors import ExchangeError, UnknownDocument, UnknownRepository
from profiles.model.content import Content, Part, Pour
from profiles.model.document import AvailabilityStatus
from profiles.xds.iti43 import DocumentRequest

VISIBLE = frozenset({StudyStatus.AVAILABLE, StudyStatus.REGISTERED})
"""Studies that others may see: a held one (UNKNOWN) does not exist for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRequest:
    """An instance as a peer names it; series and repository where the wire has them."""

    study_instance_uid: str
    sop_instance_uid: str
    series_instance_uid: str | None = None
    repository_unique_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What can be poured, in the archive's order, and why the rest cannot, by SOP Instance UID."""

    plan: Plan
    failed: Mapping[str, ExchangeError]
    records: tuple[StudyRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocuments:
    """Documents by the uniqueId that was asked for: what can be had, why the rest cannot, and those that were just made."""

    found: Mapping[str, Content]
    failed: Mapping[str, ExchangeError]
    made: Mapping[str, Made]


@dataclass(slots=True)
class _Looked:
    wanted: list[Wanted] = field(default_factory=list)
    failed: dict[str, ExchangeError] = field(default_factory=dict)
    records: list[StudyRecord] = field(default_factory=list)


class Retrieve:
    """What others fetch from us."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        archive: Archive,
        demand: Demand | None = None,
        repositories: Sequence[Repository] | None = None,
    ) -> None:
        """Stand on the ports.

        Args:
            house: Who we are.
            store: What is known.
            archive: Where instances are.
            demand: Who makes documents of on-demand entries. None: there are no such entries.
            repositories: Whose documents are handed out; None: those of the house's own.
        """
        self._house = house
        served = (house.own,) if repositories is None else repositories
        self._repositories = {str(each.unique_id): each for each in served}
        self._store = store
        self._archive = archive
        self._demand = demand

    async def instances(
        self,
        requests: Sequence[InstanceRequest],
        transfer_syntaxes: frozenset[str] | None,
        exchange: Exchange,
        *,
        foreign_repository: bool = False,
    ) -> Planned:
        """Plan what was asked for by name; the same instance twice is planned once.

        An instance must be in the series and study that the request names (RAD TF-2 4.69; RAD69-019).
        `foreign_repository` is the peer's tolerance: take another's repository id for an instance that is ours.
        """
        by_study: dict[str, dict[str, InstanceRequest]] = {}
        for request in requests:
            by_study.setdefault(request.study_instance_uid, {})[request.sop_instance_uid] = request
        looked = _Looked()
        async with self._store.view() as work:
            for uid, named in by_study.items():
                record = await work.studies.get(uid)
                if record is not None and record.status in VISIBLE:
                    looked.records.append(record)
                self._look(record, named, looked, foreign_repository=foreign_repository)
        plan = await self._archive.plan(looked.wanted, transfer_syntaxes)
        planned = Planned(plan=plan, failed={**looked.failed, **plan.missing}, records=tuple(looked.records))
        self._learn(planned, exchange)
        return replace(planned, failed={uid: outward(error) for uid, error in planned.failed.items()})

    def _look(
        self,
        record: StudyRecord | None,
        named: Mapping[str, InstanceRequest],
        looked: _Looked,
        *,
        foreign_repository: bool,
    ) -> None:
        here = {}
        if record is not None and record.status in VISIBLE:
            here = {str(each.sop_instance_uid): (series, each) for series, each in record.study.instances()}
        for uid, request in named.items():
            repository = request.repository_unique_id
            if repository is not None and repository != self._house.retrieve_location_uid and not foreign_repository:
                looked.failed[uid] = UnknownRepository(
                    "this repository id is not ours", location=uid,
                    cure="RAD-69 names the Retrieve Location UID that the manifest gives",
                )  # fmt: skip
                continue
            found = here.get(uid)
            if found is None or request.series_instance_uid not in (None, found[0].series_instance_uid):
                looked.failed[uid] = UnknownDocument("no such instance in the series that was named", location=uid)
                continue
            series, instance = found
            looked.wanted.append(
                Wanted(
                    study_instance_uid=request.study_instance_uid,
                    series_instance_uid=series.series_instance_uid,
                    instance=instance,
                )
            )

    async def study(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None,
        sop_instance_uid: str | None,
        transfer_syntaxes: frozenset[str] | None,
        exchange: Exchange,
    ) -> Planned:
        """Plan a study, a series or one instance (WADO-RS).

        Raises:
            UnknownDocument: There is none.
        """
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
        if record is None or record.status not in VISIBLE:
            raise UnknownDocument("no such study", location=f"/studies/{study_instance_uid}")
        wanted = [
            Wanted(
                study_instance_uid=study_instance_uid, series_instance_uid=series.series_instance_uid, instance=instance
            )
            for series, instance in record.study.instances()
            if series_instance_uid in (None, series.series_instance_uid)
            and sop_instance_uid in (None, instance.sop_instance_uid)
        ]
        if not wanted:
            raise UnknownDocument("no such series or instance in this study", location=f"/studies/{study_instance_uid}")
        plan = await self._archive.plan(wanted, transfer_syntaxes)
        planned = Planned(plan=plan, failed=plan.missing, records=(record,))
        self._learn(planned, exchange)
        return replace(planned, failed={uid: outward(error) for uid, error in planned.failed.items()})

    def pour(self, planned: Planned) -> Pour:
        """All that was planned."""
        return self._archive.pour(planned.plan)

    async def documents(self, requests: Sequence[DocumentRequest], exchange: Exchange) -> FoundDocuments:
        """Documents by repositoryUniqueId and uniqueId: what can be had and what cannot.

        A home is looked at where it is one of ours: a repository has one. Any other is the sender's own business.

        Source: ITI TF-2 3.43.4.2.3.
        """
        found: dict[str, Content] = {}
        failed: dict[str, ExchangeError] = {}
        made: dict[str, Made] = {}
        patients = {}
        for request in requests:
            unique_id = request.document_unique_id
            if self._demand is None or self._asked(request) != self._house.own:
                continue
            if (document := await self._demand.made(unique_id)) is not None:
                found[unique_id], made[unique_id] = document.content, document
                patients[document.patient_id] = True
        async with self._store.view() as work:
            for request in requests:
                unique_id, asked = request.document_unique_id, self._asked(request)
                if asked is None:
                    failed[unique_id] = UnknownRepository("this repository id is not ours", location=unique_id)
                    continue
                if unique_id in made:
                    continue
                content = await work.documents.open(unique_id)
                entries = [
                    each
                    for each in await work.registry.entries(unique_id)
                    if each.availability_status is not AvailabilityStatus.PENDING
                    and self._house.repository_of(each.repository_unique_id) == asked
                ]
                known = [each.patient_id for each in entries]
                if content is not None and asked == self._house.own:
                    known += await work.registrations.of_document(unique_id)
                if content is None or not known:
                    failed[unique_id] = UnknownDocument("no such document in this repository", location=unique_id)
                    continue
                found[unique_id] = content
                patients[known[0]] = True
        exchange.learned.patients = tuple(patients)
        exchange.learned.partial = bool(found and failed)
        exchange.learned.failed = not found
        if failed:
            first = next(iter(failed.values()))
            exchange.learned.why, exchange.learned.cure = first.detail, cure_of(first)
        elif unkept := next((each for each in made.values() if each.why), None):
            exchange.learned.why, exchange.learned.cure = unkept.why, unkept.cure
        exchange.learned.text = f"{len(found)} of {len(found) + len(failed)} document(s) handed out"
        if kept := sum(bool(each.repository_unique_id) for each in made.values()):
            exchange.learned.text += f", {kept} made on demand and kept"
        return FoundDocuments(found=found, failed=failed, made=made)

    def _asked(self, request: DocumentRequest) -> Repository | None:
        """Which repository of those that are served here is asked; None: none of them."""
        found, home = self._repositories.get(request.repository_unique_id), request.home_community_id
        elsewhere = found is not None and home in self._house.homes and home != found.home_community_id
        return None if elsewhere else found

    def _learn(self, planned: Planned, exchange: Exchange) -> None:
        exchange.learned.studies = tuple(study_fact([record.study], record.study.patient) for record in planned.records)
        exchange.learned.patients = tuple(
            dict.fromkeys(record.study.patient.identifiers[0] for record in planned.records)
        )
        there, asked = len(planned.plan.available), len(planned.plan.available) + len(planned.failed)
        exchange.learned.partial = 0 < there < asked
        exchange.learned.failed = not there
        exchange.learned.text = f"{there} of {asked} instances handed out"
        if planned.failed:
            first = next(iter(planned.failed.values()))
            exchange.learned.why, exchange.learned.cure = first.detail, cure_of(first)


async def pour_of(contents: Mapping[str, Content]) -> AsyncIterator[Part]:
    """Documents one after another, keyed as the mapping is."""
    for key, content in contents.items():
        yield Part(key=key, media_type=content.media_type, size_bytes=content.size_bytes, chunks=content.open())
