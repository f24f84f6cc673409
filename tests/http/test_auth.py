"""REST endpoints for login, refresh, logout and password resets."""

from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from jose import jwt
from sqlalchemy import select, update

from app.core.clock import utc_now
from app.core.config import signing_secret
from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.tokens import sign_access_token
from app.db.models import Activity, Session, User
from tests.base_data import static_token, uid
from tests.flows.inviters import link_token
from tests.http.clients import (
    FORBIDDEN,
    INVALID_CREDENTIALS,
    INVALID_PAYLOAD,
    PASSWORD,
    PASSWORD_HASH,
    REFRESH,
    ROUTE_NOT_FOUND,
    SESSION,
    cookie_of,
    cookies_of,
    count_rows,
    data_of,
    error_of,
    login,
    reason_of,
    send,
    totp_code,
)
from tests.http.test_graphql import bearer, served

INVALID_CREDENTIALS_ERRORS = [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}}]
REFRESH_TOKEN_REQUIRED = "The refresh token is required in either the payload or cookie"
NOT_JSON = 'The body has to be JSON, with the Content-Type "application/json"'
FORM_CONTENT_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
"""Content types that a page of another origin can make a browser send without a CORS preflight."""
AUTH_PATHS = [
    ("GET", "/auth"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password/request"),
    ("POST", "/auth/password/reset"),
    ("GET", "/auth/login"),
]


def post(client, path, body=None, cookies=None, **options):
    return send(client, "POST", f"/auth/{path}", body, cookies, **options)


def me(client, cookies=None, headers=None):
    return send(client, "GET", "/users/me?fields=id", None, cookies, headers)


async def test_the_login_providers_are_listed(client):
    response = await send(client, "GET", "/auth")

    assert (response.status_code, response.json()) == (200, {"data": [], "disableDefault": False})


async def test_login_does_not_exist_if_the_default_provider_is_disabled(inviters):
    async with served(inviters.settings.model_copy(update={"auth_disable_default": True})) as client:
        response = await login(client)

        assert error_of(response) == ROUTE_NOT_FOUND
        assert response.json()["errors"][0]["message"] == "Route /auth/login doesn't exist."
        assert (await send(client, "GET", "/auth")).json()["disableDefault"] is True
        assert reason_of(await post(client, "refresh", {})) == REFRESH_TOKEN_REQUIRED


async def test_a_login_with_the_password_returns_tokens(client, members):
    response = await login(client, "VI@Example.com", headers={"user-agent": "a browser"})

    tokens = data_of(response)
    assert set(tokens) == {"expires", "refresh_token", "access_token"}
    assert tokens["expires"] == 900_000
    assert len(tokens["refresh_token"]) == 64
    claims = jwt.get_unverified_claims(tokens["access_token"])
    assert claims["id"] == uid("vi")
    assert (claims["role"], claims["iss"]) == (uid("role-Viewer"), "directus")
    assert (claims["admin_access"], claims["app_access"]) == (False, False)
    assert cookies_of(response) == {}
    assert data_of(await me(client, headers=bearer(tokens["access_token"]))) == {"id": uid("vi")}


async def test_a_login_creates_a_session_and_is_logged(client, members):
    tokens = data_of(await login(client, headers={"user-agent": "a browser"}))

    async with members.database.transaction() as connection:
        sessions = (await connection.execute(select(Session.token, Session.user_id, Session.user_agent))).all()
        logged = select(Activity.action, Activity.user_id, Activity.item).where(Activity.user_id == uid("vi"))
        activity = (await connection.execute(logged)).all()
        last_access = await connection.scalar(select(User.last_access).where(User.id == uid("vi")))
    assert sessions == [(tokens["refresh_token"], uid("vi"), "a browser")]
    assert activity == [("login", uid("vi"), uid("vi"))]
    assert utc_now() - last_access < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("mode", "name", "seconds", "keys"),
    [
        ("cookie", REFRESH, 604_800, {"expires", "access_token"}),
        ("session", SESSION, 86_400, {"expires"}),
    ],
)
async def test_in_the_other_modes_a_cookie_replaces_part_of_the_body(client, members, mode, name, seconds, keys):
    response = await login(client, mode=mode)
    value, text = cookies_of(response)[name]
    attributes = dict(attribute.partition("=")[::2] for attribute in text.split("; "))
    expires = parsedate_to_datetime(attributes.pop("Expires"))

    assert set(data_of(response)) == keys
    assert data_of(response)["expires"] == {"cookie": 900_000, "session": 86_400_000}[mode]
    assert attributes == {"Max-Age": str(seconds), "Path": "/", "HttpOnly": "", "SameSite": "Lax"}
    assert abs(expires - utc_now() - timedelta(seconds=seconds)) < timedelta(seconds=30)
    assert value not in response.text
    assert value not in str([header for header in response.headers.multi_items() if header[0] != "set-cookie"])


@pytest.mark.parametrize(("mode", "kind"), [("session", "session"), ("cookie", "refresh_token")])
async def test_the_settings_define_the_cookies_attributes(members, mode, kind):
    values = {"cookie_name": "mine", "cookie_secure": True, "cookie_same_site": "none", "cookie_domain": "example.com"}
    settings = {f"{kind}_{name}": value for name, value in values.items()}
    async with served(members.settings.model_copy(update=settings)) as client:
        cookie = cookies_of(await login(client, mode=mode))
        _, attributes = cookie["mine"]

        assert {"HttpOnly", "Secure", "SameSite=None", "Domain=example.com"} <= set(attributes.split("; "))
        value, attributes = cookies_of(await post(client, "logout", {"mode": mode}, {"mine": cookie["mine"][0]}))[
            "mine"
        ]
        assert value == ""
        assert {"Max-Age=0", "HttpOnly", "Secure", "SameSite=None", "Domain=example.com"} <= set(attributes.split("; "))


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("vi@example.com", "wrong"),
        ("vi@example.com", "x" * 2000),
        ("vi@example.com", ""),
        ("vi@example.com\0", PASSWORD),
        ("vi@example.com", f"{PASSWORD}\0"),
        ("nobody@example.com", PASSWORD),
        ("sue@example.com", PASSWORD),  # suspended
        ("ida@example.com", PASSWORD),  # invited
        ("sam@example.com", PASSWORD),  # another provider
        ("nora@example.com", PASSWORD),  # without a password
        ("ed@example.com", "wrong"),  # with two-factor authentication, which is checked after the password
    ],
)
async def test_every_failed_login_gets_the_same_error(client, members, email, password):
    response = await login(client, email, password)

    assert (response.status_code, response.json()["errors"]) == (401, INVALID_CREDENTIALS_ERRORS)
    assert await count_rows(members, Session) == 0


async def test_a_code_is_required_once_the_password_is_right(client, members):
    assert (await login(client, "ed@example.com")).json()["errors"][0]["message"] == "Invalid user OTP."
    for wrong in ("", "000000", "x"):
        assert error_of(await login(client, "ed@example.com", otp=wrong)) == (401, "INVALID_OTP")
    assert await count_rows(members, Session) == 0

    assert "access_token" in data_of(await login(client, "ed@example.com", otp=totp_code()))


async def test_an_additional_token_must_be_valid(client, members):
    for token in ("a.b.c", "nobodys"):
        assert error_of(await login(client, headers=bearer(token))) == INVALID_CREDENTIALS
    assert "access_token" in data_of(await login(client, headers=bearer(static_token("ada"))))


async def test_an_ended_session_does_not_prevent_a_login(client, members):
    cookie = cookie_of(await login(client, mode="session"))
    await post(client, "logout", {"mode": "session"}, cookie)

    assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS
    for stale in (cookie, {SESSION: "garbage"}, {SESSION: expired_token(members)}):
        assert set(cookies_of(await login(client, cookies=stale, mode="session"))) == {SESSION}
        response = await login(client, password="wrong", cookies=stale)
        assert (error_of(response), cookies_of(response)[SESSION][0]) == (INVALID_CREDENTIALS, "")


ENDPOINTS = [
    ("GET", "/users"),
    ("PATCH", "/users/me"),
    ("GET", "/users/me/sessions"),
    ("GET", "/permissions/me"),
    ("POST", "/users/invite"),
    ("POST", "/utils/cache/clear"),
    ("GET", "/server/info"),
    ("POST", "/graphql/system"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_every_endpoint_deletes_the_cookie_of_an_ended_session(client, members, method, path):
    cookie = cookie_of(await login(client, mode="session"))
    await post(client, "logout", {"mode": "session"}, cookie)
    client.cookies.clear()
    stale = {"Cookie": f"{SESSION}={cookie[SESSION]}; {REFRESH}=another"}
    body = {"json": {"query": "{ users_me { id } }"} if "graphql" in path else {}} if method != "GET" else {}
    response = await client.request(method, path, headers=stale, **body)
    with_token = await client.request(method, path, headers={**stale, **bearer("nobodys")}, **body)

    assert error_of(response) == INVALID_CREDENTIALS
    assert {name: value for name, (value, _) in cookies_of(response).items()} == {SESSION: ""}
    assert "Max-Age=0" in cookies_of(response)[SESSION][1]
    assert cookies_of(with_token) == {}


async def test_a_wrong_password_does_not_end_the_session(client, members):
    cookie = cookie_of(await login(client, mode="session"))
    headers = {"Cookie": f"{SESSION}={cookie[SESSION]}"}
    client.cookies.clear()
    wrong = await client.post("/users/me/tfa/generate", json={"password": "wrong"}, headers=headers)

    assert (error_of(wrong), cookies_of(wrong)) == (INVALID_CREDENTIALS, {})
    assert error_of(await login(client, password="wrong", cookies=cookie)) == INVALID_CREDENTIALS
    assert data_of(await me(client, cookie)) == {"id": uid("vi")}


def expired_token(system, session="a session"):
    issued = utc_now() - timedelta(hours=1)
    secret = signing_secret(system.settings)
    return sign_access_token(secret, uid("vi"), session=session, ttl=timedelta(minutes=1), now=issued)


async def test_a_refresh_token_is_valid_once(client, members):
    old = data_of(await login(client))["refresh_token"]
    response = await post(client, "refresh", {"refresh_token": old})
    new = data_of(response)

    assert set(new) == {"expires", "refresh_token", "access_token"}
    assert (new["refresh_token"] != old, cookies_of(response)) == (True, {})
    assert error_of(await post(client, "refresh", {"refresh_token": old, "mode": "json"})) == INVALID_CREDENTIALS
    assert "access_token" in data_of(
        await post(client, "refresh", {"refresh_token": new["refresh_token"], "mode": "json"})
    )


async def test_a_token_that_no_database_can_store_belongs_to_no_session(client, members):
    body = {"refresh_token": "a token\0and more"}

    assert error_of(await post(client, "refresh", body)) == INVALID_CREDENTIALS
    assert (await post(client, "logout", body)).status_code == 204


@pytest.mark.parametrize("body", [{"mode": "cookie"}, {}, {"refresh_token": None}])
async def test_a_refresh_replaces_the_cookie(client, members, body):
    old = cookie_of(await login(client, mode="cookie"))
    response = await post(client, "refresh", body, old)
    new = cookie_of(response)

    assert set(data_of(response)) == {"expires", "access_token"}
    assert new.keys() == old.keys()
    assert new[REFRESH] not in (response.text, old[REFRESH])
    again = await post(client, "refresh", body, old)
    # The cookie is not deleted: another tab may have received the next one.
    assert (error_of(again), cookies_of(again)) == (INVALID_CREDENTIALS, {})
    assert set(cookies_of(await post(client, "refresh", body, new))) == {REFRESH}


@pytest.mark.parametrize("body", [{"mode": "session"}, {}])
async def test_two_tabs_can_both_refresh_a_session(client, members, body):
    old = cookie_of(await login(client, mode="session"))
    responses = [await post(client, "refresh", body, old) for _ in range(2)]

    for response in responses:
        assert data_of(response) == {"expires": 86_400_000}
        assert data_of(await me(client, cookie_of(response))) == {"id": uid("vi")}
    assert data_of(await me(client, old)) == {"id": uid("vi")}  # within the grace period


async def test_a_cookie_cannot_be_exchanged_for_tokens_in_the_body(client, members):
    cookie = cookie_of(await login(client, mode="cookie"))

    assert reason_of(await post(client, "refresh", {"mode": "json"}, cookie)) == REFRESH_TOKEN_REQUIRED
    assert set(cookies_of(await post(client, "refresh", {"mode": "cookie"}, cookie))) == {REFRESH}


@pytest.mark.parametrize("path", ["refresh", "logout"])
async def test_an_invalid_session_cookie_is_deleted(client, members, path):
    for stale, status in ((expired_token(members), (401, "TOKEN_EXPIRED")), ("a.b.c", (403, "INVALID_TOKEN"))):
        response = await post(client, path, {"mode": "session"}, {SESSION: stale})

        assert error_of(response) == status
        assert cookies_of(response)[SESSION][0] == ""
        assert "Max-Age=0" in cookies_of(response)[SESSION][1]


@pytest.mark.both_databases
async def test_a_logout_ends_a_session_at_once(client, members):
    token = data_of(await login(client))["refresh_token"]
    for _ in range(2):  # the response doesn't reveal whether the token existed
        response = await post(client, "logout", {"refresh_token": token})
        assert (response.status_code, response.content, cookies_of(response)) == (204, b"", {})

    assert await count_rows(members, Session) == 0
    assert error_of(await post(client, "refresh", {"refresh_token": token})) == INVALID_CREDENTIALS


@pytest.mark.parametrize("mode", ["cookie", "session"])
@pytest.mark.parametrize("explicit", [True, False])
async def test_a_logout_deletes_the_cookie(client, members, mode, explicit):
    cookie = cookie_of(await login(client, mode=mode))
    response = await post(client, "logout", {"mode": mode} if explicit else {}, cookie)

    assert response.status_code == 204
    ((name, (value, attributes)),) = cookies_of(response).items()
    assert ({name} == cookie.keys(), value) == (True, "")
    assert {"Max-Age=0", "Path=/", "HttpOnly", "SameSite=Lax"} <= set(attributes.split("; "))
    assert await count_rows(members, Session) == 0
    if mode == "session":
        assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS


@pytest.mark.parametrize("path", ["refresh", "logout"])
async def test_refresh_and_logout_need_a_token(client, path):
    for body in ({}, {"mode": "cookie"}, {"mode": "session"}, {"mode": "json"}, {"refresh_token": ""}):
        assert reason_of(await post(client, path, body)) == REFRESH_TOKEN_REQUIRED
    assert reason_of(await post(client, path)) == REFRESH_TOKEN_REQUIRED


INVALID_BODIES = [
    # path,                body,                                                 reason
    ("login", {"email": "vi@example.com"}, '"password" is required'),
    ("login", {}, '"email" is required'),
    ("login", [], '"value" must be of type object'),
    ("login", {"email": "x", "password": "x"}, '"email" must be a valid email'),
    ("login", {"email": "", "password": "x"}, '"email" is not allowed to be empty'),
    ("login", {"email": 1, "password": "x"}, '"email" must be a string'),
    ("login", {"email": "a@b.c", "password": None}, '"password" must be a string'),
    ("login", {"email": "a@b.c", "password": "x", "otp": 123456}, '"otp" must be a string'),
    ("login", {"email": "a@b.c", "password": "x", "mode": "x"}, '"mode" must be one of [cookie, json, session]'),
    ("login", {"email": "a@b.c", "password": "x", "mode": ["json"]}, '"mode" must be one of [cookie, json, session]'),
    ("refresh", {"refresh_token": 1}, '"refresh_token" must be a string'),
    ("refresh", {"mode": "x"}, '"mode" must be one of [cookie, json, session]'),
    ("refresh", "x", '"value" must be of type object'),
    ("logout", {"refresh_token": {}}, '"refresh_token" must be a string'),
    ("logout", {"mode": 1}, '"mode" must be one of [cookie, json, session]'),
    ("password/request", {}, '"email" field is required'),
    ("password/request", {"email": ["vi@example.com"]}, '"email" must be a string'),
    (
        "password/request",
        {"email": "vi@example.com", "reset_url": "http://evil.example.com"},
        'URL "http://evil.example.com" can\'t be used to reset passwords',
    ),
    ("password/reset", {"password": "x"}, '"token" field is required'),
    ("password/reset", {"token": "x"}, '"password" field is required'),
    ("password/reset", {"token": 1, "password": "x"}, '"token" must be a string'),
    ("password/reset", {"token": "x", "password": ""}, '"password" is not allowed to be empty'),
]


@pytest.mark.parametrize(("path", "body", "reason"), INVALID_BODIES)
async def test_an_invalid_body_is_rejected_with_its_reason(client, path, body, reason):
    assert reason_of(await post(client, path, body)) == reason


async def test_additional_properties_are_ignored(client, members):
    tokens = data_of(await login(client, more={"deep": [1]}, token="x"))
    refreshed = data_of(await post(client, "refresh", {"refresh_token": tokens["refresh_token"], "more": 1}))
    requested = await post(client, "password/request", {"email": "nobody@example.com", "more": 1})
    reset = await post(client, "password/reset", {"token": "x", "password": "x", "more": 1})
    ended = await post(client, "logout", {"refresh_token": refreshed["refresh_token"], "more": 1})

    assert (requested.status_code, ended.status_code) == (204, 204)
    assert error_of(reset) == (403, "INVALID_TOKEN")


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"email": "a@b.c", "email"}', b"[" * 10_000])
async def test_a_body_that_is_not_json_is_rejected(client, content):
    response = await post(client, "login", content=content, headers={"content-type": "application/json"})

    assert "The body is not valid JSON" in reason_of(response)


@pytest.mark.parametrize("content_type", FORM_CONTENT_TYPES)
async def test_a_form_cannot_log_anyone_in(client, members, content_type):
    body = b'{"email": "vi@example.com", "password": "correct, but only here", "mode": "session"}'
    response = await post(client, "login", content=body, headers={"content-type": content_type})

    assert (reason_of(response), cookies_of(response)) == (NOT_JSON, {})
    assert await count_rows(members, Session) == 0


@pytest.mark.parametrize("path", ["refresh", "logout"])
@pytest.mark.parametrize("mode", ["cookie", "session"])
async def test_a_form_cannot_log_anyone_out(client, members, path, mode):
    cookie = cookie_of(await login(client, mode=mode))
    for content_type in (*FORM_CONTENT_TYPES, None):
        for content in (b"", f'{{"mode": "{mode}"}}'.encode(), f"mode={mode}".encode()):
            headers = {"content-type": content_type} if content_type else {}
            response = await post(client, path, cookies=cookie, content=content, headers=headers)
            assert (error_of(response), cookies_of(response)) == (FORBIDDEN, {})

    assert set(cookies_of(await post(client, "refresh", {"mode": mode}, cookie))) == {*cookie}


async def test_an_empty_body_with_the_json_content_type_is_an_object(client, members):
    cookie = cookie_of(await login(client, mode="cookie"))
    response = await post(client, "logout", cookies=cookie, headers={"content-type": "application/json"})

    assert response.status_code == 204


@pytest.mark.parametrize(("method", "path"), AUTH_PATHS)
async def test_no_response_under_auth_may_be_stored(client, method, path):
    bodies: tuple[object, ...] = ({}, [], None)
    for body in bodies:
        assert (await send(client, method, path, body)).headers["cache-control"] == "no-store"


async def test_tokens_may_not_be_stored(client, members):
    tokens = await login(client)
    assert data_of(tokens)["access_token"]
    for response in (tokens, await post(client, "refresh", {"refresh_token": data_of(tokens)["refresh_token"]})):
        assert response.headers["cache-control"] == "no-store"
        headers = str(response.headers.multi_items())
        assert not any(token in headers for name, token in data_of(response).items() if name != "expires")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/login"),
        ("HEAD", "/auth/login"),
        ("PUT", "/auth/login"),
        ("GET", "/auth/refresh"),
        ("GET", "/auth/logout"),
        ("GET", "/auth/password/reset"),
        ("POST", "/auth/login/foo"),
        ("POST", "/auth/password"),
        ("POST", "/auth"),
        ("POST", "/auth//login"),
    ],
)
async def test_other_paths_and_methods_do_not_exist(client, method, path):
    response = await send(client, method, path, {})

    assert response.status_code == 404
    if method != "HEAD":
        assert response.json()["errors"][0]["extensions"] == {"path": path, "code": "ROUTE_NOT_FOUND"}


def reset_link(system, password=PASSWORD_HASH, **more):
    return link_token(system, LinkPurpose.RESET, "vi@example.com", uid("vi"), password_fingerprint(password), **more)


@pytest.mark.both_databases
async def test_a_reset_request_does_not_reveal_whether_the_user_exists(client, members):
    for email in ("vi@example.com", "nobody@example.com", "sue@example.com", "x", "vi@example.com\0"):
        response = await post(client, "password/request", {"email": email})
        assert (response.status_code, response.content) == (204, b"")


async def test_a_reset_link_changes_the_password_once_and_ends_sessions(client, members):
    cookie, token = cookie_of(await login(client, mode="session")), reset_link(members)
    response = await post(client, "password/reset", {"token": token, "password": "another one"})

    assert (response.status_code, response.content) == (204, b"")
    assert error_of(await post(client, "password/reset", {"token": token, "password": "zzz"})) == (403, "FORBIDDEN")
    assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS
    assert error_of(await login(client)) == INVALID_CREDENTIALS
    assert "access_token" in data_of(await login(client, password="another one"))


async def test_an_invalid_reset_link_changes_no_password(client, members):
    valid = reset_link(members)
    errors = {
        "x": (403, "INVALID_TOKEN"),
        valid[:-3]: (403, "INVALID_TOKEN"),
        f"{valid}.x.y": (403, "INVALID_TOKEN"),
        f"{valid}\0": (403, "INVALID_TOKEN"),
        reset_link(members, "another hash"): (403, "FORBIDDEN"),
        reset_link(members, hours=-1): (401, "TOKEN_EXPIRED"),
    }
    for token, error in errors.items():
        assert error_of(await post(client, "password/reset", {"token": token, "password": "another one"})) == error

    assert "access_token" in data_of(await login(client))


async def test_an_expired_cookie_does_not_prevent_a_reset(client, members):
    body = {"token": reset_link(members), "password": "another one"}

    assert (await post(client, "password/reset", body, {SESSION: expired_token(members)})).status_code == 204


@pytest.mark.both_databases
async def test_a_suspended_users_session_cannot_be_refreshed(client, members):
    cookie, token = cookie_of(await login(client, mode="session")), data_of(await login(client))["refresh_token"]
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    assert error_of(await post(client, "refresh", {"refresh_token": token})) == INVALID_CREDENTIALS
    assert error_of(await post(client, "refresh", {"mode": "session"}, cookie)) == INVALID_CREDENTIALS


async def test_a_body_that_is_too_large_is_rejected(client):
    assert error_of(await post(client, "login", {"email": "a@b.c", "password": "x" * 1024**2})) == INVALID_PAYLOAD
