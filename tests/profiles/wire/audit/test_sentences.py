"""A compliance officer reads who did what to whom, without a code."""

import re
from dataclasses import replace

import pytest
from hypothesis import given

from profiles.model.audit import AuditRecord
from profiles.wire.audit.read import decode
from profiles.wire.audit.sentences import sentence
from tests.profiles.wire.audit.records import KINDS, RECORDS
from tests.support.judges import standards

NAMES = {"203.0.113.17": "Lakeside", "valley.example": "Valley"}

SENTENCES = {
    "a submission": "Lakeside sent the submission 1.2.3.77 of patient V123 to Valley by ITI-41 for DrA, purpose treatment;"
    " it succeeded.",
    "a retrieve that failed": "Lakeside tried to fetch the document 1.2.3.5 of patient V123 from Valley by ITI-43 for DrA,"
    " purpose treatment; it failed: XDSDocumentUniqueIdError: no such document.",
    "a stored query": "Lakeside asked Valley about patient V123 by ITI-18 for DrA, purpose treatment; it succeeded.",
    "imaging retrieved": "Lakeside fetched the study 1.2.3.4.5 (60 instances) of patient V123 from Valley by RAD-69 for"
    " DrA, purpose treatment; it succeeded.",
    "a merge": "Lakeside told Valley that patient V123 is no longer valid by ITI-8 for DrA, purpose treatment; it"
    " succeeded.",
    "instances stored": "Lakeside sent the study 1.2.3.4.5 (60 instances) of patient V123 to Valley by RAD-108 for DrA,"
    " purpose treatment; it succeeded.",
    "a search of studies": "Lakeside asked Valley what it has for DrA, purpose treatment; it succeeded.",
    "a report sent that nobody took": "Lakeside tried to report the study 1.2.3.4.5 (60 instances) of patient V123 to"
    " Valley for DrA, purpose treatment; it failed badly: no connection.",
    "the log looked at": "DrA looked at the audit log, purpose treatment; it succeeded.",
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_each_kind_is_told_plainly(kind: str) -> None:
    assert sentence(KINDS[kind], NAMES) == SENTENCES[kind]


def test_who_is_one_end_is_not_named_again_as_the_person_behind_it() -> None:
    viewed = KINDS["imaging retrieved"]
    (person,) = (who for who in viewed.participants if who.user_name.startswith("DrA"))
    ends = [who for who in viewed.participants if who is not person]
    at_desk = replace(
        viewed, participants=(*(replace(who, user_id="DrA") if who.is_requestor else who for who in ends), person)
    )
    told = sentence(at_desk, {"DrA": "DrA", **NAMES})
    assert told.startswith("DrA fetched the study")
    assert " for DrA" not in told


@given(RECORDS)
def test_any_record_is_one_sentence(record: AuditRecord) -> None:
    told = sentence(record)
    assert told.endswith(".")
    assert "; " in told


@pytest.mark.judge_standard
def test_no_sample_is_told_by_its_codes() -> None:
    for path in sorted(standards("samples", "atna").glob("*.xml")):
        told = sentence(decode(path.read_bytes()).value)
        assert not re.search(r"\b1101\d\d\b|RFC-3881|csd-code|\bDCM\b", told), f"{path.name}: {told}"
