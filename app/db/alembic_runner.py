"""Runs revisions with Alembic, which only migrating needs: it takes ten MB of memory that serving goes without."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from app.core.errors import OperatorError

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def upgrade(connection: Connection) -> None:
    """Run all revisions that were not run yet. Raises Refusal for a database of a newer Rollcall."""
    try:
        command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise OperatorError(
            "The database was migrated by a newer Rollcall: use that one, or let it migrate down."
        ) from error


def downgrade(connection: Connection, to: str, *, force: bool) -> None:
    """Take back the revisions after `to`; `force` also where rows are lost. Raises Refusal where there is none such."""
    try:
        command.downgrade(_config(connection, force=force), to)
    except CommandError as error:
        raise OperatorError("There is no such revision; `rollcall migrate down base` takes everything away.") from error


def _config(connection: Connection, *, force: bool = False) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, force=force)
    return config
