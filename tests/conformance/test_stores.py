"""The suite on our own house on PostgreSQL; on SQLite it is run beside the faults, in test_faults."""

from pathlib import Path

import pytest

from conformance.claims import read_claims
from conformance.own import own_house
from conformance.report import as_json, write
from conformance.rows import requirements
from conformance.runner import run
from conformance.statement import problems, read_result
from conformance.suites import cases
from conformance.verdict import Verdict
from tests.support.postgres import postgresql


@pytest.mark.judge_program
async def test_on_postgresql_every_claimed_case_passes_and_the_statement_can_be_stood_by(tmp_path: Path) -> None:
    with postgresql() as store:
        async with own_house(store_url=store) as own:
            done = await run(cases(), own.system, tmp_path / "evidence", strict=True, around=own.around)
    assert [(result.case.id, result.detail) for result in done.results if result.verdict is not Verdict.PASS] == []
    write(tmp_path / "result.json", as_json(done, requirements()))
    assert problems(read_claims(), [read_result(tmp_path / "result.json")], cases()) == ()
