"""Runs the revisions on the connection of `app.db.migrate`, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="rollcall_migrations")
context.run_migrations()
