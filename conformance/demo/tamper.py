"""Attacks on an audit trail, made on copies: what somebody with write access to the database could try.

The copies have the database and the public half of the audit folder. Who also holds the signing key and every copy of the
checkpoints can rewrite history; that is why checkpoints are kept outside the database too.
"""

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.wire.audit.chain import GENESIS, Kind, Link, sealed

COLUMNS = "number, received_at, body, kind, intent, exchange_id, origin, hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """`kind` is what verification must call it; `do` attacks and answers at which record."""

    name: str
    kind: str
    do: Callable[[sqlite3.Connection], int]


def _numbers(database: sqlite3.Connection) -> list[int]:
    return [number for (number,) in database.execute("SELECT number FROM audit_records ORDER BY number")]


def _middle(database: sqlite3.Connection) -> int:
    numbers = _numbers(database)
    return numbers[len(numbers) // 2]


def _change_a_byte(database: sqlite3.Connection) -> int:
    number = _middle(database)
    ((body,),) = database.execute("SELECT body FROM audit_records WHERE number = ?", (number,))
    forged = bytes(body).replace(b'EventOutcomeIndicator="0"', b'EventOutcomeIndicator="8"')
    if forged == bytes(body):
        forged = forged.replace(b'EventOutcomeIndicator="8"', b'EventOutcomeIndicator="0"')
    database.execute("UPDATE audit_records SET body = ? WHERE number = ?", (forged, number))
    return number


def _delete_a_record(database: sqlite3.Connection) -> int:
    number = _middle(database)
    database.execute("DELETE FROM audit_records WHERE number = ?", (number,))
    return number


def _swap_two(database: sqlite3.Connection) -> int:
    number = _middle(database)
    database.execute("UPDATE audit_records SET number = -1 WHERE number = ?", (number,))
    database.execute("UPDATE audit_records SET number = ? WHERE number = ?", (number, number + 1))
    database.execute("UPDATE audit_records SET number = ? WHERE number = -1", (number + 1,))
    return number


def _cut_the_tail(database: sqlite3.Connection) -> int:
    number = _numbers(database)[-3]
    database.execute("DELETE FROM audit_records WHERE number >= ?", (number,))
    return number


def _rewrite_everything(database: sqlite3.Connection) -> int:
    """A forger who knows how the chain is made makes a new one, sound in itself, with one outcome changed."""
    victim = _change_a_byte(database)
    before = GENESIS
    for row in database.execute(f"SELECT {COLUMNS} FROM audit_records ORDER BY number").fetchall():  # noqa: S608  # our own names
        number, received, body, kind, intent, exchange_id, origin, _ = row
        link = Link(
            number=number, received_us=received, xml=bytes(body), kind=Kind(kind), intent=intent, exchange_id=exchange_id,
            origin=origin,
        )  # fmt: skip
        before = sealed(before, link).hash
        database.execute("UPDATE audit_records SET hash = ? WHERE number = ?", (before, number))
    return victim


ATTACKS = (
    Attack(name="a byte changed", kind="changed", do=_change_a_byte),
    Attack(name="a record deleted", kind="deleted", do=_delete_a_record),
    Attack(name="two records swapped", kind="swapped", do=_swap_two),
    Attack(name="the tail cut", kind="truncated", do=_cut_the_tail),
    Attack(name="everything rewritten", kind="rewritten", do=_rewrite_everything),
)


def copy_and_attack(data: Path, copy: Path, attack: Attack, *, spare: bool = False) -> int:
    """Copy a house's database and audit folder, and attack the copy; `spare` leaves it whole.

    Returns:
        The number of the record that was attacked.
    """
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    shutil.copytree(data / "audit", copy / "audit", ignore=shutil.ignore_patterns("*.key"))
    source = sqlite3.connect(f"{(data / 'radgate.db').resolve().as_uri()}?mode=ro", uri=True)
    target = sqlite3.connect(copy / "radgate.db")
    try:
        source.backup(target)
        number = _middle(target) if spare else attack.do(target)
        target.commit()
    finally:
        source.close()
        target.close()
    return number


def located(fault: Mapping[str, Any], attack: Attack, number: int) -> bool:
    """Whether a fault names the attack and where; a wholly rewritten chain is located by its first bad checkpoint."""
    if fault["kind"] != attack.kind:
        return False
    return attack.kind == "rewritten" or fault["number"] == number
