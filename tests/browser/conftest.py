"""A real Chromium, and the Studio on both databases with a mail server; the database is restored after each test."""

import socket

import pytest_asyncio
from sqlalchemy import update

from app.db.models import User
from app.main import create_app
from tests.browser.requirements import CHROMIUM
from tests.flows.conftest import inviters, inviters_db
from tests.http.clients import PASSWORD_HASH
from tests.http.conftest import members
from tests.in_process import in_process_server
from tests.ldap.unreachable import unreachable_directory
from tests.mail.server import MailServer

__all__ = ["inviters", "inviters_db", "members"]


@pytest_asyncio.fixture(scope="session")
async def chromium():
    """The browser; pages that share nothing with each other have contexts of their own."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session")
async def mail_server():
    """The SMTP server to which all mails of the directory are sent."""
    async with MailServer().up() as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def base_url(inviters_db, mail_server):
    """The URL of a server on the database; links in mails lead there."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    mail = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mail_server.port}
    overrides = {"public_url": url, "log_level": "warning", "auth_providers": unreachable_directory("office")}
    settings = inviters_db.settings.model_copy(update={**overrides, **mail})
    async with in_process_server(create_app(settings), listener):
        yield url


@pytest_asyncio.fixture
async def directory(members, mail_server):
    """The `members`, all active users with a password; no mail has been sent."""
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.status == "active").values(password=PASSWORD_HASH))
    mail_server.mails.clear()
    return members


@pytest_asyncio.fixture
async def browsing(chromium, base_url, directory):
    """Opens pages; fails the test if any of them broke its policies or logged an error."""
    from tests.browser.browsing import Browsing

    browsing = Browsing(chromium, base_url, directory)
    yield browsing
    await browsing.close()
    assert browsing.faults == []


@pytest_asyncio.fixture
async def page(browsing):
    """A page of a visitor, without a session."""
    return await browsing.open()


@pytest_asyncio.fixture
async def signed_in(browsing):
    """A page with the session of Ada, an administrator."""
    return await browsing.open(user="ada")
