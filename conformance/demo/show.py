"""Run the steps, print a line for each, and at the end a table and the addresses to open."""

import asyncio
import json
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from conformance.demo.houses import Neighbourhood, build
from conformance.demo.steps import STEPS, Scene, Step, StepFailed
from conformance.house import CommandFailed, HouseFailed
from conformance.provide import NotTaken
from conformance.samples import SampleStudy, read_study, sample_patient, write_ct_study
from conformance.simulators.hl7_listener import Hl7Receiver
from profiles.errors import ExchangeError
from profiles.model.identifiers import Oid

KNOWN, UNKNOWN = 11, 23  # seeds of the two synthetic patients


@dataclass(slots=True, kw_only=True)
class Line:
    """One step as it went."""

    name: str
    transaction: str
    ok: bool
    bytes: int
    ms: int
    detail: str


async def show(*, once: bool, json_file: Path | None, sabotage: str, study: Path | None, folder: Path | None) -> bool:
    """Run the main job; True when every step held. Without `once`, keep serving until interrupted."""
    console = Console()
    known = [name for name, _, _ in STEPS]
    if sabotage and sabotage not in known:
        raise SystemExit(f"there is no step {sabotage}; the steps are {', '.join(known)}")
    place = folder or Path(tempfile.mkdtemp(prefix="radgate-demo-"))
    lines: list[Line] = []
    async with AsyncExitStack() as stack:
        if folder is None:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        own = _read(study) if study is not None else None
        houses = build(
            place, announce=sabotage != "announce", share=sabotage != "share",
            authority=own.patient.identifiers[0].authority if own is not None else None,
        )  # fmt: skip
        started = time.perf_counter()
        try:
            scene = await _set(stack, console, houses, own, sabotage)
        except (HouseFailed, OSError) as error:
            _print(console, failed := _line("start", "", started, detail=str(error)))
            _write(json_file, [failed], ok=False)
            return False
        for name, transaction, step in STEPS:
            line = await _run(scene, name, transaction, step)
            lines.append(line)
            _print(console, line)
            if not line.ok:
                break
        ok = len(lines) == len(STEPS) and all(line.ok for line in lines)
        _summary(console, scene, lines, ok)
        _write(json_file, lines, ok=ok)
        if not once and ok:
            _addresses(console, houses)
            await asyncio.Event().wait()
    return ok


async def _set(
    stack: AsyncExitStack, console: Console, houses: Neighbourhood, own: SampleStudy | None, sabotage: str
) -> Scene:
    """Make the studies, start the EHR's listener and the three houses."""
    authority = houses.lakeside.patient_authority
    console.print("Making a synthetic CT study; starting Lakeside, Valley and Region.", style="dim")
    study = own
    if study is None:
        study = await asyncio.to_thread(_make, houses.folder / "scanner" / "known", KNOWN, authority, 32)
    unknown = await asyncio.to_thread(_make, houses.folder / "scanner" / "unknown", UNKNOWN, authority, 4)
    ehr = Hl7Receiver("127.0.0.1", houses.ehr_port, ssl=houses.server_context())
    await ehr.start()
    stack.push_async_callback(ehr.stop)
    for house in houses.all:
        stack.push_async_callback(house.stop)
    await asyncio.gather(*(house.start() for house in houses.all))
    session = await stack.enter_async_context(houses.session())
    return Scene(houses=houses, session=session, ehr=ehr, study=study, unknown=unknown, sabotage=sabotage)


def _read(folder: Path) -> SampleStudy:
    studies = read_study(folder)
    if not studies:
        raise SystemExit(f"there is no DICOM in {folder}")
    return studies[0]


def _make(folder: Path, seed: int, authority: Oid, instances: int) -> SampleStudy:
    patient = sample_patient(seed, authority, prefix="L")
    return write_ct_study(folder, seed=seed, patient=patient, series=2, instances=instances, rows=256)


async def _run(scene: Scene, name: str, transaction: str, step: Step) -> Line:
    started = time.perf_counter()
    size, ok = 0, False
    try:
        seen = await step(scene)
        detail, size, ok = seen.detail, seen.size_bytes, True
    except TimeoutError:
        detail = "nothing happened for too long"
    except (StepFailed, NotTaken, CommandFailed, ExchangeError, aiohttp.ClientError, OSError) as error:
        detail = str(error)
    return _line(name, transaction, started, ok=ok, size=size, detail=detail)


def _line(name: str, transaction: str, started: float, *, ok: bool = False, size: int = 0, detail: str) -> Line:
    elapsed = round((time.perf_counter() - started) * 1000)
    return Line(name=name, transaction=transaction, ok=ok, bytes=size, ms=elapsed, detail=detail)


def _write(file: Path | None, lines: list[Line], *, ok: bool) -> None:
    if file is not None:
        file.write_text(json.dumps({"ok": ok, "steps": [asdict(line) for line in lines]}, indent=2) + "\n")


def _print(console: Console, line: Line) -> None:
    mark = "[green]held  [/]" if line.ok else "[red]FAILED[/]"
    console.print(
        f"{mark} {line.name:<10} {line.transaction:<24} {line.bytes:>12,} B {line.ms:>7,} ms  {line.detail}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _summary(console: Console, scene: Scene, lines: list[Line], ok: bool) -> None:
    table = Table("step", "transaction", "bytes", "ms", "", title="The main job", title_justify="left")
    for line in lines:
        table.add_row(line.name, line.transaction, f"{line.bytes:,}", f"{line.ms:,}", "held" if line.ok else "FAILED")
    console.print(table)
    if scene.sentences:
        console.print("\nWhat the compliance officer reads of this study:", style="bold")
        for sentence in scene.sentences:
            console.print(f"  {sentence}", highlight=False, soft_wrap=True)
    if scene.coerced:
        console.print(f"\nCoerced on the way, with the original kept: {', '.join(sorted(scene.coerced))}", style="dim")
    console.print("\n[bold green]Every step held.[/]" if ok else "\n[bold red]A step did not hold.[/]")


def _addresses(console: Console, houses: Neighbourhood) -> None:
    console.print("\nOpen in a browser (the certificates are made for this run, so it will warn):", style="bold")
    for house in houses.all:
        console.print(f"  {house.name:<9} {house.base_url}/   {house.desk_login()}", highlight=False)
    console.print("Serving until Ctrl-C.")
