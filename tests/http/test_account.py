"""REST endpoints for invitations, registration, two-factor authentication, sessions, and client utilities."""

import pytest
from sqlalchemy import update

from app.core.email_links import LinkPurpose
from app.core.otp import generate_totp_secret
from app.db.models import Policy
from tests.base_data import static_token, uid
from tests.flows.inviters import link_token, user_row
from tests.http.clients import (
    FORBIDDEN,
    INVALID_CREDENTIALS,
    INVALID_PAYLOAD,
    PASSWORD,
    ROUTE_NOT_FOUND,
    SESSION,
    cookie_of,
    data_of,
    error_of,
    login,
    reason_of,
    send,
    totp_code,
)
from tests.http.test_graphql import ADA, bearer

EDITOR = uid("role-Editor")
NEW = "new@example.com"
INVITATION = {"email": NEW, "role": EDITOR}
REGISTRATION = {"email": NEW, "password": "a good password"}
NO_USERS = 'You don\'t have permission to access collection "directus_users" or it does not exist. Queried in root.'
NOT_JSON = 'The body has to be JSON, with the Content-Type "application/json"'


def bearer_of(name):
    return bearer(static_token(name))


def post(client, path, body=None, headers=None, cookies=None, **options):
    return send(client, "POST", path, body, cookies, headers, **options)


def is_no_content(response):
    assert (response.status_code, response.content) == (204, b""), response.text
    return True


async def status(system, email):
    row = await user_row(system, email)
    return row and row["status"]


async def test_one_address_or_several_are_invited(client, members):
    for body in (INVITATION, {"email": ["one@example.com", "two@example.com"], "role": EDITOR.upper()}):
        assert is_no_content(await post(client, "/users/invite", body, ADA))

    assert [await status(members, f"{name}@example.com") for name in ("new", "one", "two")] == ["invited"] * 3


async def test_inviting_needs_the_permission_to_create_users(client, members):
    for headers in (None, bearer_of("vi")):
        response = await post(client, "/users/invite", INVITATION, headers)
        assert error_of(response) == FORBIDDEN
        assert response.json()["errors"][0]["message"] == NO_USERS

    assert await status(members, NEW) is None


async def test_an_invitation_is_accepted_once(client, members):
    await post(client, "/users/invite", INVITATION, ADA)
    body = {
        "token": link_token(members, LinkPurpose.INVITATION, NEW, (await user_row(members, NEW))["id"]),
        "password": "my own one",
    }
    assert is_no_content(await post(client, "/users/invite/accept", body, cookies={SESSION: "garbage"}))

    assert error_of(await post(client, "/users/invite/accept", body)) == (400, "INVALID_INVITE")
    assert "access_token" in data_of(await login(client, NEW, "my own one"))


async def test_revoking_succeeds_with_and_without_an_invitation(client, members):
    await post(client, "/users/invite", INVITATION, ADA)
    token = link_token(members, LinkPurpose.INVITATION, NEW, (await user_row(members, NEW))["id"])
    for email in (NEW, NEW, "vi@example.com", "nobody@example.com"):
        assert is_no_content(await send(client, "DELETE", "/users/invite", {"email": email}, headers=ADA))

    assert (await status(members, NEW), await status(members, "vi@example.com")) == (None, "active")
    body = {"token": token, "password": "my own one"}
    assert error_of(await post(client, "/users/invite/accept", body)) == (400, "INVALID_INVITE")


@pytest.mark.both_databases
async def test_revoking_an_invitation_needs_permission(client, members):
    for headers in (None, bearer_of("vi")):
        response = await send(client, "DELETE", "/users/invite", {"email": "ida@example.com"}, headers=headers)
        assert error_of(response) == FORBIDDEN

    assert await status(members, "ida@example.com") == "invited"


async def test_a_registered_user_can_log_in_once_the_email_is_verified(client, members):
    body = {**REGISTRATION, "first_name": "New", "last_name": None}
    for _ in range(2):
        assert is_no_content(await post(client, "/users/register", body, cookies={SESSION: "garbage"}))
    assert is_no_content(await post(client, "/users/register", {**body, "email": "VI@example.com"}))
    other_url = {**body, "verification_url": "http://evil.example.com"}
    expected = 'URL "http://evil.example.com" can\'t be used to verify registered users'
    assert reason_of(await post(client, "/users/register", other_url)) == expected

    row = await user_row(members, NEW)
    assert (row["status"], row["first_name"], row["last_name"]) == ("unverified", "New", None)
    assert error_of(await login(client, NEW, "a good password")) == INVALID_CREDENTIALS
    token = link_token(members, LinkPurpose.REGISTRATION, NEW, row["id"])
    assert (await verify(client, token)).status_code == 302
    assert "access_token" in data_of(await login(client, NEW, "a good password"))
    assert error_of(await verify(client, token)) == INVALID_PAYLOAD


def verify(client, token, parameters="", method="GET", **options):
    return send(client, method, f"/users/register/verify-email?token={token}{parameters}", **options)


async def test_a_verification_link_redirects_to_a_local_page_without_the_token(client, members):
    token = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    evil = "http://evil.example.com"
    parameters = f"&redirect={evil}&next={evil}&utm_source=mail"
    headers = {"host": "evil.example.com", "x-forwarded-host": "evil.example.com", "referer": evil}
    response = await verify(client, token, parameters, headers=headers, cookies={SESSION: "garbage"})

    page = f"/admin/users/{uid('una')}?notice=email-verified"
    assert (response.status_code, response.headers["location"]) == (302, page)
    assert response.text == f"Found. Redirecting to {page}"
    redirected = await send(client, "GET", page)
    assert redirected.headers["location"] == "/admin/sign-in?notice=email-verified"
    assert "Your email address is confirmed." in (await send(client, "GET", redirected.headers["location"])).text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert token not in str(response.headers.multi_items())


async def test_a_head_request_to_a_verification_link_verifies_nothing(client, members):
    token = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    assert is_no_content(await verify(client, token, method="HEAD"))

    assert await status(members, "una@example.com") == "unverified"


async def test_an_invalid_verification_link_verifies_nobody(client, members):
    valid = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    errors = {
        "zzz": (403, "INVALID_TOKEN"),
        "": INVALID_PAYLOAD,
        valid[:-3]: (403, "INVALID_TOKEN"),
        f"{valid}%00": (403, "INVALID_TOKEN"),
        f"{valid}&token={valid}": INVALID_PAYLOAD,
        link_token(members, LinkPurpose.INVITATION, "una@example.com", uid("una")): FORBIDDEN,
        link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("vi")): INVALID_PAYLOAD,
        link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"), hours=-1): (
            401,
            "TOKEN_EXPIRED",
        ),
    }
    for token, error in errors.items():
        response = await verify(client, token)
        assert error_of(response) == error, token
        assert "location" not in response.headers
    assert reason_of(await send(client, "GET", "/users/register/verify-email")) == '"token" is required'

    assert await status(members, "una@example.com") == "unverified"


INVALID_BODIES = [
    # path,                   body,                                            reason
    ("users/invite", {"role": EDITOR}, '"email" is required'),
    ("users/invite", {"email": NEW}, '"role" is required'),
    ("users/invite", {"email": NEW, "role": "x"}, '"role" must be a valid GUID'),
    ("users/invite", {"email": NEW, "role": None}, '"role" must be a string'),
    ("users/invite", {"email": "x", "role": EDITOR}, '"email" must be a valid email'),
    ("users/invite", {"email": {}, "role": EDITOR}, '"email" must be a string or an array of strings'),
    ("users/invite", {"email": [], "role": EDITOR}, '"email" must contain at least 1 items'),
    ("users/invite", {"email": [NEW, 1], "role": EDITOR}, '"email" must hold valid emails: [1] must be a string'),
    ("users/invite", {**INVITATION, "invite_url": "nope"}, '"invite_url" must be a valid uri'),
    ("users/invite", {**INVITATION, "invite_url": 1}, '"invite_url" must be a string'),
    (
        "users/invite",
        {**INVITATION, "invite_url": "http://evil.example.com"},
        'URL "http://evil.example.com" can\'t be used to invite users',
    ),
    ("users/invite", {**INVITATION, "foo": 1}, '"foo" is not allowed'),
    ("users/invite", [INVITATION], '"value" must be of type object'),
    ("users/invite/accept", {"token": "x"}, '"password" is required'),
    ("users/invite/accept", {"password": "x"}, '"token" is required'),
    ("users/invite/accept", {"token": "x", "password": ""}, '"password" is not allowed to be empty'),
    ("users/invite/accept", {"token": "x", "password": "y", "role": EDITOR}, '"role" is not allowed'),
    ("users/register", {"email": NEW}, '"password" is required'),
    ("users/register", {"email": NEW, "password": ""}, '"password" is not allowed to be empty'),
    ("users/register", {"email": "nope", "password": "x"}, '"email" must be a valid email'),
    ("users/register", {**REGISTRATION, "role": "y"}, '"role" is not allowed'),
    ("users/register", {**REGISTRATION, "first_name": 1}, '"first_name" must be a string'),
    ("users/me/tfa/generate", {}, '"password" is required'),
    ("users/me/tfa/generate", {"password": 1}, '"password" must be a string'),
    ("users/me/tfa/enable", {"otp": "1"}, '"secret" is required'),
    ("users/me/tfa/enable", {"secret": "x"}, '"otp" is required'),
    ("users/me/tfa/disable", {}, '"otp" is required'),
    ("users/me/tfa/disable", {"otp": 123456}, '"otp" must be a string'),
    ("users/me/tfa/recovery-codes", [], '"value" must be of type object'),
    ("users/me/tfa/recovery-codes", {}, '"otp" is required'),
    (f"users/{uid('ed')}/tfa/disable", [], '"value" must be of type object'),
    ("utils/hash/generate", {}, '"string" is required'),
    ("utils/hash/generate", {"string": 1}, '"string" must be a string'),
    ("utils/hash/verify", {"string": "x"}, '"hash" is required'),
    ("utils/hash/verify", {"string": "", "hash": "x"}, '"string" is not allowed to be empty'),
    ("utils/cache/clear", [], '"value" must be of type object'),
]


@pytest.mark.parametrize(("path", "body", "reason"), INVALID_BODIES)
async def test_an_invalid_body_is_rejected_with_its_reason(client, path, body, reason):
    assert reason_of(await post(client, f"/{path}", body, ADA)) == reason


async def test_additional_properties_are_ignored_except_of_invitations_and_registrations(client, members):
    secret = generate_totp_secret()
    for path, body in {
        "/users/me/tfa/generate": {"password": PASSWORD},
        "/users/me/tfa/enable": {"secret": secret, "otp": totp_code(secret)},
        f"/users/{uid('ed')}/tfa/disable": {"otp": "1"},
        "/utils/hash/generate": {"string": "x"},
        "/utils/cache/clear": {},
    }.items():
        assert (await post(client, path, {**body, "more": 1}, ADA)).status_code in {200, 204}, path


@pytest.mark.parametrize("path", ["/Auth/Nope", "/utils/Random/Nothing/", "/USERS/invite/Nobody"])
async def test_a_path_without_a_route_is_named_as_it_was_requested(client, path):
    response = await post(client, path, {})

    assert response.json()["errors"][0]["extensions"] == {"path": path, "code": "ROUTE_NOT_FOUND"}


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_is_rejected_everywhere(client, members, media):
    headers = {"content-type": media, **ADA}
    for path in sorted({path for path, _, _ in INVALID_BODIES}):
        for content in (b"", b'{"email": "new@example.com"}'):
            response = await post(client, f"/{path}", content=content, headers=headers)
            assert reason_of(response) == NOT_JSON


@pytest.mark.parametrize("path", [f"/users/{uid('ed')}/tfa/disable", "/utils/cache/clear"])
async def test_an_empty_body_needs_the_json_content_type_if_a_cookie_authenticates(client, members, path):
    cookie = cookie_of(await login(client, "ada@example.com", mode="session"))

    assert error_of(await post(client, path, cookies=cookie)) == FORBIDDEN
    assert error_of(await login(client, "ed@example.com")) == (401, "INVALID_OTP")
    response = await post(client, path, cookies=cookie, headers={"content-type": "application/json"})
    assert response.status_code in {200, 204}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/invite"),
        ("HEAD", "/users/invite"),
        ("PATCH", "/users/invite"),
        ("GET", "/users/invite/accept"),
        ("POST", "/users/invite/revoke"),
        ("GET", "/users/register"),
        ("POST", "/users/register/verify-email"),
        ("GET", "/utils"),
        ("GET", "/utils/hash/generate"),
        ("POST", "/utils/random/string"),
        ("GET", "/users/me/tfa/generate"),
        ("HEAD", "/users/me/tfa/generate"),
        ("POST", "/users/me/tfa"),
        ("POST", f"/users/{uid('ed')}/tfa/generate"),
        ("POST", f"/users/{uid('ed')}/tfa/recovery-codes"),
        ("PATCH", "/users/me/sessions"),
        ("GET", "/users/me/sessions/x"),
        ("DELETE", "/users/me/sessions/x/y"),
        ("POST", "/roles/me/tfa/disable"),
        ("GET", f"/roles/{EDITOR}/sessions"),
    ],
)
async def test_other_paths_and_methods_do_not_exist(client, method, path):
    response = await send(client, method, path, {}, headers=ADA)

    assert response.status_code == 404
    assert method == "HEAD" or error_of(response) == ROUTE_NOT_FOUND


async def test_two_factor_is_enabled_used_and_disabled(client, members):
    vi = bearer_of("vi")
    generated = await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, vi)
    secret, url = data_of(generated)["secret"], data_of(generated)["otpauth_url"]
    assert f"secret={secret}" in url
    assert generated.headers["cache-control"] == "no-store"
    wrong = await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": "000000"}, vi)
    assert reason_of(wrong) == '"otp" is invalid'
    assert is_no_content(await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": totp_code(secret)}, vi))
    again = await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, vi)
    assert reason_of(again) == "TFA Secret is already set for this user"
    assert error_of(await login(client)) == (401, "INVALID_OTP")
    code = totp_code(secret)
    codes = await post(client, "/users/me/tfa/recovery-codes", {"otp": code}, vi)
    assert (len(set(data_of(codes))), codes.headers["cache-control"]) == (10, "no-store")
    assert error_of(await login(client, otp=code)) == (401, "INVALID_OTP")
    assert "access_token" in data_of(await login(client, otp=data_of(codes)[0]))
    assert error_of(await login(client, otp=data_of(codes)[0])) == (401, "INVALID_OTP")

    for otp in ("000000", code, data_of(codes)[0]):
        assert reason_of(await post(client, "/users/me/tfa/disable", {"otp": otp}, vi)) == '"otp" is invalid'
    assert is_no_content(await post(client, "/users/me/tfa/disable", {"otp": data_of(codes)[1]}, vi))
    assert "access_token" in data_of(await login(client))
    unset = f'User "{uid("vi")}" doesn\'t have TFA enabled'
    assert reason_of(await post(client, "/users/me/tfa/disable", {"otp": "1"}, vi)) == unset


@pytest.mark.parametrize("path", ["generate", "enable", "disable", "recovery-codes"])
async def test_anonymous_callers_cannot_set_up_two_factor(client, path):
    for body in ({"password": "x"}, {"otp": "1", "secret": "x"}, {}):
        assert error_of(await post(client, f"/users/me/tfa/{path}", body)) == INVALID_CREDENTIALS


async def test_a_wrong_password_gets_no_secret(client, members):
    response = await post(client, "/users/me/tfa/generate", {"password": "wrong"}, bearer_of("vi"))

    assert error_of(response) == INVALID_CREDENTIALS


async def test_an_admin_disables_another_users_two_factor(client, members):
    path = f"/users/{uid('ed')}/tfa/disable"
    assert error_of(await post(client, path)) == INVALID_CREDENTIALS
    assert error_of(await post(client, path, headers=bearer_of("vi"))) == FORBIDDEN
    for missing in (uid("nobody"), "x", "%00"):
        assert error_of(await post(client, f"/users/{missing}/tfa/disable", headers=ADA)) == FORBIDDEN
    assert error_of(await login(client, "ed@example.com")) == (401, "INVALID_OTP")
    assert is_no_content(await post(client, path, headers=ADA))

    assert "access_token" in data_of(await login(client, "ed@example.com"))


async def test_users_list_their_sessions_and_end_them(client, members):
    cookie = cookie_of(await login(client, mode="session", headers={"user-agent": "here"}))
    for agent in ("there", "elsewhere"):
        await login(client, headers={"user-agent": agent, "origin": "https://app.example.com"})
    response = await send(client, "GET", "/users/me/sessions", cookies=cookie)
    sessions = {session["user_agent"]: session for session in data_of(response)}

    current = {agent: session["current"] for agent, session in sessions.items()}
    assert current == {"here": True, "there": False, "elsewhere": False}
    assert set(sessions["here"]) == {"id", "ip", "user_agent", "origin", "expires", "current"}
    assert (sessions["there"]["origin"], sessions["there"]["expires"][-1]) == ("https://app.example.com", "Z")
    assert response.headers["cache-control"] == "no-store"

    path = f"/users/me/sessions/{sessions['there']['id']}"
    assert is_no_content(await send(client, "DELETE", path, cookies=cookie))
    assert error_of(await send(client, "DELETE", path, cookies=cookie)) == FORBIDDEN
    assert await agents(client, cookies=cookie) == {"here", "elsewhere"}
    assert is_no_content(await send(client, "DELETE", "/users/me/sessions", cookies=cookie))
    assert await agents(client, cookies=cookie) == {"here"}


async def agents(client, path="/users/me/sessions", **options):
    return {session["user_agent"] for session in data_of(await send(client, "GET", path, **options))}


async def test_only_admins_list_and_end_other_users_sessions(client, members):
    cookie = cookie_of(await login(client, mode="session", headers={"user-agent": "here"}))
    path = f"/users/{uid('vi')}"
    (session,) = data_of(await send(client, "GET", f"{path}/sessions", headers=ADA))
    for headers, error in ((bearer_of("ed"), FORBIDDEN), ({}, INVALID_CREDENTIALS)):
        for method, suffix in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{session['id']}")):
            assert error_of(await send(client, method, f"{path}/sessions{suffix}", headers=headers)) == error
    assert error_of(await send(client, "DELETE", f"/users/me/sessions/{session['id']}", headers=ADA)) == FORBIDDEN
    assert error_of(await send(client, "GET", "/users/me/sessions")) == INVALID_CREDENTIALS

    assert await agents(client, f"{path}/sessions", cookies=cookie) == {"here"}  # also by the user's own key
    assert is_no_content(await send(client, "DELETE", f"{path}/sessions/{session['id']}", headers=ADA))
    assert error_of(await send(client, "GET", "/users/me/sessions", cookies=cookie)) == INVALID_CREDENTIALS
    await login(client)
    assert is_no_content(await send(client, "DELETE", f"{path}/sessions", headers=ADA))
    assert data_of(await send(client, "GET", f"{path}/sessions", headers=ADA)) == []


async def test_a_random_string_has_the_requested_length(client):
    queries = ("", "", "?length=5", "?length=500")
    responses = [await send(client, "GET", f"/utils/random/string{query}") for query in queries]

    assert [len(data_of(response)) for response in responses] == [32, 32, 5, 500]
    assert data_of(responses[0]) != data_of(responses[1])
    assert {response.headers["cache-control"] for response in responses} == {"no-store"}


@pytest.mark.parametrize(
    ("length", "problem"),
    [
        ("501", "must be less than or equal to 500"),
        ("999999999", "must be less than or equal to 500"),
        ("0", "must be greater than or equal to 1"),
        ("-1", "must be greater than or equal to 1"),
        ("5.5", "must be an integer"),
        ("abc", "must be a number"),
        ("", "must be a number"),
        ("1e2", "must be a number"),
        ("NaN", "must be a number"),
        ("9" * 5000, "must be a number"),
        ("5&length=6", "must be a number"),
    ],
)
async def test_an_invalid_length_is_rejected_with_its_reason(client, length, problem):
    response = await send(client, "GET", f"/utils/random/string?length={length}", headers=ADA)

    assert error_of(response) == (400, "INVALID_QUERY")
    assert response.json()["errors"][0]["extensions"]["reason"] == f'"length" {problem}'


async def test_a_hash_verifies_its_own_text_only(client):
    hashed = data_of(await post(client, "/utils/hash/generate", {"string": "hello"}))
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    for text, matches in (("hello", True), ("x", False)):
        assert data_of(await post(client, "/utils/hash/verify", {"string": text, "hash": hashed})) is matches

    assert error_of(await post(client, "/utils/hash/verify", {"string": "x", "hash": "zz"})) == INVALID_PAYLOAD


async def test_only_an_admin_clears_the_cache(client):
    cleared = await post(client, "/utils/cache/clear", headers=ADA)

    assert (cleared.status_code, cleared.content) == (200, b"")
    assert "content-type" not in cleared.headers  # the SDK would try to parse JSON
    assert error_of(await post(client, "/utils/cache/clear")) == FORBIDDEN
    assert error_of(await post(client, "/utils/cache/clear", headers=bearer_of("vi"))) == FORBIDDEN


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/utils/random/string"), ("POST", "/utils/hash/generate"), ("POST", "/users/invite")]
)
async def test_an_invalid_token_is_rejected_also_where_none_is_needed(client, method, path):
    for token in ("nobodys", "a.b.c"):
        assert error_of(await send(client, method, path, {}, headers=bearer(token))) == INVALID_CREDENTIALS


async def test_a_user_who_must_set_up_two_factor_can_do_only_that(client, members):
    async with members.database.transaction() as connection:
        await connection.execute(update(Policy).where(Policy.name == "Administrators").values(enforce_tfa=True))
    ada = bearer(data_of(await login(client, "ada@example.com"))["access_token"])

    responses = [
        await post(client, "/users/invite", INVITATION, ada),
        await send(client, "DELETE", "/users/invite", {"email": "ida@example.com"}, headers=ada),
        await post(client, "/utils/cache/clear", headers=ada),
        await send(client, "GET", "/users/me/sessions", headers=ada),
        await post(client, f"/users/{uid('ed')}/tfa/disable", headers=ada),
    ]
    assert [error_of(response) for response in responses] == [FORBIDDEN] * len(responses)
    assert all("Two-factor authentication has to be set up" in response.text for response in responses)
    assert data_of(await send(client, "GET", "/utils/random/string", headers=ada))
    assert "secret" in data_of(await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, ada))

    secret = generate_totp_secret()
    assert is_no_content(await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": totp_code(secret)}, ada))
    assert is_no_content(await post(client, "/users/invite", INVITATION, ada))
