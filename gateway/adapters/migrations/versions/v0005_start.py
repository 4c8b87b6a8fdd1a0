"""What a start asks of large tables, it asks an index: the newest step, and the documents that are in files."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.create_index("ix_steps_id", "steps", ["id"])
    in_files = sa.column("path").is_not(None)
    op.create_index("ix_documents_path", "documents", ["path"], sqlite_where=in_files, postgresql_where=in_files)


def downgrade() -> None:
    """To the schema before."""
    op.drop_index("ix_documents_path", "documents")
    op.drop_index("ix_steps_id", "steps")
