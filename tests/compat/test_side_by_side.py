"""Rollcall next to a Directus on one PostgreSQL database: each accepts what the other writes.

No Directus runs here. What it writes is taken from the recordings; its tables are real, with additions of a project.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
import subprocess
import time
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import argon2
import asyncpg
import orjson
import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.core.hashing import hash_password
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_file
from app.testing import open_system
from tests.compat.replay import ROLLCALL, restore_dump
from tests.conftest import HAS_POSTGRESQL, RECORDINGS, admin_url, create_database, make_settings, run_on_server
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.clients import cookie_of
from tests.http.test_graphql import bearer, served
from tests.mail.server import MailServer
from tests.mail.test_outbox_worker import token_in

RECORDED_CASES = RECORDINGS / "oracle/cases.jsonl"
pytestmark = [
    pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL, which a Directus would share, is unavailable"),
    pytest.mark.skipif(not RECORDED_CASES.exists(), reason="the recordings of a real Directus are missing"),
]
SECRET = "a secret that only tests know and use"
PROJECT_ADDITIONS = """
CREATE TABLE our_own (id serial PRIMARY KEY, word text NOT NULL);
INSERT INTO our_own (word) VALUES ('tea'), ('coffee');
ALTER TABLE directus_users
    ADD COLUMN badge varchar(20) NOT NULL DEFAULT 'none',
    ADD COLUMN shout text GENERATED ALWAYS AS (upper(last_name)) STORED,
    ADD COLUMN drink integer REFERENCES our_own (id),
    ADD COLUMN shoe_size integer CHECK (shoe_size > 0);
ALTER TABLE directus_roles ADD COLUMN floor integer NOT NULL DEFAULT 1;
ALTER TABLE directus_policies ADD COLUMN color text;
CREATE TABLE pages (id serial PRIMARY KEY, title text, author uuid REFERENCES directus_users (id) ON DELETE SET NULL);
CREATE TABLE loans (id serial PRIMARY KEY, reader uuid NOT NULL REFERENCES directus_users (id));
"""
PASSWORD, OTHER_PASSWORD, ADMIN_TOKEN = "only in this file", "and this one too", "static-token-of-the-first-admin"
IS_SELF = '{"id": {"_eq": "$CURRENT_USER"}}'
HASH_PATTERN = re.compile(r"\$argon2id\$v=19\$[\w=,]+\$[\w+/]{22}\$[\w+/]{43}")
SESSION_COOKIE, REFRESH_COOKIE = "directus_session_token", "directus_refresh_token"


def directus_hash(password):
    """Hash a password as Directus does."""
    costs = argon2.PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4, hash_len=32, salt_len=16)
    return costs.hash(password)


PASSWORD_HASH = directus_hash(PASSWORD)


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def directus_jwt(ttl=900, **claims):
    """Return a token signed as by Directus, without Rollcall's code."""
    now = int(time.time())
    payload = {**claims, "iat": now, "exp": now + ttl, "iss": "directus"}
    signing_input = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload))
    return f"{signing_input}.{base64url(hmac.new(SECRET.encode(), signing_input.encode(), hashlib.sha256).digest())}"


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def totp_code(secret):
    """Return the current one-time password of a secret."""
    key, step = base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(key, step, hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def javascript_hash(text):
    """Return the magnitude, in hex, of JavaScript's `hash = (hash << 5) - hash + code | 0` over a text."""
    number = 0
    for character in text:
        number = ((number << 5) - number + ord(character)) & 0xFFFFFFFF
    return f"{abs(struct.unpack('>i', struct.pack('>I', number))[0]):x}"


CASES = [json.loads(line) for line in RECORDED_CASES.read_text().splitlines()] if RECORDED_CASES.exists() else []
RECORDED_CLAIMS = {case["desc"]: case["payload"] for case in CASES if case.get("step") == "decode"}
MAIL_CLAIMS = {
    case["subject"]: claims_of(case["value"]) for case in CASES if case.get("step") == "mail" and case["found"]
}
SET_COOKIE_HEADERS = {
    case["name"]: case["response_headers"]["set-cookie"][0]
    for case in CASES
    if case.get("group") == "rest.auth" and case.get("name") in ("login-cookie", "login-session")
}


class SharedDatabase:
    """A Directus' database that Rollcall adopted: `directus` writes by SQL, `client` sends requests to Rollcall."""

    def __init__(self, directus, client, mail, system):
        self.directus, self.client, self.mail, self.system = directus, client, mail, system
        self.settings = system.settings

    async def write(self, statement, *values):
        return await self.directus.fetch(statement, *values)

    async def row(self, statement, *values):
        return await self.directus.fetchrow(statement, *values)

    async def create_user(self, name, **values):
        """Create a user as Directus does, with a role, and a policy by which they read themselves."""
        user_id, role, policy = (str(uuid4()) for _ in range(3))
        values_by_column = {
            "email": f"{name}@example.com",
            "last_name": name,
            "role": role,
            "password": PASSWORD_HASH,
            **values,
        }
        await self.write("INSERT INTO directus_roles (id, name, floor) VALUES ($1, $2, 3)", role, name)
        await self.write("INSERT INTO directus_policies (id, name, color) VALUES ($1, $2, 'green')", policy, name)
        row = "INSERT INTO directus_access (id, role, policy, sort) VALUES ($1, $2, $3, 1)"
        await self.write(row, str(uuid4()), role, policy)
        await self.grant(policy, "id,email,title,role")
        columns, placeholders = (
            ", ".join(values_by_column),
            ", ".join(f"${i}" for i in range(2, len(values_by_column) + 2)),
        )
        project_columns = "badge, drink, shoe_size"
        row = (
            f"INSERT INTO directus_users (id, {columns}, {project_columns}) VALUES ($1, {placeholders}, 'gold', 2, 43)"
        )
        await self.write(row, user_id, *values_by_column.values())
        return SimpleNamespace(id=user_id, role=role, policy=policy, email=values_by_column["email"], name=name)

    async def grant(self, policy, fields, action="read"):
        row = (
            "INSERT INTO directus_permissions (policy, collection, action, permissions, fields)"
            " VALUES ($1, 'directus_users', $2, $3, $4)"
        )
        await self.write(row, policy, action, IS_SELF, fields)

    async def create_session(self, user, token, ttl="7 days"):
        """Create a session as Directus does."""
        row = (
            'INSERT INTO directus_sessions (token, "user", expires, ip, user_agent)'
            f" VALUES ($1, $2, now() + interval '{ttl}', '127.0.0.1', 'a browser')"
        )
        await self.write(row, token, user.id)

    async def send(self, method, path, body=None, token=None, cookies=None):
        self.client.cookies.clear()
        headers = bearer(token) if token else {}
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return await self.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))

    async def me(self, token=None, cookies=None):
        """Return the email of the caller, or the status of the error."""
        response = await self.send("GET", "/users/me?fields=email", token=token, cookies=cookies)
        return response.json()["data"]["email"] if response.status_code == 200 else response.status_code

    async def login(self, user, password=PASSWORD, **options):
        return await self.send("POST", "/auth/login", {"email": user.email, "password": password, **options})

    async def admin(self, method, path, body=None):
        response = await self.send(method, path, body, token=ADMIN_TOKEN)
        assert response.status_code in (200, 204), response.text
        return response.json()["data"] if response.content else None

    async def mailed_token(self, recipient):
        """Wait for the next mail to a recipient and return the token of its link."""
        for _ in range(300):
            mails = [mail for mail in self.mail.mails if mail.to == [recipient]]
            if mails:
                self.mail.mails.clear()
                return token_in(mails[0])
            await asyncio.sleep(0.02)
        raise AssertionError(f"no mail to {recipient}")


@pytest_asyncio.fixture(scope="module")
async def shared_db():
    """A Directus' tables with a project's additions, adopted by Rollcall."""
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name)
    restore_dump(admin_url(name), RECORDINGS / "oracle/directus-tables.sql")
    directus = await asyncpg.connect(admin_url(name))
    await directus.execute(f"SET search_path TO public; {PROJECT_ADDITIONS}")
    mail = MailServer()
    smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mail.port}
    overrides = {**SETTINGS_OVERRIDES, **smtp, "secret": SecretStr(SECRET), "admin_token": SecretStr(ADMIN_TOKEN)}
    settings = make_settings(admin_url(name), **overrides)
    async with mail.up(), open_system(settings) as system:
        await bootstrap(system.database, settings)
        async with served(settings) as client:
            yield SharedDatabase(directus, client, mail, system)
    await directus.close()
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


# Rollcall accepts what Directus wrote.


async def test_a_jwt_of_directus_is_accepted(shared_db):
    ann = await shared_db.create_user("ann")
    for description in ("access token payload", "role null", "enforce_tfa claim"):
        claims = {**RECORDED_CLAIMS[description], "id": ann.id, "enforce_tfa": False}
        assert await shared_db.me(directus_jwt(**claims)) == ann.email


async def test_a_session_cookie_of_directus_is_accepted_while_its_row_exists_and_can_be_refreshed(shared_db):
    bea, token = await shared_db.create_user("bea"), RECORDED_CLAIMS["session token payload"]["session"]
    cookie = {SESSION_COOKIE: directus_jwt(86400, **{**RECORDED_CLAIMS["session token payload"], "id": bea.id})}
    assert await shared_db.me(cookies=cookie) == 401
    await shared_db.create_session(bea, token, "1 day")
    assert await shared_db.me(cookies=cookie) == bea.email

    new_cookie = cookie_of(await shared_db.send("POST", "/auth/refresh", {"mode": "session"}, cookies=cookie))
    assert await shared_db.me(cookies=new_cookie) == bea.email
    row = await shared_db.row("SELECT next_token FROM directus_sessions WHERE token = $1", token)
    assert row["next_token"] == claims_of(new_cookie[SESSION_COOKIE])["session"]


async def test_a_refresh_token_of_directus_is_valid_once(shared_db):
    cem = await shared_db.create_user("cem")
    for mode, token in (
        ("json", "l_tSIMSGc9z9dqJOVEJqQiljIQ8t7srcexuyp0p0zxWVVbeR0IVYobh7ZiIk5vhm"),
        ("cookie", "c" * 64),
    ):
        await shared_db.create_session(cem, token)
        body = {"mode": mode, **({"refresh_token": token} if mode == "json" else {})}
        cookies = {REFRESH_COOKIE: token} if mode == "cookie" else None
        first, second = [await shared_db.send("POST", "/auth/refresh", body, cookies=cookies) for _ in range(2)]
        assert await shared_db.me(first.json()["data"]["access_token"]) == cem.email
        assert second.status_code == 401


async def test_static_tokens_passwords_and_tfa_secrets_of_directus_are_accepted(shared_db):
    secret = "CMAX27JMPV6FIQSM"
    dan = await shared_db.create_user("dan", token="Zt4uWq1_kY-a-static-token-of-dan", tfa_secret=secret)
    rejected, accepted = await shared_db.login(dan), await shared_db.login(dan, otp=totp_code(secret))

    assert await shared_db.me("Zt4uWq1_kY-a-static-token-of-dan") == dan.email
    assert rejected.json()["errors"][0]["extensions"]["code"] == "INVALID_OTP"
    assert await shared_db.me(accepted.json()["data"]["access_token"]) == dan.email


LINK_CASES = [
    # values of the user, claims beside the email, path
    ({"status": "invited", "password": None}, {"scope": "invite"}, "/users/invite/accept"),
    ({}, {"scope": "password-reset", "hash": javascript_hash(PASSWORD_HASH)}, "/auth/password/reset"),
    ({"password": None}, {"scope": "password-reset", "hash": javascript_hash("null")}, "/auth/password/reset"),
]


@pytest.mark.parametrize(("values", "claims", "path"), LINK_CASES)
async def test_a_link_of_directus_sets_a_password(shared_db, values, claims, path):
    eva = await shared_db.create_user(f"eva{LINK_CASES.index((values, claims, path))}", **values)
    response = await shared_db.send(
        "POST", path, {"token": directus_jwt(email=eva.email, **claims), "password": OTHER_PASSWORD}
    )

    assert response.status_code == 204, response.text
    assert (await shared_db.login(eva, OTHER_PASSWORD)).status_code == 200


async def test_a_registration_with_directus_is_verified(shared_db):
    fay = await shared_db.create_user("fay", status="unverified")
    token = directus_jwt(email=fay.email, scope="pending-registration")
    response = await shared_db.send("GET", f"/users/register/verify-email?token={token}")

    assert response.status_code == 302
    assert (await shared_db.login(fay)).status_code == 200


# Rollcall writes what Directus would write.


async def test_jwts_have_the_same_claims_as_those_of_directus(shared_db):
    gus = await shared_db.create_user("gus")
    await shared_db.write("UPDATE directus_policies SET app_access = true WHERE id = $1", gus.policy)
    tokens = (await shared_db.login(gus)).json()["data"]
    claims, recorded = claims_of(tokens["access_token"]), RECORDED_CLAIMS["app_access token payload"]
    session = claims_of(cookie_of(await shared_db.login(gus, mode="session"))[SESSION_COOKIE])

    assert list(claims) == list(recorded)
    assert {name: claims[name] for name in ("id", "role")} == {"id": gus.id, "role": gus.role}
    assert {name: claims[name] for name in ("app_access", "admin_access", "iss")} == {
        name: recorded[name] for name in ("app_access", "admin_access", "iss")
    }
    assert claims["exp"] - claims["iat"] == recorded["exp"] - recorded["iat"]
    recorded = RECORDED_CLAIMS["session token payload"]
    assert list(session) == list(recorded)
    # `exp` is the row's expiry, truncated to a second
    assert 0 <= recorded["exp"] - recorded["iat"] - (session["exp"] - session["iat"]) <= 1
    await shared_db.write("UPDATE directus_policies SET enforce_tfa = true WHERE id = $1", gus.policy)
    tokens = (await shared_db.login(gus)).json()["data"]
    assert list(claims_of(tokens["access_token"])) == list(RECORDED_CLAIMS["enforce_tfa claim"])


async def test_session_rows_equal_those_of_directus(shared_db):
    hal = await shared_db.create_user("hal")
    token = (await shared_db.login(hal)).json()["data"]["refresh_token"]
    (case,) = [case for case in CASES if case.get("desc") == "session row"]
    sql = re.sub(r"token='[^']+'", f"token='{token}'", case["sql"])
    row, recorded = list((await shared_db.row(sql)).values()), case["rows"][0]

    assert re.fullmatch(r"[\w-]{64}", token)
    assert (str(row[0]), str(row[1])) == (recorded[0], hal.id)
    assert timedelta(days=6, hours=23) < row[2] <= timedelta(days=7)
    assert [value is None for value in row[3:]] == [value is None for value in recorded[3:]]


@pytest.mark.parametrize(("mode", "case"), [("cookie", "login-cookie"), ("session", "login-session")])
async def test_cookies_have_the_same_name_and_attributes_as_those_of_directus(shared_db, mode, case):
    ian = await shared_db.create_user(f"ian-{mode}")
    (header,) = (await shared_db.login(ian, mode=mode)).headers.get_list("set-cookie")

    def name_and_attributes(line):
        pair, *flags = line.split("; ")
        return pair.partition("=")[0], {flag for flag in flags if not flag.startswith("Expires")}

    assert name_and_attributes(header) == name_and_attributes(SET_COOKIE_HEADERS[case])


def test_hashes_have_the_same_parameters_as_those_of_directus():
    recorded = [match for case in CASES for match in HASH_PATTERN.findall(json.dumps(case))]
    own = hash_password(PASSWORD)

    assert recorded
    assert all(
        argon2.extract_parameters(hashed) == argon2.extract_parameters(own) for hashed in (*recorded, PASSWORD_HASH)
    )
    assert argon2.PasswordHasher().verify(own, PASSWORD)


async def test_a_tfa_secret_is_stored_as_by_directus(shared_db):
    (case,) = [case for case in CASES if case.get("name") == "generate-ok"]
    recorded = case["response"]["data"]["users_me_tfa_generate"]["secret"]
    jan = await shared_db.create_user("jan")
    token = (await shared_db.login(jan)).json()["data"]["access_token"]
    setup = (await shared_db.send("POST", "/users/me/tfa/generate", {"password": PASSWORD}, token)).json()["data"]
    body = {"secret": setup["secret"], "otp": totp_code(setup["secret"])}
    assert (await shared_db.send("POST", "/users/me/tfa/enable", body, token)).status_code == 204
    row = await shared_db.row("SELECT tfa_secret FROM directus_users WHERE id = $1", jan.id)

    assert row["tfa_secret"] == setup["secret"]
    assert re.fullmatch("[A-Z2-7]{16}", recorded)
    assert re.fullmatch("[A-Z2-7]{32}", setup["secret"])


async def test_links_have_the_claims_of_directus_and_the_user(shared_db):
    """Directus ignores the additional claim."""
    kim = await shared_db.create_user("kim")
    await shared_db.write("UPDATE directus_settings SET public_registration = true")
    requests = [
        ("You've been invited", "/users/invite", {"email": "new@example.com", "role": kim.role}, "new@example.com"),
        ("Password Reset Request", "/auth/password/request", {"email": kim.email}, kim.email),
        (
            "Verify your email address",
            "/users/register",
            {"email": "reg@example.com", "password": "p"},
            "reg@example.com",
        ),
    ]
    for subject, path, body, recipient in requests:
        response = await shared_db.send("POST", path, body, token=ADMIN_TOKEN if "invite" in path else None)
        assert response.status_code == 204, response.text
        claims, recorded = claims_of(await shared_db.mailed_token(recipient)), MAIL_CLAIMS[subject]
        assert claims.keys() == recorded.keys() | {"user"}, subject
        assert (claims["email"], claims["scope"], claims["iss"]) == (recipient, recorded["scope"], recorded["iss"])
        assert claims["exp"] - claims["iat"] == recorded["exp"] - recorded["iat"]
        if "hash" in recorded:
            assert claims["hash"] == javascript_hash(PASSWORD_HASH)


def test_a_link_of_a_user_without_a_password_has_the_hash_of_null():
    """Recorded for a user without a password."""
    (case,) = [case for case in CASES if case.get("to") == "zed@corp.example.com" and case.get("found")]

    assert claims_of(case["value"])["hash"] == javascript_hash("null")


# Changes by Directus apply at the next statement.

DATABASE_CHANGES = [
    # statement, field, response before, response after
    (
        "UPDATE directus_permissions SET fields = 'id,email,last_name' WHERE policy = '{policy}'",
        "last_name",
        403,
        "{name}",
    ),
    ("UPDATE directus_permissions SET fields = 'id' WHERE policy = '{policy}'", "email", "{email}", 403),
    ("DELETE FROM directus_permissions WHERE policy = '{policy}'", "email", "{email}", 403),
    ("DELETE FROM directus_access WHERE policy = '{policy}'", "email", "{email}", 403),
    ("UPDATE directus_policies SET ip_access = '10.9.9.9' WHERE id = '{policy}'", "email", "{email}", 403),
    ("UPDATE directus_policies SET admin_access = true WHERE id = '{policy}'", "last_name", 403, "{name}"),
    ("UPDATE directus_users SET role = NULL WHERE id = '{id}'", "email", "{email}", 403),
    ("UPDATE directus_users SET status = 'suspended' WHERE id = '{id}'", "email", "{email}", 401),
    ("UPDATE directus_users SET token = 'another-of-{name}' WHERE id = '{id}'", "email", "{email}", 401),
    ("DELETE FROM directus_users WHERE id = '{id}'", "email", "{email}", 401),
]


@pytest.mark.sampled
@pytest.mark.parametrize("change", range(len(DATABASE_CHANGES)))
async def test_a_change_by_directus_applies_at_the_next_statement(shared_db, change):
    statement, field, before, after = DATABASE_CHANGES[change]
    lou = await shared_db.create_user(f"lou{change}", token=f"static-of-lou{change}")

    async def read_field():
        response = await shared_db.send("GET", f"/users/{lou.id}?fields={field}", token=f"static-of-lou{change}")
        return response.json()["data"][field] if response.status_code == 200 else response.status_code

    responses = [await read_field(), await read_field()]
    await shared_db.write(statement.format(**vars(lou)))
    responses.append(await read_field())

    expected = [value.format(**vars(lou)) if isinstance(value, str) else value for value in (before, before, after)]
    assert responses == expected


async def test_a_password_changed_and_a_session_ended_by_directus_apply(shared_db):
    mia = await shared_db.create_user("mia")
    cookie = cookie_of(await shared_db.login(mia, mode="session"))
    refresh = (await shared_db.login(mia)).json()["data"]["refresh_token"]
    assert await shared_db.me(cookies=cookie) == mia.email
    await shared_db.write(
        "UPDATE directus_users SET password = $1 WHERE id = $2", directus_hash(OTHER_PASSWORD), mia.id
    )
    await shared_db.write('DELETE FROM directus_sessions WHERE "user" = $1', mia.id)

    assert await shared_db.me(cookies=cookie) == 401
    assert (await shared_db.send("POST", "/auth/refresh", {"refresh_token": refresh})).status_code == 401
    assert [(await shared_db.login(mia, password)).status_code for password in (PASSWORD, OTHER_PASSWORD)] == [401, 200]


# Rollcall leaves a project's own columns and tables alone.


async def project_columns(shared_db, user):
    sql = "SELECT badge, shout, drink, shoe_size FROM directus_users WHERE id = $1"
    return tuple((await shared_db.row(sql, user.id)).values())


GRAPHQL = "/graphql/system"
ROLLCALL_WRITES = {
    "rest": lambda nia: ("PATCH", f"/users/{nia.id}", {"title": "a"}),
    "by keys": lambda nia: ("PATCH", "/users", {"keys": [nia.id], "data": {"title": "b"}}),
    "batch": lambda nia: ("PATCH", "/users", [{"id": nia.id, "title": "c", "tags": ["x"]}]),
    "graphql": lambda nia: (
        "POST",
        GRAPHQL,
        {"query": f'mutation {{ update_users_item(id: "{nia.id}", data: {{ title: "d" }}) {{ id }} }}'},
    ),
    "nested": lambda nia: ("PATCH", f"/roles/{nia.role}", {"users": {"update": [{"id": nia.id, "title": "e"}]}}),
    "of a role": lambda nia: ("PATCH", f"/roles/{nia.role}", {"name": "Other", "app_access": True}),
    "of a policy": lambda nia: ("PATCH", f"/policies/{nia.policy}", {"name": "Other"}),
    "status": lambda nia: ("PATCH", f"/users/{nia.id}", {"status": "suspended"}),
    "password": lambda nia: ("PATCH", f"/users/{nia.id}", {"password": OTHER_PASSWORD}),
    "no role": lambda nia: ("DELETE", f"/roles/{nia.role}", None),
}


@pytest.mark.parametrize("kind", ROLLCALL_WRITES)
async def test_no_write_changes_a_projects_columns(shared_db, kind):
    nia = await shared_db.create_user(f"nia-{kind}")
    before = await project_columns(shared_db, nia)
    method, path, body = ROLLCALL_WRITES[kind](nia)
    response = await shared_db.send(method, path, body, token=ADMIN_TOKEN)

    assert response.status_code in (200, 204), response.text
    assert "errors" not in (response.json() if response.content else {})
    assert await project_columns(shared_db, nia) == before == ("gold", f"NIA-{kind.upper()}", 2, 43)
    assert (await shared_db.row("SELECT color FROM directus_policies WHERE id = $1", nia.policy))["color"] == "green"
    role = await shared_db.row("SELECT floor FROM directus_roles WHERE id = $1", nia.role)
    assert role is None if kind == "no role" else role["floor"] == 3


async def test_no_flow_changes_a_projects_columns(shared_db):
    ora = await shared_db.create_user("ora", status="invited", password=None)
    token = directus_jwt(email=ora.email, scope="invite")
    await shared_db.send("POST", "/users/invite/accept", {"token": token, "password": PASSWORD})
    access = (await shared_db.login(ora)).json()["data"]["access_token"]
    setup = (await shared_db.send("POST", "/users/me/tfa/generate", {"password": PASSWORD}, access)).json()["data"]
    body = {"secret": setup["secret"], "otp": totp_code(setup["secret"])}
    await shared_db.send("POST", "/users/me/tfa/enable", body, access)
    await shared_db.send("POST", f"/users/{ora.id}/tfa/disable", {}, ADMIN_TOKEN)
    await shared_db.send("POST", "/auth/password/request", {"email": ora.email})
    token = await shared_db.mailed_token(ora.email)
    await shared_db.send("POST", "/auth/password/reset", {"token": token, "password": OTHER_PASSWORD})

    assert (await shared_db.login(ora, OTHER_PASSWORD)).status_code == 200
    assert await project_columns(shared_db, ora) == ("gold", "ORA", 2, 43)


async def test_a_new_user_gets_the_defaults_of_a_projects_columns(shared_db):
    created = await shared_db.admin("POST", "/users", {"email": "new-one@example.com", "last_name": "Nováková"})

    assert not {"badge", "shout", "drink", "shoe_size"} & created.keys()
    assert await project_columns(shared_db, SimpleNamespace(id=created["id"])) == ("none", "NOVÁKOVÁ", None, None)


async def test_a_projects_foreign_keys_to_users_are_respected(shared_db):
    pia, quy = await shared_db.create_user("pia"), await shared_db.create_user("quy")
    await shared_db.write("INSERT INTO pages (title, author) VALUES ('Hers', $1)", pia.id)
    await shared_db.write("INSERT INTO loans (reader) VALUES ($1)", quy.id)
    deletion = await shared_db.send("DELETE", f"/users/{pia.id}", token=ADMIN_TOKEN)
    rejected = await shared_db.send("DELETE", f"/users/{quy.id}", token=ADMIN_TOKEN)

    assert deletion.status_code == 204
    assert (await shared_db.row("SELECT author FROM pages WHERE title = 'Hers'"))["author"] is None
    extensions = rejected.json()["errors"][0]["extensions"]
    assert extensions["code"] == "INVALID_FOREIGN_KEY"
    assert extensions["references"] == [{"table": "loans", "column": "reader", "count": 1}]  # the caller is an admin
    assert await shared_db.me(directus_jwt(**{**RECORDED_CLAIMS["access token payload"], "id": quy.id})) == quy.email


async def test_an_export_lists_a_projects_columns_and_an_import_does_not_change_them(shared_db, tmp_path):
    ray, file = await shared_db.create_user("ray"), tmp_path / "all.json"
    env = {"DATABASE_URL": shared_db.settings.database_url, "PATH": "/usr/bin:/bin", "SECRET": SECRET}
    command = [*ROLLCALL, "export", str(file)]
    process = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=True)
    (row,) = [row for row in orjson.loads(file.read_bytes())["directus_users"] if row["id"] == ray.id]
    await shared_db.write("UPDATE directus_users SET title = 'to be gone', badge = 'iron' WHERE id = $1", ray.id)
    await import_file(shared_db.system.database, file)

    names = ("users.badge", "users.drink", "users.shoe_size", "users.shout", "roles.floor", "policies.color")
    assert all(f"directus_{name}" in process.stderr for name in names)
    assert not {"badge", "shout", "drink", "shoe_size"} & row.keys()
    assert await project_columns(shared_db, ray) == ("iron", "RAY", 2, 43)
    assert (await shared_db.row("SELECT title FROM directus_users WHERE id = $1", ray.id))["title"] is None
