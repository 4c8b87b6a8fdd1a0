"""Documents that are kept here and registered elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "registrations_0001"
down_revision = None
branch_labels = ("registrations",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "registrations",
        sa.Column("set_unique_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("document_unique_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("peer", WORDS, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", WORDS, nullable=False),
        sa.Column("digest", WORDS, nullable=False),
        sa.Column("taken", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("set_unique_id", "document_unique_id", name="pk_registrations"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_registrations_document_unique_id", "registrations", ["document_unique_id"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("registrations")
