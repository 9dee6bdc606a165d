"""Alembic's entry: database.py hands over the connection to bring up to date."""

from alembic import context

from director.shell.tables import TABLES

context.configure(connection=context.config.attributes["connection"], target_metadata=TABLES)
with context.begin_transaction():
    context.run_migrations()
