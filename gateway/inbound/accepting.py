"""Accepting: connections at a socket of ours, for listeners that see to the handshake themselves.

A server of the loop's keeps a handshake that failed to itself, and who was not let in has to be audited.

Source: ITI TF-2 3.19.4 (node authentication failure).
"""

import asyncio
import socket

from gateway.telemetry import logger, where

PAUSE_S = 0.1


async def accept(listening: socket.socket, wire: str) -> tuple[socket.socket, str]:
    """The next connection and the address it comes from; while none can be accepted, that is logged and it is waited."""
    while True:
        try:
            accepted, address = await asyncio.get_running_loop().sock_accept(listening)
        except OSError as failed:  # out of file descriptors, most likely: some will be given back
            logger().error("cannot accept", listener=wire, error=failed.strerror or type(failed).__name__)
            await asyncio.sleep(PAUSE_S)
        else:
            return accepted, str(address[0])


def tell_defect(task: asyncio.Task[None], wire: str) -> None:
    """Log how the task of a connection ended, where it should not have; nobody awaits it."""
    if not task.cancelled() and (defect := task.exception()) is not None:
        logger().error("defect", listener=wire, error=type(defect).__name__, where=where(defect))
