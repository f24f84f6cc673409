"""The Studio: a link for each provider on the sign-in page, and the identity on the account page."""

from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup
from sqlalchemy import update

from app.db.models import User
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import PASSWORD, SECRET, SESSION
from tests.single_sign_on.conftest import PUBLIC_URL

ORIGIN = {"origin": PUBLIC_URL}


async def page(browser, path, **options):
    return BeautifulSoup((await browser.get(path, **options)).text, "html.parser")


def link_of(html):
    (link,) = html.select(".providers a")
    return link


async def finish(browser, link):
    """Follow a link to the provider and back, and return where the browser is led."""
    to_provider = (await browser.get(link["href"])).headers["location"]
    return (await browser.get(await browser.authorize(to_provider))).headers["location"]


async def test_the_link_leads_to_the_provider_and_back_to_the_requested_page(connect):
    browser = await connect(label="The company")
    link = link_of(await page(browser, "/admin/sign-in", params={"next": "/admin/users?page=2"}))

    assert link.text == "Sign in with The company"
    assert await finish(browser, link) == "/admin/users?page=2"
    assert SESSION in browser.cookies


async def test_the_link_is_in_the_language_of_the_visitor(connect):
    browser = await connect(label="The company")
    browser.client.headers["accept-language"] = "de"
    html = await page(browser, "/admin/sign-in?reason=USER_SUSPENDED")

    assert link_of(html).text == "Mit The company anmelden"
    assert "Ihr Konto ist gesperrt." in html.text


async def test_a_failed_sign_in_is_explained_on_the_sign_in_page(connect, provider):
    browser = await connect(allow_public_registration="")
    link = link_of(await page(browser, "/admin/sign-in", params={"next": "/admin/users"}))
    back = await browser.get(await finish(browser, link))
    html = await page(browser, back.headers["location"])

    assert parse_qs(urlsplit(back.headers["location"]).query)["next"] == ["/admin/users"]
    assert "Signing in with this service failed." in html.select_one(".error-summary").text


async def test_a_code_of_two_factor_authentication_is_asked_for(connect):
    clock = FrozenClock()
    browser = await connect(clock=clock)
    await browser.sign_in()
    async with browser.system.database.transaction() as connection:
        changed = update(User).where(User.external_identifier == "subject-1").values(tfa_secret=SECRET)
        await connection.execute(changed)
    browser.cookies = {}
    back = await browser.get(await finish(browser, link_of(await page(browser, "/admin/sign-in"))))
    html = await page(browser, back.headers["location"])
    (form,) = html.select("form")
    browser.client.headers.update(ORIGIN)
    answer = await page(
        browser, form["action"], method="POST", data={"next": "/admin/users", "otp": clock.code(SECRET)}
    )

    assert await finish(browser, link_of(answer)) == "/admin/users"
    assert SESSION in browser.cookies


async def test_without_passwords_there_are_only_links(connect):
    browser = await connect(settings={"auth_disable_default": True})
    html = await page(browser, "/admin/sign-in")
    browser.client.headers.update(ORIGIN)
    form = {"email": "vi@example.com", "password": PASSWORD}

    assert html.select("form") == []
    assert link_of(html)
    assert (await browser.get("/admin/sign-in", "POST", data=form)).status_code == 404
    assert SESSION not in browser.cookies


async def test_a_provider_that_sets_no_session_cookie_has_no_link(connect):
    browser = await connect(mode="json")

    assert (await page(browser, "/admin/sign-in")).select(".providers a") == []


async def test_the_account_page_shows_the_identity(connect, provider):
    browser = await connect(label="The company", default_role_id=uid("role-Administrator"))
    await browser.sign_in()
    text = (await page(browser, "/admin/account")).text

    assert "With The company" in text
    assert "subject-1" in text
