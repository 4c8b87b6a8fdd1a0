"""Answers to HL7 messages, so that one that comes again after a crash is not done again."""

import sqlalchemy as sa
from alembic import op

revision = "hl7_0001"
down_revision = None
branch_labels = ("hl7",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "hl7_answers",
        sa.Column("sender", WORDS, nullable=False, autoincrement=False),
        sa.Column("application", WORDS, nullable=False, autoincrement=False),
        sa.Column("facility", WORDS, nullable=False, autoincrement=False),
        sa.Column("control_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "application", "facility", "control_id", name="pk_hl7_answers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hl7_answers_at", "hl7_answers", ["at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("hl7_answers")
