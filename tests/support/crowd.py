"""A house that has worked for years: people, and of each what an exchange leaves behind, written through the ports.

Person `n` has one study of ten instances, ten documents in one submission, the bytes of one of them, an exchange of two
steps and three audit records. What belongs to whom is told by the number alone, so a test knows whom to ask for, and what
must come back, without having been there. Ten people a day: a day is as full in a small house as in a large one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.adapters.executor import SQLITE
from gateway.adapters.store_sql import SqlStore
from gateway.model.job import Kind, State
from gateway.ports.objects import StagedObject
from gateway.ports.store import Work
from profiles.model.audit import AuditRecord
from profiles.model.content import DICOM, Content
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.wire.audit.participants import ROLE_PATIENT, STUDY_INSTANCE_UID
from tests.profiles.wire.audit.records import KINDS
from tests.support.registered import arrived, entry, exchange, instance, patient, series, step, study, submission

AUTHORITY = Oid("1.2.3.4")
FIRST_DAY = datetime(1999, 1, 1, 9, 0, tzinfo=UTC)
A_DAY = 10  # people
DOCUMENTS = INSTANCES = 10  # of a person
RECORDS = 3
MANIFEST = b"\x00" * 1500
RETRIEVE = KINDS["imaging retrieved"]
UNIT = 500  # people in a commit


def identifier(number: int) -> PatientIdentifier:
    """Of person `number`."""
    return PatientIdentifier(value=f"P{number}", authority=AUTHORITY)


def person(number: int) -> Patient:
    """Somebody; few share a name."""
    return patient(identifier(number), family=f"Family{number}", given=f"Given{number % 97}")


def day(number: int) -> datetime:
    """When person `number` was here."""
    return FIRST_DAY + timedelta(days=number // A_DAY, minutes=number % A_DAY)


def study_uid(number: int) -> str:
    """Of the one study."""
    return f"1.2.3.50.{number}"


def accession(number: int) -> str:
    """Of the one order."""
    return f"A{number}"


def study_of(number: int) -> Study:
    """Two series of five."""
    uid = study_uid(number)
    return study(
        uid,
        *(
            series(
                f"{uid}.{each}",
                *(instance(f"{uid}.{each}.{one}", one) for one in range(1, INSTANCES // 2 + 1)),
                number=each,
            )
            for each in (1, 2)
        ),
        of=person(number),
        accession_numbers=(AccessionNumber(value=accession(number), authority=AUTHORITY),),
        started=Moment(day(number)),
    )


def document_id(number: int, which: int) -> str:
    """uniqueId of document 0 to 9."""
    return f"1.2.3.60.{number}.{which}"


def record_of(number: int, at: datetime) -> AuditRecord:
    """A retrieve of the study."""
    told = {ROLE_PATIENT: str(identifier(number))}
    return replace(
        RETRIEVE,
        at=at,
        objects=tuple(
            replace(
                each,
                id=study_uid(number) if each.id_type.code == STUDY_INSTANCE_UID.code else told.get(each.role, each.id),
            )
            for each in RETRIEVE.objects
        ),
    )


async def register(work: Work, number: int) -> None:
    """Person `number`, and the documents as the registry has them."""
    at, who = day(number), identifier(number)
    await work.identity.put(person(number), at)
    await work.registry.put(
        submission(
            *(
                entry(who, unique_id=document_id(number, which), creation_time=Moment(at), title="CT head")
                for which in range(DOCUMENTS)
            ),
            patient_id=who,
            unique_id=document_id(number, DOCUMENTS),
        ),
        at,
    )


async def bring(work: Work, number: int) -> None:
    """All of it."""
    at = day(number)
    whole = study_of(number)
    await register(work, number)
    content = Content.of(MANIFEST, DICOM, "0" * 40)
    await work.documents.keep(document_id(number, 0), StagedObject(content=content, inline=MANIFEST, path=None))
    await work.studies.add(arrived(whole), whole.patient, "Lakeside", at)
    id_ = f"{number:032x}"
    done = exchange(
        id_, kind=Kind.RECEIVE, state=State.DONE, opened_at=at, updated_at=at,
        study_instance_uid=study_uid(number), patient_id=str(identifier(number)),
    )  # fmt: skip
    await work.ledger.open(done)
    for _ in range(2):
        await work.ledger.note(step(id_, at))
    await work.audit.record([record_of(number, at + timedelta(seconds=each)) for each in range(RECORDS)], id_)


async def populate(store: SqlStore, people: range, bring: Callable[[Work, int], Awaitable[None]] = bring) -> None:
    """Bring them, or what another function has of them, many in a commit."""
    async with store.unit() as work:
        executor = work.executor  # type: ignore[attr-defined]
        if executor.dialect == SQLITE:
            executor.raw.execute("PRAGMA cache_size = -1000000")  # random keys, gigabytes of them
    for start in range(people.start, people.stop, UNIT):
        async with store.unit() as work:
            for number in range(start, min(start + UNIT, people.stop)):
                await bring(work, number)
