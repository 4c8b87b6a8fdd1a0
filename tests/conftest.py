"""What holds for every test: judges are named and counted, and in CI none of the programs may be missing."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.judges import NOT_JUDGED

# How long one example takes on a busy machine says nothing of whether it is right; speed is measured by CPU time.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # In CI the examples are the same each time: what is found there is about the change, not about the dice. By hand they
    # are thrown anew, and that is where new ones are found.
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("house")

for name in ("COLUMNS", "LINES"):  # what commands print is not folded for the window that somebody, or xdist, has
    os.environ.pop(name, None)

_judged: Counter[str] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long form runs only when it is asked for."""
    if config.getoption("-m"):
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    items[:] = [item for item in items if not item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where CI installs a judge, its absence is a failure; that it cannot be had there is told."""
    report = yield
    if (
        report.skipped
        and item.get_closest_marker("judge_program")
        and os.environ.get("CI") == "true"
        and not _not_judged(report)
    ):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a judge is missing in CI: {report.longrepr}"
    return report


def _not_judged(report: pytest.TestReport) -> str:
    """Why a judge could not be had; "" where that is not why it was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return reason.partition(f"Skipped: {NOT_JUDGED}")[2]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what was judged, whichever process ran it."""
    if report.when == "call" or report.skipped:
        for mark in ("judge_program", "judge_standard"):
            if mark in report.keywords:
                _judged[f"{mark} {'not judged' if report.skipped else 'judged'}"] += 1
    if report.skipped and (reason := _not_judged(report)):
        _judged[f"not judged, {reason}"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was judged from outside."""
    for name, count in sorted(_judged.items()):
        terminalreporter.write_line(f"{name}: {count}")
