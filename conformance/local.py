"""What a process on this machine takes: memory and processor time, with those that it started; and who listens at a port.

All of it is read from `/proc`: where there is none, nothing is known.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENS = "0A"  # TCP_LISTEN, as /proc/net/tcp has it
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """VmRSS and the sum of each process's VmHWM, in bytes; user and system time so far, in seconds."""

    resident_bytes: int
    peak_bytes: int
    processor_s: float


def taken_by(process: int) -> Taken | None:
    """What a process and all below it take; None: there is no such process, or no `/proc`."""
    found = list(_each(process))
    if not found:
        return None
    return Taken(
        resident_bytes=sum(each.resident_bytes for each in found),
        peak_bytes=sum(each.peak_bytes for each in found),
        processor_s=sum(each.processor_s for each in found),
    )


def _each(process: int) -> Iterator[Taken]:
    waiting = [process]
    while waiting:
        folder = _PROC / str(waiting.pop())
        try:
            lines = (folder / "status").read_text(encoding="ascii", errors="replace").splitlines()
            times = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            below = [(each / "children").read_text() for each in (folder / "task").iterdir()]
        except OSError:
            continue  # it ended while it was looked at
        waiting += [int(each) for line in below for each in line.split()]
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        if "VmRSS" in told:
            yield Taken(
                resident_bytes=int(told["VmRSS"].split()[0]) * 1024,
                peak_bytes=int(told["VmHWM"].split()[0]) * 1024,
                processor_s=(int(times[11]) + int(times[12])) / _TICKS,
            )


def listening_at(port: int) -> int | None:
    """The process on this machine that listens at a TCP port; None: nobody, or nobody whose files we may see.

    Where several share the socket, it is the one that the others were started by.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    holders = {process: parent for process, parent in _processes() if sockets and _holds(process, sockets)}
    return min((process for process, parent in holders.items() if parent not in holders), default=None)


def _inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        try:
            rows = (_PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, *rest = row.split()
            if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                yield rest[5]


def _processes() -> Iterator[tuple[int, int]]:
    for folder in _PROC.glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
        except OSError:
            continue
        yield int(folder.name), int(parent)


def _holds(process: int, sockets: set[str]) -> bool:
    try:
        return any(str(each.readlink()) in sockets for each in (_PROC / str(process) / "fd").iterdir())
    except OSError:
        return False  # another's, or gone
