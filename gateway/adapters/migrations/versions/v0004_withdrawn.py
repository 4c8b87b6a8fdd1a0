"""What a replaced manifest named and the new one does not is kept in a table of its own; rows know what brought them.

Of what is here already nobody knows what brought it: it has no chain, and is never withdrawn.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003_versions"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To this schema."""
    op.add_column("instances", sa.Column("chain", sa.BigInteger()))
    op.add_column("expected_instances", sa.Column("series_key", sa.BigInteger()))
    op.add_column("expected_instances", sa.Column("chain", sa.BigInteger()))
    op.add_column("series", sa.Column("withdrawn", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_table(
        "withdrawn_instances",
        sa.Column("series_key", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("sop_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("sop_class_uid", WORDS, nullable=False),
        sa.Column("transfer_syntax_uid", WORDS),
        sa.Column("number", sa.BigInteger()),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer()),
        sa.Column("columns", sa.Integer()),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("sha256", WORDS),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.BigInteger()),
        sa.Column("study_instance_uid", WORDS, nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_by", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("series_key", "sop_instance_uid", name="pk_withdrawn_instances"),
    )
    op.create_index("ix_withdrawn_instances_study_instance_uid", "withdrawn_instances", ["study_instance_uid"])
    op.create_index("ix_withdrawn_instances_sop_instance_uid", "withdrawn_instances", ["sop_instance_uid"])


def downgrade() -> None:
    """To the schema before; what was withdrawn is shown again, for nothing there could keep it hidden."""
    op.execute(
        """
        UPDATE series SET instances = instances
            + (SELECT count(*) FROM withdrawn_instances WHERE withdrawn_instances.series_key = series.series_key)
        """
    )
    op.execute(
        """
        INSERT INTO instances (series_key, sop_instance_uid, sop_class_uid, transfer_syntax_uid, number, frames, rows,
            columns, size_bytes, sha256, metadata)
        SELECT series_key, sop_instance_uid, sop_class_uid, transfer_syntax_uid, number, frames, rows,
            columns, size_bytes, sha256, metadata FROM withdrawn_instances
        """
    )
    op.execute(
        """
        UPDATE studies SET status = 'available' WHERE status = 'cancelled'
            AND study_instance_uid IN (SELECT study_instance_uid FROM withdrawn_instances)
        """
    )
    op.execute("DELETE FROM study_keys WHERE kind = 'chain'")
    op.drop_index("ix_withdrawn_instances_sop_instance_uid", "withdrawn_instances")
    op.drop_index("ix_withdrawn_instances_study_instance_uid", "withdrawn_instances")
    op.drop_table("withdrawn_instances")
    op.drop_column("series", "withdrawn")
    op.drop_column("expected_instances", "chain")
    op.drop_column("expected_instances", "series_key")
    op.drop_column("instances", "chain")
