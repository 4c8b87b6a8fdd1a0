"""A fault put into our own house, and whether the suite sees it."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.faults import FAULTS, Fault, Sabotage
from conformance.own import Own
from conformance.runner import run
from conformance.suites import cases
from conformance.verdict import Verdict

NOTHING = Fault(text="does nothing", transactions=(), caught_by=())
CASES = {case.id: case for case in cases()}
WAIT_S = 1.5  # what does not come in time fails the case too, as it must
IMPATIENT = {
    "conformance.suites.wia.dicomweb.STORED_S": 2.0,
    "conformance.suites.xua.provider.COUNTED_S": 0.1,
    "conformance.target.CONVERSED_S": 1.5,
}
# The rooms of the suites; each kind of them has a file of tests, so that two are run at a time.
DOCUMENTS = frozenset({"xds"})
COMMUNITIES = frozenset({"asked_elsewhere", "xca", "xcai", "xcdr", "xcpd", "xua"})
IMAGES = frozenset({"atna", "ehr", "swf", "wia", "xdsi"})
PEOPLE = frozenset({"pdqv3", "pix", "pixv3"})


def faults_of(rooms: Iterable[str]) -> list[str]:
    """The names of the faults that suites of these rooms catch."""
    return [name for name, fault in FAULTS.items() if room_of(fault) in rooms]


def room_of(fault: Fault) -> str:
    """Where the first case is that catches it."""
    return re.split(r"[./]", fault.caught_by[0])[0]


async def is_caught(name: str, own: Own, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case that is meant for the fault fails, and the fault did something."""
    for patience, seconds in IMPATIENT.items():  # what a fault keeps back does not come later either
        monkeypatch.setattr(patience, seconds)
    sabotage = Sabotage(FAULTS[name], own.system)
    chosen = [CASES[id] for id in FAULTS[name].caught_by]
    around = replace(own.around, wait_s=WAIT_S)
    sabotage.stand_around(around)
    try:
        done = await run(chosen, own.system, folder, in_flight=sabotage, around=around)
    finally:
        Sabotage(NOTHING, own.system).stand_around(own.around)
    assert sabotage.changed, "the fault changed nothing"
    assert {result.case.id: result.verdict for result in done.results} == dict.fromkeys(
        FAULTS[name].caught_by, Verdict.FAIL
    )
