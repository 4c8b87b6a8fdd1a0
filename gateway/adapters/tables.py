"""Tables: the one schema, for SQLite and PostgreSQL alike.

Whole values are kept as serialised bodies (`stored.py`); only what is searched, ordered or changed alone is a column.
What a newcomer gets wrong:

- Times are microseconds since 1970 in UTC, as integers: exact, ordered and equal in both databases.
- Text compares by code point in both (PostgreSQL: collation "C"), so that pages end at the same place.
- Keys are made by us (UUIDs, UIDs, hashes, `sequence.py`), and no constraint is unique across patients but in lookup
  tables (`registry_objects`, `registry_unique_ids`, `patient_identifiers`, `documents`), so that the registry could be
  distributed by patient, the studies by study and the ledger by exchange.
- `*_order` columns are negative times: ascending is newest first, and one plain index serves order and page keys.

A migration in `migrations/versions` goes with every change here; a test compares the two. Other adapters add tables of
their own to `metadata` (audit_sql).
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Words: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared and ordered by code point."""


def _key(name: str, type_: TypeEngine[Any] = Words) -> Column[Any]:
    return Column(name, type_, primary_key=True, nullable=False, autoincrement=False)


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


def _time(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# --- registry: documents and what holds them together ------------------------------------------------------------------

registry_objects = Table(
    "registry_objects",
    metadata,
    _key("entry_uuid"),
    _words("kind"),  # entry, set, folder, association
    sqlite_with_rowid=False,
)

registry_unique_ids = Table(
    "registry_unique_ids",
    metadata,
    _key("kind"),
    _key("unique_id"),
    _words("hash"),  # of documents; "" where none was told
    Column("size_bytes", BigInteger),
    sqlite_with_rowid=False,
)

entries = Table(
    "entries",
    metadata,
    _key("patient_id"),  # CX
    _key("registered", BigInteger()),  # place in the order of registration
    _key("entry_uuid"),
    _words("unique_id"),
    _words("status"),
    _words("entry_type"),
    _words("class_code"),  # value^^system, as in all code columns
    _words("type_code"),
    _words("format_code"),
    _words("practice_setting_code"),
    _words("healthcare_facility_type_code"),
    _time("creation_at", nullable=True),
    _time("service_start_at", nullable=True),
    _time("service_stop_at", nullable=True),
    Column("body", LargeBinary, nullable=False),
    Column("logical_id", Words),  # none: the first version, whose entryUUID it is
    Column("superseded", SmallInteger),  # 1: there is a newer version
    Index(None, "entry_uuid"),
    Index(None, "unique_id"),
    Index(None, "registered", "entry_uuid"),
    Index(None, "logical_id"),
)

entry_terms = Table(
    "entry_terms",
    metadata,
    _key("entry_uuid"),
    _key("kind"),  # event, confidentiality, reference, author
    _key("term"),
    Index(None, "kind", "term"),
    sqlite_with_rowid=False,
)

submission_sets = Table(
    "submission_sets",
    metadata,
    _key("patient_id"),
    _key("entry_uuid"),
    _words("unique_id"),
    _words("status"),
    _words("source_id"),
    _time("submission_at"),
    Column("body", LargeBinary, nullable=False),
    Index(None, "entry_uuid"),
    Index(None, "unique_id"),
)

folders = Table(
    "folders",
    metadata,
    _key("patient_id"),
    _key("entry_uuid"),
    _words("unique_id"),
    _words("status"),
    _time("last_update_at", nullable=True),
    Column("body", LargeBinary, nullable=False),
    Column("logical_id", Words),  # as of entries
    Column("superseded", SmallInteger),
    Index(None, "entry_uuid"),
    Index(None, "unique_id"),
    Index(None, "logical_id"),
)

associations = Table(
    "associations",
    metadata,
    _key("source"),
    _key("target"),
    _key("entry_uuid"),
    _words("type"),
    Column("original", SmallInteger),  # 1, 0, or none: not a set's member
    _words("status"),
    Column("body", LargeBinary, nullable=False),
    Index(None, "target"),
    Index(None, "entry_uuid"),
)

# --- studies -----------------------------------------------------------------------------------------------------------

studies = Table(
    "studies",
    metadata,
    _key("study_instance_uid"),
    _words("status"),
    Column("version", Integer, nullable=False),
    _words("source"),
    _time("updated_at"),
    _time("updated_order"),
    _time("started_from", nullable=True),  # the interval that the start's precision makes, end exclusive
    _time("started_to", nullable=True),
    _time("started_order"),
    _words("study_id"),
    _words("description"),  # folded: without case and accents
    _words("referring_physician"),  # folded
    Column("body", LargeBinary, nullable=False),
    Index(None, "started_order", "study_instance_uid"),
    Index(None, "updated_order", "study_instance_uid"),
)

study_keys = Table(
    "study_keys",
    metadata,
    _key("study_instance_uid"),
    _key("kind"),  # patient, accession, name (folded), chain
    _key("value"),
    _key("authority"),
    Index(None, "kind", "value", "authority"),
    sqlite_with_rowid=False,
)

series = Table(
    "series",
    metadata,
    _key("study_instance_uid"),
    _key("series_instance_uid"),
    Column("series_key", BigInteger, nullable=False),  # a hash of both UIDs: what instances carry instead of them
    _words("modality"),
    Column("instances", Integer, nullable=False),  # that are here
    Column("body", LargeBinary, nullable=False),
    Column("withdrawn", SmallInteger, nullable=False, server_default="0"),  # 1: all of it is; it is not shown
    Index(None, "series_instance_uid"),
    Index(None, "series_key"),
)


def _instance_columns() -> list[Column[Any]]:
    return [
        _words("sop_class_uid"),
        Column("transfer_syntax_uid", Words),
        Column("number", BigInteger),
        Column("frames", Integer, nullable=False),
        Column("rows", Integer),
        Column("columns", Integer),
        Column("size_bytes", BigInteger),
        Column("sha256", Words),
        Column("metadata", LargeBinary, nullable=False),  # DICOM JSON, deflated
        Column("chain", BigInteger),  # a hash of what the chain of manifests is called; none: nobody may withdraw it
    ]


instances = Table(
    "instances",
    metadata,
    _key("series_key", BigInteger()),
    _key("sop_instance_uid"),
    *_instance_columns(),
    Index(None, "sop_instance_uid"),
)

# A table of their own: what is not in `instances` cannot be shown by a question that forgot to leave it out.
told_studies = Table(  # by an archive that others fill too, when it was last walked through
    "told_studies",
    metadata,
    _key("study_instance_uid"),
    _words("told"),
    sqlite_with_rowid=False,
)

withdrawn_instances = Table(
    "withdrawn_instances",
    metadata,
    _key("series_key", BigInteger()),
    _key("sop_instance_uid"),
    *_instance_columns(),
    _words("study_instance_uid"),
    _time("withdrawn_at"),
    _words("withdrawn_by"),  # uniqueId of the manifest that does not name it; "": withdrawn before it came
    Index(None, "study_instance_uid"),
    Index(None, "sop_instance_uid"),
)

expected_instances = Table(
    "expected_instances",
    metadata,
    _key("study_instance_uid"),
    _key("sop_instance_uid"),
    Column("series_key", BigInteger),  # none: expected since before it was kept
    Column("chain", BigInteger),  # as in `instances`
    sqlite_with_rowid=False,
)

# --- identity ----------------------------------------------------------------------------------------------------------

patients = Table(
    "patients",
    metadata,
    _key("patient_id"),  # CX of the first identifier
    _words("name"),  # folded: family^given^middle
    _words("ideographic"),
    _words("matching"),  # folded name, birth date and sex: what `match` compares; "" where one of them is not known
    Column("active", SmallInteger, nullable=False),
    _time("updated_at"),
    Column("body", LargeBinary, nullable=False),
    Index(None, "name"),
    Index(None, "ideographic"),
    Index(None, "matching"),
)

patient_identifiers = Table(
    "patient_identifiers",
    metadata,
    _key("identifier"),  # CX
    _words("value"),
    _words("patient_id"),
    _words("subsumed_by"),  # CX of the survivor; "": valid
    Index(None, "value"),
    Index(None, "patient_id"),
    sqlite_with_rowid=False,
)

identity_links = Table(
    "identity_links",
    metadata,
    _key("local"),  # CX, as is the other
    _key("foreign"),
    _words("evidence"),
    _words("decided_by"),
    _time("decided_at"),
    Index(None, "foreign"),
    sqlite_with_rowid=False,
)

# --- ledger ------------------------------------------------------------------------------------------------------------

exchanges = Table(
    "exchanges",
    metadata,
    _key("id"),
    _words("kind"),
    _words("state"),
    _time("opened_at"),
    _time("updated_at"),
    _words("peer"),
    _words("study_instance_uid"),
    _words("patient_id"),
    Column("payload", LargeBinary, nullable=False),  # JSON
    _words("reason"),
    _words("cure"),
    _time("due_at", nullable=True),
    Column("attempt", Integer, nullable=False),
    _words("lease_owner"),
    _time("lease_until", nullable=True),
    _time("claimable_at", nullable=True),  # when due and not leased
    Index(None, "state", "id"),
    Index(None, "peer", "id"),
    Index(None, "study_instance_uid", "id"),
    Index(None, "kind", "state", "updated_at"),  # what is to be pruned
)
# Partial, for size only: a ledger is mostly exchanges that have ended.
Index(
    None,
    exchanges.c.peer,
    exchanges.c.claimable_at,
    sqlite_where=exchanges.c.claimable_at.is_not(None),
    postgresql_where=exchanges.c.claimable_at.is_not(None),
)
Index(
    None,
    exchanges.c.claimable_at,
    sqlite_where=exchanges.c.claimable_at.is_not(None),
    postgresql_where=exchanges.c.claimable_at.is_not(None),
)

steps = Table(
    "steps",
    metadata,
    _key("exchange_id"),
    _key("id", BigInteger()),
    _time("at"),
    _words("transaction"),
    _words("direction"),
    _words("outcome"),
    _words("text"),
    _words("peer"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("duration_ms", Float, nullable=False),
    _words("why"),
    _words("cure"),
    _words("raw_key"),
    Index(None, "id"),  # the newest, at a start
)
Index(
    None,
    steps.c.outcome,
    sqlite_where=steps.c.outcome == "open",
    postgresql_where=steps.c.outcome == "open",
)

# --- documents ---------------------------------------------------------------------------------------------------------

documents = Table(
    "documents",
    metadata,
    _key("document_unique_id"),
    _words("media_type"),
    Column("size_bytes", BigInteger, nullable=False),
    _words("sha1"),
    Column("path", Words),  # none: the bytes are in `body`
    Column("body", LargeBinary),
)
removed_files = Table(
    "removed_files",
    metadata,
    _key("path"),  # of documents that were removed; the file follows
    _time("removed_at"),
    Index(None, "removed_at"),
    sqlite_with_rowid=False,
)

# Partial: a start compares the files with what is in files, and nearly all documents are not.
Index(
    None,
    documents.c.path,
    sqlite_where=documents.c.path.is_not(None),
    postgresql_where=documents.c.path.is_not(None),
)

premises = Table(
    "premises",
    metadata,
    _key("name"),
    _words("value"),  # of `database`: who it is, so that a folder of files can say whose they are
    sqlite_with_rowid=False,
)

# --- raw messages ------------------------------------------------------------------------------------------------------

raw_messages = Table(
    "raw_messages",
    metadata,
    _key("exchange_id"),
    _time("created_at"),
    Column("failed", SmallInteger, nullable=False),  # the class: its exchange did not go well
    Column("size_bytes", BigInteger, nullable=False),  # of `body`
    _words("key"),  # which key it is encrypted with; "": none
    Column("body", LargeBinary, nullable=False),
    Index(None, "failed", "created_at", "size_bytes"),  # adding up reads nothing else
)
