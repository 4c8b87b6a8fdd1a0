"""Every benchmark, or those named: `python -m tests.bench [NAME ...]`; `make bench ARGS="images front"`.

Each runs in a process of its own under a limit, one after another. What they tell becomes one table, with machine and
date, and `reports/bench.json`. A ratio that falls short is a fact and fails nothing; a benchmark that breaks does.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.compare import ROWS_FILE, Row

LIMIT_S = 420.0
ROOT = Path(__file__).resolve().parents[2]
BENCHES: dict[str, tuple[str, ...]] = {
    "load": ("tests.bench.bench_load",),
    "images": ("tests.bench.bench_images",),
    "behind": ("tests.bench.bench_behind",),
    "gateway_behind": ("tests.bench.bench_gateway", "behind"),
    "gateway_source": ("tests.bench.bench_gateway", "source"),
    "gateway_stalled": ("tests.bench.bench_gateway", "stalled"),
    "slow_readers": ("tests.bench.bench_gateway", "slow"),
    "front": ("tests.bench.bench_front",),
    "find": ("tests.bench.bench_find",),
    "documents": ("tests.bench.bench_documents",),
    "hl7": ("tests.bench.bench_hl7", "--seconds", "1"),
    "fhir": ("tests.bench.bench_fhir",),
    "fhir_search": ("tests.bench.bench_fhir_search", "1000", "100000"),
    "ebxml": ("tests.bench.bench_ebxml",),
    "dicom": ("tests.bench.bench_dicom",),
    "multipart": ("tests.bench.bench_multipart",),
    "store": ("tests.bench.bench_store",),
    "archive": ("tests.bench.bench_archive",),
    "audit": ("tests.bench.bench_audit",),
}
"""Name, and what is run for it."""


def machine() -> str:
    """What the figures were taken on."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    system = (
        platform.freedesktop_os_release()["PRETTY_NAME"] if Path("/etc/os-release").exists() else platform.platform()
    )
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} cores of {model}, {system}, Python {platform.python_version()}, load {load}"


def run(name: str, rows: Path) -> str:
    """One benchmark to its end; "" or how it broke."""
    with subprocess.Popen(
        [sys.executable, "-m", *BENCHES[name]], cwd=ROOT, env={**os.environ, ROWS_FILE: str(rows)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as running:  # fmt: skip
        try:
            _, said = running.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)  # and the servers that it started
            return f"took more than {LIMIT_S:g} s"
    if "Traceback" in said or running.returncode not in (0, 1):
        return said.strip()[-2000:] or f"ended with {running.returncode}"
    return ""


def main() -> int:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    names = parser.parse_args().names or list(BENCHES)
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    began = datetime.now(UTC)
    about = machine()
    print(f"radgate, {began:%Y-%m-%d %H:%M} UTC, {about}\n", flush=True)
    print(f"{'work':<58} {'ours':>16} {'peer':>16} {'ratio':>9} {'asked':>10} {'verdict':<7}  beside", flush=True)
    broken: dict[str, str] = {}
    kept: list[dict[str, object]] = []
    for name in names:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows"
            how = run(name, rows)
            lines = rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []
        found = [Row(**json.loads(line)) for line in lines]
        kept += [json.loads(line) for line in lines]
        print(f"--- {name}, {time.perf_counter() - started:.0f} s", flush=True)
        for row in found:
            print(row, flush=True)
        if how:
            broken[name] = how
            print(f"BROKEN {name}: {how}", flush=True)
    reports = ROOT / "reports"
    reports.mkdir(exist_ok=True)
    report = {"began": began.isoformat(), "machine": about, "rows": kept, "broken": broken}
    (reports / "bench.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    short = sum(row["ours"] is None or (bool(row["asked"]) and not row["held"]) for row in kept)
    print(f"\n{len(kept)} figures, {short} short of what is asked, {len(broken)} broken; kept in reports/bench.json")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
