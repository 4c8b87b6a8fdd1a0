"""Who patients are, by V2 and V3: each fault is caught by the cases that it is meant for."""

from pathlib import Path

import pytest

from conformance.own import Own
from tests.support.sabotage import PEOPLE, faults_of, is_caught


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", faults_of(PEOPLE))
async def test_a_fault_is_caught(name: str, own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await is_caught(name, own, tmp_path, monkeypatch)
