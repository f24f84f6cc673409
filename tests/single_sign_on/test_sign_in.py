"""Sign-in with OpenID Connect, from the button to the session."""

from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from app.db.models import Activity, User
from tests.base_data import static_token, uid
from tests.flows.clock import FrozenClock
from tests.http.clients import REFRESH, SECRET, SESSION, cookies_of, data_of, error_of, send
from tests.http.test_graphql import bearer
from tests.single_sign_on.conftest import APP, NAME, counts, reason_of, row_of


async def test_a_first_sign_in_creates_the_user_as_directus_does(connect, provider):
    provider.issues_refresh_tokens = True
    browser = await connect()
    response = await browser.sign_in()

    assert (response.status_code, response.headers["location"]) == (302, APP)
    row = await row_of(browser.system, "subject-1")
    (token,) = provider.refresh_tokens
    assert (row["provider"], row["email"], row["status"], row["role"]) == (NAME, "new@example.com", "active", None)
    assert (row["first_name"], row["last_name"], row["password"]) == ("New", "Person", None)
    assert row["auth_data"] == {"refreshToken": token}
    assert (await browser.me())["data"]["id"] == str(row["id"])


async def test_the_browser_is_bound_to_the_sign_in_by_pkce_state_and_nonce(connect, provider):
    browser = await connect()
    response = await browser.get(f"/auth/login/{NAME}", params={"redirect": APP})
    query = parse_qs(urlsplit(response.headers["location"]).query)
    ((name, (value, attributes)),) = cookies_of(response).items()

    assert (query["code_challenge_method"], query["response_type"], query["scope"]) == (
        ["S256"],
        ["code"],
        ["openid profile email"],
    )
    assert len({query[key][0] for key in ("state", "nonce", "code_challenge")}) == 3
    assert name == f"openid.{NAME}"
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Max-Age=300"} <= set(attributes.split("; "))
    assert not any(query[key][0] in value for key in ("state", "nonce", "code_challenge"))


async def test_a_later_sign_in_finds_the_user_whatever_the_case_of_the_identifier(connect, provider):
    browser = await connect()
    await browser.sign_in()
    before = await counts(browser.system)
    provider.user["sub"] = "SUBJECT-1"
    await browser.sign_in()

    assert await counts(browser.system) == [before[0], before[1] + 1]


async def test_the_providers_are_listed_as_by_directus(connect):
    browser = await connect(label="The company", icon="business", mode="json")
    listed = {"name": NAME, "label": "The company", "driver": "openid", "icon": "business"}

    assert (await browser.get("/auth")).json() == {"data": [listed], "disableDefault": False}
    assert (await browser.get("/auth?sessionOnly")).json()["data"] == []


async def test_a_sign_in_is_recorded_like_one_with_a_password(connect):
    browser = await connect()
    await browser.sign_in()
    user = (await row_of(browser.system, "subject-1"))["id"]
    async with browser.system.database.transaction() as connection:
        query = select(Activity.action).where(Activity.item == str(user)).order_by(Activity.id)
        actions = (await connection.scalars(query)).all()

    assert actions == ["create", "login"]


@pytest.mark.parametrize(("mode", "cookie"), [("session", SESSION), ("json", REFRESH), ("cookie", REFRESH)])
async def test_a_redirect_carries_the_cookie_of_its_mode(connect, mode, cookie):
    browser = await connect(mode=mode)
    response = await browser.sign_in()

    assert response.headers["location"] == APP
    assert browser.cookies.keys() == {cookie}


async def test_without_a_redirect_the_tokens_are_in_the_body(connect):
    browser = await connect(mode="json")
    response = await browser.get(await browser.authorize(await browser.begin()))
    tokens = data_of(response)

    assert tokens.keys() == {"access_token", "refresh_token", "expires"}
    assert browser.cookies == {}
    refreshed = await send(browser.client, "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    assert data_of(refreshed)["access_token"]


async def test_a_response_that_comes_as_a_form_is_forwarded_with_the_cookie(connect):
    browser = await connect()
    callback = await browser.authorize(await browser.begin(redirect=APP))
    path, _, query = callback.partition("?")
    kept, browser.cookies = browser.cookies, {}
    form = {name: values[0] for name, values in parse_qs(query).items()}
    forwarded = await browser.get(path, "POST", data=form)
    browser.cookies = kept

    assert (forwarded.status_code, forwarded.headers["location"].partition("?")[0]) == (303, "callback")
    response = await browser.get(f"{path}?{forwarded.headers['location'].partition('?')[2]}")
    assert response.headers["location"] == APP


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_secret_is_sent_as_the_setting_says(connect, provider, method):
    browser = await connect(client_token_endpoint_auth_method=method)
    await browser.sign_in()
    ((form, authorization),) = provider.forms

    assert ("client_secret" in form, authorization is None) == ((method == "client_secret_post"),) * 2
    assert SESSION in browser.cookies


async def test_a_group_gives_a_role_and_a_lost_group_takes_it_away(connect, provider):
    mapping = f'json:{{"editors": "{uid("role-Editor")}", "viewers": "{uid("role-Viewer")}"}}'
    browser = await connect(role_mapping=mapping)
    roles = []
    for groups in (["viewers", "editors"], ["viewers"], [f"group-{number}" for number in range(1000)], "viewers,x", []):
        provider.user["groups"] = groups
        await browser.sign_in()
        roles.append((await row_of(browser.system, "subject-1"))["role"])

    expected = ["role-Editor", "role-Viewer", None, "role-Viewer", None]
    assert [role and str(role) for role in roles] == [name and uid(name) for name in expected]


async def test_without_a_role_mapping_a_role_assigned_here_stays(connect):
    browser = await connect(default_role_id=uid("role-Viewer"))
    await browser.sign_in()
    assert str((await row_of(browser.system, "subject-1"))["role"]) == uid("role-Viewer")
    async with browser.system.database.transaction() as connection:
        values = update(User).where(User.external_identifier == "subject-1").values(role_id=uid("role-Editor"))
        await connection.execute(values)
    await browser.sign_in()

    assert str((await row_of(browser.system, "subject-1"))["role"]) == uid("role-Editor")


@pytest.mark.parametrize("sync", ["true", "false"])
async def test_name_and_email_follow_the_provider_only_with_the_setting(connect, provider, sync):
    browser = await connect(sync_user_info=sync)
    await browser.sign_in()
    provider.user |= {"given_name": "Renamed" * 20, "email": "renamed@example.com"}
    await browser.sign_in()
    row = await row_of(browser.system, "subject-1")

    expected = (("Renamed" * 20)[:50], "renamed@example.com") if sync == "true" else ("New", "new@example.com")
    assert (row["first_name"], row["email"]) == expected


async def test_an_oauth2_provider_is_asked_for_the_profile(connect, provider):
    provider.user = {"login": "octo", "contact": {"mail": "octo@example.com"}, "first": "Octo", "id": 42}
    urls = {"authorize_url": "authorize", "access_url": "token", "profile_url": "profile"}
    keys = {"identifier_key": "id", "email_key": "contact.mail", "first_name_key": "first"}
    browser = await connect(
        driver="oauth2", issuer_url="", **{name: f"{provider.url}/{path}" for name, path in urls.items()}, **keys
    )
    response = await browser.sign_in()
    row = await row_of(browser.system, "42")

    assert response.headers["location"] == APP
    assert (row["email"], row["first_name"], row["last_name"]) == ("octo@example.com", "Octo", None)
    assert provider.calls == ["token", "userinfo"]


async def test_two_factor_authentication_asks_for_a_code_here_too(connect):
    clock = FrozenClock()
    browser = await connect(clock=clock)
    await browser.sign_in()
    async with browser.system.database.transaction() as connection:
        await connection.execute(update(User).where(User.external_identifier == "subject-1").values(tfa_secret=SECRET))
    browser.cookies = {}

    assert reason_of(await browser.sign_in()) == "INVALID_OTP"
    assert reason_of(await browser.sign_in(otp="000000")) == "INVALID_OTP"
    assert SESSION not in browser.cookies
    assert (await browser.sign_in(otp=clock.code(SECRET))).headers["location"] == APP
    assert SESSION in browser.cookies


async def test_a_user_of_a_provider_cannot_sign_in_with_a_password(connect):
    browser = await connect()
    await browser.sign_in()
    headers = bearer(static_token("ada"))
    user = (await row_of(browser.system, "subject-1"))["id"]
    await send(browser.client, "PATCH", f"/users/{user}", {"password": "a password set here"}, headers=headers)
    body = {"email": "new@example.com", "password": "a password set here"}

    assert error_of(await send(browser.client, "POST", "/auth/login", body)) == (401, "INVALID_CREDENTIALS")
