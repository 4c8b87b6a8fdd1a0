"""What was asked of communities that answer later."""

import sqlalchemy as sa
from alembic import op

revision = "correlations_0002"
down_revision = "correlations_0001"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "correlations_asked",
        sa.Column("patient", WORDS, nullable=False, autoincrement=False),
        sa.Column("home", WORDS, nullable=False, autoincrement=False),
        sa.Column("message_id", WORDS, nullable=False),
        sa.Column("peer", WORDS, nullable=False),
        sa.Column("exchange", WORDS, nullable=False),
        sa.Column("answered", sa.SmallInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "home", name="pk_correlations_asked"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_correlations_asked_message_id", "correlations_asked", ["message_id"])
    op.create_index("ix_correlations_asked_until", "correlations_asked", ["until"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("correlations_asked")
