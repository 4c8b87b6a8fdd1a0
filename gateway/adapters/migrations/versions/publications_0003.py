"""What was published last is asked of an index, and so is what each registry has."""

from alembic import op

revision = "publications_0003"
down_revision = "publications_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this schema."""
    op.create_index("ix_publications_at", "publications", ["at"])
    op.create_index("ix_publications_in_force_peer_on_demand", "publications", ["in_force", "peer", "on_demand"])


def downgrade() -> None:
    """To the schema before."""
    op.drop_index("ix_publications_in_force_peer_on_demand", "publications")
    op.drop_index("ix_publications_at", "publications")
