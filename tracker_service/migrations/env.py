"""Run by Alembic: migrates the connection that the tracker hands over at its start."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
