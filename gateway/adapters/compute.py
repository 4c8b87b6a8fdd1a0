"""Compute by a pool of threads: file work releases the interpreter lock, hashing too."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 16  # most of them wait for the disk: fsync gains up to about eight at once, reading ahead asks for the rest


class ThreadCompute:
    """`Compute` in threads of its own, so that a slow disk never starves the loop's default pool (name look-ups)."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread. Cancelling the wait does not stop work that has begun: it must leave nothing half done."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for what has begun, forget what has not. Used once, at the end of the house."""
        self._pool.shutdown(wait=True, cancel_futures=True)
