"""Patients in rows.

What a newcomer gets wrong: `patients.patient_id` is the key that the patient was created under and nothing more; the ids
are in the body, and `patient_identifiers` leads from any of them to the key, also from those that a merge has ended.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, bindparam, delete, select, true, update

from gateway.adapters.executor import Executor, Fixed, insert_new, insert_or_replace
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
from gateway.adapters.stored import micros, patient_body, patient_of, time_of
from gateway.adapters.tables import identity_links, patient_identifiers, patients
from profiles.errors import Busy, IdentityConflict
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Evidence, IdentityLink, Patient
from profiles.model.query import PatientCriteria

_PUT_PATIENT = insert_or_replace(patients)
_PUT_IDENTIFIER = insert_or_replace(patient_identifiers)
_NEW_IDENTIFIER = insert_new(patient_identifiers)
_PUT_LINK = insert_or_replace(identity_links)
_BY_IDENTIFIER = select(patient_identifiers.c.patient_id, patient_identifiers.c.subsumed_by).where(
    patient_identifiers.c.identifier == bindparam("identifier")
)
_IDENTIFIER = Fixed(_BY_IDENTIFIER)
# In a unit the id is held until its end: who registers a document for a patient, and who merges the patient away, take
# turns (ITI TF-2 3.8.4.2.4: a registration that races a merge lands on the survivor or is refused).
_IDENTIFIER_HELD = Fixed(_BY_IDENTIFIER.with_for_update(read=True))
_IDENTIFIER_TO_CHANGE = Fixed(_BY_IDENTIFIER.with_for_update())
_PATIENT = Fixed(select(patients.c.body).where(patients.c.patient_id == bindparam("patient_id")))
_MATCHING = Fixed(
    select(patients.c.body)
    .where(patients.c.matching == bindparam("matching"), patients.c.active == 1)
    .order_by(patients.c.patient_id)
    .limit(50)
)
_LINK_COLUMNS = (
    identity_links.c.local,
    identity_links.c.foreign,
    identity_links.c.evidence,
    identity_links.c.decided_by,
    identity_links.c.decided_at,
)
_BY_FOREIGN = Fixed(
    select(*_LINK_COLUMNS)
    .where(identity_links.c.foreign == bindparam("identifier"))
    .order_by(identity_links.c.decided_at.desc(), identity_links.c.local)
)
_BY_LOCAL = Fixed(
    select(*_LINK_COLUMNS)
    .where(identity_links.c.local == bindparam("identifier"))
    .order_by(identity_links.c.decided_at.desc(), identity_links.c.foreign)
)
_UNLINK = Fixed(
    delete(identity_links).where(
        identity_links.c.local == bindparam("local"), identity_links.c.foreign == bindparam("foreign")
    )
)
_END_IDENTIFIER = Fixed(
    update(patient_identifiers)
    .where(patient_identifiers.c.identifier == bindparam("of_identifier"))
    .values(subsumed_by=bindparam("subsumed_by"))
)


class SqlIdentity:
    """`Identity` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        self._db = executor

    async def put(self, patient: Patient, at: datetime) -> Patient:
        """Create or update by any identifier that we know."""
        keys: dict[str, None] = {}
        for identifier in sorted(patient.identifiers):  # sorted: two feeds at once lock in one order
            for key, subsumed_by in await self._db.rows(_IDENTIFIER_TO_CHANGE, {"identifier": str(identifier)}):
                if subsumed_by:
                    raise IdentityConflict("an id of the patient was merged into another and is not valid any more")
                keys[key] = None
        if len(keys) > 1:
            raise IdentityConflict("the ids belong to different patients here")
        if keys:
            (key,) = keys
            patient = updated(await self._patient(key), patient)
        else:
            key = str(patient.identifiers[0])
            for row in _identifier_rows(key, patient):
                if not await self._db.run(_NEW_IDENTIFIER, row):
                    raise Busy("another message is about the same new patient")
        await self._write(key, patient, at)
        return patient

    async def get(self, identifier: PatientIdentifier) -> Patient | None:
        """The patient who is known by this id, through links too."""
        statement = _IDENTIFIER_HELD if self._db.writing else _IDENTIFIER
        for key, subsumed_by in await self._db.rows(statement, {"identifier": str(identifier)}):
            return None if subsumed_by else await self._patient(key)
        for local, *_ in await self._db.rows(_BY_FOREIGN, {"identifier": str(identifier)}):
            for key, subsumed_by in await self._db.rows(statement, {"identifier": local}):
                if not subsumed_by:
                    return await self._patient(key)
        return None

    async def subsumed(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving id, at the end of the chain."""
        survivor = None
        following = str(identifier)
        while True:
            rows = await self._db.rows(_IDENTIFIER, {"identifier": following})
            if not rows or not rows[0][1]:
                return survivor
            following = rows[0][1]
            survivor = PatientIdentifier.from_cx(following)

    async def match(self, patient: Patient) -> Sequence[Patient]:
        """Candidates whose name, birth date and sex agree."""
        key = matching(patient)
        if not key:
            return ()
        return [patient_of(body) for (body,) in await self._db.rows(_MATCHING, {"matching": key})]

    async def find(self, criteria: PatientCriteria, limit: int) -> Sequence[Patient]:
        """The patients who fit all conditions, in the order of their keys."""
        if criteria.identifiers:
            one = the_same([await self.get(each) for each in criteria.identifiers])
            return [] if one is None or not fits(one, criteria) else [one]
        found: dict[str, Patient] = {}
        for pattern in leading(criteria):
            for column in _NAMES:
                statement = (
                    select(patients.c.patient_id, patients.c.body)
                    .where(pattern.condition(column, self._db.dialect), patients.c.active == 1)
                    .limit(limit + 1)
                )
                for key, body in await self._db.rows(statement):
                    found.setdefault(key, patient_of(body))
                check_limit(len(found), limit)
        return [each for _, each in sorted(found.items()) if fits(each, criteria)]

    async def search(self, text: str, limit: int = 50) -> Sequence[Patient]:
        """By id or by the beginning of a name, for people; without a text the first of all, by name."""
        found: dict[str, Patient] = {}
        for condition in self._fitting(text.strip()):
            statement = (
                select(patients.c.patient_id, patients.c.body)
                .where(condition, patients.c.active == 1)
                .order_by(patients.c.name, patients.c.patient_id)
                .limit(limit)
            )
            for key, body in await self._db.rows(statement):
                found.setdefault(key, patient_of(body))
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def _fitting(self, text: str) -> Iterator[ColumnElement[bool]]:
        """What a text may be, the likeliest first."""
        if not text:
            yield true()
            return
        dialect = self._db.dialect
        yield patients.c.patient_id.in_(
            select(patient_identifiers.c.patient_id).where(
                beginning(text).condition(patient_identifiers.c.value, dialect),
                patient_identifiers.c.subsumed_by == "",
            )
        )
        for pattern in beginnings(text):
            for column in _NAMES:
                yield pattern.condition(column, dialect)

    async def link(self, link: IdentityLink) -> None:
        """Hold a foreign id and a local one for the same person."""
        await self._db.run(_PUT_LINK, _link_row(link))

    async def links(self, identifier: PatientIdentifier) -> Sequence[IdentityLink]:
        """Links that name this id, on either side, newest decision first."""
        found: dict[tuple[str, str], IdentityLink] = {}
        for statement in (_BY_LOCAL, _BY_FOREIGN):
            for row in await self._db.rows(statement, {"identifier": str(identifier)}):
                found[row[0], row[1]] = _link(row)
        return sorted(found.values(), key=lambda link: (link.decided_at, link.local, link.foreign), reverse=True)

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> Patient:
        """A40: the subsumed id stops being valid."""
        check_merge(subsumed, surviving)
        keys = {}
        for identifier in sorted((subsumed, surviving)):
            rows = await self._db.rows(_IDENTIFIER_TO_CHANGE, {"identifier": str(identifier)})
            if not rows or rows[0][1]:
                raise not_valid("subsumed" if identifier == subsumed else "surviving")
            keys[identifier] = rows[0][0]
        gone, stays = await self._patient(keys[subsumed]), await self._patient(keys[surviving])
        survivor = merged(subsumed, gone, surviving, stays)
        if keys[subsumed] != keys[surviving]:
            await self._write(keys[subsumed], buried(subsumed, gone, surviving), at)
        await self._write(keys[surviving], survivor, at)
        await self._db.run(_END_IDENTIFIER, {"of_identifier": str(subsumed), "subsumed_by": str(surviving)})
        for link in await self.links(subsumed):
            await self._db.run(_UNLINK, {"local": str(link.local), "foreign": str(link.foreign)})
            if (moved := repointed(link, subsumed, surviving)) is not None:
                await self.link(moved)
        return survivor

    async def _patient(self, key: str) -> Patient:
        ((body,),) = await self._db.rows(_PATIENT, {"patient_id": key})
        return patient_of(body)

    async def _write(self, key: str, patient: Patient, at: datetime) -> None:
        await self._db.run(
            _PUT_PATIENT,
            {
                "patient_id": key,
                "name": searched_name(patient),
                "ideographic": searched_ideographic(patient),
                "matching": matching(patient),
                "active": int(patient.active),
                "updated_at": micros(at),
                "body": patient_body(patient),
            },
        )
        await self._db.run_many(_PUT_IDENTIFIER, _identifier_rows(key, patient))


_NAMES: tuple[Column[Any], ...] = (patients.c.name, patients.c.ideographic)


def _identifier_rows(key: str, patient: Patient) -> list[dict[str, Any]]:
    return [
        {"identifier": str(each), "value": each.value, "patient_id": key, "subsumed_by": ""}
        for each in sorted(set(patient.identifiers))
    ]


def _link_row(link: IdentityLink) -> dict[str, Any]:
    return {
        "local": str(link.local),
        "foreign": str(link.foreign),
        "evidence": link.evidence.value,
        "decided_by": link.decided_by,
        "decided_at": micros(link.decided_at),
    }


def _link(row: Any) -> IdentityLink:
    local, foreign, evidence, decided_by, decided_at = row
    return IdentityLink(
        local=PatientIdentifier.from_cx(local),
        foreign=PatientIdentifier.from_cx(foreign),
        evidence=Evidence(evidence),
        decided_by=decided_by,
        decided_at=time_of(decided_at),
    )
