"""Documents can be removed: what is in a file is removed after the row, and until then its path is here."""

import sqlalchemy as sa
from alembic import op

revision = "0003_removed"
down_revision = "0003_versions"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "removed_files",
        sa.Column("path", WORDS, nullable=False, autoincrement=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_removed_files"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_removed_files_removed_at", "removed_files", ["removed_at"])


def downgrade() -> None:
    """To the schema before."""
    op.drop_table("removed_files")
