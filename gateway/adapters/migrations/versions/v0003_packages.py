"""Submission sets and folders are found by their uniqueId."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.create_index("ix_submission_sets_unique_id", "submission_sets", ["unique_id"])
    op.create_index("ix_folders_unique_id", "folders", ["unique_id"])


def downgrade() -> None:
    """To the second schema."""
    op.drop_index("ix_folders_unique_id", "folders")
    op.drop_index("ix_submission_sets_unique_id", "submission_sets")
