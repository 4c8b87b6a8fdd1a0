"""The index of studies in memory: what is here, what is on its way and what is withdrawn."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.adapters.memory.state import Hidden, Reader
from gateway.adapters.patterns import Pattern, folded, folded_name, name_groups
from gateway.adapters.registry_rules import one_of
from gateway.adapters.stored import interval, micros
from gateway.adapters.studies_rules import (
    check_patient,
    compares,
    corrected_study,
    merged_series,
    merged_study,
    place_after,
    shown_order,
    started_order,
)
from gateway.model.study import StudyPage, StudyRecord, StudyStatus, Withdrawn
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.errors import UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Instance, Series, Study
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria


class MemoryStudies:
    """`Studies` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def expect(self, study: Study, source: str, at: datetime, chains: Sequence[str] = ()) -> int:
        """A manifest named these instances; they are on their way."""
        state, uid = self._reader.change(), study.study_instance_uid
        there = state.studies.get(uid)
        if there is not None:
            check_patient(there.study, study.patient)
        here = self._here(uid)
        awaited = dict(state.expected.get(uid, {}))
        shown: dict[_Place, bytes] = {}
        series: list[Series] = []
        first = chains[0] if chains else ""
        for each in study.series:
            self._unveil(uid, each)
            again: list[Instance] = []
            for instance in each.instances:
                sop = str(instance.sop_instance_uid)
                if sop in here:
                    continue
                gone = [place for place in state.withdrawn if (place[0], place[2]) == (uid, sop)]
                for place in gone:
                    self._unveil(uid, state.withdrawn_series.get(place[:2], each))
                    hidden = state.withdrawn.pop(place)
                    shown[place] = hidden.metadata
                    state.chains[place] = hidden.chain if hidden.chain in chains else first
                    again.append(hidden.instance)
                if not gone:
                    series_uid, chain = awaited.get(sop, (each.series_instance_uid, first))
                    awaited[sop] = (series_uid, chain if chain in chains else "")
            series.append(replace(each, instances=tuple(again)))
        for place in state.chains.keys() & state.metadata.keys():
            if place[0] == uid and any(place[2] == one.sop_instance_uid for _, one in study.instances()):
                state.chains[place] = state.chains[place] if state.chains[place] in chains else ""
        if there is not None and there.status is StudyStatus.CANCELLED and study.instance_count:
            state.studies[uid] = replace(there, status=StudyStatus.REGISTERED)
        changed = there is not None and state.studies[uid] != there
        self._learn(
            replace(study, series=tuple(series)), study.patient, source, at, StudyStatus.REGISTERED, shown,
            changed=changed,
        )  # fmt: skip
        state.expected[uid] = awaited
        state.study_chains[uid] = state.study_chains.get(uid, frozenset()) | frozenset(chains)
        return len(shown)

    async def withdraw(
        self, chains: Sequence[str], named: Sequence[Study], manifest: str, at: datetime
    ) -> Mapping[str, int]:
        """Hide what these chains alone brought and `named` does not name."""
        state = self._reader.change()
        kept = {(each.study_instance_uid, one.sop_instance_uid) for each in named for _, one in each.instances()}
        hidden: dict[str, int] = {}
        for uid, known in sorted(state.study_chains.items()):
            there = state.studies.get(uid)
            if there is None or known.isdisjoint(chains):
                continue
            instances = {
                (uid, series.series_instance_uid, one.sop_instance_uid): one for series, one in there.study.instances()
            }
            going = [place for place in instances if state.chains.get(place) in chains and (uid, place[2]) not in kept]
            awaited = state.expected.get(uid, {})
            dropped = {sop: told for sop, told in awaited.items() if told[1] in chains and (uid, sop) not in kept}
            if not going and not dropped:
                continue
            for place in going:
                state.withdrawn[place] = Hidden(
                    instance=instances.pop(place), metadata=state.metadata.pop(place), chain=state.chains.pop(place),
                    manifest=manifest, at=at,
                )  # fmt: skip
            state.expected[uid] = still = {sop: told for sop, told in awaited.items() if sop not in dropped}
            touched = {place[1] for place in going} | {series for series, _ in dropped.values()}
            empty = touched - {place[1] for place in instances} - {series for series, _ in still.values()}
            series = []
            for each in there.study.series:
                left = tuple(
                    one for one in each.instances if (uid, each.series_instance_uid, one.sop_instance_uid) in instances
                )
                if each.series_instance_uid in empty:
                    state.withdrawn_series[uid, each.series_instance_uid] = replace(each, instances=())
                else:
                    series.append(replace(each, instances=left))
            status = there.status
            if status is not StudyStatus.UNKNOWN and not instances:
                status = StudyStatus.REGISTERED if still else StudyStatus.CANCELLED
            state.studies[uid] = replace(
                there, study=replace(there.study, series=tuple(series)), status=status, updated_at=at,
                version=there.version + 1,
            )  # fmt: skip
            hidden[uid] = len(going)
        return hidden

    async def lose(self, study_instance_uid: str, sop_instance_uids: Collection[str], at: datetime) -> int:
        """These are in the archive no more."""
        state, uid, lost = self._reader.change(), study_instance_uid, frozenset(map(str, sop_instance_uids))
        there = state.studies.get(uid)
        if there is None:
            return 0
        for place in [each for each in state.withdrawn if each[0] == uid and each[2] in lost]:
            del state.withdrawn[place]
        going = {
            (uid, series.series_instance_uid, one.sop_instance_uid)
            for series, one in there.study.instances()
            if one.sop_instance_uid in lost
        }
        if not going:
            return 0
        for place in going:
            del state.metadata[place]
            state.chains.pop(place, None)
        awaited = {series for series, _ in state.expected.get(uid, {}).values()}
        series, left = [], 0
        for each in there.study.series:
            own = each.series_instance_uid
            stay = tuple(one for one in each.instances if (uid, own, one.sop_instance_uid) not in going)
            left += len(stay)
            if not stay and own not in awaited and any(place[1] == own for place in going):
                state.withdrawn_series[uid, own] = replace(each, instances=())
            else:
                series.append(replace(each, instances=stay))
        status = there.status
        if status is not StudyStatus.UNKNOWN and not left:
            status = StudyStatus.REGISTERED if awaited else StudyStatus.CANCELLED
        state.studies[uid] = replace(
            there, study=replace(there.study, series=tuple(series)), status=status, updated_at=at,
            version=there.version + 1,
        )  # fmt: skip
        return len(going)

    async def withdrawn(self, study_instance_uid: str) -> Sequence[Withdrawn]:
        """What of a study is kept and hidden."""
        return [
            Withdrawn(series_instance_uid=series, sop_instance_uid=sop, manifest=each.manifest, at=each.at)
            for (uid, series, sop), each in sorted(self._reader.state.withdrawn.items())
            if uid == study_instance_uid
        ]

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
        """Instances are here."""
        state = self._reader.change()
        by_study: dict[str, list[ArrivedInstance]] = {}
        for each in arrived:
            by_study.setdefault(each.study.study_instance_uid, []).append(each)
        for uid, of_study in by_study.items():
            there = state.studies.get(uid)
            if there is not None and not anew:
                check_patient(there.study, patient)
            study = replace(of_study[0].study, series=())
            seen: dict[_Place, bytes] = {}
            came = False
            for each in of_study:
                for series, instance in each.study.instances():
                    place = (uid, series.series_instance_uid, instance.sop_instance_uid)
                    fresh = place not in state.metadata and place not in seen
                    if fresh and self._stays_hidden(place, origin):
                        self._hide(place, series, instance, each.metadata, at)
                        bare = replace(series, instances=())
                        hidden_series = place[:2] in state.withdrawn_series
                        study = _both(study, replace(each.study, series=() if hidden_series else (bare,)))
                        continue
                    if fresh:
                        self._unveil(uid, series)
                        came = True
                        state.chains[place] = self._awaited_by(place)
                        state.withdrawn.pop(place, None)
                    if origin is Origin.PUSHED:
                        state.chains.pop(place, None)
                    seen[place] = each.metadata
                    study = _both(study, replace(each.study, series=(replace(series, instances=(instance,)),)))
            there = state.studies.get(uid)
            if there is not None and came and there.status is StudyStatus.CANCELLED:
                state.studies[uid] = replace(there, status=StudyStatus.AVAILABLE)
            self._learn(study, patient, source, at, StudyStatus.AVAILABLE, seen, anew=anew)
            gone = {sop for _, _, sop in seen}
            state.expected[uid] = {sop: told for sop, told in state.expected.get(uid, {}).items() if sop not in gone}

    def _stays_hidden(self, place: "_Place", origin: Origin) -> bool:
        state = self._reader.state
        awaited = place[2] in state.expected.get(place[0], {})
        return origin is not Origin.PUSHED and (place in state.withdrawn or (origin is Origin.FETCHED and not awaited))

    def _awaited_by(self, place: "_Place") -> str:
        hidden = self._reader.state.withdrawn.get(place)
        awaited = self._reader.state.expected.get(place[0], {}).get(place[2], ("", ""))
        return hidden.chain if hidden is not None else awaited[1]

    def _hide(self, place: "_Place", series: Series, instance: Instance, metadata: bytes, at: datetime) -> None:
        """Keep it hidden, its series too if that is not to be seen."""
        state = self._reader.change()
        before = state.withdrawn.get(place) or Hidden(
            instance=instance, metadata=metadata, chain="", manifest="", at=at
        )
        state.withdrawn[place] = replace(before, instance=instance, metadata=metadata)
        there = state.studies.get(place[0])
        if there is None or all(each.series_instance_uid != place[1] for each in there.study.series):
            bare = replace(series, instances=())
            kept = state.withdrawn_series.get(place[:2])
            state.withdrawn_series[place[:2]] = bare if kept is None else merged_series(kept, bare)

    def _unveil(self, uid: str, series: Series) -> None:
        """A series that was withdrawn is there again, with what was known of it."""
        state = self._reader.change()
        kept = state.withdrawn_series.pop((uid, series.series_instance_uid), None)
        if kept is not None:
            there = state.studies[uid]
            state.studies[uid] = replace(there, study=replace(there.study, series=(*there.study.series, kept)))

    def _learn(
        self,
        learned: Study,
        patient: Patient,
        source: str,
        at: datetime,
        status: StudyStatus,
        metadata: Mapping["_Place", bytes],
        *,
        changed: bool = False,
        anew: bool = False,
    ) -> None:
        state = self._reader.change()
        uid = learned.study_instance_uid
        there = state.studies.get(uid)
        if there is None:
            nothing = replace(learned, patient=patient, series=())
            there = StudyRecord(study=nothing, status=status, updated_at=at, version=0, source=source)
        if not anew:
            check_patient(there.study, patient)
        study = _both(corrected_study(there.study, learned, patient) if anew else there.study, learned)
        changed = changed or any(state.metadata.get(place) != body for place, body in metadata.items())
        state.metadata.update(metadata)
        if study != there.study or changed or there.version == 0:
            there = replace(there, study=study, updated_at=at, version=there.version + 1)
        state.studies[uid] = there

    async def told(self, study_instance_uid: str) -> str:
        """What is remembered of this study."""
        return self._reader.state.told.get(study_instance_uid, "")

    async def remember(self, told: Mapping[str, str]) -> None:
        """Keep what an archive told last."""
        self._reader.change().told.update(told)

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        state = self._reader.change()
        there = state.studies.get(study_instance_uid)
        if there is None:
            raise UnknownDocument("no such study", location=study_instance_uid)
        if there.status is not status:
            changed = replace(there, status=status, updated_at=at, version=there.version + 1)
            state.studies[study_instance_uid] = changed

    async def get(self, study_instance_uid: str, *, everything: bool = False) -> StudyRecord | None:
        """The study with all series and those instances that are here."""
        state = self._reader.state
        record = state.studies.get(study_instance_uid)
        if record is None or not everything:
            return None if record is None else _shown(record)
        study = record.study
        for (uid, _), series in state.withdrawn_series.items():
            if uid == study_instance_uid:
                study = _both(study, replace(study, series=(series,)))
        for (uid, series_uid, _), hidden in state.withdrawn.items():
            if uid == study_instance_uid:
                series = next(each for each in study.series if each.series_instance_uid == series_uid)
                study = _both(study, replace(study, series=(replace(series, instances=(hidden.instance,)),)))
        return _shown(replace(record, study=study))

    async def expected(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs that a manifest named and that have not arrived."""
        return frozenset(self._reader.state.expected.get(study_instance_uid, {}))

    async def search(self, criteria: StudyCriteria, count: bool = True) -> StudyPage:
        """A page of studies with their series, without instances."""
        fitting = [each for each in self._reader.state.studies.values() if study_fits(each, criteria)]
        total = len(fitting) if count else None
        if criteria.limit <= 0:
            return StudyPage(total=total, more=bool(total))
        fitting.sort(key=lambda each: _place(each, criteria.order))
        if criteria.after is not None:
            after = place_after(criteria.after)
            fitting = [each for each in fitting if _place(each, criteria.order) > after]
        fitting = fitting[criteria.offset :]
        page = []
        for each in fitting[: criteria.limit]:
            shown = _shown(each)
            bare = tuple(replace(series, instances=()) for series in shown.study.series)
            page.append(replace(shown, study=replace(shown.study, series=bare)))
        return StudyPage(records=tuple(page), total=total, more=len(fitting) > criteria.limit)

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        found = sorted(place for place in self._reader.state.metadata if place[2] == sop_instance_uid)
        return (found[0][0], found[0][1]) if found else None

    async def metadata(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        everything: bool = False,
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order."""
        state = self._reader.state
        record = await self.get(study_instance_uid, everything=everything)
        if record is None:
            return
        for series, instance in record.study.instances():
            if series_instance_uid in {None, series.series_instance_uid} and sop_instance_uid in {
                None,
                instance.sop_instance_uid,
            }:
                place = (study_instance_uid, series.series_instance_uid, instance.sop_instance_uid)
                yield state.metadata[place] if place in state.metadata else state.withdrawn[place].metadata

    async def merge(self, subsumed: PatientIdentifier, surviving: Patient, at: datetime) -> Sequence[str]:
        """Studies of one patient now belong to another."""
        return self._give({subsumed}, surviving, at)

    async def refresh(self, patient: Patient, at: datetime) -> Sequence[str]:
        """Every study of theirs shows the new demographics; answers those that showed others."""
        return self._give(set(patient.identifiers), patient, at)

    def _give(self, identifiers: set[PatientIdentifier], patient: Patient, at: datetime) -> Sequence[str]:
        state = self._reader.change()
        given = []
        for uid, there in sorted(state.studies.items()):
            if identifiers.isdisjoint(there.study.patient.identifiers) or there.study.patient == patient:
                continue
            study = replace(there.study, patient=patient)
            state.studies[uid] = replace(there, study=study, updated_at=at, version=there.version + 1)
            given.append(uid)
        return given

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` of a study of which nothing has come."""
        state = self._reader.change()
        state.expected.pop(study_instance_uid, None)
        hidden = any(uid == study_instance_uid for uid, _, _ in state.withdrawn)
        if not self._here(study_instance_uid) and not hidden:
            state.studies.pop(study_instance_uid, None)
            state.study_chains.pop(study_instance_uid, None)

    def _here(self, study_instance_uid: str) -> set[str]:
        return {sop for study, _, sop in self._reader.state.metadata if study == study_instance_uid}


_Place = tuple[str, str, str]
"""Study, Series and SOP Instance UID."""


def _both(there: Study, learned: Study) -> Study:
    """A study with what was learned, series and instances too."""
    series = {each.series_instance_uid: each for each in there.series}
    for each in learned.series:
        before = series.get(each.series_instance_uid)
        if before is None:
            series[each.series_instance_uid] = each
            continue
        instances = {instance.sop_instance_uid: instance for instance in (*before.instances, *each.instances)}
        series[each.series_instance_uid] = replace(merged_series(before, each), instances=tuple(instances.values()))
    return replace(merged_study(there, learned), series=tuple(series.values()))


def _shown(record: StudyRecord) -> StudyRecord:
    def order(instance: Instance) -> tuple[bool, int, str]:
        return (instance.number is None, instance.number or 0, instance.sop_instance_uid)

    series = tuple(
        replace(each, instances=tuple(sorted(each.instances, key=order)))
        for each in sorted(record.study.series, key=shown_order)
    )
    counts = {str(each.series_instance_uid): len(each.instances) for each in series}
    return replace(record, study=replace(record.study, series=series), instance_counts=counts)


def _place(record: StudyRecord, order: str) -> tuple[int, str]:
    value = -micros(record.updated_at) if order == "updated" else started_order(record.study.started)
    return value, record.study.study_instance_uid


def study_fits(record: StudyRecord, asked: StudyCriteria) -> bool:
    """Whether a study is meant: the criteria, read aloud."""
    study = record.study
    updated_at = micros(record.updated_at)
    return (
        one_of(study.study_instance_uid, asked.study_instance_uids)
        and _any_of((each.series_instance_uid for each in study.series), asked.series_instance_uids)
        and _any_of((instance.sop_instance_uid for _, instance in study.instances()), asked.sop_instance_uids)
        and _identified(((each.value, each.authority) for each in study.patient.identifiers), asked.patient_ids)
        and _identified(((each.value, each.authority) for each in study.accession_numbers), asked.accession_numbers)
        and _matches(name_groups(study.patient.name), folded(asked.patient_name).rstrip("^"), asked.patient_name)
        and _matches((study.study_id,), asked.study_id, asked.study_id)
        and _any_of((each.shown_modality for each in study.series), asked.modalities)
        and _matches(
            (folded_name(study.referring_physician),),
            folded(asked.referring_physician).rstrip("^"),
            asked.referring_physician,
        )
        and _matches((folded(study.description),), folded(asked.description), asked.description)
        and all(
            study.started is not None and compares(comparison, interval(moment), interval(study.started))
            for comparison, moment in asked.started
        )
        and all(
            compares(comparison, interval(moment), (updated_at, updated_at + 1)) for comparison, moment in asked.updated
        )
        and one_of(record.status.value, asked.statuses)
    )


def _any_of(values: Iterable[str], alternatives: Sequence[str]) -> bool:
    return not alternatives or any(value in alternatives for value in values)


def _identified(values: Iterable[tuple[str, str | None]], asked: Sequence[tuple[str, str | None]]) -> bool:
    if not asked:
        return True
    there = [(value, authority or "") for value, authority in values]
    return any(
        value == wanted and (by is None or authority == by) for value, authority in there for wanted, by in asked
    )


def _matches(texts: Iterable[str], pattern: str, asked: str) -> bool:
    return not asked or any(Pattern.from_dicom(pattern).fits(text) for text in texts)
