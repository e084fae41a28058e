"""Alembic's entry: run the migrations on the connection that the state store hands over."""

from alembic import context

from nbpipe.storage.automation_tables import TABLES

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=TABLES, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
