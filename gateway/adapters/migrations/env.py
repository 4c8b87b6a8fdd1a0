"""Alembic's way in: it runs on the connection that `upgrade` was given, and in the caller's transaction."""

from alembic import context

from gateway.adapters.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller begins and commits
)
context.run_migrations()
