from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.samples import SampleStudy
from gateway.adapters.compute import ThreadCompute
from tests.gateway.adapters.archives import small_ct
from tests.gateway.adapters.stores import database, sqlite, store

__all__ = ["compute", "ct", "database", "sqlite", "store"]


@pytest.fixture
def compute() -> Iterator[ThreadCompute]:
    made = ThreadCompute(8)
    yield made
    made.close()


@pytest.fixture(scope="session")
def ct(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    """A CT of two series with three slices each."""
    folder: Path = tmp_path_factory.mktemp("ct")
    return small_ct(folder)
