"""Runs the revisions on the connection of `app.db.migrate`, inside its transaction."""

from alembic import context

from app.db.migrate import MIGRATIONS_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=MIGRATIONS_TABLE)
context.run_migrations()
