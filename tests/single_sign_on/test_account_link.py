"""AUTH_<NAME>_LINK_EXISTING_ACCOUNTS links an account to the provider, once its password is proven."""

from datetime import timedelta

import pytest
import pytest_asyncio
from bs4 import BeautifulSoup
from sqlalchemy import insert, select, update

from app.db.models import Activity, Revision, Settings, User
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import PASSWORD, PASSWORD_HASH, SECRET, SESSION, cookies_of, data_of, error_of, login
from tests.single_sign_on.conftest import APP, NAME, PUBLIC_URL, Browser, counts, reason_of

LINK, PAGE = f"/auth/login/{NAME}/link", f"{PUBLIC_URL}/admin/link-account?provider={NAME}&reason=ACCOUNT_LINK_REQUIRED"
STUDIO_PAGE = f"{PUBLIC_URL}/admin/users"
LINK_REQUIRED, INVALID = (403, "ACCOUNT_LINK_REQUIRED"), (401, "INVALID_CREDENTIALS")
COOKIE = f"link.openid.{NAME}"
ORIGIN = {"origin": PUBLIC_URL}


@pytest_asyncio.fixture
async def linking(connect, provider, inviters):
    """A function that starts a server whose provider may link, and returns a browser. Vi has a password."""
    await change_vi(inviters, password=PASSWORD_HASH, tfa_secret=None)
    provider.user["email"] = "VI@example.com"

    async def start(**variables):
        return await connect(**{"link_existing_accounts": "true", "allow_public_registration": "", **variables})

    return start


async def change_vi(system, **values):
    async with system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(**values))


async def vi(system):
    async with system.database.transaction() as connection:
        users = User.__table__
        return (await connection.execute(select(users).where(users.c.id == uid("vi")))).mappings().one()


async def confirm(browser, password=PASSWORD, **otp):
    return await browser.get(LINK, "POST", json={"password": password, **otp})


async def is_linked(system):
    return (await vi(system))["provider"] == NAME


async def begin_link(browser, **query):
    """Sign in at the provider, after which the account has to be linked."""
    response = await browser.get(await browser.authorize(await browser.begin(**query)))
    assert COOKIE in browser.cookies, response.text
    return response


async def test_the_password_makes_the_account_one_of_the_provider(linking, provider):
    provider.issues_refresh_tokens = True
    browser = await linking()
    await login(browser.client)
    before = await counts(browser.system)
    offered = await begin_link(browser, redirect=APP)

    assert (offered.status_code, offered.headers["location"]) == (302, PAGE)
    assert not await is_linked(browser.system)
    assert await counts(browser.system) == before
    assert SESSION not in browser.cookies

    data_of(await confirm(browser))
    row, (token,) = await vi(browser.system), provider.refresh_tokens
    assert (row["provider"], row["external_identifier"]) == (NAME, "subject-1")
    assert (row["auth_data"], row["password"]) == ({"refreshToken": token}, PASSWORD_HASH)
    assert (await browser.me())["data"]["id"] == uid("vi")
    assert browser.cookies.keys() == {SESSION}
    assert await counts(browser.system) == before  # the session of the login has ended
    assert error_of(await login(browser.client)) == INVALID

    again = Browser(browser.client, browser.system)
    assert (await again.sign_in()).headers["location"] == APP
    assert (await again.me())["data"]["id"] == uid("vi")


async def test_the_link_is_recorded(linking):
    browser = await linking()
    await begin_link(browser)
    await confirm(browser)
    async with browser.system.database.transaction() as connection:
        activity = select(Activity.action).where(Activity.item == uid("vi")).order_by(Activity.id)
        actions = (await connection.scalars(activity)).all()
        delta = await connection.scalar(select(Revision.delta).where(Revision.item == uid("vi")).order_by(Revision.id))

    assert actions == ["update", "login"]
    assert delta == {"provider": NAME, "external_identifier": "subject-1"}


async def test_without_a_redirect_the_response_names_the_request_that_links(linking):
    browser = await linking(mode="json")
    offered = await begin_link(browser)
    assert error_of(offered) == LINK_REQUIRED
    assert f"POST {LINK}" in offered.json()["errors"][0]["message"]
    assert data_of(await confirm(browser)).keys() == {"access_token", "refresh_token", "expires"}


async def test_without_the_studio_the_app_is_told(linking):
    browser = await linking(settings={"studio": False})
    assert reason_of(await begin_link(browser, redirect=APP)) == "ACCOUNT_LINK_REQUIRED"


async def test_a_wrong_password_changes_nothing_and_counts_towards_the_lockout(linking, inviters):
    async with inviters.database.transaction() as connection:
        await connection.execute(insert(Settings).values(auth_login_attempts=2))
    browser = await linking()
    await begin_link(browser)
    for _ in range(3):
        assert error_of(await confirm(browser, "wrong")) == INVALID
    assert error_of(await confirm(browser)) == INVALID  # locked out
    assert error_of(await login(browser.client)) == INVALID
    assert not await is_linked(inviters)


async def test_a_success_resets_the_counted_attempts(linking, inviters):
    async with inviters.database.transaction() as connection:
        await connection.execute(insert(Settings).values(auth_login_attempts=2))
    browser = await linking()
    await begin_link(browser)
    await confirm(browser, "wrong")
    data_of(await confirm(browser))
    await change_vi(inviters, provider="default")
    for password in ("wrong", PASSWORD):
        response = await login(browser.client, password=password)
    data_of(response)


async def test_a_link_is_confirmed_once(linking, inviters):
    browser = await linking()
    await begin_link(browser)
    cookies = dict(browser.cookies)
    data_of(await confirm(browser))
    await change_vi(inviters, provider="default", external_identifier=None)  # as before, to an admin's mind
    browser.cookies = cookies
    assert error_of(await confirm(browser)) == INVALID
    assert not await is_linked(inviters)


async def test_another_browser_can_not_confirm_the_link(linking, inviters):
    browser = await linking()
    await begin_link(browser)
    other = Browser(browser.client, inviters)
    assert error_of(await confirm(other)) == INVALID
    other.cookies = {COOKIE: browser.cookies[COOKIE][:-1] + "x"}
    assert error_of(await confirm(other)) == INVALID
    assert not await is_linked(inviters)


async def test_the_cookie_reveals_nothing_and_only_the_browser_reads_it(linking, provider):
    provider.issues_refresh_tokens = True
    browser = await linking()
    response = await begin_link(browser)
    ((_, attributes),) = [(v, a) for n, (v, a) in cookies_of(response).items() if n == COOKIE]
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Max-Age=300"} <= set(attributes.split("; "))
    assert browser.cookies[COOKIE].count(".") == 4  # encrypted, not only signed


async def test_a_link_expires(linking, inviters):
    clock = FrozenClock()
    browser = await linking(clock=clock)
    await begin_link(browser)
    clock.advance(timedelta(minutes=5))
    assert error_of(await confirm(browser)) == INVALID
    assert not await is_linked(inviters)


@pytest.mark.parametrize(
    "change",
    [
        {"password": None},
        {"status": "suspended"},
        {"provider": "other"},
        {"email": "other@example.com"},
        {"tfa_secret": SECRET},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_an_account_that_changed_meanwhile_is_not_linked(linking, inviters, change):
    browser = await linking()
    await begin_link(browser)
    await change_vi(inviters, **change)
    code = FrozenClock().code(SECRET)
    assert error_of(await confirm(browser, otp=code)) == INVALID
    assert not await is_linked(inviters)


@pytest.mark.parametrize(
    ("account", "claims", "variables"),
    [
        ({}, {"email_verified": False}, {}),
        ({}, {"email_verified": "yes"}, {}),
        ({}, {"email": "other@example.com", "upn": "vi@example.com"}, {"email_key": "upn"}),
        ({}, {"email": "nobody@example.com"}, {}),
        ({}, {}, {"link_existing_accounts": ""}),
        ({"status": "suspended"}, {}, {}),
        ({"status": "invited"}, {}, {}),
        ({"provider": "other"}, {}, {}),
        ({"password": None}, {}, {}),
    ],
    ids=[
        "unverified",
        "not a boolean",
        "another verified",
        "unknown",
        "setting off",
        "suspended",
        "invited",
        "other",
        "no password",
    ],
)
async def test_no_link_is_offered_and_the_response_says_nothing_of_the_account(
    linking, provider, inviters, account, claims, variables
):
    if account:
        await change_vi(inviters, **account)
    provider.user |= claims
    browser = await linking(**variables)
    assert reason_of(await browser.sign_in()) == "INVALID_CREDENTIALS"
    assert browser.cookies == {}


async def test_two_factor_authentication_is_demanded_too(linking, inviters):
    await change_vi(inviters, tfa_secret=SECRET)
    clock = FrozenClock()
    browser = await linking(clock=clock)
    await begin_link(browser)
    for otp in ({}, {"otp": "000000"}):
        assert error_of(await confirm(browser, **otp)) == (401, "INVALID_OTP")
    assert not await is_linked(inviters)
    data_of(await confirm(browser, otp=clock.code(SECRET)))
    assert await is_linked(inviters)


async def test_an_admin_is_linked_by_the_same_proof(linking, provider, inviters):
    async with inviters.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("ada")).values(password=PASSWORD_HASH))
    provider.user["email"] = "ada@example.com"
    browser = await linking()
    await begin_link(browser)
    assert error_of(await confirm(browser, "wrong")) == INVALID
    data_of(await confirm(browser))
    assert (await browser.me())["data"]["id"] == uid("ada")


async def test_the_page_of_the_studio_links_and_leads_on(linking, inviters):
    await change_vi(inviters, tfa_secret=SECRET)
    clock = FrozenClock()
    browser = await linking(clock=clock, label="The company")
    location = (await begin_link(browser, redirect=STUDIO_PAGE.removeprefix(PUBLIC_URL))).headers["location"]
    browser.client.headers.update(ORIGIN)
    form = BeautifulSoup((await browser.get(location)).text, "html.parser")
    assert "to sign in with The company from now on" in form.text
    assert "VI@example.com" in form.text
    data = {"provider": NAME, "password": PASSWORD}

    wrong = BeautifulSoup((await submit(browser, data | {"password": "wrong"})).text, "html.parser")
    assert "The password is wrong." in wrong.text
    asked = await submit(browser, data)
    assert asked.status_code == 401
    assert PASSWORD not in asked.text
    done = await submit(browser, data | {"otp": clock.code(SECRET)})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/users")
    assert await is_linked(inviters)


async def test_the_page_of_the_studio_offers_a_link_to_another_site(linking):
    browser = await linking()
    await begin_link(browser, redirect=APP)
    browser.client.headers.update(ORIGIN)
    done = await submit(browser, {"provider": NAME, "password": PASSWORD})
    (link,) = BeautifulSoup(done.text, "html.parser").select("a.button")
    assert (done.status_code, link["href"]) == (200, APP)


@pytest.mark.parametrize("name", [NAME, "unknown"])
async def test_without_a_link_the_page_leads_back_to_the_sign_in(linking, name):
    browser = await linking()
    response = await browser.get(f"/admin/link-account?provider={name}")
    assert (response.status_code, response.headers["location"]) == (303, "/admin/sign-in?notice=link-expired")
    assert "too much time has passed" in (await browser.get(response.headers["location"])).text


async def submit(browser, data):
    return await browser.get("/admin/link-account", "POST", data=data)
