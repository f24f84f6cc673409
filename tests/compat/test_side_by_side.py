"""Beside a Directus on one PostgreSQL: what it wrote opens our doors, what we write is as it would have written it.

There is none here to ask: its forms are those of the recordings. Its tables are, and a project has added to them.
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
from tests.compat.replay import ROLLCALL, restore
from tests.conftest import HAS_POSTGRESQL, RECORDINGS, admin_url, create_database, make_settings, run_on_server
from tests.flows.inviters import SETTINGS_OVERRIDES
from tests.http.clients import cookie_of
from tests.http.test_graphql import bearer, served
from tests.mail.server import MailServer
from tests.mail.test_outbox_worker import token_in

RECORDED = RECORDINGS / "oracle/cases.jsonl"
pytestmark = [
    pytest.mark.skipif(not HAS_POSTGRESQL, reason="it is PostgreSQL that we share with a Directus, and none answers"),
    pytest.mark.skipif(not RECORDED.exists(), reason="the recordings of a real Directus are not beside this checkout"),
]
SECRET = "a secret only tests know"
ADDED = """
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
PASSWORD, ANOTHER, ADMIN = "only in this file", "and this one too", "static-token-of-the-first-admin"
READS_ITSELF = '{"id": {"_eq": "$CURRENT_USER"}}'
HASH = re.compile(r"\$argon2id\$v=19\$[\w=,]+\$[\w+/]{22}\$[\w+/]{43}")
SESSION, REFRESH = "directus_session_token", "directus_refresh_token"


def directus_hash(password):
    """A password as Directus hashes it."""
    costs = argon2.PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4, hash_len=32, salt_len=16)
    return costs.hash(password)


HASHED = directus_hash(PASSWORD)


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(ttl=900, **claims):
    """A token as Directus signs it, by nothing of ours."""
    now = int(time.time())
    told = {**claims, "iat": now, "exp": now + ttl, "iss": "directus"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, told))
    return f"{text}.{encoded(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest())}"


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def shown_code(secret):
    """What an authenticator shows now."""
    key, step = base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(key, step, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def folded(text):
    """The number that JavaScript's `hash = (hash << 5) - hash + code | 0` makes of a text, as its magnitude in hex."""
    number = 0
    for character in text:
        number = ((number << 5) - number + ord(character)) & 0xFFFFFFFF
    return f"{abs(struct.unpack('>i', struct.pack('>I', number))[0]):x}"


CASES = [json.loads(line) for line in RECORDED.read_text().splitlines()] if RECORDED.exists() else []
CLAIMS = {case["desc"]: case["payload"] for case in CASES if case.get("step") == "decode"}
MAILED = {case["subject"]: claims_of(case["value"]) for case in CASES if case.get("step") == "mail" and case["found"]}
COOKIES = {
    case["name"]: case["response_headers"]["set-cookie"][0]
    for case in CASES
    if case.get("group") == "rest.auth" and case.get("name") in ("login-cookie", "login-session")
}


class Beside:
    """A Directus' database that we adopted: the neighbour writes into it by SQL, `client` asks at our doors."""

    def __init__(self, neighbour, client, mail, system):
        self.neighbour, self.client, self.mail, self.system = neighbour, client, mail, system
        self.settings = system.settings

    async def write(self, statement, *values):
        return await self.neighbour.fetch(statement, *values)

    async def row(self, statement, *values):
        return await self.neighbour.fetchrow(statement, *values)

    async def arrives(self, name, **values):
        """Somebody whom the neighbour made, with a role and a policy that shows them themselves."""
        key, role, policy = (str(uuid4()) for _ in range(3))
        given = {"email": f"{name}@example.com", "last_name": name, "role": role, "password": HASHED, **values}
        await self.write("INSERT INTO directus_roles (id, name, floor) VALUES ($1, $2, 3)", role, name)
        await self.write("INSERT INTO directus_policies (id, name, color) VALUES ($1, $2, 'green')", policy, name)
        row = "INSERT INTO directus_access (id, role, policy, sort) VALUES ($1, $2, $3, 1)"
        await self.write(row, str(uuid4()), role, policy)
        await self.grants(policy, "id,email,title,role")
        columns, places = ", ".join(given), ", ".join(f"${at}" for at in range(2, len(given) + 2))
        added = "badge, drink, shoe_size"
        row = f"INSERT INTO directus_users (id, {columns}, {added}) VALUES ($1, {places}, 'gold', 2, 43)"
        await self.write(row, key, *given.values())
        return SimpleNamespace(id=key, role=role, policy=policy, email=given["email"], name=name)

    async def grants(self, policy, fields, action="read"):
        row = (
            "INSERT INTO directus_permissions (policy, collection, action, permissions, fields)"
            " VALUES ($1, 'directus_users', $2, $3, $4)"
        )
        await self.write(row, policy, action, READS_ITSELF, fields)

    async def opens(self, person, token, ttl="7 days"):
        """A session as Directus keeps it."""
        row = (
            'INSERT INTO directus_sessions (token, "user", expires, ip, user_agent)'
            f" VALUES ($1, $2, now() + interval '{ttl}', '127.0.0.1', 'a browser')"
        )
        await self.write(row, token, person.id)

    async def send(self, method, path, body=None, token=None, cookies=None):
        self.client.cookies.clear()
        headers = bearer(token) if token else {}
        if cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return await self.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))

    async def me(self, token=None, cookies=None):
        """Who we say somebody is, or the status we refuse them with."""
        answer = await self.send("GET", "/users/me?fields=email", token=token, cookies=cookies)
        return answer.json()["data"]["email"] if answer.status_code == 200 else answer.status_code

    async def login(self, person, password=PASSWORD, **more):
        return await self.send("POST", "/auth/login", {"email": person.email, "password": password, **more})

    async def admin(self, method, path, body=None):
        answer = await self.send(method, path, body, token=ADMIN)
        assert answer.status_code in (200, 204), answer.text
        return answer.json()["data"] if answer.content else None

    async def mailed(self, to):
        """The token in the next mail to somebody."""
        for _ in range(300):
            found = [letter for letter in self.mail.mails if letter.to == [to]]
            if found:
                self.mail.mails.clear()
                return token_in(found[0])
            await asyncio.sleep(0.02)
        raise AssertionError(f"no mail to {to}")


@pytest_asyncio.fixture(scope="module")
async def beside():
    """A Directus' tables, and a project's additions, which we adopted."""
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name)
    restore(admin_url(name), RECORDINGS / "oracle/directus-tables.sql")
    neighbour = await asyncpg.connect(admin_url(name))
    await neighbour.execute(f"SET search_path TO public; {ADDED}")
    mail = MailServer()
    smtp = {"email_transport": "smtp", "email_smtp_host": "127.0.0.1", "email_smtp_port": mail.port}
    changed = {**SETTINGS_OVERRIDES, **smtp, "secret": SecretStr(SECRET), "admin_token": SecretStr(ADMIN)}
    settings = make_settings(admin_url(name), **changed)
    async with mail.up(), open_system(settings) as system:
        await bootstrap(system.database, settings)
        async with served(settings) as client:
            yield Beside(neighbour, client, mail, system)
    await neighbour.close()
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


# What a Directus made, and we take.


async def test_a_signed_token_of_its_is_good(beside):
    ann = await beside.arrives("ann")
    for described in ("access token payload", "role null", "enforce_tfa claim"):
        claims = {**CLAIMS[described], "id": ann.id, "enforce_tfa": False}
        assert await beside.me(signed(**claims)) == ann.email


async def test_a_session_cookie_of_its_is_good_while_its_row_is_there_and_goes_on_with_us(beside):
    bea, token = await beside.arrives("bea"), CLAIMS["session token payload"]["session"]
    cookie = {SESSION: signed(86400, **{**CLAIMS["session token payload"], "id": bea.id})}
    assert await beside.me(cookies=cookie) == 401
    await beside.opens(bea, token, "1 day")
    assert await beside.me(cookies=cookie) == bea.email

    after = cookie_of(await beside.send("POST", "/auth/refresh", {"mode": "session"}, cookies=cookie))
    assert await beside.me(cookies=after) == bea.email
    row = await beside.row("SELECT next_token FROM directus_sessions WHERE token = $1", token)
    assert row["next_token"] == claims_of(after[SESSION])["session"]


async def test_a_refresh_token_of_its_is_good_once(beside):
    cem = await beside.arrives("cem")
    for mode, given in (
        ("json", "l_tSIMSGc9z9dqJOVEJqQiljIQ8t7srcexuyp0p0zxWVVbeR0IVYobh7ZiIk5vhm"),
        ("cookie", "c" * 64),
    ):
        await beside.opens(cem, given)
        told = {"mode": mode, **({"refresh_token": given} if mode == "json" else {})}
        cookies = {REFRESH: given} if mode == "cookie" else None
        first, again = [await beside.send("POST", "/auth/refresh", told, cookies=cookies) for _ in range(2)]
        assert await beside.me(first.json()["data"]["access_token"]) == cem.email
        assert again.status_code == 401


async def test_static_tokens_passwords_and_second_factors_of_its_are_good(beside):
    secret = "CMAX27JMPV6FIQSM"
    dan = await beside.arrives("dan", token="Zt4uWq1_kY-a-static-token-of-dan", tfa_secret=secret)
    refused, let_in = await beside.login(dan), await beside.login(dan, otp=shown_code(secret))

    assert await beside.me("Zt4uWq1_kY-a-static-token-of-dan") == dan.email
    assert refused.json()["errors"][0]["extensions"]["code"] == "INVALID_OTP"
    assert await beside.me(let_in.json()["data"]["access_token"]) == dan.email


LINKS = [
    # who it is for,                          what its token says beside the address,       where it is used
    ({"status": "invited", "password": None}, {"scope": "invite"}, "/users/invite/accept"),
    ({}, {"scope": "password-reset", "hash": folded(HASHED)}, "/auth/password/reset"),
    ({"password": None}, {"scope": "password-reset", "hash": folded("null")}, "/auth/password/reset"),
]


@pytest.mark.parametrize(("values", "says", "path"), LINKS)
async def test_a_link_of_its_leads_to_a_password_here(beside, values, says, path):
    eva = await beside.arrives(f"eva{LINKS.index((values, says, path))}", **values)
    answer = await beside.send("POST", path, {"token": signed(email=eva.email, **says), "password": ANOTHER})

    assert answer.status_code == 204, answer.text
    assert (await beside.login(eva, ANOTHER)).status_code == 200


async def test_a_registration_of_its_is_verified_here(beside):
    fay = await beside.arrives("fay", status="unverified")
    token = signed(email=fay.email, scope="pending-registration")
    answer = await beside.send("GET", f"/users/register/verify-email?token={token}")

    assert answer.status_code == 302
    assert (await beside.login(fay)).status_code == 200


# What we make, and a Directus takes.


async def test_our_tokens_say_what_its_tokens_say(beside):
    gus = await beside.arrives("gus")
    await beside.write("UPDATE directus_policies SET app_access = true WHERE id = $1", gus.policy)
    told = (await beside.login(gus)).json()["data"]
    ours, its = claims_of(told["access_token"]), CLAIMS["app_access token payload"]
    session = claims_of(cookie_of(await beside.login(gus, mode="session"))[SESSION])

    assert list(ours) == list(its)
    assert {name: ours[name] for name in ("id", "role")} == {"id": gus.id, "role": gus.role}
    assert {name: ours[name] for name in ("app_access", "admin_access", "iss")} == {
        name: its[name] for name in ("app_access", "admin_access", "iss")
    }
    assert ours["exp"] - ours["iat"] == its["exp"] - its["iat"]
    its = CLAIMS["session token payload"]
    assert list(session) == list(its)
    assert 0 <= its["exp"] - its["iat"] - (session["exp"] - session["iat"]) <= 1  # it ends with the row's whole second
    await beside.write("UPDATE directus_policies SET enforce_tfa = true WHERE id = $1", gus.policy)
    told = (await beside.login(gus)).json()["data"]
    assert list(claims_of(told["access_token"])) == list(CLAIMS["enforce_tfa claim"])


async def test_our_sessions_are_rows_as_its_are(beside):
    hal = await beside.arrives("hal")
    token = (await beside.login(hal)).json()["data"]["refresh_token"]
    (case,) = [case for case in CASES if case.get("desc") == "session row"]
    asked = re.sub(r"token='[^']+'", f"token='{token}'", case["sql"])
    ours, its = list((await beside.row(asked)).values()), case["rows"][0]

    assert re.fullmatch(r"[\w-]{64}", token)
    assert (str(ours[0]), str(ours[1])) == (its[0], hal.id)
    assert timedelta(days=6, hours=23) < ours[2] <= timedelta(days=7)
    assert [value is None for value in ours[3:]] == [value is None for value in its[3:]]


@pytest.mark.parametrize(("mode", "case"), [("cookie", "login-cookie"), ("session", "login-session")])
async def test_our_cookies_are_named_and_kept_as_its_are(beside, mode, case):
    ian = await beside.arrives(f"ian-{mode}")
    (ours,) = (await beside.login(ian, mode=mode)).headers.get_list("set-cookie")

    def kept(line):
        pair, *flags = line.split("; ")
        return pair.partition("=")[0], {flag for flag in flags if not flag.startswith("Expires")}

    assert kept(ours) == kept(COOKIES[case])


def test_our_hashes_are_made_as_its_are():
    its = [found for case in CASES for found in HASH.findall(json.dumps(case))]
    ours = hash_password(PASSWORD)

    assert its
    assert all(argon2.extract_parameters(hashed) == argon2.extract_parameters(ours) for hashed in (*its, HASHED))
    assert argon2.PasswordHasher().verify(ours, PASSWORD)


async def test_a_second_factor_of_ours_is_stored_as_its_is(beside):
    (case,) = [case for case in CASES if case.get("name") == "generate-ok"]
    its = case["response"]["data"]["users_me_tfa_generate"]["secret"]
    jan = await beside.arrives("jan")
    token = (await beside.login(jan)).json()["data"]["access_token"]
    told = (await beside.send("POST", "/users/me/tfa/generate", {"password": PASSWORD}, token)).json()["data"]
    given = {"secret": told["secret"], "otp": shown_code(told["secret"])}
    assert (await beside.send("POST", "/users/me/tfa/enable", given, token)).status_code == 204
    row = await beside.row("SELECT tfa_secret FROM directus_users WHERE id = $1", jan.id)

    assert row["tfa_secret"] == told["secret"]
    assert re.fullmatch("[A-Z2-7]{16}", its)
    assert re.fullmatch("[A-Z2-7]{32}", told["secret"])


async def test_our_links_say_what_its_links_say_and_whom_they_were_made_for(beside):
    """Directus doesn't look for that last one."""
    kim = await beside.arrives("kim")
    await beside.write("UPDATE directus_settings SET public_registration = true")
    asked = [
        ("You've been invited", "/users/invite", {"email": "new@example.com", "role": kim.role}, "new@example.com"),
        ("Password Reset Request", "/auth/password/request", {"email": kim.email}, kim.email),
        (
            "Verify your email address",
            "/users/register",
            {"email": "reg@example.com", "password": "p"},
            "reg@example.com",
        ),
    ]
    for subject, path, body, to in asked:
        answer = await beside.send("POST", path, body, token=ADMIN if "invite" in path else None)
        assert answer.status_code == 204, answer.text
        ours, its = claims_of(await beside.mailed(to)), MAILED[subject]
        assert ours.keys() == its.keys() | {"user"}, subject
        assert (ours["email"], ours["scope"], ours["iss"]) == (to, its["scope"], its["iss"])
        assert ours["exp"] - ours["iat"] == its["exp"] - its["iat"]
        if "hash" in its:
            assert ours["hash"] == folded(HASHED)


def test_a_link_for_who_has_no_password_is_bound_as_its_links_are():
    """Recorded of somebody who had none."""
    (case,) = [case for case in CASES if case.get("to") == "zed@corp.example.com" and case.get("found")]

    assert claims_of(case["value"])["hash"] == folded("null")


# What a neighbour changes, and we obey at the next statement.

CHANGES = [
    # what it writes,                                                                          asked for, before, after
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


@pytest.mark.parametrize("change", range(len(CHANGES)))
async def test_what_it_changes_holds_at_the_next_statement(beside, change):
    statement, field, before, after = CHANGES[change]
    lou = await beside.arrives(f"lou{change}", token=f"static-of-lou{change}")

    async def asked():
        answer = await beside.send("GET", f"/users/{lou.id}?fields={field}", token=f"static-of-lou{change}")
        return answer.json()["data"][field] if answer.status_code == 200 else answer.status_code

    seen = [await asked(), await asked()]
    await beside.write(statement.format(**vars(lou)))
    seen.append(await asked())

    expected = [value.format(**vars(lou)) if isinstance(value, str) else value for value in (before, before, after)]
    assert seen == expected


async def test_a_password_it_changed_and_a_session_it_ended_are_so_here(beside):
    mia = await beside.arrives("mia")
    cookie = cookie_of(await beside.login(mia, mode="session"))
    refresh = (await beside.login(mia)).json()["data"]["refresh_token"]
    assert await beside.me(cookies=cookie) == mia.email
    await beside.write("UPDATE directus_users SET password = $1 WHERE id = $2", directus_hash(ANOTHER), mia.id)
    await beside.write('DELETE FROM directus_sessions WHERE "user" = $1', mia.id)

    assert await beside.me(cookies=cookie) == 401
    assert (await beside.send("POST", "/auth/refresh", {"refresh_token": refresh})).status_code == 401
    assert [(await beside.login(mia, given)).status_code for given in (PASSWORD, ANOTHER)] == [401, 200]


# What a project added, and nothing of ours touches.


async def added(beside, person):
    asked = "SELECT badge, shout, drink, shoe_size FROM directus_users WHERE id = $1"
    return tuple((await beside.row(asked, person.id)).values())


GRAPHQL = "/graphql/system"
WRITES = {
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
    "password": lambda nia: ("PATCH", f"/users/{nia.id}", {"password": ANOTHER}),
    "no role": lambda nia: ("DELETE", f"/roles/{nia.role}", None),
}


@pytest.mark.parametrize("kind", WRITES)
async def test_a_projects_columns_are_left_alone_by_every_write(beside, kind):
    nia = await beside.arrives(f"nia-{kind}")
    before = await added(beside, nia)
    method, path, body = WRITES[kind](nia)
    answer = await beside.send(method, path, body, token=ADMIN)

    assert answer.status_code in (200, 204), answer.text
    assert "errors" not in (answer.json() if answer.content else {})
    assert await added(beside, nia) == before == ("gold", f"NIA-{kind.upper()}", 2, 43)
    assert (await beside.row("SELECT color FROM directus_policies WHERE id = $1", nia.policy))["color"] == "green"
    role = await beside.row("SELECT floor FROM directus_roles WHERE id = $1", nia.role)
    assert role is None if kind == "no role" else role["floor"] == 3


async def test_flows_leave_them_alone_too(beside):
    ora = await beside.arrives("ora", status="invited", password=None)
    token = signed(email=ora.email, scope="invite")
    await beside.send("POST", "/users/invite/accept", {"token": token, "password": PASSWORD})
    access = (await beside.login(ora)).json()["data"]["access_token"]
    told = (await beside.send("POST", "/users/me/tfa/generate", {"password": PASSWORD}, access)).json()["data"]
    given = {"secret": told["secret"], "otp": shown_code(told["secret"])}
    await beside.send("POST", "/users/me/tfa/enable", given, access)
    await beside.send("POST", f"/users/{ora.id}/tfa/disable", {}, ADMIN)
    await beside.send("POST", "/auth/password/request", {"email": ora.email})
    token = await beside.mailed(ora.email)
    await beside.send("POST", "/auth/password/reset", {"token": token, "password": ANOTHER})

    assert (await beside.login(ora, ANOTHER)).status_code == 200
    assert await added(beside, ora) == ("gold", "ORA", 2, 43)


async def test_a_new_user_gets_what_the_project_says_of_new_ones(beside):
    made = await beside.admin("POST", "/users", {"email": "new-one@example.com", "last_name": "Nováková"})

    assert not {"badge", "shout", "drink", "shoe_size"} & made.keys()
    assert await added(beside, SimpleNamespace(id=made["id"])) == ("none", "NOVÁKOVÁ", None, None)


async def test_a_projects_rows_that_point_at_a_user_are_dealt_with_as_it_said(beside):
    pia, quy = await beside.arrives("pia"), await beside.arrives("quy")
    await beside.write("INSERT INTO pages (title, author) VALUES ('Hers', $1)", pia.id)
    await beside.write("INSERT INTO loans (reader) VALUES ($1)", quy.id)
    gone = await beside.send("DELETE", f"/users/{pia.id}", token=ADMIN)
    kept = await beside.send("DELETE", f"/users/{quy.id}", token=ADMIN)

    assert gone.status_code == 204
    assert (await beside.row("SELECT author FROM pages WHERE title = 'Hers'"))["author"] is None
    assert kept.json()["errors"][0]["extensions"]["code"] == "UNPROCESSABLE_CONTENT"
    assert "loans" not in kept.text
    assert await beside.me(signed(**{**CLAIMS["access token payload"], "id": quy.id})) == quy.email


async def test_an_export_names_what_it_leaves_out_and_an_import_leaves_it_as_it_is(beside, tmp_path):
    ray, file = await beside.arrives("ray"), tmp_path / "all.json"
    env = {"DATABASE_URL": beside.settings.database_url, "PATH": "/usr/bin:/bin", "SECRET": SECRET}
    command = [*ROLLCALL, "export", str(file)]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=True)
    (row,) = [row for row in orjson.loads(file.read_bytes())["directus_users"] if row["id"] == ray.id]
    await beside.write("UPDATE directus_users SET title = 'to be gone', badge = 'iron' WHERE id = $1", ray.id)
    await import_file(beside.system.database, file)

    names = ("users.badge", "users.drink", "users.shoe_size", "users.shout", "roles.floor", "policies.color")
    assert all(f"directus_{name}" in done.stderr for name in names)
    assert not {"badge", "shout", "drink", "shoe_size"} & row.keys()
    assert await added(beside, ray) == ("iron", "RAY", 2, 43)
    assert (await beside.row("SELECT title FROM directus_users WHERE id = $1", ray.id))["title"] is None
