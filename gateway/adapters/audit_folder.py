"""What vouches for the chain from outside the database: a folder with our key, the checkpoints and the high-water mark.

    audit/chain.key          Ed25519 private key, 64 hexadecimal digits, made at the first start, mode 0600
    audit/chain.pub          its public key; note its id somewhere else
    audit/checkpoints.jsonl  one signed statement a line: up to number n the chain had hash h; appended with fsync
    audit/high-water.json    the newest statement, written over after commits

Everything here blocks and is called in threads. What a newcomer gets wrong: the folder proves nothing about itself. Copy it
(or the records, by syslog) to another system, or whoever may write both database and folder can make both anew.
"""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.durable import PRIVATE_FILE, Folders, Sync, sync_folder, write_all
from profiles.errors import MalformedMessage
from profiles.wire.audit.chain import (
    Checkpoint,
    Fault,
    FaultKind,
    checked_checkpoints,
    decode_checkpoint,
    encode_checkpoint,
    key_id,
    signed,
)

KEY = "chain.key"
PUBLIC_KEY = "chain.pub"
CHECKPOINTS = "checkpoints.jsonl"
MARK = "high-water.json"

_MARK_BYTES = 512  # of one length, so that it is written over in one piece


class AuditFolder:
    """The writing side: owns the key. One process at a time."""

    def __init__(self, folder: Path, sync: Sync = os.fsync) -> None:
        """Touch nothing yet."""
        self._folder = folder
        self._sync = sync
        self._key: Ed25519PrivateKey | None = None
        self._serial = 0
        self._last = -1

    def open(self) -> str:
        """Read the key, or make one; find the last checkpoint. Answers the key's id."""
        Folders(self._sync).make(self._folder)
        path = self._folder / KEY
        if not path.exists():
            made = Ed25519PrivateKey.generate()
            self._write_new(path, made.private_bytes_raw().hex().encode() + b"\n")
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))
        public = self._key.public_key()
        if not (self._folder / PUBLIC_KEY).exists():
            self._write_new(self._folder / PUBLIC_KEY, _raw(public).hex().encode() + b"\n")
        self._mend()
        return key_id(public)

    @property
    def last_number(self) -> int:
        """The record of the last checkpoint; -1: there is none."""
        return self._last

    def checkpoint(self, number: int, hash_: bytes, at: datetime) -> None:
        """Sign and append; it is on the disk when this returns. After an OSError it was not made."""
        line = self._line(self._serial + 1, number, hash_, at)
        path = self._folder / CHECKPOINTS
        is_new = not path.exists()
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            before = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, [line])
                self._sync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # half a line would spoil the next one
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._folder, self._sync)
        self._serial += 1
        self._last = number

    def mark(self, number: int, hash_: bytes, at: datetime) -> None:
        """Write the high-water mark over; it survives our death at once and a power cut soon."""
        line = self._line(0, number, hash_, at)
        padded = line.rstrip().ljust(_MARK_BYTES - 1) + b"\n"
        descriptor = os.open(self._folder / MARK, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            os.pwrite(descriptor, padded, 0)
        finally:
            os.close(descriptor)

    def _line(self, serial: int, number: int, hash_: bytes, at: datetime) -> bytes:
        assert self._key is not None
        checkpoint = signed(self._key, Checkpoint(serial=serial, number=number, hash=hash_, at=at))
        return encode_checkpoint(checkpoint, key_id(self._key.public_key()))

    def _write_new(self, path: Path, content: bytes) -> None:
        """Whole or not at all."""
        aside = path.with_suffix(".new")
        with suppress(FileNotFoundError):
            aside.unlink()
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            write_all(descriptor, [content])
            self._sync(descriptor)
        finally:
            os.close(descriptor)
        aside.rename(path)
        sync_folder(self._folder, self._sync)

    def _mend(self) -> None:
        """Take away a line that a crash cut short: its fsync never returned, so nobody relied on it."""
        path = self._folder / CHECKPOINTS
        if not path.exists():
            return
        written = path.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]
        if len(whole) != len(written):
            os.truncate(path, len(whole))
        lines = whole.splitlines()
        if lines:
            last = decode_checkpoint(lines[-1])
            self._serial, self._last = last.serial, last.number


def vouched(folder: Path) -> tuple[list[Checkpoint], list[Fault]]:
    """What a folder vouches for, and what is wrong with the folder itself. Needs no private key."""
    try:
        public = Ed25519PublicKey.from_public_bytes(
            bytes.fromhex((folder / PUBLIC_KEY).read_text(encoding="ascii").strip())
        )
    except (OSError, ValueError):
        told = "the public key of the chain is missing or broken: no checkpoint can be believed"
        return [], [Fault(number=1, kind=FaultKind.REWRITTEN, text=told)]
    lines, mark = _read(folder / CHECKPOINTS).splitlines(), _read(folder / MARK)
    good, faults = checked_checkpoints(lines, public, mark)
    if not lines and _is_readable(mark):  # a house makes a checkpoint at each start
        told = "the checkpoints are missing: only the high-water mark vouches for the chain"
        faults.append(Fault(number=1, kind=FaultKind.REWRITTEN, text=told))
    elif lines and not _is_readable(mark):
        last = max((each.number for each in good), default=0)
        told = f"the high-water mark is missing: whether records behind {last} were cut off cannot be told"
        faults.append(Fault(number=last + 1, kind=FaultKind.TRUNCATED, text=told))
    return good, faults


def _is_readable(mark: bytes) -> bool:
    """Whether it is one at all; a power cut may have torn it, and the next commit writes it anew."""
    try:
        decode_checkpoint(mark)
    except MalformedMessage:
        return False
    return True


def mark_of(folder: Path) -> Checkpoint | None:
    """The newest statement that a folder has, signed by its key: the mark, or a checkpoint where that is newer."""
    checkpoints, _ = vouched(folder)
    return max(checkpoints, key=lambda each: each.number, default=None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
