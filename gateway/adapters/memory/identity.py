"""Patients, their ids and the links between them, in memory."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from gateway.adapters.identity_rules import (
    beginning,
    beginnings,
    buried,
    check_limit,
    check_merge,
    fits,
    leading,
    matching,
    merged,
    not_valid,
    repointed,
    searched_ideographic,
    searched_name,
    the_same,
    updated,
)
from gateway.adapters.memory.state import Reader
from profiles.errors import IdentityConflict
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import IdentityLink, Patient
from profiles.model.query import PatientCriteria


class MemoryIdentity:
    """`Identity` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def put(self, patient: Patient, at: datetime) -> Patient:
        """Create or update by any identifier that we know."""
        state = self._reader.change()
        known = [state.identifiers[each] for each in patient.identifiers if each in state.identifiers]
        if any(subsumed_by is not None for _, subsumed_by in known):
            raise IdentityConflict("an id of the patient was merged into another and is not valid any more")
        keys = {key for key, _ in known}
        if len(keys) > 1:
            raise IdentityConflict("the ids belong to different patients here")
        key = keys.pop() if keys else str(patient.identifiers[0])
        if key in state.patients:
            patient = updated(state.patients[key], patient)
        self._write(key, patient)
        return patient

    def _write(self, key: str, patient: Patient) -> None:
        state = self._reader.change()
        state.patients[key] = patient
        for each in patient.identifiers:
            state.identifiers[each] = (key, None)

    async def get(self, identifier: PatientIdentifier) -> Patient | None:
        """The patient who is known by this id, through links too."""
        state = self._reader.state
        if identifier in state.identifiers:
            return self._valid(identifier)
        for link in await self.links(identifier):
            if link.foreign == identifier and (patient := self._valid(link.local)) is not None:
                return patient
        return None

    def _valid(self, identifier: PatientIdentifier) -> Patient | None:
        key, subsumed_by = self._reader.state.identifiers.get(identifier, ("", identifier))
        return None if subsumed_by is not None else self._reader.state.patients[key]

    async def subsumed(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving id, at the end of the chain."""
        survivor: PatientIdentifier | None = None
        _, following = self._reader.state.identifiers.get(identifier, ("", None))
        while following is not None:
            survivor = following
            _, following = self._reader.state.identifiers[following]
        return survivor

    async def match(self, patient: Patient) -> Sequence[Patient]:
        """Candidates whose name, birth date and sex agree."""
        wanted = matching(patient)
        return [each for each in self._active() if wanted and matching(each) == wanted]

    async def find(self, criteria: PatientCriteria, limit: int) -> Sequence[Patient]:
        """The patients who fit all conditions, in the order of their keys."""
        if criteria.identifiers:
            one = the_same([await self.get(each) for each in criteria.identifiers])
            return [] if one is None or not fits(one, criteria) else [one]
        patterns = leading(criteria)
        found = [
            each
            for each in self._active()
            if any(
                pattern.fits(name_of(each)) for pattern in patterns for name_of in (searched_name, searched_ideographic)
            )
        ]
        check_limit(len(found), limit)
        return [each for each in found if fits(each, criteria)]

    async def search(self, text: str, limit: int = 50) -> Sequence[Patient]:
        """By id or by the beginning of a name, for people; without a text the first of all, by name."""
        if not text.strip():
            return sorted(self._active(), key=lambda each: (searched_name(each), str(each.identifiers[0])))[:limit]
        by_id = beginning(text)
        found: dict[int, Patient] = {}
        for each in sorted(self._active(), key=searched_name):
            if any(by_id.fits(identifier.value) for identifier in each.identifiers):
                found[id(each)] = each
        for pattern in beginnings(text):
            for name_of in (searched_name, searched_ideographic):
                some = [each for each in sorted(self._active(), key=searched_name) if pattern.fits(name_of(each))]
                found |= {id(each): each for each in some if id(each) not in found}
        return list(found.values())[:limit]

    def _active(self) -> Iterator[Patient]:
        return (patient for _, patient in sorted(self._reader.state.patients.items()) if patient.active)

    async def link(self, link: IdentityLink) -> None:
        """Hold a foreign id and a local one for the same person."""
        self._reader.change().links[link.local, link.foreign] = link

    async def links(self, identifier: PatientIdentifier) -> Sequence[IdentityLink]:
        """Links that name this id, on either side, newest decision first."""
        found = [each for each in self._reader.state.links.values() if identifier in {each.local, each.foreign}]
        return sorted(found, key=lambda link: (link.decided_at, link.local, link.foreign), reverse=True)

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> Patient:
        """A40: the subsumed id stops being valid."""
        state = self._reader.change()
        check_merge(subsumed, surviving)
        for which, identifier in (("subsumed", subsumed), ("surviving", surviving)):
            if self._valid(identifier) is None:
                raise not_valid(which)
        (gone_key, _), (stays_key, _) = state.identifiers[subsumed], state.identifiers[surviving]
        gone, stays = state.patients[gone_key], state.patients[stays_key]
        survivor = merged(subsumed, gone, surviving, stays)
        if gone_key != stays_key:
            state.patients[gone_key] = buried(subsumed, gone, surviving)
        self._write(stays_key, survivor)
        state.identifiers[subsumed] = (gone_key, surviving)
        for link in await self.links(subsumed):
            del state.links[link.local, link.foreign]
            if (changed := repointed(link, subsumed, surviving)) is not None:
                await self.link(changed)
        return survivor
