"""Tables of the audit chain: the records, what they are searched by, and the cursors of those who forward them.

What a newcomer gets wrong: `audit_records` is append-only and is the only one that counts. `audit_index` and
`audit_subjects` are made from it, `audit_open_intents` says which intents have no answer yet; all three can be made anew.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Table

from gateway.adapters.tables import Words, metadata

Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's own row id: appended without a second index

records = Table(
    "audit_records",
    metadata,
    Column("number", Number, primary_key=True, nullable=False, autoincrement=False),
    Column("received_at", BigInteger, nullable=False),
    Column("kind", Words, nullable=False),  # record, intent, closing
    Column("intent", Words, nullable=False),  # what ties closings to their intent
    Column("exchange_id", Words, nullable=False),
    Column("origin", Words, nullable=False),  # the process that wrote it, where several do
    Column("hash", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),  # PS3.15 XML, as it is sent
)
Index(
    None,
    records.c.intent,
    sqlite_where=records.c.intent != "",
    postgresql_where=records.c.intent != "",
)

Index(
    None,
    records.c.exchange_id,
    sqlite_where=records.c.exchange_id != "",
    postgresql_where=records.c.exchange_id != "",
)

index = Table(
    "audit_index",
    metadata,
    Column("number", Number, primary_key=True, nullable=False, autoincrement=False),
    Column("event_at", BigInteger, nullable=False),
    Column("event", Words, nullable=False),
    Column("types", Words, nullable=False),  # blank, code, blank, code, blank
    Column("outcome", SmallInteger, nullable=False),
    Column("people", Words, nullable=False),  # ids and names, folded, a line each
    Column("systems", Words, nullable=False),  # ids and addresses, folded, a line each
    Index(None, "event_at"),
)

subjects = Table(
    "audit_subjects",
    metadata,
    Column("kind", Words, primary_key=True, nullable=False),  # patient (CX, and the id alone), study
    Column("term", Words, primary_key=True, nullable=False),
    Column("number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    sqlite_with_rowid=False,
)

open_intents = Table(
    "audit_open_intents",
    metadata,
    Column("intent", Words, primary_key=True, nullable=False),
    Column("writer", Words, nullable=False),
    Column("exchange_id", Words, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

writers = Table(
    "audit_writers",
    metadata,
    Column("writer", Words, primary_key=True, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
"""Processes that share a database, and when each last said that it lives. Empty where there is one process only."""

cursors = Table(
    "audit_cursors",
    metadata,
    Column("destination", Words, primary_key=True, nullable=False),
    Column("number", BigInteger, nullable=False),  # the last record that was handed over
)
