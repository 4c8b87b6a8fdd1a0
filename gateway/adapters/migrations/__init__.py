"""Migrations: how a database of any earlier version becomes one of this version.

Each step is a module in `versions`, written in literal operations and never changed after it was released; `tables.py` says
where they lead, and a test compares the two on both databases. A room that adds tables adds a step of its own.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from profiles.errors import HouseError

FOLDER = Path(__file__).parent


class NewerSchema(HouseError):
    """A later version of this program has brought the database to a schema that this one does not know."""


def configuration(connection: Connection | None = None) -> Config:
    """What alembic asks for, without a file."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the database up to date, inside the caller's transaction.

    Raises:
        NewerSchema: It is newer than we are; nothing was changed.
    """
    config = configuration(connection)
    steps = ScriptDirectory.from_config(config)
    there = set(MigrationContext.configure(connection).get_current_heads())
    if there == set(steps.get_heads()):
        return
    unknown = there - {step.revision for step in steps.walk_revisions()}
    if unknown:
        raise NewerSchema(
            f"the database has schema {', '.join(sorted(unknown))}, which this version does not know",
            cure="Start the version that made it, or restore the backup from before the upgrade",
        )
    command.upgrade(config, "heads")
