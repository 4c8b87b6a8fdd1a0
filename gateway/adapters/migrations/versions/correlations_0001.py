"""By which ids other communities know our patients."""

import sqlalchemy as sa
from alembic import op

revision = "correlations_0001"
down_revision = None
branch_labels = ("correlations",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "correlations",
        sa.Column("patient", WORDS, nullable=False, autoincrement=False),
        sa.Column("home", WORDS, nullable=False, autoincrement=False),
        sa.Column("identifier", WORDS, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "home", name="pk_correlations"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_correlations_until", "correlations", ["until"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("correlations")
