"""What a load took, for people and for machines: a paragraph, JSON, and an HTML page with plots that needs nothing else."""

import html
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from conformance.load import Load

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 860, 240, 70, 30, 12
MOST_DOTS = 3000  # more make a page slow, and the picture no clearer
PERCENTILES = (50.0, 95.0, 99.0)


def told(load: Load) -> tuple[str, ...]:
    """Throughput, latencies, memory, and what went wrong."""
    times = ", ".join(
        f"p{percent:g} {value:,.1f} ms" for percent in PERCENTILES if (value := load.percentile_ms(percent)) is not None
    )
    lines = [
        f"{load.system}, {load.transaction}, {load.clients} clients: {len(load.answered):,} right answers in "
        f"{load.seconds:.1f} s: {load.per_second:,.1f}/s, {load.bytes_per_second / 1e6:,.1f} MB/s",
        *([times] if times else []),
    ]
    if load.looks:
        most = max(each.resident_bytes for each in load.looks)
        lines.append(
            f"memory: {_mib(load.looks[0].resident_bytes)} at first, {_mib(most)} at most, "
            f"{_mib(load.looks[-1].resident_bytes)} at last; peak (VmHWM) {_mib(load.looks[-1].peak_bytes)}"
        )
    if load.processor_ms is not None:
        lines.append(f"processor time: {load.processor_ms:,.2f} ms for each right answer")
    lines.append(f"the client took {load.client_busy:.0%} of a processor")
    lines.append(f"{sum(load.problems.values()):,} wrong")
    return (*lines, *(f"  {count:,} times: {problem}" for problem, count in load.problems.items()))


def as_json(load: Load) -> str:
    """Everything but the single requests."""
    return json.dumps(
        {
            "system": load.system, "transaction": load.transaction, "clients": load.clients,
            "at": load.at.isoformat(timespec="seconds"), "seconds": round(load.seconds, 3), "good": load.good,
            "answered": len(load.answered), "wrong": sum(load.problems.values()), "problems": dict(load.problems),
            "per_second": round(load.per_second, 3), "bytes_per_second": round(load.bytes_per_second),
            "ms": {f"p{percent:g}": load.percentile_ms(percent) for percent in PERCENTILES},
            "memory": _memory(load), "processor_ms": load.processor_ms, "client_busy": round(load.client_busy, 3),
        },
        indent=1,
        ensure_ascii=False,
    )  # fmt: skip


def _memory(load: Load) -> dict[str, Any] | None:
    if not load.looks:
        return None
    return {
        "resident_first_bytes": load.looks[0].resident_bytes,
        "resident_most_bytes": max(each.resident_bytes for each in load.looks),
        "resident_last_bytes": load.looks[-1].resident_bytes,
        "peak_bytes": load.looks[-1].peak_bytes,
    }


# --- HTML -------------------------------------------------------------------------------------------------------------

_STYLE = """
:root{color-scheme:light dark;--ink:#1f6feb;--bad:#cf222e;--line:#8886}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.grid{stroke:var(--line)}.dot{fill:var(--ink);fill-opacity:.5}.bad{fill:var(--bad)}.bar{fill:var(--ink)}
.curve{fill:none;stroke:var(--ink);stroke-width:2}
"""


def as_html(load: Load) -> str:
    """One page: the paragraph, then latency, throughput and memory over time."""
    title = html.escape(f"{load.system}: {load.transaction}, {load.clients} clients")
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in told(load))
    plots = [_latency(load), _throughput(load), *([_resident(load)] if load.looks else [])]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<h1>{title}</h1><p>{load.at:%Y-%m-%d %H:%M} UTC</p><ul>{lines}</ul>{''.join(plots)}</html>\n"
    )


def _latency(load: Load) -> str:
    step = max(len(load.asked) // MOST_DOTS, 1)
    shown = [each for place, each in enumerate(load.asked) if each.problem or place % step == 0]
    most = max((each.ms for each in shown), default=1.0)
    end = load.seconds
    dots = "".join(
        f'<circle class="{"bad" if each.problem else "dot"}" r="2" cx="{_x(each.at_s, end):.1f}" '
        f'cy="{_y(each.ms, most):.1f}"/>'
        for each in shown
    )
    some = "" if step == 1 else f", every {step}th"
    return _plot(f"Milliseconds of each request by when it began{some}; wrong answers are red", most, end, dots)


def _throughput(load: Load) -> str:
    seconds = max(int(load.seconds) + 1, 1)
    counts = [0] * seconds
    for each in load.answered:
        counts[min(int(each.at_s + each.ms / 1000), seconds - 1)] += 1
    most = max(counts)
    wide = (WIDTH - LEFT) / seconds
    bars = "".join(
        f'<rect class="bar" x="{LEFT + place * wide:.1f}" y="{_y(count, most):.1f}" width="{wide * 0.9:.1f}" '
        f'height="{_y(0, most) - _y(count, most):.1f}"/>'
        for place, count in enumerate(counts)
    )
    return _plot("Right answers in each second; the last is not a whole one", most, seconds, bars)


def _resident(load: Load) -> str:
    values = [each.resident_bytes / 2**20 for each in load.looks]
    most, end = max(values), max(load.seconds, load.looks[-1].at_s)
    points = " ".join(
        f"{_x(each.at_s, end):.1f},{_y(value, most):.1f}" for each, value in zip(load.looks, values, strict=True)
    )
    return _plot(
        "MiB in memory (VmRSS of the process and those below it)",
        most,
        end,
        f'<polyline class="curve" points="{points}"/>',
    )


def _plot(title: str, most: float, end: float, drawn: str) -> str:
    text = html.escape(title)
    return (
        f'<h2>{text}</h2><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text}">'
        f"{''.join(_grid(most, end))}{drawn}</svg>"
    )


def _grid(most: float, end: float) -> Iterator[str]:
    for value in ticks_of(most):
        y = _y(value, most)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
    for value in ticks_of(end):
        x = _x(value, end)
        anchor = "end" if x > WIDTH - LEFT / 2 else "middle"
        yield f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{value:,g} s</text>'


def ticks_of(most: float) -> Sequence[float]:
    """Round numbers from 0 on, three to seven of them."""
    if most <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(most / 3))
    step = max(each * power for each in (1, 2, 5) if each * power <= most / 2)
    return [step * place for place in range(int(most / step) + 1)]


def _x(value: float, end: float) -> float:
    return LEFT + (WIDTH - LEFT - 4) * (value / end if end > 0 else 0.0)


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / most if most > 0 else 0.0)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
