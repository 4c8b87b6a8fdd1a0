"""What every benchmark tells, in one shape: a figure, its peer's in the same run, the ratio, what was asked.

`told` prints a line for a person; run by `python -m tests.bench`, the same line goes into one table. Ratios travel between
machines, absolute figures do not: the sides take turns (`in_turns`), and the median of each counts.
"""

import json
import os
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROWS_FILE = "RADGATE_BENCH_ROWS"  # where `python -m tests.bench` collects them
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `peer` None: a bound is asked for, not a ratio."""

    work: str
    ours: float | None
    unit: str
    peer: float | None = None
    beside: str = ""
    asked: str = ""
    ratio: float | None = None
    held: bool = False

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.ours is None:
            return "MISSING"
        return "" if not self.asked else "held" if self.held else "SHORT"

    def __str__(self) -> str:
        """As a line."""
        ours = "-" if self.ours is None else f"{self.ours:,.4g} {self.unit}"
        peer = f"{self.peer:,.4g} {self.unit}" if self.peer is not None else "-"
        ratio = f"{self.ratio:.2f} x" if self.ratio is not None else "-"
        return (
            f"{self.work:<58} {ours:>16} {peer:>16} {ratio:>9} {self.asked or '-':>10} {self.verdict:<7}  {self.beside}"
        )


def told(row: Row) -> bool:
    """Print it and put it into the table; whether it holds what was asked."""
    print(row, flush=True)
    if file := os.environ.get(ROWS_FILE):
        with Path(file).open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(asdict(row)) + "\n")
    return row.held or not row.asked


def quicker(work: str, *, ours: float, peer: float, unit: str, beside: str, asked: float | None) -> bool:
    """A rate beside a rate: more is better."""
    return _ratio(work, ours, peer, ours / peer, unit, beside, asked)


def sooner(work: str, *, ours: float, peer: float, unit: str, beside: str, asked: float | None) -> bool:
    """A time beside a time: less is better; the ratio says how many times."""
    return _ratio(work, ours, peer, peer / ours, unit, beside, asked)


def _ratio(work: str, ours: float, peer: float, ratio: float, unit: str, beside: str, asked: float | None) -> bool:
    wanted = f">= {asked:g} x" if asked is not None else ""
    return told(
        Row(work=work, ours=ours, peer=peer, unit=unit, beside=beside, asked=wanted, ratio=ratio,
            held=asked is not None and ratio >= asked)
    )  # fmt: skip


def at_most(work: str, figure: float, bound: float | None, unit: str, *, beside: str = "") -> bool:
    """A figure that has a bound (None: nothing is asked of it)."""
    asked = f"<= {bound:g}" if bound is not None else ""
    held = bound is not None and figure <= bound
    return told(Row(work=work, ours=figure, unit=unit, asked=asked, held=held, beside=beside))


def missing(work: str, why: str) -> bool:
    """A peer is not here: a red row, not a skipped one."""
    return told(Row(work=work, ours=None, unit="", asked="a peer", beside=why))


async def in_turns(rounds: int, *sides: Callable[[], Awaitable[float]]) -> list[list[float]]:
    """Every side's figures of so many rounds; each round begins with another side."""
    figures: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        for place in range(len(sides)):
            side = (number + place) % len(sides)
            figures[side].append(await sides[side]())
    return figures


median = statistics.median


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def resident_mib(process: int, field: str = "VmRSS") -> float:
    """Resident memory; `VmHWM` is its high-water mark since `forget_high_water`."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(process)


def forget_high_water(process: int) -> None:
    """The high-water mark begins anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def process_with(word: str) -> int:
    """The process on whose command line this is."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in each.read_bytes() and int(each.parent.name) != os.getpid():
                return int(each.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise ProcessLookupError(word)
