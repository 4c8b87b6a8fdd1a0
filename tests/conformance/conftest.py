"""Our own house, with all that a suite needs around it: one for each file of tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from conformance.own import Own, own_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own() -> AsyncIterator[Own]:
    """It runs until the last test of the file."""
    async with own_house() as house:
        yield house
