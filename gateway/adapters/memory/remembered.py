"""What the house remembers of its dealings: answers it gave, ids elsewhere, what registries have of its studies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.adapters.memory.state import Reader
from gateway.model.probe import Probed
from gateway.model.sighting import Sighting
from gateway.ports.answers import Given, MessageName
from gateway.ports.correlations import Correlation, DeferredQuestion
from gateway.ports.publications import Publication
from gateway.ports.registrations import Registration
from gateway.ports.support import KeptProbe
from profiles.model.identifiers import Oid, PatientIdentifier


class MemoryAnswers:
    """`Answers` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, given: Given, *, replace: bool = False) -> bool:
        """Keep it."""
        state = self._reader.change()
        if given.name in state.answers and not replace:
            return False
        state.answers[given.name] = given
        return True

    async def get(self, name: MessageName) -> Given | None:
        """What was answered."""
        return self._reader.state.answers.get(name)

    async def prune(self, before: datetime, limit: int) -> int:
        """Let go of the oldest."""
        state = self._reader.change()
        old = sorted((each for each in state.answers.values() if each.at < before), key=lambda each: each.at)[:limit]
        for each in old:
            del state.answers[each.name]
        return len(old)


class MemoryCorrelations:
    """`Correlations` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, correlation: Correlation) -> None:
        """Put it in the place of what was known."""
        self._reader.change().correlations[correlation.patient, correlation.home] = correlation

    async def get(self, patient: PatientIdentifier, home: Oid, now: datetime) -> PatientIdentifier | None:
        """By which id this community knows the patient."""
        found = self._reader.state.correlations.get((patient, home))
        return found.identifier if found is not None and found.until > now else None

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of each that ended before."""
        state = self._reader.change()
        ended = sorted((each.until, key) for key, each in state.correlations.items() if each.until < before)[:limit]
        over = sorted((each.until, key) for key, each in state.questions.items() if each.until < before)[:limit]
        for _, key in ended:
            del state.correlations[key]
        for _, key in over:
            del state.questions[key]
        return len(ended) + len(over)

    async def ask(self, question: DeferredQuestion) -> None:
        """Put it in the place of what was asked before."""
        self._reader.change().questions[question.patient, question.home] = question

    async def asked(self, patient: PatientIdentifier, home: Oid, now: datetime) -> DeferredQuestion | None:
        """What this community was asked about the patient."""
        found = self._reader.state.questions.get((patient, home))
        return found if found is not None and found.until > now else None

    async def asked_as(self, message_id: str, now: datetime) -> DeferredQuestion | None:
        """The same by the id of its message."""
        kept = self._reader.state.questions.values()
        return next((each for each in kept if each.message_id == message_id and each.until > now), None)

    async def take_back(self, question: DeferredQuestion) -> None:
        """Forget that it was asked."""
        kept = self._reader.change().questions
        found = kept.get((question.patient, question.home))
        if found is not None and found.message_id == question.message_id:
            del kept[question.patient, question.home]


class MemoryPublications:
    """`Publications` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, publication: Publication) -> None:
        """Put it in the place of what was known."""
        self._reader.change().publications[publication.study_instance_uid, publication.peer] = publication

    async def get(self, study_instance_uid: str, peer: str) -> Publication | None:
        """What this registry has of the study."""
        return self._reader.state.publications.get((study_instance_uid, peer))

    async def on_demand(self, unique_id: str) -> Publication | None:
        """The on-demand entry in force whose document has this uniqueId."""
        kept = self._reader.state.publications.values()
        return next((each for each in kept if each.on_demand and each.in_force and each.unique_id == unique_id), None)

    async def counts(self) -> Mapping[tuple[str, bool], int]:
        """Of how many studies each registry has an entry in force."""
        return Counter(
            (each.peer, each.on_demand) for each in self._reader.state.publications.values() if each.in_force
        )

    async def latest(self, limit: int) -> Sequence[Publication]:
        """What changed last."""
        kept = sorted(self._reader.state.publications.items())
        return [each for _, each in sorted(kept, key=lambda one: one[1].at, reverse=True)][:limit]

    async def of(self, study_instance_uid: str) -> Sequence[Publication]:
        """What every registry has of the study."""
        kept = self._reader.state.publications
        return [kept[study, peer] for study, peer in sorted(kept) if study == study_instance_uid]


class MemoryRegistrations:
    """`Registrations` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, registration: Registration) -> None:
        """Put it in the place of what was known."""
        self._reader.change().registrations[registration.set_unique_id] = replace(
            registration, documents=tuple(sorted(registration.documents))
        )

    async def get(self, set_unique_id: str) -> Registration | None:
        """By the uniqueId of its submission set."""
        return self._reader.state.registrations.get(set_unique_id)

    async def of_document(self, unique_id: str) -> Sequence[PatientIdentifier]:
        """Whose the document is, once for each submission that has it."""
        kept = sorted(self._reader.state.registrations.values(), key=lambda each: (each.at, each.set_unique_id))
        return [each.patient_id for each in kept if unique_id in each.documents]

    async def drop(self, set_unique_id: str) -> None:
        """Forget a submission."""
        self._reader.change().registrations.pop(set_unique_id, None)

    async def without(self, document_unique_id: str) -> None:
        """No submission has it."""
        kept = self._reader.change().registrations
        for key, each in list(kept.items()):
            if document_unique_id in each.documents:
                left = tuple(one for one in each.documents if one != document_unique_id)
                kept[key] = replace(each, documents=left)
                if not left:
                    del kept[key]


class MemorySupport:
    """`Support` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def probed(self, peer: str, probed: Sequence[Probed], at: datetime) -> None:
        """Put it in the place of all that was found before."""
        kept = self._reader.change().probes
        for key in [key for key in kept if key[0] == peer]:
            del kept[key]
        for each in probed:
            kept[peer, each.transaction] = KeptProbe(at=at, probed=each)

    async def probes(self, peer: str) -> Sequence[KeptProbe]:
        """What was found the last time."""
        kept = self._reader.state.probes
        return [kept[key] for key in sorted(kept) if key[0] == peer]

    async def seen(self, sightings: Sequence[Sighting]) -> None:
        """Add to what was seen."""
        kept = self._reader.change().sightings
        for each in sightings:
            key = (each.peer, each.transaction, each.sort.value, each.what)
            had = kept.get(key)
            kept[key] = (
                each if had is None else replace(had, count=had.count + each.count, last=max(had.last, each.last))
            )

    async def sightings(self, peer: str) -> Sequence[Sighting]:
        """All that was ever seen of a peer."""
        kept = self._reader.state.sightings
        return [kept[key] for key in sorted(kept) if key[0] == peer]
