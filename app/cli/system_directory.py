"""The directory with system permissions, for commands about users."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.cli.runner import run
from app.core.caller import SYSTEM
from app.core.config import Settings
from app.core.errors import OperatorError
from app.db.database import Database
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services

T = TypeVar("T")


def run_with_directory(work: Callable[[Directory], Awaitable[T]]) -> T:
    """Run `work` with the directory, its custom fields included, and return its result; raises as `run`."""

    async def open_directory(database: Database, settings: Settings) -> T:
        services = Services.from_settings(database, settings)
        if (loaded := await load_schema(database)) is not None:
            services = services.with_registry(*loaded)
        return await work(Directory(SYSTEM, services))

    return run(open_directory)


async def user_id(directory: Directory, email: str) -> str:
    """Return the id of the user with an email address, ignoring case.

    Raises:
        OperatorError: There is none.
    """
    user = await directory["users"].get_user_by_email(email)
    if user is None:
        raise OperatorError(f"There is no user with the email address {email}.")
    return str(user["id"])
