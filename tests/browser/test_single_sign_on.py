"""Single sign-on in a real browser, with an OpenID provider from npm that is certified."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from app.core.auth_providers import load_providers
from app.main import create_app
from tests.base_data import uid
from tests.browser.browsing import Browsing
from tests.browser.openid_provider.installation import FOLDER, is_installed
from tests.compat.replay import free_port
from tests.flows.clock import FrozenClock
from tests.in_process import in_process_server
from tests.single_sign_on.conftest import row_of
from tests.single_sign_on.provider import CLIENT_ID, CLIENT_SECRET

NAME, SECONDS_UNTIL_STARTED = "npm", 30
pytestmark = pytest.mark.skipif(
    not is_installed(), reason="oidc-provider is not installed; `make test-browser` installs it if npm is there"
)


class NpmProvider:
    """The process of the provider at one address; each start signs with a new key and has forgotten all grants."""

    def __init__(self, public_url):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {
            "PATH": os.environ["PATH"],
            "ISSUER": self.url,
            "PORT": str(self.port),
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "REDIRECT_URI": f"{public_url}/auth/login/{NAME}/callback",
        }

    @asynccontextmanager
    async def running(self):
        process = await asyncio.create_subprocess_exec(
            "node", "server.mjs", cwd=FOLDER, env=self._env, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS_UNTIL_STARTED):
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            yield self
        finally:
            process.terminate()
            await process.wait()


@pytest.fixture
def clock():
    return FrozenClock()


@pytest_asyncio.fixture
async def sign_on(chromium, inviters, clock):
    """A browser at a server whose users sign in with the provider, and the provider."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    provider = NpmProvider(url)
    values = {
        "DRIVER": "openid",
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "ISSUER_URL": provider.url,
        "ALLOW_PUBLIC_REGISTRATION": "true",
        "REQUIRE_VERIFIED_EMAIL": "true",
        "DEFAULT_ROLE_ID": uid("role-Administrator"),
        "LABEL": "the company",
    }
    providers = load_providers([NAME], {f"AUTH_NPM_{name}": value for name, value in values.items()})
    overrides = {"public_url": url, "log_level": "warning", "auth_providers": providers}
    app = create_app(inviters.settings.model_copy(update=overrides), clock)
    async with in_process_server(app, listener):
        browsing = Browsing(chromium, url, inviters)
        yield browsing, provider
        for context in browsing.contexts:
            await context.close()


async def sign_in_at_provider(page):
    await page.get_by_role("link", name="Sign in with the company").click()
    await page.get_by_placeholder("Enter any login").fill("olga")
    await page.get_by_placeholder("and password").fill("any password")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def refresh(page):
    """Renew the session as an app does, and return the status."""
    script = "fetch('/auth/refresh', {method: 'POST', body: '{}', headers: {'content-type': 'application/json'}})"
    return await page.evaluate(f"{script}.then(response => response.status)")


async def test_a_user_signs_in_is_renewed_signed_out_by_the_provider_and_signs_in_with_its_new_key(sign_on, clock):
    browsing, provider = sign_on
    page = await browsing.open()
    async with provider.running():
        await page.goto("/admin/users")
        await sign_in_at_provider(page)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Users")
        first = await row_of(browsing.system, "olga")
        assert await refresh(page) == 200
        second = await row_of(browsing.system, "olga")

    clock.advance(timedelta(seconds=10))
    async with provider.running():  # with another key, and without the grant of the refresh token
        assert await refresh(page) == 403
        await page.goto("/admin/account")
        await sign_in_at_provider(page)
        await expect(page.get_by_text("With the company")).to_be_visible()
        third = await row_of(browsing.system, "olga")

    assert (first["provider"], first["email"], first["first_name"]) == (NAME, "olga@example.com", "Olga")
    tokens = [row["auth_data"]["refreshToken"] for row in (first, second, third)]
    assert len(set(tokens)) == 3
    assert first["id"] == third["id"]
