"""LoopTurns of the loop: bulk gives them, and counts those that it had while it waited."""

import asyncio

from gateway.inbound.flow import LoopTurns


async def served_meanwhile(waits: bool) -> list[str]:
    """What happens in which order when something else is to be done while a quarter of a megabyte was moved."""
    seen: list[str] = []
    turns = LoopTurns()
    asyncio.get_running_loop().call_soon(seen.append, "served")
    if waits:
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(seen.append, "served later")
    await turns.give()
    seen.append("goes on")
    return seen


async def test_bulk_that_never_waits_lets_the_loop_serve_others() -> None:
    assert await served_meanwhile(waits=False) == ["served", "served later", "goes on"]


async def test_bulk_that_waited_has_given_a_turn_already() -> None:
    assert await served_meanwhile(waits=True) == ["served", "goes on"]


async def test_every_giving_counts_anew() -> None:
    turns = LoopTurns()
    seen = 0

    def serve() -> None:
        nonlocal seen
        seen += 1
        loop.call_soon(serve)

    loop = asyncio.get_running_loop()
    loop.call_soon(serve)
    for number in range(1, 5):
        turns.moved_bytes = 1
        await turns.give()
        assert (seen, turns.moved_bytes) == (number, 0)
