"""The tester can fail: each fault that a house could have is caught by the cases that it is meant for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from conformance.faults import FAULTS, Fault, Sabotage
from conformance.own import Own, own_house
from conformance.runner import run
from conformance.suites import cases
from conformance.verdict import Verdict

NOTHING = Fault(text="does nothing", transactions=(), caught_by=())
WAIT_S = 1.5  # what does not come in time fails the case too, as it must
IMPATIENT = {
    "conformance.suites.wia.dicomweb.STORED_S": 2.0,
    "conformance.target.CONVERSED_S": 1.5,
}
CASES = {case.id: case for case in cases()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own() -> AsyncIterator[Own]:
    async with own_house() as house:
        yield house


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_caught_by_the_cases_that_it_is_meant_for(
    name: str, own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience, seconds in IMPATIENT.items():  # what a fault keeps back does not come later either
        monkeypatch.setattr(patience, seconds)
    sabotage = Sabotage(FAULTS[name], own.system)
    chosen = [CASES[id] for id in FAULTS[name].caught_by]
    around = replace(own.around, wait_s=WAIT_S)
    sabotage.stand_around(around)
    try:
        done = await run(chosen, own.system, tmp_path, in_flight=sabotage, around=around)
    finally:
        Sabotage(NOTHING, own.system).stand_around(own.around)
    assert sabotage.changed, "the fault changed nothing"
    assert {result.case.id: result.verdict for result in done.results} == dict.fromkeys(
        FAULTS[name].caught_by, Verdict.FAIL
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_fault_every_claimed_case_passes(own: Own, tmp_path: Path) -> None:
    done = await run(CASES.values(), own.system, tmp_path, strict=True, around=own.around)
    assert [(result.case.id, result.detail) for result in done.results if result.verdict is not Verdict.PASS] == []


def test_every_case_catches_a_fault() -> None:
    """A case that no fault can make fail may be one that cannot fail."""
    caught = {id for fault in FAULTS.values() for id in fault.caught_by}
    assert set(CASES) - caught == {id for id in CASES if id.startswith("atna.node_authentication/")}  # below
