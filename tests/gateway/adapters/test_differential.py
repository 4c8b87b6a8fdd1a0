"""Searches judged by reading the criteria aloud: databases against memory, for populations and questions made by chance.

The populations are small and their values few, so that most questions have some answers and some not.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.memory import MemoryStore
from gateway.model.study import StudyStatus
from gateway.ports.store import Store, Work
from gateway.ports.studies import Origin
from profiles.errors import ExchangeError, IdentityConflict
from profiles.model.codes import Code
from profiles.model.document import AssociationType, Author, AvailabilityStatus, EntryType, ReferenceId, Submission
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.model.patient import PersonName
from profiles.model.query import DocumentCriteria, StudyCriteria, TimeRange
from tests.gateway.adapters.stores import on_postgresql, on_sqlite
from tests.support.registered import arrived, entry, instance, patient, relation, series, study, submission

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENTS = tuple(
    PatientIdentifier(value=value, authority=Oid(by)) for value, by in (("a", "1.2.9"), ("b", "1.2.9"), ("a", "1.2.8"))
)
CODES = tuple(Code(value=value, system=system) for value in ("CT", "MR") for system in ("DCM", "1.2"))
DTMS = ("2025", "2026", "202602", "20260301", "20260228", "202603011200", "20260301120000", "20260301115959+0100")
WORDS = ("A1", "A_1", "AX1", "%", "a*1", "A[1]", "é", "\\T\\", "")
PATTERNS = (
    "A1",
    "A_1",
    "A\\_1",
    "A%",
    "%1",
    "%",
    "_1",
    "a*1",
    "%[%",
    "A[1]^%",
    "%\\T\\%",
    "%^^^&1.2&ISO^t",
    "é%",
    "%%_",
    "\\%%",
)
NAMES = (
    PersonName(family="Doe", given="Jane"),
    PersonName(family="Döe", given="jane", middle="Q"),
    PersonName(family="Roe", ideographic="山田^太郎"),
    PersonName(),
)
NAME_QUERIES = ("doe*", "DOE^JANE", "d?e^jane^*", "*", "山田*", "roe", "*^j*", "doe^", "[d]oe*", "?")

few = st.integers(0, 2)
moments = st.sampled_from(DTMS).map(Moment.from_dtm)
maybe = st.one_of(st.none(), moments)
codes = st.lists(st.sampled_from(CODES), max_size=3).map(tuple)
ranges = st.builds(TimeRange, start=maybe, end=maybe)
references = st.builds(
    ReferenceId,
    value=st.sampled_from([word for word in WORDS if word]),
    type=st.just("t"),
    authority=st.sampled_from(["", "1.2", "ns"]),
)


@st.composite
def documents(draw: st.DrawFn) -> list[Submission]:
    """Submissions of some documents, some of which replace or extend earlier ones."""
    made: list[Submission] = []
    earlier: list[str] = []
    for _ in range(draw(st.integers(1, 5))):
        of = draw(st.sampled_from(PATIENTS))
        entries = [
            entry(
                of,
                class_code=draw(st.sampled_from(CODES)),
                format_code=draw(st.sampled_from(CODES)),
                event_codes=draw(codes),
                confidentiality_codes=draw(codes),
                entry_type=draw(st.sampled_from(EntryType)),
                availability_status=draw(st.sampled_from(AvailabilityStatus)),
                authors=tuple(Author(person=draw(st.sampled_from(WORDS))) for _ in range(draw(few))),
                creation_time=draw(maybe),
                service_start_time=draw(maybe),
                service_stop_time=draw(maybe),
                reference_ids=tuple(draw(st.lists(references, max_size=2))),
            )
            for _ in range(draw(st.integers(1, 4)))
        ]
        relations = []
        if earlier and draw(st.booleans()):
            types = (AssociationType.REPLACE, AssociationType.APPEND, AssociationType.TRANSFORM)
            target = draw(st.sampled_from(earlier))
            relations.append(relation(draw(st.sampled_from(types)), entries[0].entry_uuid, target))
        made.append(submission(*entries, associations=tuple(relations), patient_id=of))
        earlier += [each.entry_uuid for each in entries]
    return made


document_questions = st.builds(
    DocumentCriteria,
    patient_ids=st.lists(st.sampled_from(PATIENTS), max_size=2).map(tuple),
    statuses=st.lists(st.sampled_from(AvailabilityStatus), max_size=3).map(tuple),
    entry_types=st.lists(st.sampled_from(EntryType), max_size=2).map(tuple),
    class_codes=codes,
    format_codes=codes,
    event_codes=st.lists(codes.filter(bool), max_size=2).map(tuple),
    confidentiality_codes=st.lists(codes.filter(bool), max_size=1).map(tuple),
    author_persons=st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple),
    reference_ids=st.lists(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple), max_size=2).map(
        tuple
    ),
    creation_time=ranges,
    service_start_time=ranges,
    service_stop_time=ranges,
)
"""Mostly several conditions at once: `sparse` takes most of them out again."""


@st.composite
def sparse(draw: st.DrawFn, questions: st.SearchStrategy[Any], keep: tuple[str, ...] = ()) -> Any:
    """A question with at most three conditions, or nothing would ever fit."""
    whole = draw(questions)
    names = [name for name in type(whole).__slots__ if name not in keep]
    chosen = draw(st.sets(st.sampled_from(names), max_size=3))
    return type(whole)(**{name: getattr(whole, name) for name in (*keep, *chosen)})


Happening = Callable[[Work], Awaitable[None]]
chains = st.lists(st.sampled_from(("1.2.77.1", "1.2.77.2")), max_size=2, unique=True).map(tuple)


@st.composite
def population(draw: st.DrawFn) -> list[Happening]:
    """What happens to an index: studies come, are expected, withdrawn, merged and told a status."""
    steps: list[Happening] = []
    made: list[Study] = []
    for number in range(draw(st.integers(1, 7))):
        uid = f"1.2.{number}"
        ids = draw(st.lists(st.sampled_from(PATIENTS), min_size=1, max_size=2, unique=True))
        whole = study(
            uid,
            *(
                series(
                    f"{uid}.{place}",
                    *(instance(f"{uid}.{place}.{each}", draw(st.one_of(st.none(), few))) for each in range(draw(few))),
                    modality=draw(st.sampled_from(("CT", "MR", ""))),
                    number=draw(st.one_of(st.none(), few)),
                )
                for place in range(draw(few))
            ),
            of=patient(*ids, name=draw(st.sampled_from(NAMES))),
            accession_numbers=tuple(
                AccessionNumber(
                    value=draw(st.sampled_from(("A1", "B2"))), authority=draw(st.sampled_from((None, Oid("1.2"))))
                )
                for _ in range(draw(few))
            ),
            study_id=draw(st.sampled_from(("", "S1", "s*"))),
            started=draw(maybe),
            description=draw(st.sampled_from(("", "CT Kopf", "Schädel [1]"))),
            referring_physician=draw(st.sampled_from(NAMES)),
        )
        at = NOW + timedelta(seconds=draw(few), milliseconds=draw(few))
        made.append(whole)
        expected = draw(st.booleans()) or not arrived(whole)
        if expected:
            steps.append(_expecting(whole, draw(chains), at))
        if not expected or draw(st.booleans()):
            steps.append(_adding(whole, draw(st.sampled_from(Origin)), at))
        if draw(st.booleans()):
            status = draw(st.sampled_from(StudyStatus))
            steps.append(lambda work, uid=uid, status=status, at=at: work.studies.set_status(uid, status, at))  # type: ignore[misc]
    if draw(st.booleans()):
        gone, stays = draw(st.sampled_from(PATIENTS)), patient(draw(st.sampled_from(PATIENTS)), name=NAMES[0])

        async def merge(work: Work) -> None:
            await work.studies.merge(gone, stays, NOW)

        steps.append(merge)
    for _ in range(draw(few)):
        of, at = draw(chains), NOW + timedelta(hours=1 + draw(few))
        named = [_some_of(each, draw) for each in made if draw(st.booleans())]
        steps += (_expecting(each, of, at) for each in named if draw(st.booleans()))
        steps.append(_withdrawing(of, named, at))
        if arrived(again := _some_of(draw(st.sampled_from(made)), draw)) and draw(st.booleans()):
            steps.append(_adding(again, draw(st.sampled_from(Origin)), at))
    return [_if_it_may(each) for each in steps]


def _some_of(whole: Study, draw: st.DrawFn) -> Study:
    """What a manifest that replaces another may name of it."""
    return replace(
        whole,
        series=tuple(
            replace(each, instances=tuple(one for one in each.instances if draw(st.booleans())))
            for each in whole.series
            if draw(st.booleans())
        ),
    )


def _expecting(whole: Study, of: tuple[str, ...], at: datetime) -> Happening:
    async def step(work: Work) -> None:
        await work.studies.expect(whole, "Lakeside", at, of)

    return step


def _adding(whole: Study, origin: Origin, at: datetime) -> Happening:
    async def step(work: Work) -> None:
        await work.studies.add(arrived(whole), whole.patient, "", at, origin)

    return step


def _withdrawing(of: tuple[str, ...], named: list[Study], at: datetime) -> Happening:
    async def step(work: Work) -> None:
        await work.studies.withdraw(of, named, "1.2.78", at)

    return step


def _if_it_may(step: Happening) -> Happening:
    """A study that a merge has made another's is refused, everywhere alike."""

    async def attempted(work: Work) -> None:
        with suppress(IdentityConflict):
            await step(work)

    return attempted


compared = st.lists(st.tuples(st.sampled_from(("eq", "ne", "gt", "ge", "lt", "le")), moments), max_size=2).map(tuple)
identified = st.lists(
    st.tuples(st.sampled_from(("a", "b", "A1")), st.sampled_from((None, "1.2.9", "1.2.8", "1.2"))), max_size=2
).map(tuple)
study_questions = st.builds(
    StudyCriteria,
    study_instance_uids=st.lists(st.sampled_from(("1.2.0", "1.2.1", "1.2.9")), max_size=2).map(tuple),
    series_instance_uids=st.lists(st.sampled_from(("1.2.0.0", "1.2.1.1")), max_size=2).map(tuple),
    sop_instance_uids=st.lists(st.sampled_from(("1.2.0.0.0", "1.2.1.1.1")), max_size=2).map(tuple),
    patient_ids=identified,
    patient_name=st.sampled_from(("", *NAME_QUERIES)),
    accession_numbers=identified,
    study_id=st.sampled_from(("", "S1", "s*", "S?", "*")),
    modalities=st.lists(st.sampled_from(("CT", "MR", "US")), max_size=2).map(tuple),
    referring_physician=st.sampled_from(("", *NAME_QUERIES)),
    description=st.sampled_from(("", "ct*", "*schadel [1]", "*[*", "CT Kopf")),
    started=compared,
    updated=compared,
    statuses=st.lists(st.sampled_from([each.value for each in StudyStatus]), max_size=2).map(tuple),
    order=st.sampled_from(("started", "updated")),
    limit=st.integers(0, 8),
    offset=st.integers(0, 3),
)


async def all_of(store: Store, criteria: DocumentCriteria) -> tuple[list[Any], int]:
    async with store.view() as work:
        return [each async for each in work.registry.find(criteria)], await work.registry.count(criteria)


async def same_documents(store: Store, submissions: list[Submission], questions: list[DocumentCriteria]) -> None:
    memory = MemoryStore()
    for each in submissions:
        outcomes = []
        for one in (memory, store):
            try:
                async with one.unit() as work:
                    await work.registry.put(each, NOW)
                outcomes.append("")
            except ExchangeError as error:
                outcomes.append(f"{type(error).__name__} {error.code} {error.location}")
        assert outcomes[0] == outcomes[1]
    for criteria in questions:
        expected, count = await all_of(memory, criteria)
        assert await all_of(store, criteria) == (expected, count), criteria


async def same_studies(store: Store, happened: list[Happening], questions: list[StudyCriteria]) -> None:
    memory = MemoryStore()
    for one in (memory, store):
        async with one.unit() as work:
            for step in happened:
                await step(work)
    async with memory.view() as judge, store.view() as work:
        for number in range(8):
            uid = f"1.2.{number}"
            record = await judge.studies.get(uid)
            assert await work.studies.get(uid) == record
            assert await work.studies.expected(uid) == await judge.studies.expected(uid)
            assert await work.studies.withdrawn(uid) == await judge.studies.withdrawn(uid)
            whole = await judge.studies.get(uid, everything=True)
            assert await work.studies.get(uid, everything=True) == whole
        for criteria in questions:
            page, expected = await work.studies.search(criteria), await judge.studies.search(criteria)
            assert page == expected, criteria
            assert [dict(each.instance_counts) for each in page.records] == [
                dict(each.instance_counts) for each in expected.records
            ]


PLENTY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
SOME = settings(PLENTY, max_examples=8)
document_cases = given(documents(), st.lists(sparse(document_questions), min_size=1, max_size=12))
study_asked = st.one_of(
    sparse(study_questions, ("order", "limit", "offset")),
    st.builds(StudyCriteria, started=compared, updated=compared),
)
study_cases = given(population(), st.lists(study_asked, min_size=1, max_size=12))


@PLENTY
@document_cases
def test_documents_are_found_on_sqlite_as_in_memory(
    tmp_path_factory: pytest.TempPathFactory, submissions: list[Submission], questions: list[DocumentCriteria]
) -> None:
    on_sqlite(_folder(tmp_path_factory), lambda store: same_documents(store, submissions, questions))


@PLENTY
@study_cases
def test_studies_are_found_on_sqlite_as_in_memory(
    tmp_path_factory: pytest.TempPathFactory, happened: list[Any], questions: list[StudyCriteria]
) -> None:
    on_sqlite(_folder(tmp_path_factory), lambda store: same_studies(store, happened, questions))


@pytest.mark.judge_program
@SOME
@document_cases
def test_documents_are_found_on_postgresql_as_in_memory(
    database: str, submissions: list[Submission], questions: list[DocumentCriteria]
) -> None:
    on_postgresql(database, lambda store: same_documents(store, submissions, questions))


@pytest.mark.judge_program
@SOME
@study_cases
def test_studies_are_found_on_postgresql_as_in_memory(
    database: str, happened: list[Any], questions: list[StudyCriteria]
) -> None:
    on_postgresql(database, lambda store: same_studies(store, happened, questions))


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp()
