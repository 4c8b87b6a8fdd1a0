"""Throughput of a whole house by `radgate conformance load`, in a process of its own: every answer is verified.

The same client asks a house and its peer, so that what it takes itself is on both sides: `client_busy` says how much.
"""

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.samples import SampleStudy
from profiles.model.identifiers import Oid, PatientIdentifier
from tests.bench.compare import Row, at_most, in_turns, told

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "reports"
ROUNDS = 3
SECONDS = 3.0
MIB = 2**20


def described(
    file: Path,
    endpoints: Mapping[str, str],
    patient: PatientIdentifier,
    study: SampleStudy | None = None,
    *,
    location: Oid | None = None,
    soap_port: int = 0,
) -> Path:
    """A description of a system: where it is asked, whom it knows, what it holds, and where, 0: nowhere, it may fetch."""
    who = f"{patient.value}^^^&{patient.authority}&ISO"
    lines = [
        f'name = "{file.stem}"', "[endpoint]", *(f'"{name}" = "{address}"' for name, address in endpoints.items()),
        "[known]", f'patients = ["{who}"]', *([f'retrieve_location_uid = "{location}"'] if location else []),
    ]  # fmt: skip
    if study is not None:
        lines += ["[[study]]", f'folder = "{study.instances[0].path.parent}"', f'patient = "{who}"']
    if soap_port:
        lines += ["[counterpart]", f"soap_port = {soap_port}"]
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one load told."""

    per_second: float
    megabytes_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    wrong: int
    growth_mib: float
    processor_ms: float
    client_busy: float


async def loaded(system: Path, transaction: str, *, clients: int, seconds: float = SECONDS, page: str = "") -> Loaded:
    """Load it; `page` names the HTML page that is left in `reports`, "" leaves none.

    Raises:
        RuntimeError: There was no right answer, or the program broke.
    """
    result = system.with_suffix(".json")
    result.unlink(missing_ok=True)
    words = [
        "--target",
        system,
        "--transaction",
        transaction,
        "--clients",
        clients,
        "--seconds",
        seconds,
        "--json",
        result,
    ]
    words += ["--html", REPORTS / f"{page}.html"] if page else []
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "conformance", "conformance", "load", *map(str, words), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await running.communicate()
    if not result.exists():
        raise RuntimeError(f"load of {transaction}: {said.decode()[-1000:]}")
    found = json.loads(result.read_text(encoding="utf-8"))
    if not found["answered"]:
        raise RuntimeError(f"load of {transaction}: no right answer: {found['problems']}")
    memory = found["memory"] or {"resident_most_bytes": 0, "resident_first_bytes": 0}
    return Loaded(
        per_second=found["per_second"], megabytes_per_second=found["bytes_per_second"] / 1e6,
        p50_ms=found["ms"]["p50"], p95_ms=found["ms"]["p95"], p99_ms=found["ms"]["p99"], wrong=found["wrong"],
        growth_mib=(memory["resident_most_bytes"] - memory["resident_first_bytes"]) / MIB,
        processor_ms=found["processor_ms"] or 0.0, client_busy=found["client_busy"],
    )  # fmt: skip


async def beside(
    work: str, transaction: str, *, clients: int, ours: Path, peer: Path | None = None, name: str = "",
    asked: float | None = None, growth_asked: float | None = None, unit: str = "/s",
) -> None:  # fmt: skip
    """Rows of a house, beside a peer where there is one: rate, times, wrong answers, what it takes; a page of each side.

    Args:
        work: What the row is called.
        transaction: As `load` calls it.
        clients: How many at once.
        ours: The house's description.
        peer: The peer's.
        name: What the peer is called.
        asked: How many times the peer's rate is asked for.
        growth_asked: MiB that the house may grow by while it is asked.
        unit: `/s` for answers, `MB/s` for bytes.
    """
    page = f"load-{transaction.replace(' ', '-').lower()}-{clients}"
    got: dict[Path, list[Loaded]] = {each: [] for each in (ours, peer) if each is not None}

    async def side(system: Path) -> float:
        found = await loaded(
            system, transaction, clients=clients, page=page if system == ours else f"{page}-{system.stem}"
        )
        got[system].append(found)
        return found.megabytes_per_second if unit == "MB/s" else found.per_second

    figures = await in_turns(ROUNDS, *[lambda each=each: side(each) for each in got])
    rates = dict(zip(got, map(statistics.median, figures), strict=True))
    what = f"{work}, {clients} client{'s' if clients > 1 else ''}"
    their = rates[peer] if peer is not None else None
    ratio = rates[ours] / their if their else None
    told(
        Row(
            work=what, ours=rates[ours], peer=their, unit=unit, beside=name, ratio=ratio,
            asked=f">= {asked:g} x" if asked is not None else "",
            held=asked is not None and ratio is not None and ratio >= asked,
        )
    )  # fmt: skip
    for field, shown, suffix in (
        ("p50_ms", "p50", "ms"), ("p95_ms", "p95", "ms"), ("p99_ms", "p99", "ms"),
        ("processor_ms", "processor time of an answer", "ms"),
    ):  # fmt: skip
        mine = statistics.median(getattr(each, field) for each in got[ours])
        other = statistics.median(getattr(each, field) for each in got[peer]) if peer is not None else None
        told(Row(work=f"- {shown}", ours=mine, peer=other, unit=suffix, beside=name if peer is not None else ""))
    at_most("- wrong answers", sum(each.wrong for each in got[ours]), 0, "")
    if peer is not None:
        at_most(f"- wrong answers of {name}", sum(each.wrong for each in got[peer]), None, "")
    at_most("- growth while asked", max(each.growth_mib for each in got[ours]), growth_asked, "MiB")
    at_most("- the client's part of a processor", max(each.client_busy for each in got[ours]), None, "")
