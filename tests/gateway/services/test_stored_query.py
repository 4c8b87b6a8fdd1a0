"""Every stored query, there and back over the codec, judged by the table of parameters read aloud.

The judge knows neither criteria nor SQL: it takes the whole content of a registry and says, query by query, which objects
the Framework means. ITI TF-2 3.18.4.1.2.3.7.
"""

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.memory import MemoryState, MemoryStore
from gateway.model.house import House
from gateway.model.peer import Caller
from gateway.ports.store import Store, Work
from gateway.services.exchange import Exchange
from gateway.services.stored_query import StoredQueries
from profiles.errors import ExchangeError, RuleViolation, TooManyResults, UnknownCommunity, UnknownPatient
from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    Author,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria, TimeRange
from profiles.wire.ebxml.query import PARAMETERS, AnyQuery, MultiPatientQuery
from profiles.xds.iti18 import ITI_18, ReturnType, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti51 import ITI_51
from tests.gateway.adapters.stores import database, on_postgresql, on_sqlite
from tests.profiles.wire.ebxml.strategies import EXTRA, MAYBE, PATIENT, PATIENT_ID, TEXT
from tests.support.ebxml import judge, soap_in, written
from tests.support.registered import (
    ANN,
    BEN,
    CAT,
    CT,
    HEAD,
    LATER,
    MR,
    NORMAL,
    NOW,
    RESTRICTED,
    entry,
    entry_uuid,
    folder,
    patient,
    relation,
    submission,
)

__all__ = ["database"]

APPROVED, DEPRECATED, PENDING = (
    AvailabilityStatus.APPROVED,
    AvailabilityStatus.DEPRECATED,
    AvailabilityStatus.PENDING,
)
HOUSE = House(
    name="Valley", home_community_id=Oid("1.2.3.1"), repository_unique_id=Oid("1.2.3.2"),
    retrieve_location_uid=Oid("1.2.3.3"), source_id=Oid("1.2.3.2"), patient_authority=ANN.authority,
    affinity_authority=None, zone=ZoneInfo("UTC"), base_url="http://localhost", ae_title="RADGATE",
    hl7_application="RADGATE", hl7_facility="VALLEY", process_id="1", network_address="localhost",
)  # fmt: skip
MEMBER = AssociationType.HAS_MEMBER
HERE, AWAY = "urn:ihe:iti:2010:DocumentAvailability:Online", "urn:ihe:iti:2010:DocumentAvailability:Offline"
BOTH = (EntryType.STABLE, EntryType.ON_DEMAND)


async def never() -> Work:
    raise AssertionError("a question changes nothing")


async def asked(store: Store, request: StoredQueryRequest, limit: int = 1000) -> StoredQueryResponse:
    """The answer, with question and answer taken over the wire."""
    transaction = ITI_51 if isinstance(request.query, MultiPatientQuery) else ITI_18
    question = transaction.decode_request(soap_in(written(transaction.encode_request(request)))).value
    assert question == request
    exchange = Exchange(id="1", caller=Caller(peer=None, network_address=""), now=NOW, begin=never)
    answer = await StoredQueries(house=HOUSE, store=store, limit=limit).answer(question, exchange)
    read = ITI_18.decode_response(soap_in(written(ITI_18.encode_response(answer))))
    assert [finding.rule for finding in read.findings] == []
    return read.value


async def told(store: Store, request: StoredQueryRequest) -> StoredQueryResponse | list[tuple[str, str]]:
    """The whole objects with all that was said of them, or what the question is refused with. Their order means nothing."""
    try:
        answer = await asked(store, replace(request, return_type=ReturnType.LEAF_CLASS))
    except ExchangeError as error:
        return [(each.code, each.location) for each in ITI_18.refuse(error).errors]

    def by_uuid(objects: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(sorted(objects, key=lambda each: each.entry_uuid))

    return replace(
        answer,
        entries=by_uuid(answer.entries),
        submission_sets=by_uuid(answer.submission_sets),
        folders=by_uuid(answer.folders),
        associations=by_uuid(answer.associations),
    )


def ids(response: StoredQueryResponse) -> list[str]:
    """entryUUIDs of all that was answered, sorted."""
    whole = response if response.object_refs else response.as_references()
    return sorted(each.entry_uuid for each in whole.object_refs)


async def feed(store: Store, submissions: Iterable[Submission]) -> None:
    async with store.unit() as work:
        for each in (ANN, BEN):
            await work.identity.put(patient(each), NOW)
    for each_submission in submissions:
        try:
            async with store.unit() as work:
                await work.registry.put(each_submission, each_submission.submission_set.submission_time.at)
        except ExchangeError:
            continue  # refused as a whole: the judge's registry refused it as well


# --- the judge --------------------------------------------------------------------------------------------------------


def is_code(code: Code, *alternatives: Code) -> bool:
    return any((code.value, code.system) == (each.value, each.system) for each in alternatives)


def has_all(codes: tuple[Code, ...], groups: tuple[tuple[Code, ...], ...]) -> bool:
    return all(any(is_code(code, *group) for code in codes) for group in groups)


def in_time(moment: Moment | None, asked: TimeRange) -> bool:
    if moment is None:
        return True
    return not ((asked.start and moment.at < asked.start.at) or (asked.end and moment.at >= asked.end.at))


def looks_like(text: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(text, pattern.replace("%", "*").replace("_", "?"))


def cxi_of(reference: ReferenceId) -> str:
    return f"{reference.value}^^^&{reference.authority}&ISO^{reference.type}"


def family(each: DocumentEntry | Folder) -> str:
    return each.logical_id or each.entry_uuid


def older_versions(objects: list[DocumentEntry | Folder]) -> set[str]:
    return {
        each.entry_uuid
        for each in objects
        if any(family(other) == family(each) and other.version > each.version for other in objects)
    }


def is_named(each: DocumentEntry | Folder, q: DocumentCriteria | FolderCriteria) -> bool:
    return each.entry_uuid in q.entry_uuids or each.unique_id in q.unique_ids or family(each) in q.logical_ids


class Judge:
    """A registry's content, and what each query means of it."""

    def __init__(self, state: MemoryState) -> None:
        self.state = state
        self.older = older_versions([*state.entries.values(), *state.folders.values()])

    def look(self, asked: StoredQueryRequest) -> None:
        """What there is for who asks so: nothing that is held; at level 1 no older version but what is named."""
        named = {
            *asked.criteria.entry_uuids, *asked.submission_sets.entry_uuids, *asked.folders.entry_uuids, *asked.uuids
        }  # fmt: skip
        hidden = self.older - named if asked.metadata_level == 1 else set()

        def seen(objects: Iterable[Any]) -> list[Any]:
            return [
                each for each in objects if each.availability_status is not PENDING and each.entry_uuid not in hidden
            ]

        self.entries: list[DocumentEntry] = seen(self.state.entries.values())
        self.sets: list[SubmissionSet] = seen(self.state.sets.values())
        self.folders: list[Folder] = seen(self.state.folders.values())
        there = {each.entry_uuid for each in (*self.entries, *self.sets, *self.folders)}
        self.arrows = [
            each
            for each in self.state.associations.values()
            if {each.source, each.target} <= there
            and each.availability_status in (asked.association_statuses or (APPROVED,))
        ]

    def answer(self, asked: StoredQueryRequest) -> list[str]:
        self.look(asked)
        found = getattr(self, asked.query.name.lower())(asked)
        return sorted({each.entry_uuid for each in found})

    def find_documents(self, asked: StoredQueryRequest) -> list[DocumentEntry]:
        q = asked.criteria
        return [
            each
            for each in self.filtered(self.entries, q)
            if (not q.patient_ids or each.patient_id in q.patient_ids)
            and each.availability_status in q.statuses
            and (not q.class_codes or is_code(each.class_code, *q.class_codes))
            and (not q.type_codes or is_code(each.type_code, *q.type_codes))
            and (not q.practice_setting_codes or is_code(each.practice_setting_code, *q.practice_setting_codes))
            and (
                not q.healthcare_facility_type_codes
                or is_code(each.healthcare_facility_type_code, *q.healthcare_facility_type_codes)
            )
            and has_all(each.event_codes, q.event_codes)
            and (each.entry_type is EntryType.ON_DEMAND or in_time(each.creation_time, q.creation_time))
            and in_time(each.service_start_time, q.service_start_time)
            and in_time(each.service_stop_time, q.service_stop_time)
            and (
                not asked.availabilities
                or dict(each.extra).get("documentAvailability", (HERE,))[0] in asked.availabilities
            )
            and (
                not q.author_persons
                or any(looks_like(by.person, like) for by in each.authors for like in q.author_persons)
            )
        ]

    def find_documents_by_reference_id(self, asked: StoredQueryRequest) -> list[DocumentEntry]:
        found = self.find_documents(asked)
        for group in asked.criteria.reference_ids:
            found = [
                each
                for each in found
                if any(looks_like(cxi_of(reference), like) for reference in each.reference_ids for like in group)
            ]
        return found

    def find_submission_sets(self, asked: StoredQueryRequest) -> list[SubmissionSet]:
        q = asked.submission_sets
        return [
            each
            for each in self.sets
            if each.patient_id in q.patient_ids
            and each.availability_status in q.statuses
            and (not q.source_ids or each.source_id in q.source_ids)
            and in_time(each.submission_time, q.submission_time)
            and (not q.author_person or any(looks_like(by.person, q.author_person) for by in each.authors))
            and (not q.content_type_codes or is_code(each.content_type_code, *q.content_type_codes))
        ]

    def find_folders(self, asked: StoredQueryRequest) -> list[Folder]:
        q = asked.folders
        return [
            each
            for each in self.folders
            if (not q.patient_ids or each.patient_id in q.patient_ids)
            and each.availability_status in q.statuses
            and in_time(each.last_update_time, q.last_update_time)
            and has_all(each.codes, q.codes)
        ]

    def get_all(self, asked: StoredQueryRequest) -> list[object]:
        objects = [*self.find_documents(asked), *self.find_submission_sets(asked), *self.find_folders(asked)]
        return [*objects, *self.touching(each.entry_uuid for each in objects)]

    def get_documents(self, asked: StoredQueryRequest) -> list[DocumentEntry]:
        q = asked.criteria
        return [each for each in self.entries if is_named(each, q)]

    def get_folders(self, asked: StoredQueryRequest) -> list[Folder]:
        q = asked.folders
        return [each for each in self.folders if is_named(each, q)]

    def get_associations(self, asked: StoredQueryRequest) -> list[Association]:
        return self.touching(asked.uuids)

    def get_documents_and_associations(self, asked: StoredQueryRequest) -> list[object]:
        found = self.get_documents(asked)
        return [*found, *self.touching(each.entry_uuid for each in found)]

    def get_submission_sets(self, asked: StoredQueryRequest) -> list[object]:
        sets = {each.entry_uuid: each for each in self.sets}
        members = [
            each
            for each in self.arrows
            if each.type is MEMBER and each.source in sets and {each.source, each.target} & set(asked.uuids)
        ]
        return [*members, *(sets[each.source] for each in members)]

    def get_submission_set_and_contents(self, asked: StoredQueryRequest) -> list[object]:
        q = asked.submission_sets
        found = [each for each in self.sets if each.entry_uuid in q.entry_uuids or each.unique_id in q.unique_ids]
        return [*found, *self.contents(found, asked)]

    def get_folder_and_contents(self, asked: StoredQueryRequest) -> list[object]:
        found = self.get_folders(asked)
        return [*found, *self.contents(found, asked)]

    def get_folders_for_document(self, asked: StoredQueryRequest) -> list[Folder]:
        named = {each.entry_uuid for each in self.get_documents(asked)}
        filed = {each.source for each in self.arrows if each.type is MEMBER and each.target in named}
        return [each for each in self.folders if each.entry_uuid in filed]

    def get_related_documents(self, asked: StoredQueryRequest) -> list[object]:
        named = [each.entry_uuid for each in self.get_documents(asked)]
        arrows = [each for each in self.touching(named) if each.type in asked.association_types]
        ends = {end for each in arrows for end in (each.source, each.target)}
        related = [
            each for each in self.entries if each.entry_uuid in ends and each.entry_type in asked.criteria.entry_types
        ]
        return [*arrows, *related]

    def contents(self, of: Iterable[SubmissionSet | Folder], asked: StoredQueryRequest) -> list[object]:
        containers = {each.entry_uuid for each in of}
        members = [each for each in self.arrows if each.type is MEMBER and each.source in containers]
        targets = {each.target for each in members}
        entries = [each for each in self.filtered(self.entries, asked.criteria) if each.entry_uuid in targets]
        return [*members, *entries, *(each for each in self.folders if each.entry_uuid in targets)]

    def filtered(self, entries: Iterable[DocumentEntry], q: DocumentCriteria) -> list[DocumentEntry]:
        """$XDSDocumentEntryFormatCode, ConfidentialityCode and Type, which many queries have."""
        return [
            each
            for each in entries
            if each.entry_type in q.entry_types
            and (not q.format_codes or is_code(each.format_code, *q.format_codes))
            and has_all(each.confidentiality_codes, q.confidentiality_codes)
        ]

    def touching(self, uuids: Iterable[str]) -> list[Association]:
        ends = set(uuids)
        return [each for each in self.arrows if each.source in ends or each.target in ends]


# --- registries and questions by chance -------------------------------------------------------------------------------

PEOPLE = (ANN, BEN)
CODES = (CT, MR, HEAD)
LEVELS = (NORMAL, RESTRICTED)
WORDS = ("11^Welby", "12^Doe^Jane", "11_Welby")
LIKES = ("%Welby", "11^%", "%", "1_^Doe%", "nobody")
TIMES = tuple(Moment(NOW + timedelta(minutes=minutes)) for minutes in (0, 5, 10))
RELATIONS = (
    AssociationType.REPLACE,
    AssociationType.TRANSFORM,
    AssociationType.APPEND,
    AssociationType.TRANSFORM_REPLACE,
)
SEEN = (APPROVED, DEPRECATED)
WITH_STATUS = {
    query for query, table in PARAMETERS.items() if any(each.name == "$XDSAssociationStatus" for each in table)
}

some_codes = st.lists(st.sampled_from(CODES), max_size=2, unique=True).map(tuple)
some_statuses = st.lists(st.sampled_from(SEEN), min_size=1, max_size=2, unique=True).map(tuple)
times = st.one_of(st.none(), st.sampled_from(TIMES))
ranges = st.one_of(st.just(TimeRange()), st.builds(TimeRange, start=times, end=times))
authors = st.lists(st.builds(Author, person=st.sampled_from(WORDS)), max_size=2).map(tuple)
groups = st.lists(st.sampled_from([(CT,), (MR, HEAD), CODES]), max_size=2).map(tuple)
filters = {
    "format_codes": some_codes,
    "confidentiality_codes": st.lists(st.sampled_from([(NORMAL,), (RESTRICTED,), LEVELS]), max_size=2).map(tuple),
    "entry_types": st.sampled_from([BOTH, (EntryType.STABLE,), (EntryType.ON_DEMAND,)]),
}
words_of_entries = st.fixed_dictionaries(
    {},
    optional={
        "title": MAYBE,
        "comments": MAYBE,
        "legal_authenticator": MAYBE,
        "language_code": MAYBE,
        "mime_type": TEXT,
        "source_patient_id": PATIENT_ID,
        "source_patient": PATIENT,
        "size_bytes": st.integers(0, 10**12),
        "hash": st.just("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        "extra": EXTRA.map(lambda slots: tuple(sorted(slots.items()))),
    },
)
"""What no query asks for, and every answer tells again."""


@st.composite
def versions(draw: st.DrawFn, old: list[Any]) -> list[Any]:
    """At most one of these objects once more: its next version, if it is the newest that is seen."""
    newest = [each for each in old if each.availability_status is not PENDING]
    newest = [each for each in newest if each.entry_uuid not in older_versions(newest)]
    if not newest or draw(st.integers(0, 2)):
        return []
    chosen = draw(st.sampled_from(newest))
    codes = {"event_codes" if isinstance(chosen, DocumentEntry) else "codes": draw(some_codes)}
    return [replace(chosen, entry_uuid=entry_uuid(), logical_id=family(chosen), version=chosen.version + 1, **codes)]


@st.composite
def registries(draw: st.DrawFn) -> list[Submission]:
    """Submissions with documents and folders; documents are filed in old and new folders, and relate to old ones."""
    made: list[Submission] = []
    documents: list[DocumentEntry] = []
    files: list[Folder] = []
    for _ in range(draw(st.integers(1, 5))):
        of = draw(st.sampled_from(PEOPLE))
        status = PENDING if draw(st.integers(0, 4)) == 0 else APPROVED
        entries = [
            entry(
                of,
                availability_status=status,
                class_code=draw(st.sampled_from(CODES)),
                type_code=draw(st.sampled_from(CODES)),
                format_code=draw(st.sampled_from(CODES)),
                practice_setting_code=draw(st.sampled_from(CODES)),
                healthcare_facility_type_code=draw(st.sampled_from(CODES)),
                event_codes=draw(some_codes),
                confidentiality_codes=draw(st.sampled_from([(NORMAL,), (RESTRICTED,), LEVELS])),
                entry_type=draw(st.sampled_from([EntryType.STABLE, *BOTH])),
                authors=draw(authors),
                creation_time=draw(st.sampled_from(TIMES)),
                service_start_time=draw(times),
                service_stop_time=draw(times),
                reference_ids=tuple(
                    ReferenceId(value=value, type="urn:ihe:iti:xds:2013:accession", authority="1.2.3")
                    for value in draw(st.lists(st.sampled_from(["A1", "B2"]), max_size=2, unique=True))
                ),
                **draw(words_of_entries),
            )
            for _ in range(draw(st.integers(0, 3)))
        ]
        folders = [
            folder(
                of,
                availability_status=draw(st.sampled_from(SEEN)) if status is APPROVED else PENDING,
                codes=draw(some_codes),
                title=draw(TEXT),
                comments=draw(MAYBE),
                last_update_time=draw(times),
            )
            for _ in range(draw(st.integers(0, 2)))
        ]
        arrows = []
        for each in entries:
            where = [one for one in (*files, *folders) if one.patient_id == of]
            if where and draw(st.booleans()):
                arrow = relation(MEMBER, draw(st.sampled_from(where)).entry_uuid, each.entry_uuid)
                arrows.append(replace(arrow, availability_status=draw(st.sampled_from([APPROVED, *SEEN]))))
        old = [one for one in documents if one.patient_id == of]
        if status is APPROVED:
            entries += draw(versions(old))
            folders += draw(versions([one for one in files if one.patient_id == of]))
        if entries and old and draw(st.booleans()):
            target = draw(st.sampled_from(old)).entry_uuid
            arrows.append(relation(draw(st.sampled_from(RELATIONS)), entries[0].entry_uuid, target))
        made.append(
            submission(
                *entries,
                folders=tuple(folders),
                associations=tuple(arrows),
                patient_id=of,
                availability_status=status,
                source_id=draw(st.sampled_from(["1.2.3.55", "1.2.3.56"])),
                submission_time=draw(st.sampled_from(TIMES)),
                authors=draw(authors),
                content_type_code=draw(st.sampled_from(CODES)),
                title=draw(MAYBE),
                comments=draw(MAYBE),
            )
        )
        documents += entries
        files += folders
    return made


@st.composite
def questions(draw: st.DrawFn, of: list[Submission]) -> StoredQueryRequest:
    """Any of the queries, about what is there, or was refused, or never was."""
    query: AnyQuery = draw(st.sampled_from([*StoredQuery, *MultiPatientQuery]))
    several = isinstance(query, MultiPatientQuery)
    who = draw(st.sampled_from([PEOPLE, (ANN,), ()])) if several else (draw(st.sampled_from(PEOPLE)),)
    sets = [each.submission_set for each in of]
    entries = [each for one in of for each in one.entries] or [entry()]
    folders = [each for one in of for each in one.folders] or [folder()]
    narrow = {name: draw(values) if draw(st.booleans()) else () for name, values in filters.items()}
    narrow["entry_types"] = draw(filters["entry_types"])

    def named(objects: list[DocumentEntry] | list[SubmissionSet] | list[Folder], most: int) -> dict[str, object]:
        chosen = objects[draw(st.integers(0, len(objects) - 1)) :][: draw(st.integers(1, most))]
        way = draw(st.integers(0, 2 if query in (StoredQuery.GET_DOCUMENTS, StoredQuery.GET_FOLDERS) else 1))
        if way == 2:
            return {"logical_ids": tuple(family(each) for each in chosen)}  # type: ignore[arg-type]  # of no set
        if way:
            return {"entry_uuids": tuple(each.entry_uuid for each in chosen)}
        return {"unique_ids": tuple(each.unique_id for each in chosen)}

    def of_sets() -> SubmissionSetCriteria:
        return SubmissionSetCriteria(patient_ids=who, statuses=draw(some_statuses))

    criteria, set_criteria, folder_criteria = DocumentCriteria(), SubmissionSetCriteria(), FolderCriteria()
    uuids: tuple[str, ...] = ()
    types: tuple[AssociationType, ...] = ()
    if query.name in ("FIND_DOCUMENTS", "FIND_DOCUMENTS_BY_REFERENCE_ID"):
        optional: dict[str, st.SearchStrategy[object]] = {
            "class_codes": some_codes,
            "type_codes": some_codes,
            "practice_setting_codes": some_codes,
            "healthcare_facility_type_codes": some_codes,
            "event_codes": groups,
            "author_persons": st.lists(st.sampled_from(LIKES), max_size=2).map(tuple),
            "creation_time": ranges,
            "service_start_time": ranges,
            "service_stop_time": ranges,
            "format_codes": filters["format_codes"],
            "confidentiality_codes": filters["confidentiality_codes"],
        }
        names = draw(st.sets(st.sampled_from(sorted(optional)), max_size=3))
        given_: dict[str, object] = {name: draw(optional[name]) for name in sorted(names)}
        if several and not who:
            given_["class_codes"] = (draw(st.sampled_from(CODES)),)
        if query.name == "FIND_DOCUMENTS_BY_REFERENCE_ID":
            likes = st.sampled_from(["A1^%", "%accession", "B_^%", "C%"])
            given_["reference_ids"] = draw(
                st.lists(st.lists(likes, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2).map(tuple)
            )
        criteria = DocumentCriteria(
            patient_ids=who, statuses=draw(some_statuses), entry_types=narrow["entry_types"], **given_
        )  # type: ignore[arg-type]
    elif query is StoredQuery.FIND_SUBMISSION_SETS:
        set_criteria = replace(
            of_sets(),
            source_ids=draw(st.sampled_from([(), ("1.2.3.55",), ("1.2.3.55", "1.2.3.56")])),
            submission_time=draw(ranges),
            author_person=draw(st.sampled_from(["", *LIKES])),
            content_type_codes=draw(some_codes),
        )
    elif query.name == "FIND_FOLDERS":
        wanted = draw(groups) or (((CT,),) if several and not who else ())
        folder_criteria = FolderCriteria(
            patient_ids=who, statuses=draw(some_statuses), last_update_time=draw(ranges), codes=wanted
        )
    elif query is StoredQuery.GET_ALL:
        criteria = DocumentCriteria(patient_ids=who, statuses=draw(some_statuses), **narrow)  # type: ignore[arg-type]
        set_criteria = of_sets()
        folder_criteria = FolderCriteria(patient_ids=who, statuses=draw(some_statuses))
    elif query in (StoredQuery.GET_DOCUMENTS, StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS):
        criteria = DocumentCriteria(entry_types=BOTH, **named(entries, 3))  # type: ignore[arg-type]
    elif query is StoredQuery.GET_FOLDERS:
        folder_criteria = FolderCriteria(**named(folders, 3))  # type: ignore[arg-type]
    elif query in (StoredQuery.GET_ASSOCIATIONS, StoredQuery.GET_SUBMISSION_SETS):
        there = [each.entry_uuid for each in (*entries, *folders, *sets)]
        uuids = tuple(there[draw(st.integers(0, len(there) - 1)) :][: draw(st.integers(1, 3))])
    elif query is StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS:
        set_criteria = SubmissionSetCriteria(**named(sets, 1))  # type: ignore[arg-type]
        criteria = DocumentCriteria(**narrow)  # type: ignore[arg-type]
    elif query is StoredQuery.GET_FOLDER_AND_CONTENTS:
        folder_criteria = FolderCriteria(**named(folders, 1))  # type: ignore[arg-type]
        criteria = DocumentCriteria(**narrow)  # type: ignore[arg-type]
    elif query is StoredQuery.GET_FOLDERS_FOR_DOCUMENT:
        criteria = DocumentCriteria(entry_types=BOTH, **named(entries, 1))  # type: ignore[arg-type]
    elif query is StoredQuery.GET_RELATED_DOCUMENTS:
        criteria = DocumentCriteria(entry_types=narrow["entry_types"], **named(entries, 1))  # type: ignore[arg-type]
        types = RELATIONS[draw(st.integers(0, 3)) :][: draw(st.integers(1, 3))]
    return StoredQueryRequest(
        query=query,
        return_type=ReturnType.OBJECT_REF,  # several patients may be among what is named
        criteria=criteria,
        submission_sets=set_criteria,
        folders=folder_criteria,
        uuids=uuids,
        association_types=types,
        association_statuses=draw(some_statuses) if query in WITH_STATUS and draw(st.booleans()) else (),
        metadata_level=draw(st.sampled_from([1, 2])),
        availabilities=(
            draw(st.sampled_from([(), (HERE,), (AWAY,), (HERE, AWAY)])) if "FIND_DOCUMENTS" in query.name else ()
        ),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Submission], list[StoredQueryRequest]]:
    made = draw(registries())
    return made, draw(st.lists(questions(made), min_size=4, max_size=14))


async def same_answers(store: Store, submissions: list[Submission], asked_of: list[StoredQueryRequest]) -> None:
    memory = MemoryStore()
    await feed(memory, submissions)
    await feed(store, submissions)
    judged = Judge(memory.state)
    for request in asked_of:
        expected = judged.answer(request)
        assert ids(await asked(store, request)) == expected, request
        assert ids(await asked(memory, request)) == expected, request
        assert await told(store, request) == await told(memory, request), request


PLENTY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@PLENTY
@given(cases())
def test_every_query_is_answered_on_sqlite_as_its_table_reads(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[list[Submission], list[StoredQueryRequest]]
) -> None:
    on_sqlite(tmp_path_factory.getbasetemp(), lambda store: same_answers(store, *case))


@pytest.mark.judge_program
@settings(PLENTY, max_examples=8)
@given(cases())
def test_every_query_is_answered_on_postgresql_as_its_table_reads(
    database: str, case: tuple[list[Submission], list[StoredQueryRequest]]
) -> None:
    on_postgresql(database, lambda store: same_answers(store, *case))


async def test_documents_are_found_by_whether_they_can_be_had_at_once() -> None:
    store = MemoryStore()
    said = {"plain": (), "here": (HERE,), "away": (AWAY,)}
    made = {
        name: replace(entry(ANN), extra=(("documentAvailability", values),) if values else ())
        for name, values in said.items()
    }
    await feed(store, [submission(*made.values())])
    for wanted, names in (((), {*made}), ((HERE,), {"plain", "here"}), ((AWAY,), {"away"}), ((HERE, AWAY), {*made})):
        request = StoredQueryRequest(
            query=StoredQuery.FIND_DOCUMENTS, availabilities=wanted,
            criteria=DocumentCriteria(patient_ids=(ANN,), statuses=(APPROVED,)),
        )  # fmt: skip
        found = {each.entry_uuid for each in (await asked(store, request)).entries}
        assert found == {made[name].entry_uuid for name in names}, wanted


# --- one by one -------------------------------------------------------------------------------------------------------


def get_all(of: PatientIdentifier, **fields: object) -> StoredQueryRequest:
    """All that is approved or deprecated."""
    return StoredQueryRequest(
        query=StoredQuery.GET_ALL,
        criteria=DocumentCriteria(patient_ids=(of,), statuses=SEEN),
        submission_sets=SubmissionSetCriteria(patient_ids=(of,), statuses=SEEN),
        folders=FolderCriteria(patient_ids=(of,), statuses=SEEN),
        **fields,  # type: ignore[arg-type]
    )


def a_filed_document() -> tuple[Submission, DocumentEntry, Folder]:
    document, where = entry(), folder(title="Referral", codes=(CT,), last_update_time=Moment(NOW))
    filed = relation(MEMBER, where.entry_uuid, document.entry_uuid)
    return submission(document, folders=(where,), associations=(filed,)), document, where


@pytest.mark.judge_standard
async def test_all_of_a_patient_is_a_valid_answer_by_the_published_schemas() -> None:
    store = MemoryStore()
    made, document, where = a_filed_document()
    await feed(store, [made, submission(entry(BEN), patient_id=BEN)])
    answer = await asked(store, get_all(ANN))
    assert [each.unique_id for each in answer.entries] == [document.unique_id]
    assert [each.unique_id for each in answer.folders] == [where.unique_id]
    assert [each.entry_uuid for each in answer.submission_sets] == [made.submission_set.entry_uuid]
    assert len(answer.associations) == 3
    judge(written(ITI_18.encode_response(answer)))
    judge(written(ITI_18.encode_response(answer.as_references())))


async def test_a_folder_of_a_held_submission_and_what_leads_to_it_are_not_there() -> None:
    store = MemoryStore()
    made, document, _ = a_filed_document()
    hidden = folder(availability_status=PENDING)
    waiting = submission(
        folders=(hidden,),
        associations=(relation(MEMBER, hidden.entry_uuid, document.entry_uuid),),
        availability_status=PENDING,
    )
    await feed(store, [made, waiting])
    answer = await asked(store, StoredQueryRequest(query=StoredQuery.GET_ASSOCIATIONS, uuids=(document.entry_uuid,)))
    assert {each.entry_uuid for each in answer.associations} <= {each.entry_uuid for each in made.associations}
    assert len(answer.associations) == 2
    for query in (StoredQuery.GET_FOLDERS, StoredQuery.GET_FOLDER_AND_CONTENTS):
        by_id = StoredQueryRequest(query=query, folders=FolderCriteria(unique_ids=(hidden.unique_id,)))
        assert (await asked(store, by_id)).count == 0


async def test_objects_of_two_patients_are_answered_as_references_only() -> None:
    store = MemoryStore()
    ours, theirs = folder(title="a"), folder(BEN, title="b")
    await feed(store, [submission(folders=(ours,)), submission(folders=(theirs,), patient_id=BEN)])
    both = StoredQueryRequest(
        query=StoredQuery.GET_FOLDERS, folders=FolderCriteria(entry_uuids=(ours.entry_uuid, theirs.entry_uuid))
    )
    with pytest.raises(RuleViolation) as caught:
        await asked(store, both)
    assert caught.value.code == "XDSResultNotSinglePatient"
    assert (await asked(store, replace(both, return_type=ReturnType.OBJECT_REF))).count == 2


async def test_too_many_objects_may_still_be_few_enough_references() -> None:
    store = MemoryStore()
    await feed(store, [a_filed_document()[0]])  # a set, an entry, a folder, three associations
    with pytest.raises(TooManyResults):
        await asked(store, get_all(ANN), limit=5)
    assert (await asked(store, get_all(ANN), limit=6)).count == 6
    assert (await asked(store, get_all(ANN, return_type=ReturnType.OBJECT_REF), limit=1)).count == 6


FIND_BY_PATIENT: list[Callable[[PatientIdentifier], StoredQueryRequest]] = [
    get_all,
    lambda of: StoredQueryRequest(
        query=StoredQuery.FIND_SUBMISSION_SETS,
        submission_sets=SubmissionSetCriteria(patient_ids=(of,), statuses=SEEN),
    ),
    lambda of: StoredQueryRequest(
        query=StoredQuery.FIND_FOLDERS, folders=FolderCriteria(patient_ids=(of,), statuses=SEEN)
    ),
]


@pytest.mark.parametrize("question", FIND_BY_PATIENT)
async def test_a_patient_whom_nobody_knows_is_named_whatever_is_looked_for(
    question: Callable[[PatientIdentifier], StoredQueryRequest],
) -> None:
    store = MemoryStore()
    await feed(store, [])
    with pytest.raises(UnknownPatient) as caught:
        await asked(store, question(CAT))
    assert caught.value.code == "XDSUnknownPatientId"
    assert (await asked(store, question(ANN))).count == 0


async def test_a_question_to_another_community_is_not_ours_to_answer() -> None:
    store = MemoryStore()
    await feed(store, [a_filed_document()[0]])
    assert (await asked(store, get_all(ANN, home_community_id=HOUSE.home_community_id))).count == 6
    with pytest.raises(UnknownCommunity) as caught:
        await asked(store, get_all(ANN, home_community_id=Oid("1.2.3.4.999")))
    (error,) = ITI_18.refuse(caught.value).errors
    assert (error.code, error.location) == ("XDSUnknownCommunity", "urn:oid:1.2.3.4.999")


async def test_a_document_that_is_replaced_is_followed_by_the_new_one_in_the_folder() -> None:
    store = MemoryStore()
    made, old, where = a_filed_document()
    new = entry()
    arrow = relation(AssociationType.REPLACE, new.entry_uuid, old.entry_uuid)
    await feed(store, [made, submission(new, associations=(arrow,), submission_time=Moment(LATER))])
    contents = StoredQueryRequest(
        query=StoredQuery.GET_FOLDER_AND_CONTENTS, folders=FolderCriteria(unique_ids=(where.unique_id,))
    )
    answer = await asked(store, contents)
    assert {each.unique_id: each.availability_status for each in answer.entries} == {
        old.unique_id: DEPRECATED,
        new.unique_id: APPROVED,
    }
    assert [each.last_update_time for each in answer.folders] == [Moment(LATER)]
    related = StoredQueryRequest(
        query=StoredQuery.GET_RELATED_DOCUMENTS,
        criteria=DocumentCriteria(unique_ids=(old.unique_id,)),
        association_types=(AssociationType.REPLACE,),
    )
    assert {each.unique_id for each in (await asked(store, related)).entries} == {old.unique_id, new.unique_id}
    assert (await asked(store, replace(related, association_types=(AssociationType.APPEND,)))).count == 0


async def test_what_is_held_is_not_told_by_the_document_that_it_relates_to() -> None:
    store = MemoryStore()
    made, old, _ = a_filed_document()
    new = entry(availability_status=PENDING)
    arrow = relation(AssociationType.APPEND, new.entry_uuid, old.entry_uuid)
    await feed(store, [made, submission(new, associations=(arrow,), availability_status=PENDING)])
    related = StoredQueryRequest(
        query=StoredQuery.GET_RELATED_DOCUMENTS,
        criteria=DocumentCriteria(unique_ids=(old.unique_id,)),
        association_types=(AssociationType.APPEND,),
    )
    assert (await asked(store, related)).count == 0
    async with store.unit() as work:
        await work.registry.set_status(new.entry_uuid, APPROVED, LATER)
    assert (await asked(store, related)).count == 3


async def test_who_does_not_know_of_versions_is_told_of_the_newest_and_of_what_is_named() -> None:
    store = MemoryStore()
    made, first, where = a_filed_document()
    second = replace(first, entry_uuid=entry_uuid(), logical_id=first.entry_uuid, version=2, title="second")
    await feed(store, [made, submission(second)])

    async def versions_of(query: StoredQuery, level: int, **named: object) -> list[int]:
        request = StoredQueryRequest(query=query, metadata_level=level, **named)  # type: ignore[arg-type]
        return sorted(each.version for each in (await asked(store, request)).entries)

    both = (EntryType.STABLE, EntryType.ON_DEMAND)
    by_unique_id = DocumentCriteria(unique_ids=(first.unique_id,), entry_types=both)
    by_uuid = DocumentCriteria(entry_uuids=(first.entry_uuid,), entry_types=both)
    by_logical_id = DocumentCriteria(logical_ids=(first.entry_uuid,), entry_types=both)
    find = DocumentCriteria(patient_ids=(ANN,), statuses=SEEN)
    assert await versions_of(StoredQuery.GET_DOCUMENTS, 1, criteria=by_unique_id) == [2]
    assert await versions_of(StoredQuery.GET_DOCUMENTS, 2, criteria=by_unique_id) == [1, 2]
    assert await versions_of(StoredQuery.GET_DOCUMENTS, 1, criteria=by_uuid) == [1]
    assert await versions_of(StoredQuery.GET_DOCUMENTS, 1, criteria=by_logical_id) == [2]
    assert await versions_of(StoredQuery.GET_DOCUMENTS, 2, criteria=by_logical_id) == [1, 2]
    assert await versions_of(StoredQuery.FIND_DOCUMENTS, 1, criteria=find) == [2]
    assert await versions_of(StoredQuery.FIND_DOCUMENTS, 2, criteria=find) == [1, 2]
    inside = FolderCriteria(unique_ids=(where.unique_id,))
    assert await versions_of(StoredQuery.GET_FOLDER_AND_CONTENTS, 1, folders=inside) == []
    assert await versions_of(StoredQuery.GET_FOLDER_AND_CONTENTS, 2, folders=inside) == [1]


async def test_what_an_update_was_asked_for_by_is_told_at_level_2_only() -> None:
    store = MemoryStore()
    document = entry()
    await feed(store, [submission(document)])
    whole = submission()
    told = relation(AssociationType.UPDATE_AVAILABILITY_STATUS, whole.submission_set.entry_uuid, document.entry_uuid)
    await feed(store, [replace(whole, associations=(told,))])
    request = StoredQueryRequest(query=StoredQuery.GET_ASSOCIATIONS, uuids=(document.entry_uuid,))
    assert told not in (await asked(store, request)).associations
    assert told in (await asked(store, replace(request, metadata_level=2))).associations


async def test_a_deprecated_association_is_told_to_who_asks_for_it() -> None:
    store = MemoryStore()
    made, document, _ = a_filed_document()
    gone = replace(made.associations[-1], availability_status=DEPRECATED)
    await feed(store, [replace(made, associations=(*made.associations[:-1], gone))])
    request = StoredQueryRequest(query=StoredQuery.GET_ASSOCIATIONS, uuids=(document.entry_uuid,))
    assert gone not in (await asked(store, request)).associations
    assert (await asked(store, replace(request, association_statuses=(DEPRECATED,)))).associations == (gone,)
    filed = StoredQueryRequest(
        query=StoredQuery.GET_FOLDERS_FOR_DOCUMENT,
        criteria=DocumentCriteria(unique_ids=(document.unique_id,), entry_types=BOTH),
    )
    assert (await asked(store, filed)).count == 0
    assert (await asked(store, replace(filed, association_statuses=SEEN))).count == 1


async def test_several_patients_are_answered_whole_where_they_were_asked_for() -> None:
    store = MemoryStore()
    ours, theirs = entry(ANN), entry(BEN)
    await feed(store, [submission(ours), submission(theirs, patient_id=BEN)])
    for who in (PEOPLE, ()):
        request = StoredQueryRequest(
            query=MultiPatientQuery.FIND_DOCUMENTS,
            criteria=DocumentCriteria(
                patient_ids=who, statuses=SEEN, class_codes=(replace(ours.class_code, display=""),)
            ),
        )
        assert {each.patient_id for each in (await asked(store, request)).entries} == {ANN, BEN}
