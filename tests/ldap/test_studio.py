"""The Studio: a form for the user name and the password of a directory, and the identity on the account page."""

from bs4 import BeautifulSoup
from sqlalchemy import update

from app.db.models import User
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import SECRET, SESSION
from tests.ldap import misbehaving, slapd
from tests.ldap.conftest import NAME, PUBLIC_URL
from tests.single_sign_on.conftest import Browser

FORM = f"/admin/sign-in/with/{NAME}"


async def page(browser, path, **options):
    return BeautifulSoup((await browser.get(path, **options)).text, "html.parser")


def browser_of(server):
    server.client.headers["origin"] = PUBLIC_URL
    return Browser(server.client, server.system)


async def test_the_form_leads_to_the_requested_page_and_the_account_shows_the_identity(connect, directory):
    role = {"default_role_id": uid("role-Administrator")}
    browser = browser_of(await connect(directory.url, label="The office", **role))
    (link,) = (await page(browser, "/admin/sign-in", params={"next": "/admin/users?page=2"})).select(".providers a")
    assert link.text == "Sign in with The office"
    (form,) = (await page(browser, link["href"])).select("form")
    fields = {each["name"]: each.get("value", "") for each in form.select("input")}
    values = {**fields, "identifier": "kim", "password": slapd.PASSWORD}
    response = await browser.get(form["action"], "POST", data=values)

    assert (response.status_code, response.headers["location"]) == (303, "/admin/users?page=2")
    assert SESSION in browser.cookies
    text = (await page(browser, "/admin/account")).text
    assert "With The office" in text
    assert slapd.KIM in text


async def test_a_failure_keeps_the_user_name_and_never_the_password(connect, directory):
    browser = browser_of(await connect(directory.url))
    responses = [
        await browser.get(FORM, "POST", data={"identifier": each, "password": "wrong <password>"})
        for each in ("kim", "nobody", "disabled")
    ]
    pages = [BeautifulSoup(each.text, "html.parser") for each in responses]

    assert {each.status_code for each in responses} == {401}
    assert len({str(each.select(".error-summary")) for each in pages}) == 1
    assert "The user name or the password is wrong." in pages[0].text
    assert [each["value"] for each in pages[0].select("[name=identifier]")] == ["kim"]
    assert "wrong &lt;password" not in responses[0].text
    assert SESSION not in browser.cookies


async def test_the_form_asks_for_a_code_of_two_factor_authentication(connect, directory):
    clock = FrozenClock()
    server = await connect(directory.url, clock)
    await server.sign_in("kim")
    async with server.system.database.transaction() as connection:
        changed = update(User).where(User.external_identifier == slapd.KIM).values(tfa_secret=SECRET)
        await connection.execute(changed)
    browser, values = browser_of(server), {"identifier": "kim", "password": slapd.PASSWORD}
    code_form = await page(browser, FORM, method="POST", data=values)

    assert not code_form.select_one("[data-code]").has_attr("hidden")
    response = await browser.get(FORM, "POST", data={**values, "otp": clock.code(SECRET)})
    assert (response.status_code, SESSION in browser.cookies) == (303, True)


async def test_the_form_says_that_the_directory_is_away_in_the_language_of_the_visitor(connect):
    browser = browser_of(await connect(misbehaving.unused_url()))
    browser.client.headers["accept-language"] = "de"
    response = await browser.get(FORM, "POST", data={"identifier": "kim", "password": "x"})

    assert response.status_code == 503
    assert "Der Dienst antwortet" in response.text
    assert "Benutzername" in response.text


async def test_only_directories_have_a_form(connect, directory):
    browser = browser_of(await connect(directory.url))

    assert (await browser.get("/admin/sign-in/with/another")).status_code == 404
    response = await browser.get("/admin/sign-in/with/another", "POST", data={"identifier": "kim", "password": "x"})
    assert response.status_code == 404
