"""Runs Alembic's revisions. Only migrations import this module: Alembic takes 10 MB that serving does not need."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from app.core.errors import OperatorError


def upgrade(connection: Connection, folder: Path) -> None:
    """Run every revision in a folder that has not been run.

    Raises:
        OperatorError: A newer Rollcall has migrated the database.
    """
    try:
        command.upgrade(_config(connection, folder), "head")
    except CommandError as error:
        raise OperatorError(
            "The database was migrated by a newer Rollcall: use that version, or migrate down with it."
        ) from error


def downgrade(connection: Connection, folder: Path, to: str, *, force: bool) -> None:
    """Revert the revisions in a folder after `to`; with `force` also if rows are lost.

    Raises:
        OperatorError: There is no such revision.
    """
    try:
        command.downgrade(_config(connection, folder, force=force), to)
    except CommandError as error:
        raise OperatorError("There is no such revision; `rollcall migrate down base` removes everything.") from error


def _config(connection: Connection, folder: Path, *, force: bool = False) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes.update(connection=connection, force=force)
    return config
