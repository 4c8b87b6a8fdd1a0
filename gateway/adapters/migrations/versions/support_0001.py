"""What peers support: the last probes, and what was seen."""

import sqlalchemy as sa
from alembic import op

revision = "support_0001"
down_revision = None
branch_labels = ("support",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "support_probes",
        sa.Column("peer", WORDS, nullable=False, autoincrement=False),
        sa.Column("transaction", WORDS, nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("probed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "transaction", name="pk_support_probes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "support_sightings",
        sa.Column("peer", WORDS, nullable=False, autoincrement=False),
        sa.Column("transaction", WORDS, nullable=False, autoincrement=False),
        sa.Column("sort", WORDS, nullable=False, autoincrement=False),
        sa.Column("what", WORDS, nullable=False, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "transaction", "sort", "what", name="pk_support_sightings"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("support_sightings")
    op.drop_table("support_probes")
