"""What registries have of our studies, so that the next entry can take the place of the last."""

import sqlalchemy as sa
from alembic import op

revision = "publications_0001"
down_revision = None
branch_labels = ("publications",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "publications",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("peer", WORDS, nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("entry_uuid", WORDS, nullable=False),
        sa.Column("unique_id", WORDS, nullable=False),
        sa.Column("patient_id", WORDS, nullable=False),
        sa.Column("digest", WORDS, nullable=False),
        sa.Column("in_force", sa.SmallInteger(), nullable=False),
        sa.Column("offered", WORDS, nullable=False),
        sa.Column("on_demand", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "peer", name="pk_publications"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_publications_unique_id", "publications", ["unique_id"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("publications")
