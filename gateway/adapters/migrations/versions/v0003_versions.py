"""Entries and folders have versions: what they are all called, and which of them have a newer one.

Of what is here already each is the first of its own and has no newer one, which is what a row without either says.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_versions"
down_revision = "0003"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TABLES = ("entries", "folders")


def upgrade() -> None:
    """To this schema."""
    for table in TABLES:
        op.add_column(table, sa.Column("logical_id", WORDS))
        op.add_column(table, sa.Column("superseded", sa.SmallInteger()))
        op.create_index(f"ix_{table}_logical_id", table, ["logical_id"])


def downgrade() -> None:
    """To the schema before."""
    for table in TABLES:
        op.drop_index(f"ix_{table}_logical_id", table)
        with op.batch_alter_table(table) as changed:
            changed.drop_column("superseded")
            changed.drop_column("logical_id")
