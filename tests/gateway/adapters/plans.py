"""What SQLite does for the questions of the day: each by name, and the steps of its plan."""

import re
from dataclasses import replace
from typing import Any

from gateway.adapters.store_sql import SqlStore
from profiles.model.identifiers import Oid
from profiles.model.moment import Moment
from profiles.model.patient import PersonName
from profiles.model.query import DocumentCriteria, NameCriteria, PageKey, PatientCriteria, StudyCriteria, TimeRange
from tests.support.registered import ANN, BEN, CT, HEAD, NORMAL, NOW, patient


async def statements(store: SqlStore, ask: Any) -> list[str]:
    """What a question asks of SQLite, with its values."""
    seen: list[str] = []
    async with store.view() as work:
        raw = work.executor.raw  # type: ignore[attr-defined]
        raw.set_trace_callback(seen.append)
        await ask(work)
        raw.set_trace_callback(None)
    return [statement for statement in seen if statement.startswith(("SELECT", "WITH"))]


async def plans(store: SqlStore, ask: Any) -> list[str]:
    """What SQLite does for each statement of a question."""
    asked = await statements(store, ask)
    async with store.view() as work:
        raw = work.executor.raw  # type: ignore[attr-defined]
        found = [row[3] for statement in asked for row in raw.execute(f"explain query plan {statement}")]
    assert found
    return found


def scans(plan: list[str]) -> list[str]:
    """Steps that walk a whole table. Walking an index in the order of the answer stops at the limit and is none."""
    return [step for step in plan if re.match(r"SCAN (?!CONSTANT|\(subquery)", step) and "USING" not in step]


def sorts(plan: list[str]) -> list[str]:
    return [step for step in plan if "TEMP B-TREE" in step]


async def find(work: Any, **criteria: Any) -> None:
    async for _ in work.registry.find(DocumentCriteria(**criteria)):
        pass


BY_PATIENT = {
    "all of a patient": {},
    "by codes": {"class_codes": (CT,), "format_codes": (CT, HEAD), "event_codes": ((CT, HEAD), (HEAD,))},
    "by confidentiality": {"confidentiality_codes": ((NORMAL,),)},
    "by reference": {"reference_ids": (("A1^^^%",), ("%accession",))},
    "by author": {"author_persons": ("%Welby%",)},
    "newest versions": {"latest": True},
    "by time": {"creation_time": TimeRange(start=Moment(NOW)), "service_start_time": TimeRange(end=Moment(NOW))},
}

NAMED = NameCriteria(name=PersonName(family="Doe", given="Jane"))
ALSO_BY_INDEX: dict[str, Any] = {
    "two patients": lambda work: find(work, patient_ids=(ANN, BEN)),
    "by entryUUID": lambda work: find(work, entry_uuids=("urn:uuid:1", "urn:uuid:2")),
    "by uniqueId": lambda work: find(work, unique_ids=("1.2",)),
    "by reference among all patients": lambda work: find(work, reference_ids=((r"A\_1^^^&1.2&ISO^x",),)),
    "by event among all patients": lambda work: find(work, event_codes=((CT,),)),
    "everything": lambda work: find(work),
    "every version": lambda work: find(work, logical_ids=("urn:uuid:1", "urn:uuid:2")),
    "the newest version": lambda work: find(work, logical_ids=("urn:uuid:1",), latest=True),
    "count of a patient": lambda work: work.registry.count(DocumentCriteria(patient_ids=(ANN,))),
    "entries": lambda work: work.registry.entries("1.2"),
    "associations": lambda work: work.registry.associations(["urn:uuid:1", "urn:uuid:2"]),
    "submission sets": lambda work: work.registry.submission_sets(["urn:uuid:1"]),
    "patients by name and birth": lambda work: work.identity.find(PatientCriteria(names=(NAMED,)), 10),
    "patients by the beginning of a name": lambda work: work.identity.find(
        PatientCriteria(names=(replace(NAMED, beginning=True),)), 10
    ),
    "patients by ids": lambda work: work.identity.find(PatientCriteria(identifiers=(ANN, BEN)), 10),
    "correlation": lambda work: work.correlations.get(ANN, Oid("1.2.4.1"), NOW),
    "studies by patient": lambda work: work.studies.search(StudyCriteria(patient_ids=(("a", "1.2"), ("b", None)))),
    "studies by accession": lambda work: work.studies.search(StudyCriteria(accession_numbers=(("a", None),))),
    "studies by uid": lambda work: work.studies.search(StudyCriteria(study_instance_uids=("1.2",))),
    "studies by series": lambda work: work.studies.search(StudyCriteria(series_instance_uids=("1.2",))),
    "studies by instance": lambda work: work.studies.search(StudyCriteria(sop_instance_uids=("1.2",))),
    "studies by name": lambda work: work.studies.search(StudyCriteria(patient_name="doe*"), False),
    "studies of a day": lambda work: work.studies.search(StudyCriteria(started=(("eq", Moment.from_dtm("20260301")),))),
    "newest studies": lambda work: work.studies.search(StudyCriteria(), False),
    "next page": lambda work: work.studies.search(
        StudyCriteria(order="updated", after=PageKey(value="2026-01-01T00:00:00+00:00", study_instance_uid="1")), False
    ),
    "a study": lambda work: work.studies.get("1.2.3.50.1"),
    "expected": lambda work: work.studies.expected("1.2.3.50.1"),
    "withdrawn": lambda work: work.studies.withdrawn("1.2.3.50.1"),
    "locate": lambda work: work.studies.locate("1.2.3.50.1.1.1"),
    "patient": lambda work: work.identity.get(ANN),
    "unknown patient": lambda work: work.identity.get(BEN),
    "match": lambda work: work.identity.match(patient()),
    "links": lambda work: work.identity.links(ANN),
    "exchange": lambda work: work.ledger.get("1"),
    "timeline": lambda work: work.ledger.timeline("1"),
    "next due": lambda work: work.ledger.next_due(),
    "list": lambda work: work.ledger.list(before="5"),
    "list of a peer": lambda work: work.ledger.list(peer="Lakeside"),
    "document": lambda work: work.documents.open("1.2"),
    "raw message": lambda work: work.raw.open("1"),
    "raw messages that are too much": lambda work: work.raw.horizon(NOW, 0, failed=False),
}
