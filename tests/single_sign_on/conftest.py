"""A provider, and a server that lets users sign in with it."""

from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.auth_providers import load_providers
from app.db.models import Session, User
from tests.flows.clock import FrozenClock
from tests.flows.conftest import inviters, inviters_db
from tests.http.clients import cookies_of
from tests.http.test_graphql import served
from tests.single_sign_on.provider import CLIENT_ID, CLIENT_SECRET, OpenIdServer

__all__ = ["inviters", "inviters_db"]

PUBLIC_URL = "https://directory.example.com"
NAME = "company"
APP = f"{PUBLIC_URL}/app"
WEB = httpx.AsyncClient(verify=False)  # one for all tests: reading the certificates takes time


@pytest_asyncio.fixture(scope="module")
async def running_provider():
    async with OpenIdServer().up() as server:
        yield server


@pytest.fixture
def provider(running_provider):
    running_provider.reset()
    return running_provider


class Browser:
    """A browser: follows redirects by hand, and keeps cookies."""

    def __init__(self, client, system, name=NAME):
        self.client, self.system, self.name, self.cookies = client, system, name, {}

    async def get(self, url, method="GET", **options):
        self.client.cookies.clear()
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"cookie": cookie} if cookie else {}
        path = url.removeprefix(PUBLIC_URL)
        response = await self.client.request(method, path, headers=headers, **options)
        for name, (value, attributes) in cookies_of(response).items():
            self.cookies.pop(name, None)
            if "Max-Age=0" not in attributes:
                self.cookies[name] = value
        return response

    async def begin(self, **query):
        """Return the URL of the provider to which the browser is redirected."""
        response = await self.get(f"/auth/login/{self.name}", params=query)
        assert response.status_code == 302, response.text
        return response.headers["location"]

    async def authorize(self, url):
        """Return the URL to which the provider redirects the browser."""
        return (await WEB.get(url)).headers["location"]

    async def sign_in(self, redirect=APP, **query):
        """Return the response to the whole sign-in."""
        return await self.get(await self.authorize(await self.begin(**{"redirect": redirect, **query})))

    async def me(self):
        return (await self.get("/users/me?fields=id")).json()


@pytest_asyncio.fixture
async def connect(inviters, provider):
    """A function that starts a server with settings of the provider, and returns a browser."""
    async with AsyncExitStack() as stack:

        async def start(clock=None, settings=None, **variables):
            values = {
                "driver": "openid",
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "issuer_url": provider.url,
                "allow_public_registration": "true",
                **variables,
            }
            prefixed = {f"AUTH_{NAME.upper()}_{key.upper()}": value for key, value in values.items() if value}
            overrides = {
                "public_url": PUBLIC_URL,
                "auth_providers": load_providers([NAME], prefixed),
                **(settings or {}),
            }
            system_settings = inviters.settings.model_copy(update=overrides)
            client = await stack.enter_async_context(served(system_settings, clock or FrozenClock()))
            return Browser(client, inviters)

        yield start


async def row_of(system, identifier):
    """Return the user with an external identifier."""
    async with system.database.transaction() as connection:
        result = await connection.execute(select(User.__table__).where(User.external_identifier == identifier))
        return result.mappings().one()


async def counts(system):
    """Return the numbers of users and of sessions."""
    async with system.database.transaction() as connection:
        return [await connection.scalar(select(func.count()).select_from(each)) for each in (User, Session)]


def reason_of(response):
    """Return the code of the error with which the browser is led back to the app."""
    return _reason(response, APP)


def reason_on_sign_in_page(response):
    """Return the code of the error with which the browser is led to the Studio."""
    return _reason(response, f"{PUBLIC_URL}/admin/sign-in")


def _reason(response, page):
    location = response.headers["location"]
    assert response.status_code == 302
    assert location.startswith(f"{page}?reason="), location
    return location.partition("reason=")[2]
