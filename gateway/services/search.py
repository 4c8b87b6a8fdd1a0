"""Search: one index, asked from any side. Held studies and held documents do not exist for those who ask from outside."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.model.study import StudyPage, StudyRecord, StudyStatus
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from gateway.services.ingest import study_fact
from profiles.errors import UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria

VISIBLE = tuple(status.value for status in StudyStatus if status is not StudyStatus.UNKNOWN)


class Search:
    """What others may find here."""

    def __init__(self, *, store: Store, notice: Callable[[], str] = str) -> None:
        """`notice` is what every search has to say of the index, such as that it is not complete yet."""
        self._store = store
        self._notice = notice

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that go with every answer to a search."""
        notice = self._notice()
        return (notice,) if notice else ()

    async def studies(
        self, criteria: StudyCriteria, exchange: Exchange, *, count: bool = True, instances: bool = False
    ) -> StudyPage:
        """A page of studies; `instances`: with every instance of each, else with their series only."""
        asked = tuple(status for status in criteria.statuses if status in VISIBLE) if criteria.statuses else VISIBLE
        if not asked:
            return StudyPage(total=0)
        async with self._store.view() as work:
            page = await work.studies.search(replace(criteria, statuses=asked), count)
            if instances:
                whole = [await work.studies.get(record.study.study_instance_uid) for record in page.records]
                page = replace(page, records=tuple(record for record in whole if record is not None))
        self._learn(page.records, exchange)
        exchange.learned.text = f"{len(page.records)} studies found"
        return page

    async def study(self, study_instance_uid: str, exchange: Exchange) -> StudyRecord:
        """One study with its instances.

        Raises:
            UnknownDocument: There is none that may be seen.
        """
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
        if record is None or record.status is StudyStatus.UNKNOWN:
            raise UnknownDocument("no such study", location=study_instance_uid)
        self._learn((record,), exchange)
        return record

    async def metadata(
        self, study_instance_uid: str, series_instance_uid: str | None, sop_instance_uid: str | None, exchange: Exchange
    ) -> list[bytes]:
        """Stored DICOM JSON objects of a study, a series or an instance.

        Raises:
            UnknownDocument: There are none.
        """
        await self.study(study_instance_uid, exchange)
        async with self._store.view() as work:
            found = [
                each async for each in work.studies.metadata(study_instance_uid, series_instance_uid, sop_instance_uid)
            ]
        if not found:
            raise UnknownDocument("no such series or instance in this study", location=study_instance_uid)
        return found

    async def patient(self, identifier: PatientIdentifier, exchange: Exchange) -> Patient:
        """Who is known by this id; a merged-away one answers with whom it became.

        Raises:
            UnknownDocument: Nobody.
        """
        async with self._store.view() as work:
            patient = await work.identity.get(identifier)
            became = await work.identity.subsumed(identifier) if patient is None else None
        if patient is None and became is None:
            raise UnknownDocument("no such patient")
        exchange.learned.patients = (identifier,)
        if patient is None:
            return Patient(identifiers=(identifier,), active=False, replaced_by=became)
        return patient

    async def patients(self, identifiers: Sequence[tuple[str, str | None]], exchange: Exchange) -> tuple[Patient, ...]:
        """Everybody who has one of these ids (value, authority or None for any), nobody twice."""
        found: dict[PatientIdentifier, Patient] = {}
        async with self._store.view() as work:
            for value, authority in identifiers:
                for patient in await work.identity.search(value):
                    if any(each.value == value and authority in (None, each.authority) for each in patient.identifiers):
                        found[patient.identifiers[0]] = patient
        exchange.learned.patients = tuple(found)
        exchange.learned.text = f"{len(found)} patients found"
        return tuple(found.values())

    def _learn(self, records: Sequence[StudyRecord], exchange: Exchange) -> None:
        exchange.learned.patients = tuple(dict.fromkeys(record.study.patient.identifiers[0] for record in records))
        exchange.learned.studies = tuple(study_fact([record.study], record.study.patient) for record in records)
