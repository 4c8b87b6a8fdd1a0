"""The first schema: registry, studies, identity, ledger and documents."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To this schema."""
    op.create_table(
        "registry_objects",
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("entry_uuid", name="pk_registry_objects"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "registry_unique_ids",
        sa.Column("kind", WORDS, nullable=False, autoincrement=False),
        sa.Column("unique_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("hash", WORDS, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "unique_id", name="pk_registry_unique_ids"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entries",
        sa.Column("patient_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("registered", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("unique_id", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("entry_type", WORDS, nullable=False),
        sa.Column("class_code", WORDS, nullable=False),
        sa.Column("type_code", WORDS, nullable=False),
        sa.Column("format_code", WORDS, nullable=False),
        sa.Column("practice_setting_code", WORDS, nullable=False),
        sa.Column("healthcare_facility_type_code", WORDS, nullable=False),
        sa.Column("creation_at", sa.BigInteger(), nullable=True),
        sa.Column("service_start_at", sa.BigInteger(), nullable=True),
        sa.Column("service_stop_at", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "registered", "entry_uuid", name="pk_entries"),
    )
    op.create_index("ix_entries_entry_uuid", "entries", ["entry_uuid"])
    op.create_index("ix_entries_registered_entry_uuid", "entries", ["registered", "entry_uuid"])
    op.create_index("ix_entries_unique_id", "entries", ["unique_id"])
    op.create_table(
        "entry_terms",
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("kind", WORDS, nullable=False, autoincrement=False),
        sa.Column("term", WORDS, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("entry_uuid", "kind", "term", name="pk_entry_terms"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entry_terms_kind_term", "entry_terms", ["kind", "term"])
    op.create_table(
        "submission_sets",
        sa.Column("patient_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("unique_id", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("source_id", WORDS, nullable=False),
        sa.Column("submission_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "entry_uuid", name="pk_submission_sets"),
    )
    op.create_index("ix_submission_sets_entry_uuid", "submission_sets", ["entry_uuid"])
    op.create_table(
        "folders",
        sa.Column("patient_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("unique_id", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("last_update_at", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "entry_uuid", name="pk_folders"),
    )
    op.create_index("ix_folders_entry_uuid", "folders", ["entry_uuid"])
    op.create_table(
        "associations",
        sa.Column("source", WORDS, nullable=False, autoincrement=False),
        sa.Column("target", WORDS, nullable=False, autoincrement=False),
        sa.Column("entry_uuid", WORDS, nullable=False, autoincrement=False),
        sa.Column("type", WORDS, nullable=False),
        sa.Column("original", sa.SmallInteger(), nullable=True),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "target", "entry_uuid", name="pk_associations"),
    )
    op.create_index("ix_associations_entry_uuid", "associations", ["entry_uuid"])
    op.create_index("ix_associations_target", "associations", ["target"])
    op.create_table(
        "studies",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_order", sa.BigInteger(), nullable=False),
        sa.Column("started_from", sa.BigInteger(), nullable=True),
        sa.Column("started_to", sa.BigInteger(), nullable=True),
        sa.Column("started_order", sa.BigInteger(), nullable=False),
        sa.Column("study_id", WORDS, nullable=False),
        sa.Column("description", WORDS, nullable=False),
        sa.Column("referring_physician", WORDS, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_studies"),
    )
    op.create_index("ix_studies_started_order_study_instance_uid", "studies", ["started_order", "study_instance_uid"])
    op.create_index("ix_studies_updated_order_study_instance_uid", "studies", ["updated_order", "study_instance_uid"])
    op.create_table(
        "study_keys",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("kind", WORDS, nullable=False, autoincrement=False),
        sa.Column("value", WORDS, nullable=False, autoincrement=False),
        sa.Column("authority", WORDS, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "kind", "value", "authority", name="pk_study_keys"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_study_keys_kind_value_authority", "study_keys", ["kind", "value", "authority"])
    op.create_table(
        "series",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("series_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("series_key", sa.BigInteger(), nullable=False),
        sa.Column("modality", WORDS, nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "series_instance_uid", name="pk_series"),
    )
    op.create_index("ix_series_series_instance_uid", "series", ["series_instance_uid"])
    op.create_index("ix_series_series_key", "series", ["series_key"])
    op.create_table(
        "instances",
        sa.Column("series_key", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("sop_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("sop_class_uid", WORDS, nullable=False),
        sa.Column("transfer_syntax_uid", WORDS, nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", WORDS, nullable=True),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("series_key", "sop_instance_uid", name="pk_instances"),
    )
    op.create_index("ix_instances_sop_instance_uid", "instances", ["sop_instance_uid"])
    op.create_table(
        "expected_instances",
        sa.Column("study_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.Column("sop_instance_uid", WORDS, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "sop_instance_uid", name="pk_expected_instances"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patients",
        sa.Column("patient_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("ideographic", WORDS, nullable=False),
        sa.Column("matching", WORDS, nullable=False),
        sa.Column("active", sa.SmallInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name="pk_patients"),
    )
    op.create_index("ix_patients_ideographic", "patients", ["ideographic"])
    op.create_index("ix_patients_matching", "patients", ["matching"])
    op.create_index("ix_patients_name", "patients", ["name"])
    op.create_table(
        "patient_identifiers",
        sa.Column("identifier", WORDS, nullable=False, autoincrement=False),
        sa.Column("value", WORDS, nullable=False),
        sa.Column("patient_id", WORDS, nullable=False),
        sa.Column("subsumed_by", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("identifier", name="pk_patient_identifiers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_patient_identifiers_patient_id", "patient_identifiers", ["patient_id"])
    op.create_index("ix_patient_identifiers_value", "patient_identifiers", ["value"])
    op.create_table(
        "identity_links",
        sa.Column("local", WORDS, nullable=False, autoincrement=False),
        sa.Column("foreign", WORDS, nullable=False, autoincrement=False),
        sa.Column("evidence", WORDS, nullable=False),
        sa.Column("decided_by", WORDS, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("local", "foreign", name="pk_identity_links"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_identity_links_foreign", "identity_links", ["foreign"])
    op.create_table(
        "exchanges",
        sa.Column("id", WORDS, nullable=False, autoincrement=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("peer", WORDS, nullable=False),
        sa.Column("study_instance_uid", WORDS, nullable=False),
        sa.Column("patient_id", WORDS, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("cure", WORDS, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", WORDS, nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("claimable_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_exchanges"),
    )
    op.create_index(
        "ix_exchanges_claimable_at",
        "exchanges",
        ["claimable_at"],
        sqlite_where=sa.text("claimable_at IS NOT NULL"),
        postgresql_where=sa.text("claimable_at IS NOT NULL"),
    )
    op.create_index(
        "ix_exchanges_peer_claimable_at",
        "exchanges",
        ["peer", "claimable_at"],
        sqlite_where=sa.text("claimable_at IS NOT NULL"),
        postgresql_where=sa.text("claimable_at IS NOT NULL"),
    )
    op.create_index("ix_exchanges_peer_id", "exchanges", ["peer", "id"])
    op.create_index("ix_exchanges_state_id", "exchanges", ["state", "id"])
    op.create_index("ix_exchanges_study_instance_uid_id", "exchanges", ["study_instance_uid", "id"])
    op.create_table(
        "steps",
        sa.Column("exchange_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("transaction", WORDS, nullable=False),
        sa.Column("direction", WORDS, nullable=False),
        sa.Column("outcome", WORDS, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("peer", WORDS, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column("why", WORDS, nullable=False),
        sa.Column("cure", WORDS, nullable=False),
        sa.Column("raw_key", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("exchange_id", "id", name="pk_steps"),
    )
    op.create_index(
        "ix_steps_outcome",
        "steps",
        ["outcome"],
        sqlite_where=sa.text("outcome = 'open'"),
        postgresql_where=sa.text("outcome = 'open'"),
    )
    op.create_table(
        "documents",
        sa.Column("document_unique_id", WORDS, nullable=False, autoincrement=False),
        sa.Column("media_type", WORDS, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha1", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("document_unique_id", name="pk_documents"),
    )


def downgrade() -> None:
    """To an empty database."""
    op.drop_table("documents")
    op.drop_table("steps")
    op.drop_table("exchanges")
    op.drop_table("identity_links")
    op.drop_table("patient_identifiers")
    op.drop_table("patients")
    op.drop_table("expected_instances")
    op.drop_table("instances")
    op.drop_table("series")
    op.drop_table("study_keys")
    op.drop_table("studies")
    op.drop_table("associations")
    op.drop_table("folders")
    op.drop_table("submission_sets")
    op.drop_table("entry_terms")
    op.drop_table("entries")
    op.drop_table("registry_unique_ids")
    op.drop_table("registry_objects")
