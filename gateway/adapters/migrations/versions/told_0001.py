"""What an archive told of its studies last, so that what it corrects is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "told_0001"
down_revision = None
branch_labels = ("told",)
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "told_studies",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("told", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_told_studies"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("told_studies")
