"""Passkeys in a real browser, with the virtual authenticator of its developer tools."""

import socket

import pytest_asyncio
from playwright.async_api import expect
from sqlalchemy import select

from app.db.models import PASSKEYS
from app.main import create_app
from tests.base_data import uid
from tests.browser.browsing import Browsing
from tests.http.clients import PASSWORD, totp_code
from tests.in_process import in_process_server

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest_asyncio.fixture
async def at_localhost(chromium, directory):
    """A browser at a server whose host is `localhost`, because browsers have no passkeys for IP addresses."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://localhost:{listener.getsockname()[1]}"
    settings = directory.settings.model_copy(update={"public_url": url, "log_level": "warning"})
    async with in_process_server(create_app(settings), listener):
        browsing = Browsing(chromium, url, directory)
        yield browsing
        await browsing.close()
    assert browsing.faults == []


class Device:
    """A page with a virtual authenticator of its own."""

    def __init__(self, page, tools, key):
        self.page, self._tools, self.key = page, tools, key

    @classmethod
    async def open(cls, browsing, path=None, **options):
        page = await browsing.open(**options)
        tools = await page.context.new_cdp_session(page)
        await tools.send("WebAuthn.enable")
        added = await tools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        if path is not None:
            await page.goto(f"/admin{path}")
        return cls(page, tools, added["authenticatorId"])

    async def credentials(self):
        return (await self._tools.send("WebAuthn.getCredentials", {"authenticatorId": self.key}))["credentials"]

    async def add_credential(self, credential):
        await self._tools.send("WebAuthn.addCredential", {"authenticatorId": self.key, "credential": credential})

    async def register(self, name="Laptop", *, code=None):
        await self.page.goto("/admin/account/passkeys")
        form = self.page.locator("form[data-passkey-add]")
        await form.get_by_label("Name").fill(name)
        await form.get_by_label("Password").fill(PASSWORD)
        if code is not None:
            await form.get_by_label("Code from your app, or a recovery code").fill(code)
        await form.get_by_role("button", name="Add passkey").click()
        await expect(self.page.get_by_role("status")).to_have_text("The passkey was added.")

    async def sign_in(self):
        await self.page.context.clear_cookies()
        await self.page.goto("/admin/sign-in")
        await self.page.get_by_role("button", name="Sign in with a passkey").click()

    async def expect_signed_in(self):
        await expect(self.page.get_by_role("heading", level=1)).to_have_text("Overview")


async def test_a_registered_passkey_signs_in_and_no_longer_once_it_is_removed(at_localhost):
    device = await Device.open(at_localhost, user="ada")
    await device.register("Laptop")
    await expect(device.page.get_by_role("listitem").filter(has_text="Laptop")).to_be_visible()
    await device.sign_in()
    await device.expect_signed_in()

    await device.page.goto("/admin/account/passkeys")
    await device.page.get_by_text("Remove", exact=True).click()
    removal = device.page.locator("form[action$=remove]")
    await removal.get_by_label("Password").fill(PASSWORD)
    await removal.get_by_role("button", name="Remove passkey").click()
    await expect(device.page.get_by_role("status")).to_have_text("The passkey was removed.")
    await device.sign_in()
    await expect(device.page.get_by_role("alert")).to_contain_text("This passkey was not accepted.")


async def test_a_passkey_is_the_second_factor(at_localhost):
    device = await Device.open(at_localhost, user="ed")
    async with at_localhost.system.database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM rollcall_used_codes")
    await device.register(code=totp_code())
    await device.page.context.clear_cookies()
    await device.page.goto("/admin/sign-in")
    await device.page.get_by_label("Email").fill("ed@example.com")
    await device.page.get_by_label("Password").fill(PASSWORD)
    await device.page.get_by_role("button", name="Sign in", exact=True).click()
    await device.page.get_by_role("button", name="Use a passkey instead").click()

    await device.expect_signed_in()


async def test_a_copied_authenticator_is_refused_and_noted(at_localhost):
    device = await Device.open(at_localhost, user="ada")
    await device.register()
    (copied,) = await device.credentials()
    for _ in range(2):
        await device.sign_in()
        await device.expect_signed_in()
    clone = await Device.open(at_localhost)
    await clone.add_credential(copied)
    await clone.sign_in()
    await expect(clone.page.get_by_role("alert")).to_contain_text("This passkey was not accepted.")
    await device.page.goto("/admin/account/passkeys")

    await expect(device.page.get_by_text("this passkey may have been copied")).to_be_visible()


async def test_a_passkey_satisfies_a_policy_that_enforces_two_factor_authentication(at_localhost):
    system = at_localhost.system
    await system.load({"directus_policies": [{"id": uid("policy-Administrators"), "enforce_tfa": True}]})
    device = await Device.open(at_localhost, "", user="ada")
    await device.page.get_by_role("link", name="Use a passkey instead").click()
    await device.register()
    await device.page.goto("/admin")
    await device.expect_signed_in()
    await device.page.goto("/admin/account/passkeys")
    await device.page.get_by_text("Remove", exact=True).click()
    await device.page.get_by_role("button", name="Remove passkey").click()
    await expect(device.page.get_by_role("status")).to_have_text("The passkey was removed.")

    async with system.database.transaction() as connection:
        assert (await connection.scalars(select(PASSKEYS.c.name))).all() == []


async def test_without_scripts_the_buttons_are_hidden(at_localhost):
    page = await at_localhost.open("/sign-in", javascript=False)
    await expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    await expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
