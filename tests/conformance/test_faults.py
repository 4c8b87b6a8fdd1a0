"""The tester can fail: a right house passes every case, and every case catches a fault. The faults are beside this file."""

from pathlib import Path

import pytest

from conformance.faults import FAULTS
from conformance.own import Own
from conformance.runner import run
from conformance.verdict import Verdict
from tests.support.sabotage import CASES, COMMUNITIES, DOCUMENTS, IMAGES, PEOPLE, faults_of


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_fault_every_claimed_case_passes(own: Own, tmp_path: Path) -> None:
    done = await run(CASES.values(), own.system, tmp_path, strict=True, around=own.around)
    assert [(result.case.id, result.detail) for result in done.results if result.verdict is not Verdict.PASS] == []


def test_every_case_catches_a_fault() -> None:
    """A case that no fault can make fail may be one that cannot fail."""
    caught = {id for fault in FAULTS.values() for id in fault.caught_by}
    assert set(CASES) - caught == {id for id in CASES if id.startswith("atna.node_authentication/")}


def test_every_fault_is_tried_once() -> None:
    """Each kind of rooms has a file of its own."""
    assert sorted(name for rooms in (DOCUMENTS, COMMUNITIES, IMAGES, PEOPLE) for name in faults_of(rooms)) == sorted(
        FAULTS
    )
