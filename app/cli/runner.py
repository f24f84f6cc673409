"""How a command runs what is asynchronous, on the database that the settings name."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.core.config import Settings, load_settings
from app.db.database import Database

T = TypeVar("T")


def run(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """What `work` returns, given the database and the settings."""

    async def main() -> T:
        settings = load_settings()
        database = Database.open(settings)
        try:
            return await work(database, settings)
        finally:
            await database.dispose()

    return asyncio.run(main())
