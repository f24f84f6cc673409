"""Whoever changes the directory keeps their connections, and keeps nobody else from getting one."""

import asyncio

from sqlalchemy import literal, select, text


async def test_many_changes_at_once_leave_connections_for_those_who_need_one_of_their_own(writable_db):
    size = writable_db.settings.db_pool_size
    together = asyncio.Barrier(size if writable_db.database.dialect == "postgresql" else 1)

    async def change(writer):
        await writer.fetch(select(literal(1)))
        await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(writable_db.database.run_write(change, exclusive=False) for _ in range(size)))
        await writable_db.database.run_write(lambda writer: writer.fetch(select(literal(1))))
        async with writable_db.database.transaction() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1
