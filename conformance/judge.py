"""`list`, `run` and `coverage`: which cases there are, what a system makes of them, and what no case proves."""

import asyncio
import json
import os
import shlex
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console

from conformance import report
from conformance.around import NOTHING, Around
from conformance.case import Case
from conformance.counterparts import by_command, by_hand, standing
from conformance.faults import FAULTS, Sabotage
from conformance.house import HouseFailed
from conformance.own import own_house
from conformance.provide import NotTaken
from conformance.rows import coverage, requirements
from conformance.runner import Result, Run, run
from conformance.suites import cases
from conformance.system import BadDescription, System
from conformance.verdict import Verdict

COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "red",
    Verdict.SKIP: "yellow",
    Verdict.OMIT: "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of all cases is wanted: each condition None for any."""

    actor: str | None = None
    transaction: str | None = None
    case: str | None = None

    def wants(self, case: Case) -> bool:
        """Whether a case is of it; a case's id may be given by any part of it."""
        return (
            (self.actor is None or self.actor.casefold() == case.actor.casefold())
            and (self.transaction is None or self.transaction.casefold() == case.transaction.casefold())
            and (self.case is None or self.case in case.id)
        )

    def of(self, all_cases: Iterable[Case]) -> tuple[Case, ...]:
        """Those that are wanted.

        Raises:
            SystemExit: There are none.
        """
        found = tuple(case for case in all_cases if self.wants(case))
        if not found:
            raise SystemExit("no case is so; `radgate conformance list` shows all")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where reports go; None: they are not written."""

    evidence: Path
    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None


def listed(asked: Asked, *, as_json: bool) -> None:
    """Print the cases."""
    found = asked.of(cases())
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "id": case.id, "title": case.title, "actor": case.actor, "transaction": case.transaction,
                        "requirements": case.requirements,
                    }
                    for case in found
                ]
            )
        )  # fmt: skip
        return
    for case in found:
        print(f"{case.transaction:<8} {case.actor:<32} {case.id}\n{'':<8} {case.title}")
    print(f"{len(found)} cases")


def be_a_fault(name: str) -> None:
    """Accept a fault that there is, or "".

    Raises:
        SystemExit: There is none, but perhaps some like it.
    """
    if name and name not in FAULTS:
        like = get_close_matches(name, FAULTS, n=3)
        hint = f"like it: {', '.join(like)}; " if like else ""
        raise SystemExit(f"there is no fault {name}; {hint}`radgate conformance list --faults` shows all")


def faults_listed(asked: Asked, *, as_json: bool) -> None:
    """Print the faults that these cases catch: what a house with it does, and which cases then fail."""
    wanted = {case.id for case in asked.of(cases())}
    found = {name: fault for name, fault in FAULTS.items() if wanted & set(fault.caught_by)}
    if as_json:
        print(
            json.dumps(
                [
                    {"name": name, "text": fault.text, "caught_by": fault.caught_by}
                    for name, fault in found.items()
                ]
            )
        )  # fmt: skip
        return
    for name, fault in found.items():
        print(f"{name}: a house that {fault.text}\n    fails {', '.join(fault.caught_by)}")
    print(f"{len(found)} faults")


def covered(*, as_json: bool) -> None:
    """Print each requirement with the cases that prove it, or why none does."""
    rows = coverage(cases(), requirements())
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "id": each.requirement.id, "transaction": each.requirement.transaction,
                        "level": each.requirement.level, "actor": each.requirement.actor,
                        "section": each.requirement.section, "text": each.requirement.text,
                        "cases": each.cases, "not_tested": each.requirement.not_tested,
                    }
                    for each in rows
                ]
            )
        )  # fmt: skip
        return
    print("| requirement | level | actor | says | proved by |\n|---|---|---|---|---|")
    for each in rows:
        row = each.requirement
        proof = f"{len(each.cases)} cases" if len(each.cases) > 1 else "".join(each.cases)
        print(
            f"| {row.id} | {row.level} | {row.actor or 'any'} | {row.text} | {proof or f'not tested: {row.not_tested}'} |"
        )
    proved = sum(bool(each.cases) for each in rows)
    print(f"\n{proved} of {len(rows)} requirements are proved by a case.")


async def judged(
    target: System | None,
    asked: Asked,
    files: Files,
    *,
    strict: bool,
    store_url: str = "",
    fault: str = "",
    provoke: str = "",
) -> bool:
    """Try the cases on a system, telling of each; whether all is good.

    Args:
        target: Who is judged; None: our own house on scratch data.
        asked: Which cases.
        files: Where evidence and reports go.
        strict: Whether warnings fail.
        store_url: The database of our own house.
        fault: What is done to its messages, so that cases must fail; "": nothing.
        provoke: What is run to make a target speak, with its arguments; "": a person is told what to do.
    """
    be_a_fault(fault)
    console = Console(highlight=False, soft_wrap=True)
    chosen = asked.of(cases())
    if target is None and provoke:
        raise SystemExit("--provoke is for systems of others; our own house is told by its command line")
    try:
        if target is None:
            console.print("Starting a house on scratch data.", style="dim")
            async with own_house(store_url=store_url) as own:
                done = await _run(console, chosen, own.system, files, strict=strict, fault=fault, around=own.around)
        else:
            async with _around(target, provoke, console) as around:
                done = await _run(console, chosen, target, files, strict=strict, around=around)
    except (BadDescription, HouseFailed, NotTaken) as error:
        raise SystemExit(str(error)) from error
    await asyncio.to_thread(_write, done, files)
    counts = ", ".join(f"{done.count(verdict)} {verdict}" for verdict in report.ORDER if done.count(verdict))
    console.print(f"{done.system}: {counts} in {done.seconds:.1f} s", style="bold green" if done.good else "bold red")
    return done.good


@asynccontextmanager
async def _around(system: System, provoke: str, console: Console) -> AsyncIterator[Around]:
    """Whom a system of others speaks to."""
    if system.counterpart is None:
        if provoke:
            raise BadDescription("--provoke: nobody listens for what it would do: say where, below [counterpart]")
        yield NOTHING
        return
    try:
        words = shlex.split(provoke)
    except ValueError as error:
        raise BadDescription(f"--provoke cannot be read: {error}") from error
    wait_s = system.counterpart.wait_s

    def say(sentence: str) -> None:
        console.print(f"{sentence} Waiting {wait_s:.0f} s for it.", style="bold", markup=False)

    async with standing(system.counterpart, by_command(words, wait_s) if words else by_hand(say)) as around:
        yield around


async def _run(
    console: Console,
    chosen: tuple[Case, ...],
    system: System,
    files: Files,
    *,
    strict: bool,
    fault: str = "",
    around: Around = NOTHING,
) -> Run:
    rows = requirements()
    ended = 0

    def told(result: Result) -> None:
        nonlocal ended
        ended += 1
        status.update(f"{ended} of {len(chosen)}")
        verdict = f"[{COLOURS[result.verdict]}]{result.verdict.upper():<5}[/]"
        console.print(f"{verdict} {result.case.id:<48} {result.case.title}")
        if result.verdict not in (Verdict.PASS, Verdict.OMIT):
            console.print(f"      {result.detail}", style=COLOURS[result.verdict], markup=False)
            for line in report.explained(result, rows):
                console.print(f"      {line}", markup=False, style="dim")

    in_flight = Sabotage(FAULTS[fault], system) if fault else None
    if in_flight is not None:
        in_flight.stand_around(around)
    with console.status(f"0 of {len(chosen)}") as status:  # on a terminal alone
        return await run(chosen, system, files.evidence, strict=strict, told=told, in_flight=in_flight, around=around)


def _write(done: Run, files: Files) -> None:
    rows = requirements()
    if files.json is not None:
        report.write(files.json, report.as_json(done, rows))
    if files.junit is not None:
        report.write(files.junit, report.as_junit(done, rows))
    if files.html is not None:
        evidence = Path(os.path.relpath(files.evidence.resolve(), files.html.resolve().parent)).as_posix()
        report.write(files.html, report.as_html(done, rows, evidence))
