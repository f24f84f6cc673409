"""Fixture for a running SMTP server."""

import pytest_asyncio

from tests.mail.server import MailServer


@pytest_asyncio.fixture
async def server():
    async with MailServer().up() as server:
        yield server
