"""What a house holds alone on its machine: the data folder and the listening socket."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.settings import Problem, SettingsError

LOCK_FILE = "lock"


class AlreadyRunning(Exception):
    """Another process uses the data folder."""


@contextmanager
def writable(key: str, folder: Path) -> Iterator[Path]:
    """A folder that a setting names, to be made and filled.

    Raises:
        SettingsError: It cannot.
    """
    try:
        yield folder
    except OSError as error:
        reason = f"{folder.absolute()} cannot be used: {error.strerror}"
        raise SettingsError((Problem(key, reason, "Choose a folder that we may write"),)) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the data folder; two houses on one would write over each other."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"Another house is running on {path.parent.absolute()}.") from None
    try:
        yield
    finally:
        os.close(descriptor)


def is_running(lock: Path) -> bool:
    """Whether a house holds the data folder."""
    if not lock.exists():
        return False
    try:
        with locked(lock):
            return False
    except AlreadyRunning:
        return True


def shifted(port: int, port_base: int) -> int:
    """The port of one house among several on a machine; 0, any free one, stays 0."""
    return port + port_base if port else 0


@contextmanager
def bound(host: str, port: int, port_base: int) -> Iterator[socket.socket]:
    """The listening socket, bound before anything else so that port 0 has a number when addresses are made of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, shifted(port, port_base)))
        except OSError as error:
            raise SettingsError(
                (Problem("listen.http_port", f"port {shifted(port, port_base)} cannot be used: {error.strerror}",
                         "Stop what uses it, choose another, or use 0 for a free one"),)
            ) from None  # fmt: skip
        yield listening
