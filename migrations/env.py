"""Runs the revisions on the connection that `app.db.migrate` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="rollcall_migrations")
context.run_migrations()
