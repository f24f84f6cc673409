"""A user of a provider whose policy enforces two-factor authentication is led to its setup, and then to the app."""

from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import FORBIDDEN, data_of, error_of
from tests.single_sign_on.conftest import APP, NAME, PUBLIC_URL, row_of

SETUP = "/admin/account/two-factor"
EVIL = "https://evil.example.org/"


@pytest.fixture
def enforce(connect, inviters):
    """A function that starts a server whose new users must set it up, and returns a browser."""

    async def start(**options):
        await inviters.load({"directus_policies": [{"id": uid("policy-Viewers"), "enforce_tfa": True}]})
        browser = await connect(default_role_id=uid("role-Viewer"), **options)
        browser.client.headers.update({"origin": PUBLIC_URL})
        return browser

    return start


async def submit(browser, page, **values):
    """Submit the only form of a page, and return the next page."""
    (form,) = page.select("main form")
    data = {each["name"]: each.get("value", "") for each in form.select("input[name]")} | values
    return html(await browser.get(form["action"], "POST", data=data))


def html(response):
    return BeautifulSoup(response.text, "html.parser")


async def test_the_browser_sets_it_up_in_the_studio_and_goes_on_to_the_app(enforce):
    clock = FrozenClock()
    browser = await enforce(clock=clock)
    location = (await browser.sign_in()).headers["location"]
    assert location.startswith(f"{PUBLIC_URL}{SETUP}?")
    assert parse_qs(urlsplit(location).query) == {"redirect": [APP], "provider": [NAME]}
    assert error_of(await browser.get("/users")) == FORBIDDEN

    first = html(await browser.get(location))
    assert first.select("main input[type=password]") == []
    setup = await submit(browser, first)
    secret = setup.select_one("code.secret").text.replace(" ", "")
    codes = await submit(browser, setup, otp=clock.code(secret))
    assert len(codes.select_one("#recovery-codes").text.split()) == 10
    assert codes.select_one("main a.primary")["href"] == APP
    assert (await row_of(browser.system, "subject-1"))["tfa_secret"] == secret

    again = await browser.sign_in()
    assert again.headers["location"] == f"{APP}?reason=INVALID_OTP"


@pytest.mark.parametrize("name", [NAME, "unknown"])
async def test_the_page_leads_to_no_address_that_a_sign_in_may_not_lead_to(enforce, name):
    """As CVE-2026-35411 in Directus."""
    clock = FrozenClock()
    browser = await enforce(clock=clock)
    await browser.sign_in()
    setup = await submit(browser, html(await browser.get(f"{SETUP}?redirect={EVIL}&provider={name}")))
    secret = setup.select_one("code.secret").text.replace(" ", "")
    codes = await submit(browser, setup, otp=clock.code(secret))

    assert codes.select_one("main a.primary")["href"] == "/admin"


@pytest.mark.parametrize("options", [{"mode": "cookie"}, {"settings": {"studio": False}}], ids=["tokens", "no studio"])
async def test_without_a_session_of_the_studio_the_app_sets_it_up(enforce, options):
    clock = FrozenClock()
    browser = await enforce(clock=clock, **options)
    assert (await browser.sign_in()).headers["location"] == APP
    if "mode" in options:
        return
    assert error_of(await browser.get("/users")) == FORBIDDEN
    secret = data_of(await browser.get("/users/me/tfa/generate", "POST", json={"password": "any"}))["secret"]
    enabled = await browser.get("/users/me/tfa/enable", "POST", json={"secret": secret, "otp": clock.code(secret)})
    assert enabled.status_code == 204
    assert (await browser.get("/users")).status_code == 200
