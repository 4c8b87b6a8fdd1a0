"""Accepting: goes on when it could not for a moment; a task that nobody awaits tells how it failed."""

import asyncio
import errno
import os
import socket

from structlog.testing import capture_logs

from gateway.inbound.accepting import accept, tell_defect


class Exhausted(socket.socket):
    """Has no file descriptor for the first who comes."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        """As the system's, and at first as it is when a process has no file descriptor left."""
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


async def test_who_comes_while_there_is_no_file_descriptor_is_accepted_when_there_is_one() -> None:
    with Exhausted() as listening, capture_logs() as logs:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        async with asyncio.timeout(5):
            accepted, address = await accept(listening, "HTTPS")
        accepted.close()
        writer.close()
    assert address == "127.0.0.1"
    assert [(each["event"], each["listener"]) for each in logs] == [("cannot accept", "HTTPS")]


async def test_a_defect_is_logged_by_name_and_a_cancelled_task_is_no_defect() -> None:
    async def fail() -> None:
        raise ValueError("of a patient")

    async def wait() -> None:
        await asyncio.sleep(60)

    failed, cancelled = asyncio.create_task(fail()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([failed, cancelled])
    with capture_logs() as logs:
        tell_defect(failed, "MLLP")
        tell_defect(cancelled, "MLLP")
    assert [(each["event"], each["error"]) for each in logs] == [("defect", "ValueError")]
    assert "of a patient" not in str(logs)
