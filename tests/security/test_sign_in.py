"""Published holes of getting in: sign-ins by the dozen, failed proofs, doors left open to who is out, codes tried."""

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
from app.graphql.documents.sensitive import SENSITIVE
from app.graphql.schema import schema
from tests.flows.inviters import link_token, queued_mails, snapshot, update_settings, update_user, user_row
from tests.http.clients import SESSION, TO_REFRESH, the_cookie
from tests.http.clients import code as authenticator
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import DOORS, HASHED, PASSWORD, SECRET, ask, called, code, me, query, told
from tests.world import static_token, uid

APP = Path(__file__).parents[2] / "app"


async def count(system, what):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))


async def run(system, *statements):
    async with system.database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_graphql_single_use_mutations_many_aliases_try_nothing_and_suspend_nobody(client, members):
    """Thirty sign-ins in one anonymous request, which suspended the admin and killed his static token."""
    await update_settings(members, auth_login_attempts=25)
    for wanted in ("wrong", PASSWORD):
        one = called("login", {"email": '"ada@example.com"', "password": f'"{wanted}"'})
        answer = await query(client, "mutation { " + " ".join(f"a{n}: {one}" for n in range(30)) + " }")
        assert (answer.status_code, code(answer)) == (400, "GRAPHQL_VALIDATION")
    batch = await client.post("/graphql/system", json=[{"query": f"mutation {{ {one} }}"}] * 30)

    assert (batch.status_code, code(batch)) == (400, "INVALID_PAYLOAD")
    assert (await count(members, ATTEMPTS), await count(members, Session)) == (0, 0)
    assert told(await me(client, "graphql", headers=ADA)) == {"id": uid("ada")}


async def test_graphql_single_use_mutations_failures_suspend_nobody(client, members, entry_point, monkeypatch):
    monkeypatch.setattr("app.flows.login.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=3)
    for at in range(8):
        here = {"x-forwarded-for": f"198.51.100.{at % 2}"}
        answer = await ask(client, entry_point, "login", headers=here, email="ada@example.com", password="wrong")
        assert code(answer) == "INVALID_CREDENTIALS"

    assert (await user_row(members, "ada@example.com"))["status"] == "active"
    assert told(await me(client, entry_point, headers=ADA)) == {"id": uid("ada")}
    assert "access_token" in told(await ask(client, entry_point, "login", email="ada@example.com", password=PASSWORD))


def test_graphql_single_use_mutations_whatever_takes_a_proof_is_one_of_them():
    """So that what proves something can't be had by the dozen, also what is still to come."""
    mutations = schema.graphql.mutation_type
    assert isinstance(mutations, GraphQLObjectType)
    proving = {
        name for name, field in mutations.fields.items() if {"password", "otp", "token"}.intersection(field.args)
    }

    assert {"auth_login", "users_me_tfa_disable", "users_register_verify"} <= proving <= SENSITIVE


def names_in(module: Path) -> set[str]:
    found = set[str]()
    for node in ast.walk(ast.parse(module.read_text())):
        for at in ("id", "attr", "name", "arg"):
            found.add(str(getattr(node, at, "")))
    return found


def test_cve_2026_126539_no_door_makes_trusted_code_of_a_request():
    """A missing caller that was taken for one."""
    doors = [*(APP / "http").glob("*.py"), *(APP / "schema").glob("*.py")]
    assert len(doors) > 30

    assert [door.name for door in doors if {"SYSTEM", "acting_for", "system"} & names_in(door)] == []
    assert {"SYSTEM", "acting_for"} <= names_in(APP / "core/caller.py")


MADE_UP = ("garbage", "null", "system", "a.b.c", uid("ada"), "STATIC-OF-ADA", "%00")
WAYS = {
    "header": lambda made_up: {"headers": bearer(made_up)},
    "query": lambda made_up: {"params": {"access_token": made_up}},
    "cookie": lambda made_up: {"headers": {"cookie": f"{SESSION}={made_up}"}},
}
CLOSED = ("/users", f"/users/{uid('ada')}", "/users/me", "/settings", "/activity", "/policies/me/globals", "/roles")


@pytest.mark.parametrize("way", WAYS)
async def test_cve_2024_54151_and_cve_2026_126539_a_failed_proof_is_no_right(client, way):
    for shown in map(WAYS[way], MADE_UP):
        client.cookies.clear()
        for path in CLOSED:
            answer = await client.get(path, **shown)
            assert code(answer) in {"INVALID_CREDENTIALS", "INVALID_TOKEN"}, (path, shown)
            assert "data" not in answer.json()
        asked = await client.post("/graphql/system", json={"query": "{ users { id } }"}, **shown)
        assert code(asked) in {"INVALID_CREDENTIALS", "INVALID_TOKEN"}, shown
        assert "data" not in asked.json()


async def test_cve_2024_54151_nobody_in_particular_has_the_publics_rights(client):
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Basic YWRhOng="}):
        roles = (await client.get("/roles?fields=name", headers=headers)).json()["data"]
        assert {role["name"] for role in roles} == {"Staff", "Viewer"}
        for path in ("/users", "/settings", "/activity", "/policies"):
            assert code(await client.get(path, headers=headers)) == "FORBIDDEN"


async def signed_in(system, name):
    """The tokens of somebody's sessions: to refresh, twice, the cookie of another, and one of no session."""
    secret, later = signing_secret(system.settings), utc_now() + timedelta(hours=1)
    tokens = [f"session-of-{name}-{at}-{utc_now().timestamp()}" for at in range(6)]
    await run(system, *(insert(Session).values(token=one, user_id=uid(name), expires=later) for one in tokens))
    signed = [sign_access_token(secret, uid(name), session=one, ttl=timedelta(hours=1)) for one in (*tokens[4:], None)]
    return tokens[:4], signed[:2], signed[2]


@pytest.mark.parametrize(
    "change",
    [{"status": status} for status in ("suspended", "invited", "archived")] + [{"provider": "github"}],
    ids=lambda change: "".join(change.values()),
)
async def test_cve_2025_64708_who_is_not_active_any_more_gets_in_by_no_other_door(client, members, change):
    """Also CVE-2026-54693 and CVE-2025-53942: somebody shut out, whose tokens and links were good somewhere else."""
    refreshing, cookies, access = await signed_in(members, "vi")
    reset = link_token(members, LinkPurpose.RESET, "vi@example.com", uid("vi"), password_fingerprint(HASHED))
    await update_user(members, "vi", **change)
    refused: dict[str, str | None] = {}
    for door in DOORS:
        for name, way in {
            "a token": {"headers": bearer(access)},
            "a static token": {"headers": bearer(static_token("vi"))},
            "a session": {"cookies": {SESSION: cookies[0]}},
        }.items():
            if "status" in change:  # whose password somebody else judges may be here all the same
                refused[f"{name} by {door}"] = code(await me(client, door, **way))
                refused[f"a second factor with {name} by {door}"] = code(
                    await ask(client, door, "generate", password=PASSWORD, **way)
                )
        given = {"refresh_token": refreshing.pop(), "mode": "json"}
        refused[f"refreshing by {door}"] = code(await ask(client, door, "refresh", **given))
        carried = {TO_REFRESH: refreshing.pop()}
        refused[f"refreshing by {door}, with a cookie"] = code(
            await ask(client, door, "refresh", cookies=carried, mode="cookie")
        )
        carried = {SESSION: cookies.pop()}
        refused[f"going on by {door}"] = code(await ask(client, door, "refresh", cookies=carried, mode="session"))
        shown = {"email": "vi@example.com", "password": PASSWORD}
        refused[f"signing in by {door}"] = code(await ask(client, door, "login", **shown))
        refused[f"a reset by {door}"] = code(await ask(client, door, "reset", token=reset, password="another one"))
        assert code(await ask(client, door, "request", email="vi@example.com")) is None

    assert {way: said for way, said in refused.items() if said not in {"INVALID_CREDENTIALS", "FORBIDDEN"}} == {}
    assert len(refused) == (22 if "status" in change else 10)
    assert await queued_mails(members) == []
    assert (await user_row(members, "vi@example.com"))["password"] == HASHED


@pytest.mark.parametrize("mode", TokenMode)
async def test_cve_2024_45042_a_session_from_before_a_second_factor_was_wanted_is_worth_no_more(
    client, members, entry_point, mode
):
    """A refresh that made a full session of one that had shown less."""
    begun = await ask(client, entry_point, "login", email="vi@example.com", password=PASSWORD, mode=mode.value)
    shown = (
        {"refresh_token": told(begun)["refresh_token"]} if mode is TokenMode.JSON else {"cookies": the_cookie(begun)}
    )
    await run(members, update(Policy).where(Policy.name == "Viewers").values(enforce_tfa=True))

    refreshed = await ask(client, entry_point, "refresh", mode=mode.value, **shown)
    access = (told(refreshed) or {}).get("access_token")
    way = {"headers": bearer(access)} if access else {"cookies": the_cookie(refreshed)}
    for other in DOORS:
        answer = await me(client, other, **way)
        assert (answer.status_code, code(answer)) == (403, "FORBIDDEN")
        assert "Two-factor authentication has to be set up" in answer.text


async def test_cve_2026_93637_and_cve_2026_105638_only_so_many_codes_are_tried_from_wherever(
    client, members, entry_point
):
    """Codes without a limit, or with one that aliases or other addresses get around."""
    ed = bearer(static_token("ed"))
    for at in range(11):
        here = {**ed, "x-forwarded-for": f"198.51.100.{at}"}
        wrong = await ask(client, DOORS[at % 2], ("disable", "recovery")[at // 2 % 2], headers=here, otp="000000")
        assert code(wrong) == "INVALID_PAYLOAD"
    aliases = " ".join(f'a{n}: users_me_tfa_disable(otp: "{authenticator(SECRET)}")' for n in range(3))
    assert code(await query(client, f"mutation {{ {aliases} }}", headers=ed)) == "GRAPHQL_VALIDATION"

    for flow in ("disable", "recovery"):
        right = await ask(client, entry_point, flow, headers=ed, otp=authenticator(SECRET))
        assert code(right) == "INVALID_PAYLOAD"
    shown = {"email": "ed@example.com", "password": PASSWORD, "otp": authenticator(SECRET)}
    for address_ in ("198.51.100.1", "2001:db8::1"):
        answer = await ask(client, entry_point, "login", headers={"x-forwarded-for": address_}, **shown)
        assert code(answer) == "INVALID_OTP"
    assert (await user_row(members, "ed@example.com"))["tfa_secret"] == SECRET


async def test_cve_2026_39943_a_lock_out_writes_no_secret_down(client, members, entry_point, monkeypatch):
    """Secrets in the revisions and the activity of somebody who was suspended for failures."""
    monkeypatch.setattr("app.flows.login.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=1)
    for password in ("a wrong password", "another wrong one", PASSWORD):
        await ask(client, entry_point, "login", email="ed@example.com", password=password, otp="654321")

    async with members.database.transaction() as connection:
        activity = (await connection.execute(select(Activity.__table__))).all()
        revisions = (await connection.execute(select(Revision.__table__))).all()
    _, _, attempts = await snapshot(members)
    written = str((activity, revisions, attempts))
    assert [row.action for row in activity if row.item == uid("ed")] == ["lockout"]
    secrets = ("wrong", PASSWORD, "654321", SECRET, static_token("ed"), "argon2", "ed@example.com")
    assert [secret for secret in secrets if secret in written] == []
