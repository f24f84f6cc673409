"""Signing in, staying and leaving over HTTP, and what to do about a forgotten password."""

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
from tests.flows.inviters import link_token
from tests.http.clients import (
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
from tests.world import static_token, uid

WRONG = [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}}]
UNSHOWN = "The refresh token is required in either the payload or cookie"
NOT_JSON = 'The body has to be JSON, with the Content-Type "application/json"'
FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
"""What a page of somebody else's can have a browser send unasked."""
EVERY = [
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


async def test_who_may_sign_in_how_is_told(client):
    answer = await send(client, "GET", "/auth")

    assert (answer.status_code, answer.json()) == (200, {"data": [], "disableDefault": False})


async def test_where_passwords_are_not_taken_nobody_is_at_home(inviters):
    async with served(inviters.settings.model_copy(update={"auth_disable_default": True})) as client:
        answer = await login(client)

        assert error_of(answer) == ROUTE_NOT_FOUND
        assert answer.json()["errors"][0]["message"] == "Route /auth/login doesn't exist."
        assert (await send(client, "GET", "/auth")).json()["disableDefault"] is True
        assert reason_of(await post(client, "refresh", {})) == UNSHOWN


async def test_whoever_has_the_password_is_given_tokens(client, members):
    answer = await login(client, "VI@Example.com", headers={"user-agent": "a browser"})

    tokens = data_of(answer)
    assert set(tokens) == {"expires", "refresh_token", "access_token"}
    assert tokens["expires"] == 900_000
    assert len(tokens["refresh_token"]) == 64
    claims = jwt.get_unverified_claims(tokens["access_token"])
    assert claims["id"] == uid("vi")
    assert (claims["role"], claims["iss"]) == (uid("role-Viewer"), "directus")
    assert (claims["admin_access"], claims["app_access"]) == (False, False)
    assert cookies_of(answer) == {}
    assert data_of(await me(client, headers=bearer(tokens["access_token"]))) == {"id": uid("vi")}


async def test_a_sign_in_is_remembered(client, members):
    tokens = data_of(await login(client, headers={"user-agent": "a browser"}))

    async with members.database.transaction() as connection:
        sessions = (await connection.execute(select(Session.token, Session.user_id, Session.user_agent))).all()
        hers = select(Activity.action, Activity.user_id, Activity.item).where(Activity.user_id == uid("vi"))
        activity = (await connection.execute(hers)).all()
        seen = await connection.scalar(select(User.last_access).where(User.id == uid("vi")))
    assert sessions == [(tokens["refresh_token"], uid("vi"), "a browser")]
    assert activity == [("login", uid("vi"), uid("vi"))]
    assert utc_now() - seen < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("mode", "name", "seconds", "tells"),
    [
        ("cookie", REFRESH, 604_800, {"expires", "access_token"}),
        ("session", SESSION, 86_400, {"expires"}),
    ],
)
async def test_in_the_other_modes_a_cookie_carries_what_is_not_told(client, members, mode, name, seconds, tells):
    answer = await login(client, mode=mode)
    value, flags = cookies_of(answer)[name]
    parts = dict(flag.partition("=")[::2] for flag in flags.split("; "))
    ends = parsedate_to_datetime(parts.pop("Expires"))

    assert set(data_of(answer)) == tells
    assert data_of(answer)["expires"] == {"cookie": 900_000, "session": 86_400_000}[mode]
    assert parts == {"Max-Age": str(seconds), "Path": "/", "HttpOnly": "", "SameSite": "Lax"}
    assert abs(ends - utc_now() - timedelta(seconds=seconds)) < timedelta(seconds=30)
    assert value not in answer.text
    assert value not in str([header for header in answer.headers.multi_items() if header[0] != "set-cookie"])


@pytest.mark.parametrize(("mode", "kind"), [("session", "session"), ("cookie", "refresh_token")])
async def test_the_cookies_are_as_the_settings_want_them(members, mode, kind):
    wanted = {"cookie_name": "mine", "cookie_secure": True, "cookie_same_site": "none", "cookie_domain": "example.com"}
    changed = {f"{kind}_{name}": value for name, value in wanted.items()}
    async with served(members.settings.model_copy(update=changed)) as client:
        cookie = cookies_of(await login(client, mode=mode))
        _, flags = cookie["mine"]

        assert {"HttpOnly", "Secure", "SameSite=None", "Domain=example.com"} <= set(flags.split("; "))
        gone = cookies_of(await post(client, "logout", {"mode": mode}, {"mine": cookie["mine"][0]}))["mine"]
        assert gone[0] == ""
        assert {"Max-Age=0", "HttpOnly", "Secure", "SameSite=None", "Domain=example.com"} <= set(gone[1].split("; "))


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
        ("sam@example.com", PASSWORD),  # somebody else judges his
        ("nora@example.com", PASSWORD),  # without a password
        ("ed@example.com", "wrong"),  # with a second factor, that isn't asked for before
    ],
)
async def test_everybody_else_is_told_the_same(client, members, email, password):
    answer = await login(client, email, password)

    assert (answer.status_code, answer.json()["errors"]) == (401, WRONG)
    assert await count_rows(members, Session) == 0


async def test_a_second_factor_is_asked_for_when_the_password_is_right(client, members):
    assert (await login(client, "ed@example.com")).json()["errors"][0]["message"] == "Invalid user OTP."
    for wrong in ("", "000000", "x"):
        assert error_of(await login(client, "ed@example.com", otp=wrong)) == (401, "INVALID_OTP")
    assert await count_rows(members, Session) == 0

    assert "access_token" in data_of(await login(client, "ed@example.com", otp=totp_code()))


async def test_a_token_that_is_shown_besides_has_to_be_good(client, members):
    for shown in ("a.b.c", "nobodys"):
        assert error_of(await login(client, headers=bearer(shown))) == INVALID_CREDENTIALS
    assert "access_token" in data_of(await login(client, headers=bearer(static_token("ada"))))


async def test_a_session_that_is_over_keeps_nobody_from_signing_in(client, members):
    cookie = cookie_of(await login(client, mode="session"))
    await post(client, "logout", {"mode": "session"}, cookie)

    assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS
    for stale in (cookie, {SESSION: "garbage"}, {SESSION: expired(members)}):
        assert set(cookies_of(await login(client, cookies=stale, mode="session"))) == {SESSION}
        answer = await login(client, password="wrong", cookies=stale)
        assert (error_of(answer), cookies_of(answer)[SESSION][0]) == (INVALID_CREDENTIALS, "")


EVERY_DOOR = [
    ("GET", "/users"),
    ("PATCH", "/users/me"),
    ("GET", "/users/me/sessions"),
    ("GET", "/permissions/me"),
    ("POST", "/users/invite"),
    ("POST", "/utils/cache/clear"),
    ("GET", "/server/info"),
    ("POST", "/graphql/system"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_DOOR)
async def test_every_door_takes_a_sessions_cookie_away_that_is_good_no_more(client, members, method, path):
    cookie = cookie_of(await login(client, mode="session"))
    await post(client, "logout", {"mode": "session"}, cookie)
    client.cookies.clear()
    stale = {"Cookie": f"{SESSION}={cookie[SESSION]}; {REFRESH}=kept"}
    body = {"json": {"query": "{ users_me { id } }"} if "graphql" in path else {}} if method != "GET" else {}
    answer = await client.request(method, path, headers=stale, **body)
    besides = await client.request(method, path, headers={**stale, **bearer("nobodys")}, **body)

    assert error_of(answer) == INVALID_CREDENTIALS
    assert {name: value for name, (value, _) in cookies_of(answer).items()} == {SESSION: ""}
    assert "Max-Age=0" in cookies_of(answer)[SESSION][1]
    assert cookies_of(besides) == {}


async def test_a_session_outlives_a_wrong_password(client, members):
    cookie = cookie_of(await login(client, mode="session"))
    headers = {"Cookie": f"{SESSION}={cookie[SESSION]}"}
    client.cookies.clear()
    wrong = await client.post("/users/me/tfa/generate", json={"password": "wrong"}, headers=headers)

    assert (error_of(wrong), cookies_of(wrong)) == (INVALID_CREDENTIALS, {})
    assert error_of(await login(client, password="wrong", cookies=cookie)) == INVALID_CREDENTIALS
    assert data_of(await me(client, cookie)) == {"id": uid("vi")}


def expired(system, session="long gone"):
    then = utc_now() - timedelta(hours=1)
    secret = signing_secret(system.settings)
    return sign_access_token(secret, uid("vi"), session=session, ttl=timedelta(minutes=1), now=then)


async def test_a_refresh_token_is_good_once(client, members):
    old = data_of(await login(client))["refresh_token"]
    answer = await post(client, "refresh", {"refresh_token": old})
    new = data_of(answer)

    assert set(new) == {"expires", "refresh_token", "access_token"}
    assert (new["refresh_token"] != old, cookies_of(answer)) == (True, {})
    assert error_of(await post(client, "refresh", {"refresh_token": old, "mode": "json"})) == INVALID_CREDENTIALS
    assert "access_token" in data_of(
        await post(client, "refresh", {"refresh_token": new["refresh_token"], "mode": "json"})
    )


async def test_a_token_that_no_database_can_hold_is_that_of_no_session(client, members):
    body = {"refresh_token": "a token\0and more"}

    assert error_of(await post(client, "refresh", body)) == INVALID_CREDENTIALS
    assert (await post(client, "logout", body)).status_code == 204


@pytest.mark.parametrize("body", [{"mode": "cookie"}, {}, {"refresh_token": None}])
async def test_a_cookie_is_refreshed_with_the_next_one(client, members, body):
    old = cookie_of(await login(client, mode="cookie"))
    answer = await post(client, "refresh", body, old)
    new = cookie_of(answer)

    assert set(data_of(answer)) == {"expires", "access_token"}
    assert new.keys() == old.keys()
    assert new[REFRESH] not in (answer.text, old[REFRESH])
    again = await post(client, "refresh", body, old)
    assert (error_of(again), cookies_of(again)) == (
        INVALID_CREDENTIALS,
        {},
    )  # another tab may have been given the next one
    assert set(cookies_of(await post(client, "refresh", body, new))) == {REFRESH}


@pytest.mark.parametrize("body", [{"mode": "session"}, {}])
async def test_a_session_goes_on_in_both_of_two_tabs(client, members, body):
    old = cookie_of(await login(client, mode="session"))
    answers = [await post(client, "refresh", body, old) for _ in range(2)]

    for answer in answers:
        assert data_of(answer) == {"expires": 86_400_000}
        assert data_of(await me(client, cookie_of(answer))) == {"id": uid("vi")}
    assert data_of(await me(client, old)) == {"id": uid("vi")}  # for some seconds more


async def test_what_a_cookie_hides_is_not_told_for_a_refresh(client, members):
    cookie = cookie_of(await login(client, mode="cookie"))

    assert reason_of(await post(client, "refresh", {"mode": "json"}, cookie)) == UNSHOWN
    assert set(cookies_of(await post(client, "refresh", {"mode": "cookie"}, cookie))) == {REFRESH}


@pytest.mark.parametrize("path", ["refresh", "logout"])
async def test_a_sessions_cookie_that_is_good_no_more_is_taken_away(client, members, path):
    for stale, status in ((expired(members), (401, "TOKEN_EXPIRED")), ("a.b.c", (403, "INVALID_TOKEN"))):
        answer = await post(client, path, {"mode": "session"}, {SESSION: stale})

        assert error_of(answer) == status
        assert cookies_of(answer)[SESSION][0] == ""
        assert "Max-Age=0" in cookies_of(answer)[SESSION][1]


async def test_signing_out_ends_a_session_at_once(client, members):
    token = data_of(await login(client))["refresh_token"]
    for _ in range(2):  # nothing is told of a token that was none
        answer = await post(client, "logout", {"refresh_token": token})
        assert (answer.status_code, answer.content, cookies_of(answer)) == (204, b"", {})

    assert await count_rows(members, Session) == 0
    assert error_of(await post(client, "refresh", {"refresh_token": token})) == INVALID_CREDENTIALS


@pytest.mark.parametrize("mode", ["cookie", "session"])
@pytest.mark.parametrize("said", [True, False])
async def test_signing_out_takes_the_cookie_away(client, members, mode, said):
    cookie = cookie_of(await login(client, mode=mode))
    answer = await post(client, "logout", {"mode": mode} if said else {}, cookie)

    assert answer.status_code == 204
    ((name, (value, flags)),) = cookies_of(answer).items()
    assert ({name} == cookie.keys(), value) == (True, "")
    assert {"Max-Age=0", "Path=/", "HttpOnly", "SameSite=Lax"} <= set(flags.split("; "))
    assert await count_rows(members, Session) == 0
    if mode == "session":
        assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS


@pytest.mark.parametrize("path", ["refresh", "logout"])
async def test_a_token_is_needed_to_stay_or_to_leave(client, path):
    for body in ({}, {"mode": "cookie"}, {"mode": "session"}, {"mode": "json"}, {"refresh_token": ""}):
        assert reason_of(await post(client, path, body)) == UNSHOWN
    assert reason_of(await post(client, path)) == UNSHOWN


WRONG_BODIES = [
    # to where,            with which body,                                     what is said to it
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
    ("login", {"email": "a@b.c", "password": "x", "more": "x"}, '"more" is not allowed'),
    ("refresh", {"refresh_token": 1}, '"refresh_token" must be a string'),
    ("refresh", {"mode": "x"}, '"mode" must be one of [cookie, json, session]'),
    ("refresh", {"token": "x"}, '"token" is not allowed'),
    ("refresh", "x", '"value" must be of type object'),
    ("logout", {"refresh_token": {}}, '"refresh_token" must be a string'),
    ("logout", {"mode": 1}, '"mode" must be one of [cookie, json, session]'),
    ("logout", {"more": 1}, '"more" is not allowed'),
    ("password/request", {}, '"email" field is required'),
    ("password/request", {"email": ["vi@example.com"]}, '"email" must be a string'),
    ("password/request", {"email": "vi@example.com", "more": 1}, '"more" is not allowed'),
    (
        "password/request",
        {"email": "vi@example.com", "reset_url": "http://evil.example.com"},
        'URL "http://evil.example.com" can\'t be used to reset passwords',
    ),
    ("password/reset", {"password": "x"}, '"token" field is required'),
    ("password/reset", {"token": "x"}, '"password" field is required'),
    ("password/reset", {"token": 1, "password": "x"}, '"token" must be a string'),
    ("password/reset", {"token": "x", "password": ""}, '"password" is not allowed to be empty'),
    ("password/reset", {"token": "x", "password": "x", "more": 1}, '"more" is not allowed'),
]


@pytest.mark.parametrize(("path", "body", "said"), WRONG_BODIES)
async def test_what_can_not_be_read_is_told(client, path, body, said):
    assert reason_of(await post(client, path, body)) == said


@pytest.mark.parametrize("raw", [b"{", b"\xff", b'{"email": "a@b.c", "email"}', b"[" * 100_000])
async def test_what_is_no_json_is_told(client, raw):
    answer = await post(client, "login", content=raw, headers={"content-type": "application/json"})

    assert "The body is not valid JSON" in reason_of(answer)


@pytest.mark.parametrize("media", FORMS)
async def test_nobody_can_be_signed_in_by_a_form(client, members, media):
    body = b'{"email": "vi@example.com", "password": "correct, but only here", "mode": "session"}'
    answer = await post(client, "login", content=body, headers={"content-type": media})

    assert (reason_of(answer), cookies_of(answer)) == (NOT_JSON, {})
    assert await count_rows(members, Session) == 0


@pytest.mark.parametrize("path", ["refresh", "logout"])
@pytest.mark.parametrize("mode", ["cookie", "session"])
async def test_nobody_can_be_signed_out_by_a_form(client, members, path, mode):
    cookie = cookie_of(await login(client, mode=mode))
    for media in (*FORMS, None):
        for raw in (b"", f'{{"mode": "{mode}"}}'.encode(), f"mode={mode}".encode()):
            headers = {"content-type": media} if media else {}
            answer = await post(client, path, cookies=cookie, content=raw, headers=headers)
            assert (reason_of(answer), cookies_of(answer)) == (NOT_JSON, {})

    assert set(cookies_of(await post(client, "refresh", {"mode": mode}, cookie))) == {*cookie}


async def test_an_empty_body_that_is_called_json_is_an_object(client, members):
    cookie = cookie_of(await login(client, mode="cookie"))
    answer = await post(client, "logout", cookies=cookie, headers={"content-type": "application/json"})

    assert answer.status_code == 204


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_nothing_under_auth_is_kept_anywhere(client, method, path):
    bodies: tuple[object, ...] = ({}, [], None)
    for body in bodies:
        assert (await send(client, method, path, body)).headers["cache-control"] == "no-store"


async def test_tokens_are_kept_nowhere(client, members):
    tokens = await login(client)
    assert data_of(tokens)["access_token"]
    for answer in (tokens, await post(client, "refresh", {"refresh_token": data_of(tokens)["refresh_token"]})):
        assert answer.headers["cache-control"] == "no-store"
        headers = str(answer.headers.multi_items())
        assert not any(token in headers for name, token in data_of(answer).items() if name != "expires")


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
async def test_nobody_lives_elsewhere(client, method, path):
    answer = await send(client, method, path, {})

    assert answer.status_code == 404
    if method != "HEAD":
        assert answer.json()["errors"][0]["extensions"] == {"path": path, "code": "ROUTE_NOT_FOUND"}


def reset_link(system, password=PASSWORD_HASH, **more):
    return link_token(system, LinkPurpose.RESET, "vi@example.com", uid("vi"), password_fingerprint(password), **more)


async def test_a_mail_about_a_password_is_asked_for_and_nothing_told(client, members):
    for email in ("vi@example.com", "nobody@example.com", "sue@example.com", "x", "vi@example.com\0"):
        answer = await post(client, "password/request", {"email": email})
        assert (answer.status_code, answer.content) == (204, b"")


async def test_a_password_is_changed_once_by_a_link_and_old_sessions_end(client, members):
    cookie, token = cookie_of(await login(client, mode="session")), reset_link(members)
    answer = await post(client, "password/reset", {"token": token, "password": "another one"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert error_of(await post(client, "password/reset", {"token": token, "password": "zzz"})) == (403, "FORBIDDEN")
    assert error_of(await me(client, cookie)) == INVALID_CREDENTIALS
    assert error_of(await login(client)) == INVALID_CREDENTIALS
    assert "access_token" in data_of(await login(client, password="another one"))


async def test_a_link_that_is_no_good_changes_no_password(client, members):
    signed = reset_link(members)
    refused = {
        "x": (403, "INVALID_TOKEN"),
        signed[:-3]: (403, "INVALID_TOKEN"),
        f"{signed}.x.y": (403, "INVALID_TOKEN"),
        f"{signed}\0": (403, "INVALID_TOKEN"),
        reset_link(members, "another hash"): (403, "FORBIDDEN"),
        reset_link(members, hours=-1): (401, "TOKEN_EXPIRED"),
    }
    for token, said in refused.items():
        assert error_of(await post(client, "password/reset", {"token": token, "password": "another one"})) == said

    assert "access_token" in data_of(await login(client))


async def test_a_stale_cookie_keeps_nobody_from_a_new_password(client, members):
    body = {"token": reset_link(members), "password": "another one"}

    assert (await post(client, "password/reset", body, {SESSION: expired(members)})).status_code == 204


async def test_an_account_that_is_suspended_meanwhile_is_not_carried_on(client, members):
    cookie, token = cookie_of(await login(client, mode="session")), data_of(await login(client))["refresh_token"]
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    assert error_of(await post(client, "refresh", {"refresh_token": token})) == INVALID_CREDENTIALS
    assert error_of(await post(client, "refresh", {"mode": "session"}, cookie)) == INVALID_CREDENTIALS


async def test_a_body_that_is_too_large_is_refused(client):
    assert error_of(await post(client, "login", {"email": "a@b.c", "password": "x" * 1024**2})) == INVALID_PAYLOAD
