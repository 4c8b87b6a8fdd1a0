"""The audit chain: records, what they are searched by, open intents, who is alive, cursors of forwarders."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit_records",
        sa.Column("number", NUMBER, nullable=False, autoincrement=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("intent", WORDS, nullable=False),
        sa.Column("exchange_id", WORDS, nullable=False),
        sa.Column("origin", WORDS, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_records"),
    )
    op.create_index(
        "ix_audit_records_intent",
        "audit_records",
        ["intent"],
        sqlite_where=sa.text("intent != ''"),
        postgresql_where=sa.text("intent != ''"),
    )
    op.create_index(
        "ix_audit_records_exchange_id",
        "audit_records",
        ["exchange_id"],
        sqlite_where=sa.text("exchange_id != ''"),
        postgresql_where=sa.text("exchange_id != ''"),
    )
    op.create_table(
        "audit_index",
        sa.Column("number", NUMBER, nullable=False, autoincrement=False),
        sa.Column("event_at", sa.BigInteger, nullable=False),
        sa.Column("event", WORDS, nullable=False),
        sa.Column("types", WORDS, nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.Column("people", WORDS, nullable=False),
        sa.Column("systems", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_index"),
    )
    op.create_index("ix_audit_index_event_at", "audit_index", ["event_at"])
    op.create_table(
        "audit_subjects",
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("term", WORDS, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "term", "number", name="pk_audit_subjects"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_open_intents",
        sa.Column("intent", WORDS, nullable=False),
        sa.Column("writer", WORDS, nullable=False),
        sa.Column("exchange_id", WORDS, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("intent", name="pk_audit_open_intents"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_writers",
        sa.Column("writer", WORDS, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("writer", name="pk_audit_writers"),
    )
    op.create_table(
        "audit_cursors",
        sa.Column("destination", WORDS, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("destination", name="pk_audit_cursors"),
    )


def downgrade() -> None:
    """Audit is never thrown away by going back a version: the tables stay, and an older version does not see them."""
