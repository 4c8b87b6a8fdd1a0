"""Who a database is, so that a folder of documents can say whose it is."""

import sqlalchemy as sa
from alembic import op

revision = "premises_0001"
down_revision = None
branch_labels = ("premises",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "premises",
        sa.Column("name", WORDS, nullable=False, autoincrement=False),
        sa.Column("value", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_premises"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("premises")
