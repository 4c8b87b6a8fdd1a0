"""The tester can fail: each fault that a house could have is caught by the cases that it is meant for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from conformance.faults import FAULTS, Sabotage
from conformance.own import own_house
from conformance.runner import run
from conformance.suites import cases
from conformance.system import System
from conformance.verdict import Verdict

CASES = {case.id: case for case in cases()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system() -> AsyncIterator[System]:
    async with own_house() as house:
        yield house


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_caught_by_the_cases_that_it_is_meant_for(name: str, system: System, tmp_path: Path) -> None:
    sabotage = Sabotage(FAULTS[name], system)
    chosen = [CASES[id] for id in FAULTS[name].caught_by]
    done = await run(chosen, system, tmp_path, in_flight=sabotage)
    assert sabotage.changed, "the fault changed nothing"
    assert {result.case.id: result.verdict for result in done.results} == dict.fromkeys(
        FAULTS[name].caught_by, Verdict.FAIL
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_fault_every_claimed_case_passes(system: System, tmp_path: Path) -> None:
    done = await run(CASES.values(), system, tmp_path, strict=True)
    assert [(result.case.id, result.detail) for result in done.results if result.verdict is not Verdict.PASS] == []


def test_every_case_catches_a_fault() -> None:
    """A case that no fault can make fail may be one that cannot fail."""
    assert set(CASES) - {id for fault in FAULTS.values() for id in fault.caught_by} == set()
