"""The demonstration: every step holds, and each that is broken on purpose makes it fail at that step."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.demo.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name, _, _ in STEPS]


async def shown(folder: Path, *words: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Run the demonstration once and read what it wrote."""
    result = folder / "result.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--once", "--json", str(result), "--folder", str(folder / "houses"),
        *words, cwd=ROOT, env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    assert result.exists(), complaint.decode()[-2000:]
    return process.returncode or 0, json.loads(result.read_bytes())


@pytest.mark.timeout(300)
async def test_the_main_job_holds(tmp_path: Path) -> None:
    code, result = await shown(tmp_path)
    assert [(step["name"], step["ok"], step["detail"]) for step in result["steps"] if not step["ok"]] == []
    assert code == 0
    assert result["ok"]
    assert [step["name"] for step in result["steps"]] == NAMES
    assert set(result["steps"][0]) == {"name", "transaction", "ok", "bytes", "ms", "detail"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", NAMES)
async def test_a_step_that_is_broken_on_purpose_fails(tmp_path: Path, step: str) -> None:
    code, result = await shown(tmp_path, "--sabotage", step)
    assert code == 1
    assert not result["ok"]
    assert [each["name"] for each in result["steps"] if not each["ok"]] == [step]


async def test_houses_that_cannot_start_are_the_step_that_failed_with_their_reason(tmp_path: Path) -> None:
    code, result = await shown(tmp_path, RADGATE__LISTEN__HOST="203.0.113.9")  # TEST-NET-3: no address of ours
    assert code == 1
    assert not result["ok"]
    (step,) = result["steps"]
    assert (step["name"], step["ok"]) == ("start", False)
    assert "did not start" in step["detail"]
    assert "no address of this machine" in step["detail"]
