"""The contents of a whole database, to show that nothing in it has changed."""

from sqlalchemy import text

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}


async def contents_of(system):
    """Return the rows of every table, those of Rollcall's own included."""
    async with system.database.transaction() as connection:
        names = (await connection.execute(text(TABLES[system.database.dialect]))).scalars().all()
        return {
            name: sorted(repr(tuple(row)) for row in await connection.execute(text(f'SELECT * FROM "{name}"')))
            for name in names
        }
