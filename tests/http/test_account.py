"""Invitations, registrations, second factors and sessions over HTTP, and small tools for clients."""

import pytest
from sqlalchemy import update

from app.core.email_links import LinkPurpose
from app.core.otp import generate_totp_secret
from app.db.models import Policy
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
from tests.world import static_token, uid

EDITOR = uid("role-Editor")
NEW = "new@example.com"
INVITATION = {"email": NEW, "role": EDITOR}
REGISTRATION = {"email": NEW, "password": "a good password"}
NO_USERS = 'You don\'t have permission to access collection "directus_users" or it does not exist. Queried in root.'
NOT_JSON = 'The body has to be JSON, with the Content-Type "application/json"'


def who(name):
    return bearer(static_token(name))


def post(client, path, body=None, headers=None, cookies=None, **options):
    return send(client, "POST", path, body, cookies, headers, **options)


def done(answer):
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    return True


async def status(system, email):
    row = await user_row(system, email)
    return row and row["status"]


async def test_one_address_or_many_are_invited(client, members):
    for body in (INVITATION, {"email": ["one@example.com", "two@example.com"], "role": EDITOR.upper()}):
        assert done(await post(client, "/users/invite", body, ADA))

    assert [await status(members, f"{name}@example.com") for name in ("new", "one", "two")] == ["invited"] * 3


async def test_who_may_make_no_users_invites_nobody(client, members):
    for headers in (None, who("vi")):
        answer = await post(client, "/users/invite", INVITATION, headers)
        assert error_of(answer) == FORBIDDEN
        assert answer.json()["errors"][0]["message"] == NO_USERS

    assert await status(members, NEW) is None


async def test_an_invitation_is_accepted_once(client, members):
    await post(client, "/users/invite", INVITATION, ADA)
    body = {
        "token": link_token(members, LinkPurpose.INVITATION, NEW, (await user_row(members, NEW))["id"]),
        "password": "my own one",
    }
    assert done(await post(client, "/users/invite/accept", body, cookies={SESSION: "garbage"}))

    assert error_of(await post(client, "/users/invite/accept", body)) == (400, "INVALID_INVITE")
    assert "access_token" in data_of(await login(client, NEW, "my own one"))


async def test_an_invitation_is_revoked_whether_or_not_there_was_one(client, members):
    await post(client, "/users/invite", INVITATION, ADA)
    token = link_token(members, LinkPurpose.INVITATION, NEW, (await user_row(members, NEW))["id"])
    for email in (NEW, NEW, "vi@example.com", "nobody@example.com"):
        assert done(await send(client, "DELETE", "/users/invite", {"email": email}, headers=ADA))

    assert (await status(members, NEW), await status(members, "vi@example.com")) == (
        None,
        "active",
    )
    body = {"token": token, "password": "my own one"}
    assert error_of(await post(client, "/users/invite/accept", body)) == (400, "INVALID_INVITE")


async def test_not_everybody_may_revoke_an_invitation(client, members):
    for headers in (None, who("vi")):
        answer = await send(client, "DELETE", "/users/invite", {"email": "ida@example.com"}, headers=headers)
        assert error_of(answer) == FORBIDDEN

    assert await status(members, "ida@example.com") == "invited"


async def test_whoever_registers_is_let_in_once_the_address_is_proved(client, members):
    body = {**REGISTRATION, "first_name": "New", "last_name": None}
    for _ in range(2):
        assert done(await post(client, "/users/register", body, cookies={SESSION: "garbage"}))
    assert done(await post(client, "/users/register", {**body, "email": "VI@example.com"}))
    elsewhere = {**body, "verification_url": "http://evil.example.com"}
    said = 'URL "http://evil.example.com" can\'t be used to verify registered users'
    assert reason_of(await post(client, "/users/register", elsewhere)) == said

    made = await user_row(members, NEW)
    assert (made["status"], made["first_name"], made["last_name"]) == ("unverified", "New", None)
    assert error_of(await login(client, NEW, "a good password")) == INVALID_CREDENTIALS
    token = link_token(members, LinkPurpose.REGISTRATION, NEW, made["id"])
    assert (await verify(client, token)).status_code == 302
    assert "access_token" in data_of(await login(client, NEW, "a good password"))
    assert error_of(await verify(client, token)) == INVALID_PAYLOAD


def verify(client, token, more="", method="GET", **options):
    return send(client, method, f"/users/register/verify-email?token={token}{more}", **options)


async def test_a_link_leads_to_a_page_of_our_own_and_takes_no_token_there(client, members):
    token = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    evil = "http://evil.example.com"
    more = f"&redirect={evil}&next={evil}&utm_source=mail"
    headers = {"host": "evil.example.com", "x-forwarded-host": "evil.example.com", "referer": evil}
    answer = await verify(client, token, more, headers=headers, cookies={SESSION: "garbage"})

    page = f"/admin/users/{uid('una')}"
    assert (answer.status_code, answer.headers["location"]) == (302, page)
    assert answer.text == f"Found. Redirecting to {page}"
    there = await send(client, "GET", page)
    assert (there.status_code, there.text) == (200, "Your address is confirmed. You can sign in now.")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert token not in str(answer.headers.multi_items())


async def test_a_program_that_looks_whether_a_link_leads_anywhere_proves_nothing(client, members):
    token = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    assert done(await verify(client, token, method="HEAD"))

    assert await status(members, "una@example.com") == "unverified"


async def test_a_link_that_is_no_good_verifies_nobody(client, members):
    good = link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"))
    refused = {
        "zzz": (403, "INVALID_TOKEN"),
        "": INVALID_PAYLOAD,
        good[:-3]: (403, "INVALID_TOKEN"),
        f"{good}%00": (403, "INVALID_TOKEN"),
        f"{good}&token={good}": INVALID_PAYLOAD,
        link_token(members, LinkPurpose.INVITATION, "una@example.com", uid("una")): FORBIDDEN,
        link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("vi")): INVALID_PAYLOAD,
        link_token(members, LinkPurpose.REGISTRATION, "una@example.com", uid("una"), hours=-1): (
            401,
            "TOKEN_EXPIRED",
        ),
    }
    for token, said in refused.items():
        answer = await verify(client, token)
        assert error_of(answer) == said, token
        assert "location" not in answer.headers
    assert reason_of(await send(client, "GET", "/users/register/verify-email")) == '"token" is required'

    assert await status(members, "una@example.com") == "unverified"


WRONG_BODIES = [
    # to where,               with which body,                                what is said to it
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
    ("users/me/tfa/enable", {"secret": "x", "otp": "1", "more": 1}, '"more" is not allowed'),
    ("users/me/tfa/disable", {}, '"otp" is required'),
    ("users/me/tfa/disable", {"otp": 123456}, '"otp" must be a string'),
    ("users/me/tfa/recovery-codes", [], '"value" must be of type object'),
    ("users/me/tfa/recovery-codes", {}, '"otp" is required'),
    (f"users/{uid('ed')}/tfa/disable", {"otp": "1"}, '"otp" is not allowed'),
    ("utils/hash/generate", {}, '"string" is required'),
    ("utils/hash/generate", {"string": 1}, '"string" must be a string'),
    ("utils/hash/verify", {"string": "x"}, '"hash" is required'),
    ("utils/hash/verify", {"string": "", "hash": "x"}, '"string" is not allowed to be empty'),
    ("utils/cache/clear", {"more": 1}, '"more" is not allowed'),
]


@pytest.mark.parametrize(("path", "body", "said"), WRONG_BODIES)
async def test_what_can_not_be_read_is_told(client, path, body, said):
    assert reason_of(await post(client, f"/{path}", body, ADA)) == said


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_does_nothing(client, members, media):
    cookie = cookie_of(await login(client, "ada@example.com", mode="session"))
    for path in sorted({path for path, _, _ in WRONG_BODIES}):
        for raw in (b"", b'{"email": "new@example.com"}'):
            answer = await post(client, f"/{path}", cookies=cookie, content=raw, headers={"content-type": media})
            assert reason_of(answer) == NOT_JSON


@pytest.mark.parametrize("path", [f"/users/{uid('ed')}/tfa/disable", "/utils/cache/clear"])
async def test_what_takes_no_body_has_to_be_called_json_where_a_cookie_says_who_asks(client, members, path):
    cookie = cookie_of(await login(client, "ada@example.com", mode="session"))

    assert reason_of(await post(client, path, cookies=cookie)) == NOT_JSON
    assert error_of(await login(client, "ed@example.com")) == (401, "INVALID_OTP")
    answer = await post(client, path, cookies=cookie, headers={"content-type": "application/json"})
    assert answer.status_code in {200, 204}


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
async def test_nobody_lives_elsewhere(client, method, path):
    answer = await send(client, method, path, {}, headers=ADA)

    assert answer.status_code == 404
    assert method == "HEAD" or error_of(answer) == ROUTE_NOT_FOUND


async def test_a_second_factor_is_set_up_used_and_taken_away(client, members):
    vi = who("vi")
    made = await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, vi)
    secret, address = data_of(made)["secret"], data_of(made)["otpauth_url"]
    assert f"secret={secret}" in address
    assert made.headers["cache-control"] == "no-store"
    wrong = await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": "000000"}, vi)
    assert reason_of(wrong) == '"otp" is invalid'
    assert done(await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": totp_code(secret)}, vi))
    again = await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, vi)
    assert reason_of(again) == "TFA Secret is already set for this user"
    assert error_of(await login(client)) == (401, "INVALID_OTP")
    assert "access_token" in data_of(await login(client, otp=totp_code(secret)))

    codes = await post(client, "/users/me/tfa/recovery-codes", {"otp": totp_code(secret)}, vi)
    assert (len(set(data_of(codes))), codes.headers["cache-control"]) == (10, "no-store")
    assert "access_token" in data_of(await login(client, otp=data_of(codes)[0]))
    assert error_of(await login(client, otp=data_of(codes)[0])) == (401, "INVALID_OTP")

    assert reason_of(await post(client, "/users/me/tfa/disable", {"otp": "000000"}, vi)) == '"otp" is invalid'
    assert done(await post(client, "/users/me/tfa/disable", {"otp": totp_code(secret)}, vi))
    assert "access_token" in data_of(await login(client))
    unset = f'User "{uid("vi")}" doesn\'t have TFA enabled'
    assert reason_of(await post(client, "/users/me/tfa/disable", {"otp": "1"}, vi)) == unset


@pytest.mark.parametrize("path", ["generate", "enable", "disable", "recovery-codes"])
async def test_nobody_in_particular_has_no_second_factor(client, path):
    for body in ({"password": "x"}, {"otp": "1", "secret": "x"}, {}):
        assert error_of(await post(client, f"/users/me/tfa/{path}", body)) == INVALID_CREDENTIALS


async def test_a_wrong_password_is_told_no_secret(client, members):
    assert (
        error_of(await post(client, "/users/me/tfa/generate", {"password": "wrong"}, who("vi"))) == INVALID_CREDENTIALS
    )


async def test_an_admin_takes_anothers_second_factor_away(client, members):
    path = f"/users/{uid('ed')}/tfa/disable"
    assert error_of(await post(client, path)) == INVALID_CREDENTIALS
    assert error_of(await post(client, path, headers=who("vi"))) == FORBIDDEN
    for missing in (uid("nobody"), "x", "%00"):
        assert error_of(await post(client, f"/users/{missing}/tfa/disable", headers=ADA)) == FORBIDDEN
    assert error_of(await login(client, "ed@example.com")) == (401, "INVALID_OTP")
    assert done(await post(client, path, headers=ADA))

    assert "access_token" in data_of(await login(client, "ed@example.com"))


async def test_one_sees_where_one_is_signed_in_and_signs_out_there(client, members):
    here = cookie_of(await login(client, mode="session", headers={"user-agent": "here"}))
    for agent in ("there", "elsewhere"):
        await login(client, headers={"user-agent": agent, "origin": "https://app.example.com"})
    answer = await send(client, "GET", "/users/me/sessions", cookies=here)
    found = {one["user_agent"]: one for one in data_of(answer)}

    assert {name: one["current"] for name, one in found.items()} == {"here": True, "there": False, "elsewhere": False}
    assert set(found["here"]) == {"id", "ip", "user_agent", "origin", "expires", "current"}
    assert (found["there"]["origin"], found["there"]["expires"][-1]) == ("https://app.example.com", "Z")
    assert answer.headers["cache-control"] == "no-store"

    gone = f"/users/me/sessions/{found['there']['id']}"
    assert done(await send(client, "DELETE", gone, cookies=here))
    assert error_of(await send(client, "DELETE", gone, cookies=here)) == FORBIDDEN
    assert await agents(client, cookies=here) == {"here", "elsewhere"}
    assert done(await send(client, "DELETE", "/users/me/sessions", cookies=here))
    assert await agents(client, cookies=here) == {"here"}


async def agents(client, path="/users/me/sessions", **shown):
    return {one["user_agent"] for one in data_of(await send(client, "GET", path, **shown))}


async def test_an_admin_sees_to_anybodys_sessions_and_nobody_else_does(client, members):
    cookie, path = (
        cookie_of(await login(client, mode="session", headers={"user-agent": "here"})),
        f"/users/{uid('vi')}",
    )
    (session,) = data_of(await send(client, "GET", f"{path}/sessions", headers=ADA))
    for headers, said in ((who("ed"), FORBIDDEN), ({}, INVALID_CREDENTIALS)):
        for method, below in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{session['id']}")):
            assert error_of(await send(client, method, f"{path}/sessions{below}", headers=headers)) == said
    assert error_of(await send(client, "DELETE", f"/users/me/sessions/{session['id']}", headers=ADA)) == FORBIDDEN
    assert error_of(await send(client, "GET", "/users/me/sessions")) == INVALID_CREDENTIALS

    assert await agents(client, f"{path}/sessions", cookies=cookie) == {"here"}  # under one's own key too
    assert done(await send(client, "DELETE", f"{path}/sessions/{session['id']}", headers=ADA))
    assert error_of(await send(client, "GET", "/users/me/sessions", cookies=cookie)) == INVALID_CREDENTIALS
    await login(client)
    assert done(await send(client, "DELETE", f"{path}/sessions", headers=ADA))
    assert data_of(await send(client, "GET", f"{path}/sessions", headers=ADA)) == []


async def test_a_random_text_is_as_long_as_it_is_wanted(client):
    texts = [
        await send(client, "GET", f"/utils/random/string{length}") for length in ("", "", "?length=5", "?length=500")
    ]

    assert [len(data_of(answer)) for answer in texts] == [32, 32, 5, 500]
    assert data_of(texts[0]) != data_of(texts[1])
    assert {answer.headers["cache-control"] for answer in texts} == {"no-store"}


@pytest.mark.parametrize(
    ("length", "said"),
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
async def test_a_length_that_can_not_be_is_told(client, length, said):
    answer = await send(client, "GET", f"/utils/random/string?length={length}", headers=ADA)

    assert error_of(answer) == (400, "INVALID_QUERY")
    assert answer.json()["errors"][0]["extensions"]["reason"] == f'"length" {said}'


async def test_a_text_is_behind_its_own_hash_and_no_other_is(client):
    hashed = data_of(await post(client, "/utils/hash/generate", {"string": "hello"}))
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    for text, right in (("hello", True), ("x", False)):
        assert data_of(await post(client, "/utils/hash/verify", {"string": text, "hash": hashed})) is right

    assert error_of(await post(client, "/utils/hash/verify", {"string": "x", "hash": "zz"})) == INVALID_PAYLOAD


async def test_only_an_admin_clears_the_cache(client):
    cleared = await post(client, "/utils/cache/clear", headers=ADA)

    assert (cleared.status_code, cleared.content) == (200, b"")
    assert "content-type" not in cleared.headers  # the SDK would read JSON
    assert error_of(await post(client, "/utils/cache/clear")) == FORBIDDEN
    assert error_of(await post(client, "/utils/cache/clear", headers=who("vi"))) == FORBIDDEN


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/utils/random/string"), ("POST", "/utils/hash/generate"), ("POST", "/users/invite")]
)
async def test_a_token_that_is_shown_has_to_be_good(client, method, path):
    for token in ("nobodys", "a.b.c"):
        assert error_of(await send(client, method, path, {}, headers=bearer(token))) == INVALID_CREDENTIALS


async def test_whoever_has_to_set_up_a_second_factor_does_that_and_nothing_else(client, members):
    async with members.database.transaction() as connection:
        await connection.execute(update(Policy).where(Policy.name == "Administrators").values(enforce_tfa=True))
    ada = bearer(data_of(await login(client, "ada@example.com"))["access_token"])

    closed = [
        await post(client, "/users/invite", INVITATION, ada),
        await send(client, "DELETE", "/users/invite", {"email": "ida@example.com"}, headers=ada),
        await post(client, "/utils/cache/clear", headers=ada),
        await send(client, "GET", "/users/me/sessions", headers=ada),
        await post(client, f"/users/{uid('ed')}/tfa/disable", headers=ada),
    ]
    assert [error_of(answer) for answer in closed] == [FORBIDDEN] * len(closed)
    assert all("Two-factor authentication has to be set up" in answer.text for answer in closed)
    assert data_of(await send(client, "GET", "/utils/random/string", headers=ada))
    assert "secret" in data_of(await post(client, "/users/me/tfa/generate", {"password": PASSWORD}, ada))

    secret = generate_totp_secret()
    assert done(await post(client, "/users/me/tfa/enable", {"secret": secret, "otp": totp_code(secret)}, ada))
    assert done(await post(client, "/users/invite", INVITATION, ada))
