"""Known vulnerabilities of authentication: batched logins, invalid tokens, blocked users, unlimited OTP attempts."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest
from graphql import GraphQLObjectType
from sqlalchemy import func, insert, select, update

from app.core.clock import utc_now
from app.core.config import signing_secret
from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.tokens import sign_access_token
from app.db.models import ATTEMPTS, Activity, Policy, Revision, Session
from app.flows.tokens import TokenMode
from app.graphql.documents.sensitive import SENSITIVE_MUTATIONS
from app.graphql.schema import schema
from tests.base_data import static_token, uid
from tests.flows.inviters import link_token, queued_mails, snapshot, update_settings, update_user, user_row
from tests.http.clients import REFRESH, SESSION, cookie_of, totp_code
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import (
    ENTRY_POINTS,
    PASSWORD,
    PASSWORD_HASH,
    TFA_SECRET,
    call_flow,
    error_code,
    get_me,
    mutation_field,
    post_graphql,
    response_data,
)

APP = Path(__file__).parents[2] / "app"


async def count(system, what):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))


async def execute(system, *statements):
    async with system.database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_graphql_single_use_mutations_reject_aliased_logins_without_trying_any(client, members):
    """Thirty logins in one anonymous request suspended the administrator and disabled his static token."""
    await update_settings(members, auth_login_attempts=25)
    for password in ("wrong", PASSWORD):
        field = mutation_field("login", {"email": '"ada@example.com"', "password": f'"{password}"'})
        response = await post_graphql(client, "mutation { " + " ".join(f"a{n}: {field}" for n in range(30)) + " }")
        assert (response.status_code, error_code(response)) == (400, "GRAPHQL_VALIDATION")
    batch = await client.post("/graphql/system", json=[{"query": f"mutation {{ {field} }}"}] * 30)

    assert (batch.status_code, error_code(batch)) == (400, "INVALID_PAYLOAD")
    assert (await count(members, ATTEMPTS), await count(members, Session)) == (0, 0)
    assert response_data(await get_me(client, "graphql", headers=ADA)) == {"id": uid("ada")}


async def test_graphql_single_use_mutations_failed_logins_suspend_no_account(client, members, entry_point, monkeypatch):
    monkeypatch.setattr("app.flows.login_lockout.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=3)
    for i in range(8):
        headers = {"x-forwarded-for": f"198.51.100.{i % 2}"}
        response = await call_flow(
            client, entry_point, "login", headers=headers, email="ada@example.com", password="wrong"
        )
        assert error_code(response) == "INVALID_CREDENTIALS"

    assert (await user_row(members, "ada@example.com"))["status"] == "active"
    assert response_data(await get_me(client, entry_point, headers=ADA)) == {"id": uid("ada")}
    assert "access_token" in response_data(
        await call_flow(client, entry_point, "login", email="ada@example.com", password=PASSWORD)
    )


def test_graphql_single_use_mutations_include_all_that_take_credentials():
    """Also those added later: no credential can be tried many times in one request."""
    mutations = schema.graphql.mutation_type
    assert isinstance(mutations, GraphQLObjectType)
    with_credentials = {
        name for name, field in mutations.fields.items() if {"password", "otp", "token"}.intersection(field.args)
    }

    assert {"auth_login", "users_me_tfa_disable", "users_register_verify"} <= with_credentials <= SENSITIVE_MUTATIONS


def names_in(module: Path) -> set[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(module.read_text())):
        for attribute in ("id", "attr", "name", "arg"):
            names.add(str(getattr(node, attribute, "")))
    return names


def test_cve_2026_126539_no_endpoint_uses_the_trusted_system_caller():
    """A missing caller was taken for trusted code."""
    modules = [module for package in ("http", "graphql", "openapi") for module in (APP / package).rglob("*.py")]
    assert len(modules) > 30

    assert [module.name for module in modules if {"SYSTEM", "on_behalf_of", "system"} & names_in(module)] == []
    assert {"SYSTEM", "on_behalf_of"} <= names_in(APP / "core/caller.py")


INVALID_TOKENS = ("garbage", "null", "system", "a.b.c", uid("ada"), "STATIC-OF-ADA", "%00")
CREDENTIALS = {
    "header": lambda token: {"headers": bearer(token)},
    "query": lambda token: {"params": {"access_token": token}},
    "cookie": lambda token: {"headers": {"cookie": f"{SESSION}={token}"}},
}
CLOSED_PATHS = (
    "/users",
    f"/users/{uid('ada')}",
    "/users/me",
    "/settings",
    "/activity",
    "/policies/me/globals",
    "/roles",
)


@pytest.mark.parametrize("location", CREDENTIALS)
async def test_cve_2024_54151_and_cve_2026_126539_invalid_tokens_do_not_fall_back_to_public(client, location):
    for credentials in map(CREDENTIALS[location], INVALID_TOKENS):
        client.cookies.clear()
        for path in CLOSED_PATHS:
            response = await client.get(path, **credentials)
            assert error_code(response) in {"INVALID_CREDENTIALS", "INVALID_TOKEN"}, (path, credentials)
            assert "data" not in response.json()
        graphql = await client.post("/graphql/system", json={"query": "{ users { id } }"}, **credentials)
        assert error_code(graphql) in {"INVALID_CREDENTIALS", "INVALID_TOKEN"}, credentials
        assert "data" not in graphql.json()


async def test_cve_2024_54151_requests_without_a_token_have_public_permissions(client):
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Basic YWRhOng="}):
        roles = (await client.get("/roles?fields=name", headers=headers)).json()["data"]
        assert {role["name"] for role in roles} == {"Staff", "Viewer"}
        for path in ("/users", "/settings", "/activity", "/policies"):
            assert error_code(await client.get(path, headers=headers)) == "FORBIDDEN"


async def create_sessions(system, name):
    """Create sessions of a user; return refresh tokens, session cookies, and an access token without a session."""
    secret, later = signing_secret(system.settings), utc_now() + timedelta(hours=1)
    tokens = [f"session-of-{name}-{i}-{utc_now().timestamp()}" for i in range(6)]
    await execute(system, *(insert(Session).values(token=token, user_id=uid(name), expires=later) for token in tokens))
    jwts = [
        sign_access_token(secret, uid(name), session=token, ttl=timedelta(hours=1)) for token in (*tokens[4:], None)
    ]
    return tokens[:4], jwts[:2], jwts[2]


@pytest.mark.parametrize(
    "change",
    [{"status": status} for status in ("suspended", "invited", "archived")] + [{"provider": "github"}],
    ids=lambda change: "".join(change.values()),
)
async def test_cve_2025_64708_users_no_longer_active_are_rejected_everywhere(client, members, change):
    """Also CVE-2026-54693 and CVE-2025-53942: some tokens and links of a blocked user still worked."""
    refresh_tokens, cookies, access_token = await create_sessions(members, "vi")
    reset = link_token(members, LinkPurpose.RESET, "vi@example.com", uid("vi"), password_fingerprint(PASSWORD_HASH))
    await update_user(members, "vi", **change)
    codes: dict[str, str | None] = {}
    for entry_point in ENTRY_POINTS:
        for name, credentials in {
            "a token": {"headers": bearer(access_token)},
            "a static token": {"headers": bearer(static_token("vi"))},
            "a session": {"cookies": {SESSION: cookies[0]}},
        }.items():
            if "status" in change:  # a user of another provider may still use tokens and sessions
                codes[f"{name} by {entry_point}"] = error_code(await get_me(client, entry_point, **credentials))
                codes[f"TFA setup with {name} by {entry_point}"] = error_code(
                    await call_flow(client, entry_point, "generate", password=PASSWORD, **credentials)
                )
        arguments = {"refresh_token": refresh_tokens.pop(), "mode": "json"}
        codes[f"refresh by {entry_point}"] = error_code(await call_flow(client, entry_point, "refresh", **arguments))
        cookie = {REFRESH: refresh_tokens.pop()}
        codes[f"refresh of a cookie by {entry_point}"] = error_code(
            await call_flow(client, entry_point, "refresh", cookies=cookie, mode="cookie")
        )
        cookie = {SESSION: cookies.pop()}
        codes[f"refresh of a session cookie by {entry_point}"] = error_code(
            await call_flow(client, entry_point, "refresh", cookies=cookie, mode="session")
        )
        login = {"email": "vi@example.com", "password": PASSWORD}
        codes[f"login by {entry_point}"] = error_code(await call_flow(client, entry_point, "login", **login))
        codes[f"reset by {entry_point}"] = error_code(
            await call_flow(client, entry_point, "reset", token=reset, password="another one")
        )
        assert error_code(await call_flow(client, entry_point, "request", email="vi@example.com")) is None

    assert {attempt: code for attempt, code in codes.items() if code not in {"INVALID_CREDENTIALS", "FORBIDDEN"}} == {}
    assert len(codes) == (22 if "status" in change else 10)
    assert await queued_mails(members) == []
    assert (await user_row(members, "vi@example.com"))["password"] == PASSWORD_HASH


@pytest.mark.parametrize("mode", TokenMode)
async def test_cve_2024_45042_a_refresh_does_not_bypass_two_factor_enforced_since_the_login(
    client, members, entry_point, mode
):
    """A refresh turned a restricted session into a full one."""
    login = await call_flow(client, entry_point, "login", email="vi@example.com", password=PASSWORD, mode=mode.value)
    refresh_arguments = (
        {"refresh_token": response_data(login)["refresh_token"]}
        if mode is TokenMode.JSON
        else {"cookies": cookie_of(login)}
    )
    await execute(members, update(Policy).where(Policy.name == "Viewers").values(enforce_tfa=True))

    refresh = await call_flow(client, entry_point, "refresh", mode=mode.value, **refresh_arguments)
    access_token = (response_data(refresh) or {}).get("access_token")
    credentials = {"headers": bearer(access_token)} if access_token else {"cookies": cookie_of(refresh)}
    for each in ENTRY_POINTS:
        response = await get_me(client, each, **credentials)
        assert (response.status_code, error_code(response)) == (403, "FORBIDDEN")
        assert "Two-factor authentication has to be set up" in response.text


async def test_cve_2026_93637_and_cve_2026_105638_otp_attempts_are_limited_across_ips(client, members, entry_point):
    """Codes could be tried without a limit, or aliases and other IP addresses bypassed it."""
    ed = bearer(static_token("ed"))
    for i in range(11):
        headers = {**ed, "x-forwarded-for": f"198.51.100.{i}"}
        response = await call_flow(
            client, ENTRY_POINTS[i % 2], ("disable", "recovery")[i // 2 % 2], headers=headers, otp="000000"
        )
        assert error_code(response) == "INVALID_PAYLOAD"
    aliases = " ".join(f'a{n}: users_me_tfa_disable(otp: "{totp_code(TFA_SECRET)}")' for n in range(3))
    assert error_code(await post_graphql(client, f"mutation {{ {aliases} }}", headers=ed)) == "GRAPHQL_VALIDATION"

    for flow in ("disable", "recovery"):
        correct = await call_flow(client, entry_point, flow, headers=ed, otp=totp_code(TFA_SECRET))
        assert error_code(correct) == "INVALID_PAYLOAD"
    credentials = {"email": "ed@example.com", "password": PASSWORD, "otp": totp_code(TFA_SECRET)}
    for ip in ("198.51.100.1", "2001:db8::1"):
        login = await call_flow(client, entry_point, "login", headers={"x-forwarded-for": ip}, **credentials)
        assert error_code(login) == "INVALID_OTP"
    assert (await user_row(members, "ed@example.com"))["tfa_secret"] == TFA_SECRET


async def test_cve_2026_39943_a_lockout_stores_no_secret(client, members, entry_point, monkeypatch):
    """Activity and revisions of a user suspended for failed logins contained secrets."""
    monkeypatch.setattr("app.flows.login_lockout.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=1)
    for password in ("a wrong password", "another wrong one", PASSWORD):
        await call_flow(client, entry_point, "login", email="ed@example.com", password=password, otp="654321")

    async with members.database.transaction() as connection:
        activity = (await connection.execute(select(Activity.__table__))).all()
        revisions = (await connection.execute(select(Revision.__table__))).all()
    _, _, attempts = await snapshot(members)
    text = str((activity, revisions, attempts))
    assert [row.action for row in activity if row.item == uid("ed")] == ["lockout"]
    secrets = ("wrong", PASSWORD, "654321", TFA_SECRET, static_token("ed"), "argon2", "ed@example.com")
    assert [secret for secret in secrets if secret in text] == []
