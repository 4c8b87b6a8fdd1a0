import asyncio
import threading

import pytest

from gateway.adapters.compute import ThreadCompute


async def test_work_runs_in_another_thread_and_its_answer_comes_back() -> None:
    compute = ThreadCompute(2)
    try:
        assert await compute.run(threading.get_ident) != threading.get_ident()
    finally:
        compute.close()


async def test_an_exception_of_the_work_is_the_callers() -> None:
    compute = ThreadCompute(1)

    def fail() -> None:
        raise KeyError("mine")

    try:
        with pytest.raises(KeyError, match="mine"):
            await compute.run(fail)
    finally:
        compute.close()


async def test_the_loop_goes_on_while_work_waits() -> None:
    compute = ThreadCompute(1)
    gate = threading.Event()
    try:
        waiting = asyncio.ensure_future(compute.run(gate.wait))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        assert await waiting
    finally:
        gate.set()
        compute.close()


async def test_a_cancelled_wait_lets_begun_work_finish() -> None:
    compute = ThreadCompute(1)
    begun, gate, finished = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(5)
        finished.set()

    waiting = asyncio.ensure_future(compute.run(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    compute.close()
    assert finished.is_set()
