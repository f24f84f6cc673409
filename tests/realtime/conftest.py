"""A server with WebSockets on a real socket, once per module and database."""

import pytest_asyncio

from tests.realtime.sockets import serving


@pytest_asyncio.fixture(scope="module")
async def server(shared_db):
    async with serving(shared_db.settings) as server:
        yield server
