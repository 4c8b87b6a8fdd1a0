"""Verification of a chain without a running house: a copy of its database file, and its audit folder.

What a newcomer gets wrong: checkpoints are read before the chain. A house that goes on working meanwhile only makes the
chain longer than they say, never shorter.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gateway.adapters.audit_folder import vouched
from gateway.ports.audit import ChainFault
from profiles.errors import MalformedMessage
from profiles.wire.audit.chain import Fault, Link, Walk

LINK_COLUMNS = ("number", "received_at", "body", "kind", "intent", "exchange_id", "origin", "hash")


def link_of(row: Sequence[Any]) -> Link:
    """A link from the columns above, as they stand there: somebody may have changed any of them to anything."""
    number, received, body, kind, intent, exchange_id, origin, hash_ = row
    return Link(
        number=number,
        received_us=received if isinstance(received, int) else 0,
        xml=_bytes(body),
        kind=kind if isinstance(kind, str) else repr(kind),  # type: ignore[arg-type]  # perhaps no kind at all
        intent=intent if isinstance(intent, str) else repr(intent),
        exchange_id=exchange_id if isinstance(exchange_id, str) else repr(exchange_id),
        origin=origin if isinstance(origin, str) else repr(origin),
        hash=_bytes(hash_),
    )


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return repr(value).encode("utf-8", "replace")


def told(faults: Iterable[Fault]) -> Sequence[ChainFault]:
    """Faults as the port tells them, by number."""
    return [ChainFault(number=fault.number, kind=fault.kind.value, text=fault.text) for fault in sorted(faults)]


def verify_database(database: Path, folder: Path) -> Sequence[ChainFault]:
    """Walk the chain of an SQLite file: a copy, or one whose house stands still. Blocks.

    Args:
        database: The file; opened for reading only.
        folder: The audit folder with public key, checkpoints and high-water mark.

    Returns:
        What is wrong, by record number; empty when nothing is.

    Raises:
        MalformedMessage: Not a database, or it has no audit chain.
    """
    checkpoints, faults = vouched(folder)
    walk = Walk(checkpoints)
    columns = ", ".join(LINK_COLUMNS)
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        try:
            for row in connection.execute(f"SELECT {columns} FROM audit_records ORDER BY number"):  # noqa: S608  # our own names
                walk.feed(link_of(row))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise MalformedMessage(f"{database.name} cannot be read as a database with an audit chain") from error
    return told((*faults, *walk.faults()))
