"""Raw messages in a table of their own, and an index for what is to be pruned.

Until now they were documents called `raw:` and the exchange's id; those are taken along, as old as their exchanges are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "raw_messages",
        sa.Column("exchange_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.SmallInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("exchange_id", name="pk_raw_messages"),
    )
    op.create_index(
        "ix_raw_messages_failed_created_at_size_bytes", "raw_messages", ["failed", "created_at", "size_bytes"]
    )
    op.create_index("ix_exchanges_kind_state_updated_at", "exchanges", ["kind", "state", "updated_at"])
    op.execute(
        """
        INSERT INTO raw_messages (exchange_id, created_at, failed, size_bytes, key, body)
        SELECT exchanges.id, exchanges.opened_at, CASE WHEN exchanges.state = 'failed' THEN 1 ELSE 0 END,
               length(documents.body), '', documents.body
        FROM documents JOIN exchanges ON documents.document_unique_id = 'raw:' || exchanges.id
        WHERE documents.body IS NOT NULL
        """
    )
    op.execute("DELETE FROM documents WHERE document_unique_id >= 'raw:' AND document_unique_id < 'raw;'")


def downgrade() -> None:
    """To the first schema; raw messages go, for nothing there would prune them."""
    op.drop_index("ix_exchanges_kind_state_updated_at", "exchanges")
    op.drop_table("raw_messages")
