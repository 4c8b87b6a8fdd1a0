"""What a house holds alone on its machine: the data folder and the listening sockets."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.settings import ListenSection, Problem, SettingsError

LOCK_FILE = "lock"
LAST_PORT = 65_535


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


def shifted(key: str, port: int, port_base: int) -> int:
    """The port of one house among several on a machine; 0, any free one, stays 0.

    Raises:
        SettingsError: It would be no port.
    """
    if port and not 1 <= port + port_base <= LAST_PORT:
        reason = f"{port_base} makes listen.{key} {port + port_base}, and ports are 1 to {LAST_PORT}"
        raise SettingsError((Problem("--port-base", reason, "Choose another"),))
    return port + port_base if port else 0


@contextmanager
def bound(key: str, host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket, bound before anything else so that port 0 has a number when addresses are made of it.

    Raises:
        SettingsError: Somebody else has it, or it is not ours to have.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            cure = "Stop what uses it, choose another, or use 0 for a free one"
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                problem = Problem("listen.host", f"{host} is no address of this machine", "Name one of its own")
            else:
                problem = Problem(f"listen.{key}", f"port {port} cannot be used: {error.strerror}", cure)
            raise SettingsError((problem,)) from None
        yield listening


def doors(stack: ExitStack, listen: ListenSection, port_base: int) -> tuple[socket.socket, socket.socket | None]:
    """The sockets of HTTP and MLLP (None: it is off), bound; `stack` closes them.

    Raises:
        SettingsError: Everything that is wrong with either.
    """
    found: list[socket.socket] = []
    problems: list[Problem] = []
    wanted = {"http_port": listen.http_port} | ({"mllp_port": listen.mllp_port} if listen.mllp else {})
    for key, port in wanted.items():
        try:
            found.append(stack.enter_context(bound(key, listen.host, shifted(key, port, port_base))))
        except SettingsError as error:
            problems += [each for each in error.problems if each not in problems]
    if problems:
        raise SettingsError(tuple(problems))
    return found[0], found[1] if listen.mllp else None
