"""Cross-site request forgery: what a page of another site makes a browser send never acts with the user's cookies."""

import pytest
import pytest_asyncio
from sqlalchemy import select

from app.db.models import Session
from app.http.csrf import UNTRUSTED_ORIGIN_MESSAGE
from app.http.endpoints import account, auth
from app.query.collection import BUILT_IN
from tests.base_data import static_token, uid
from tests.http.clients import FORBIDDEN, REFRESH, SESSION, cookie_of, cookies_of, error_of, login, send
from tests.http.test_graphql import PATH, bearer, served

APP, EVIL, PUBLIC_URL = "https://app.example.com", "https://evil.example.com", "https://Users.example.com:443/directory"
COOKIES = {"other": "1", SESSION: static_token("ada")}
FORM_CONTENT_TYPES = [
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]
CLEAR = "/utils/cache/clear"
PATHS = sorted(
    {path for method, path in {**account.ROUTES, **auth.ROUTES, **auth.LOGIN_ROUTE} if method == "POST"}
    | {f"/{collection.short_name}" for collection in BUILT_IN.writable}
    | {PATH, f"{PATH}/", "/FILES", f"/users/{uid('ed')}/tfa/disable", "/users/me/tfa/recovery-codes", "/nowhere"}
)
UNKNOWN_ORIGINS = [
    {},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://rollcall:8055"},
    {"Origin": "https://rollcall"},
    {"Origin": "https://users.example.com:8443"},
    {"Origin": APP},  # without CORS
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://other.rollcall", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://rollcall", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
    {"Authorization": "Basic YTpi", "Origin": EVIL},
    {"Referer": "http://rollcall/"},
]
KNOWN_ORIGINS = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://rollcall", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://rollcall"},
    {"Origin": "https://users.example.com", "Sec-Fetch-Site": "cross-site"},
    {"X-Requested-With": "XMLHttpRequest"},
    {"Content-Type": "application/json"},
    {"Content-Type": "Application/JSON; charset=utf-8", "Origin": EVIL},
    bearer(static_token("ada")),
]


@pytest_asyncio.fixture(scope="module")
async def client(inviters_db):
    async with served(inviters_db.settings.model_copy(update={"public_url": PUBLIC_URL})) as client:
        yield client


def post(client, path, headers, cookies=COOKIES, **options):
    return send(client, "POST", path, None, cookies, headers, **options)


def message_of(response):
    assert error_of(response) == FORBIDDEN, response.text
    return response.json()["errors"][0]["message"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_form_of_another_site_is_rejected_everywhere(client, path):
    for content_type in (*FORM_CONTENT_TYPES, ""):
        headers = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Content-Type": content_type}
        response = await post(client, path, headers, content=b"{}")
        assert message_of(response) == f"{UNTRUSTED_ORIGIN_MESSAGE}."


@pytest.mark.parametrize("headers", UNKNOWN_ORIGINS)
async def test_a_cookie_without_a_known_origin_is_rejected(client, headers):
    assert message_of(await post(client, CLEAR, headers)) == f"{UNTRUSTED_ORIGIN_MESSAGE}."
    assert message_of(await post(client, CLEAR, headers, {REFRESH: "x"})) == f"{UNTRUSTED_ORIGIN_MESSAGE}."


@pytest.mark.parametrize("headers", KNOWN_ORIGINS)
async def test_a_cookie_with_a_known_origin_or_a_header_of_scripts_is_accepted(client, headers):
    assert (await post(client, CLEAR, headers)).status_code == 200


async def test_other_cookies_do_not_matter(client):
    response = await post(client, CLEAR, {"Origin": EVIL, **bearer(static_token("ada"))}, {"theme": "dark"})

    assert response.status_code == 200
    assert error_of(await post(client, CLEAR, {"Origin": EVIL}, {"theme": "dark"})) == FORBIDDEN  # as anonymous


@pytest.mark.parametrize(
    ("overrides", "accepted"),
    [
        ({"cors_origin": (APP,)}, True),
        ({"cors_origin": (APP,), "cors_credentials": False}, False),
        ({"cors_origin": (APP,), "cors_enabled": False}, False),
        ({"cors_origin": True}, False),
        ({"cors_origin": (EVIL,)}, False),
    ],
)
async def test_listed_origins_may_send_cookies(inviters_db, overrides, accepted):
    settings = inviters_db.settings.model_copy(update={"cors_enabled": True, **overrides})
    async with served(settings) as client:
        response = await post(client, CLEAR, {"Origin": APP, "Sec-Fetch-Site": "cross-site"})

    assert response.status_code == (200 if accepted else 403)
    is_readable = settings.cors_enabled and settings.cors_origin != (EVIL,)
    assert ("access-control-allow-origin" in response.headers) is is_readable


@pytest.mark.parametrize("mode", ["cookie", "session"])
async def test_a_page_of_this_server_refreshes_and_logs_out_without_a_body(client, members, mode):
    own = {"Sec-Fetch-Site": "same-origin"}
    cookie = cookie_of(await login(client, mode=mode))
    for headers in UNKNOWN_ORIGINS:
        for path in ("/auth/refresh", "/auth/logout"):
            response = await post(client, path, headers, cookie)
            assert (error_of(response), cookies_of(response)) == (FORBIDDEN, {})
    refreshed = await post(client, "/auth/refresh", own, cookie)
    assert (await post(client, "/auth/logout", own, cookie_of(refreshed))).status_code == 204

    async with members.database.transaction() as connection:
        assert (await connection.execute(select(Session))).all() == []
