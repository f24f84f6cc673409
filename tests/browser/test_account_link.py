"""Linking an account to a provider in a real browser, with and without scripts."""

import socket

import pytest
import pytest_asyncio
from playwright.async_api import expect

from app.core.auth_providers import load_providers
from app.main import create_app
from tests.browser import axe, requirements
from tests.browser.browsing import Browsing
from tests.http.clients import PASSWORD
from tests.in_process import in_process_server
from tests.single_sign_on.conftest import row_of
from tests.single_sign_on.provider import CLIENT_ID, CLIENT_SECRET, OpenIdServer


@pytest_asyncio.fixture
async def linking(chromium, members):
    """A browser at a server whose provider signs Ada in, and may link her account."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with OpenIdServer().up() as provider:
        provider.user["email"] = "ada@example.com"
        values = {
            "DRIVER": "openid",
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "ISSUER_URL": provider.url,
            "LINK_EXISTING_ACCOUNTS": "true",
        }
        providers = load_providers(["company"], {f"AUTH_COMPANY_{name}": value for name, value in values.items()})
        overrides = {"public_url": url, "log_level": "error", "auth_providers": providers}
        app = create_app(members.settings.model_copy(update=overrides))
        async with in_process_server(app, listener):
            browsing = Browsing(chromium, url, members)
            yield browsing
            await browsing.close()


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no scripts"])
async def test_a_user_links_the_account_by_its_password(linking, javascript):
    page = await linking.open("/users", javascript=javascript)
    await page.get_by_role("link", name="Sign in with company").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Link your account")
    await expect(page.get_by_text("ada@example.com")).to_be_visible()
    if javascript and not requirements.is_axe_missing():
        assert await axe.violations(page) == []
    await page.get_by_label("Password", exact=True).fill("wrong")
    await page.get_by_role("button", name="Link account").click()
    await expect(page.get_by_text("The password is wrong.").first).to_be_visible()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Link account").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Users")

    assert (await row_of(linking.system, "subject-1"))["email"] == "ada@example.com"
    assert [fault for fault in linking.faults if "/authorize?" not in fault] == []
