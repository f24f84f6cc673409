"""An LDAP directory, and a server that lets users sign in with it."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import pytest_asyncio

from app.core.auth_providers import load_providers
from tests.flows.clock import FrozenClock
from tests.flows.conftest import inviters, inviters_db
from tests.http.clients import send
from tests.http.test_graphql import served
from tests.ldap import misbehaving, slapd

__all__ = ["inviters", "inviters_db"]

NAME = "office"
PUBLIC_URL = "https://directory.example.com"


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    """A running slapd; tests that change its entries restore them."""
    if slapd.MISSING:
        pytest.skip(f"{', '.join(slapd.MISSING)} is missing: install the packages slapd and ldap-utils")
    with slapd.running(tmp_path_factory.mktemp("slapd")) as server:
        yield server


class Server:
    """A server whose users sign in with the directory."""

    def __init__(self, client, system):
        self.client, self.system = client, system

    async def sign_in(self, identifier, password=slapd.PASSWORD, **more):
        body = {"identifier": identifier, "password": password, **more}
        return await send(self.client, "POST", f"/auth/login/{NAME}", body)


@pytest_asyncio.fixture
async def serve(inviters):
    """A function that starts a server with other settings."""
    async with AsyncExitStack() as stack:

        async def start(settings, clock=None):
            changed = inviters.settings.model_copy(update={"login_stall_time": timedelta(0), **settings})
            client = await stack.enter_async_context(served(changed, clock or FrozenClock()))
            return Server(client, inviters)

        yield start


@pytest.fixture
def connect(serve):
    """A function that starts a server with settings of the directory."""

    async def start(url, clock=None, settings=None, **variables):
        prefixed = {f"AUTH_{NAME.upper()}_{key.upper()}": value for key, value in values_of(url, variables).items()}
        providers = load_providers([NAME], prefixed)
        return await serve({"public_url": PUBLIC_URL, "auth_providers": providers, **(settings or {})}, clock)

    return start


def values_of(url, variables):
    """Return the settings of the directory at a URL."""
    values = {
        "driver": "ldap",
        "client_url": url,
        "bind_dn": slapd.BIND_DN,
        "bind_password": slapd.BIND_PASSWORD,
        "user_dn": slapd.PEOPLE,
        **variables,
    }
    return {name: value for name, value in values.items() if value}


@pytest.fixture(scope="session")
def running_misbehaving():
    with misbehaving.running() as server:
        yield server


@pytest.fixture
def fake(running_misbehaving):
    """A server that misbehaves as a test says."""
    running_misbehaving.responses, running_misbehaving.closes = [], True
    return running_misbehaving
