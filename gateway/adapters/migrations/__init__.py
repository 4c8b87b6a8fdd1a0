"""Migrations: how a database of any earlier version becomes one of this version.

Each step is a module in `versions`, written in literal operations and never changed after it was released; `tables.py` says
where they lead, and a test compares the two on both databases. A room that adds tables adds a step of its own.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, func, inspect, select, table

from profiles.errors import HouseError

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic takes some 70 ms to load, a tenth of a start, and nearly every start finds the database as it should be: it is
# loaded where there is something to do.

FOLDER = Path(__file__).parent
UPGRADE_LOCK = 0x7261_6475  # pg_advisory_xact_lock: "radu"
_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*= (.*)$", re.MULTILINE)
_NAME = re.compile(r'"([^"]+)"')


class NewerSchema(HouseError):
    """A later version of this program has brought the database to a schema that this one does not know."""


def configuration(connection: Connection | None = None) -> "Config":
    """What alembic asks for, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def heads() -> frozenset[str]:
    """Where the steps lead, as they say themselves: each that no other follows."""
    made: set[str] = set()
    followed: set[str] = set()
    for step in (FOLDER / "versions").glob("*.py"):
        for down, revisions in _REVISION.findall(step.read_text(encoding="utf-8")):
            (followed if down else made).update(_NAME.findall(revisions))
    return frozenset(made - followed)


def _there(connection: Connection) -> frozenset[str]:
    """Where the database is; nowhere when it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return frozenset()
    return frozenset(connection.scalars(select(column("version_num")).select_from(table("alembic_version"))))


def refuse_newer(connection: Connection) -> None:
    """Nothing where we know the database's schema, or can bring it to ours; only looks.

    Raises:
        NewerSchema: It is newer than we are.
    """
    there = _there(connection)
    if there == heads():
        return
    from alembic.script import ScriptDirectory

    unknown = there - {
        step.revision for step in ScriptDirectory.from_config(configuration(connection)).walk_revisions()
    }
    if unknown:
        raise NewerSchema(
            f"the database has schema {', '.join(sorted(unknown))}, which this version does not know",
            cure="Start the version that made it, or restore the backup from before the upgrade",
        )


def upgrade(connection: Connection) -> None:
    """Bring the database up to date, inside the caller's transaction.

    Raises:
        NewerSchema: It is newer than we are; nothing was changed.
    """
    if _there(connection) == heads():
        return
    if connection.dialect.name == "postgresql":  # several processes may come to a new database at once
        connection.execute(select(func.pg_advisory_xact_lock(UPGRADE_LOCK)))
    refuse_newer(connection)
    from alembic import command

    command.upgrade(configuration(connection), "heads")
