"""The stable document that was kept last of an on-demand entry."""

import sqlalchemy as sa
from alembic import op

revision = "publications_0002"
down_revision = "publications_0001"
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To this schema."""
    op.add_column("publications", sa.Column("snapshot", WORDS, nullable=False, server_default=""))


def downgrade() -> None:
    """To the schema before."""
    op.drop_column("publications", "snapshot")
