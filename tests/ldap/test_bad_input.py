"""Identifiers and passwords that must not sign anybody in, and what a response reveals: nothing."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.core.hashing import hash_password
from app.db.models import User
from app.flows.single_sign_on import failures
from app.flows.single_sign_on.ldap_sign_in import fold_identifier
from tests.base_data import uid
from tests.flows.inviters import update_settings
from tests.http.clients import data_of, error_of, send
from tests.ldap import misbehaving, slapd
from tests.logs import captured_logs
from tests.security.test_timing import are_different
from tests.single_sign_on.conftest import counts, row_of

WRONG = (401, "INVALID_CREDENTIALS")
IDENTIFIERS = [
    "*",
    "k*",
    "kim)(cn=*",
    "kim)(|(cn=*",
    "*)(objectClass=*",
    "\\2a",
    "\\6bim",
    "kim\0",
    "\0",
    " ",
    "k" * 1025,
    "k" * 100_000,
    f"kim,{slapd.PEOPLE}",
    slapd.KIM,
    "nobody",
    "elsewhere",
    "🙂",
]
PASSWORDS = [" ", "\0", f"{slapd.PASSWORD}\0", f"\0{slapd.PASSWORD}", "*", "p" * 1025, "p" * 100_000]


async def test_no_other_text_is_a_user_or_a_password(connect, directory):
    server = await connect(directory.url)
    before = await counts(server.system)
    attempts = [(identifier, slapd.PASSWORD) for identifier in IDENTIFIERS] + [("kim", each) for each in PASSWORDS]
    bodies = set()
    for identifier, password in attempts:
        response = await server.sign_in(identifier, password)
        assert error_of(response) == WRONG, identifier[:40]
        bodies.add(response.content)

    assert len(bodies) == 1
    assert await counts(server.system) == before


async def test_credentials_that_cannot_be_right_never_reach_a_directory(connect, fake):
    """This directory would accept any password."""
    fake.responses = list(misbehaving.GOOD)
    server = await connect(fake.url)
    before = fake.connections
    for password in ("\0", f"{slapd.PASSWORD}\0", "p" * 1025):
        assert error_of(await server.sign_in("kim", password)) == WRONG
    for identifier in ("\0", "kim\0", "k" * 1025):
        assert error_of(await server.sign_in(identifier)) == WRONG
    assert fake.connections == before

    data_of(await server.sign_in("kim"))


@pytest.mark.parametrize("body", [{"identifier": "", "password": "x"}, {"identifier": "kim", "password": ""}, {}])
async def test_empty_credentials_are_an_invalid_payload(connect, directory, body):
    server = await connect(directory.url)

    assert error_of(await send(server.client, "POST", "/auth/login/office", body)) == (400, "INVALID_PAYLOAD")


async def test_special_characters_of_an_identifier_are_plain_ones(connect, directory):
    server = await connect(directory.url)
    data_of(await server.sign_in(slapd.ODD_NAME))
    async with server.system.database.transaction() as connection:
        assert await connection.scalar(User.__table__.select().where(User.email == "odd@example.com"))


async def test_several_matches_are_nobody(connect, directory):
    server = await connect(directory.url, user_attribute="uid")
    with captured_logs(failures) as events:
        assert error_of(await server.sign_in("twin")) == WRONG

    assert [each["reason"] for each in events if "reason" in each] == ["the directory has several such users"]


async def test_a_base_that_is_a_referral_is_an_error(connect, directory):
    server = await connect(directory.url, user_dn=f"ou=x,cn=elsewhere,{slapd.PEOPLE}")

    assert error_of(await server.sign_in("kim")) == (503, "SERVICE_UNAVAILABLE")


async def test_a_local_account_with_the_address_is_never_taken_over(connect, directory):
    server = await connect(directory.url)
    async with server.system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(email="KIM@example.com"))
    before = await counts(server.system)

    assert error_of(await server.sign_in("kim")) == (403, "INVALID_PROVIDER")
    assert await counts(server.system) == before


async def test_every_refusal_has_the_same_words(connect, directory):
    """Unknown, wrong, disabled, suspended, of another provider, and not registered."""
    server = await connect(directory.url)
    for name in ("kim", "lee"):
        data_of(await server.sign_in(name))
    async with server.system.database.transaction() as connection:
        for dn, values in ((slapd.KIM, {"status": "suspended"}), (slapd.LEE, {"provider": "github"})):
            await connection.execute(update(User).where(User.external_identifier == dn).values(**values))
    closed = await connect(directory.url, allow_public_registration="false")
    before = await counts(server.system)
    with captured_logs(failures) as events:
        responses = [
            await server.sign_in("nobody"),
            await server.sign_in("plain", "wrong"),
            await server.sign_in("disabled"),
            await server.sign_in("kim"),
            await server.sign_in("lee"),
            await closed.sign_in("plain"),
        ]

    assert {(each.status_code, each.content) for each in responses} == {(401, responses[0].content)}
    assert await counts(server.system) == before
    reasons = [each["reason"] for each in events if "reason" in each]
    assert len(set(reasons)) == len(responses)
    for secret in ("nobody", "wrong", slapd.PASSWORD, slapd.BIND_PASSWORD, "kim", "dc=example"):
        assert secret not in str(reasons)


async def test_too_many_failures_lock_a_client_out_before_the_directory_is_asked(connect, directory):
    server = await connect(directory.url)
    await update_settings(server.system, auth_login_attempts=2)
    for spelling in ("lee", "LEE", " lee "):
        assert error_of(await server.sign_in(spelling, "wrong")) == WRONG

    assert error_of(await server.sign_in("lee")) == WRONG
    data_of(await server.sign_in("kim"))


@pytest.mark.parametrize(
    "spelling",
    [
        "LEE",
        " l e e ",
        "l\N{SOFT HYPHEN}ee",
        "lee\N{ZERO WIDTH SPACE}",
        "\uff4c\uff45\uff45",
        "l\N{COMBINING ACUTE ACCENT}éè",
    ],
)
def test_the_attempts_of_all_spellings_that_a_directory_may_accept_are_counted_together(spelling):
    assert fold_identifier(spelling) == fold_identifier("lee") != fold_identifier("leo")


async def test_a_sign_in_ends_the_count_of_failures(connect, directory):
    server = await connect(directory.url)
    await update_settings(server.system, auth_login_attempts=2)
    for _ in range(3):
        assert error_of(await server.sign_in("lee", "wrong")) == WRONG
        data_of(await server.sign_in("lee"))


async def test_a_password_here_is_no_way_around_the_directory(connect, directory):
    server = await connect(directory.url)
    data_of(await server.sign_in("kim"))
    async with server.system.database.transaction() as connection:
        values = {"password": hash_password("a password set here")}
        await connection.execute(update(User).where(User.external_identifier == slapd.KIM).values(**values))
    body = {"email": "kim@example.com", "password": "a password set here"}

    assert error_of(await send(server.client, "POST", "/auth/login", body)) == WRONG
    assert error_of(await server.sign_in("kim", "a password set here")) == WRONG


async def test_a_suspension_or_a_lost_directory_ends_the_session(connect, directory):
    server, without = await connect(directory.url), await connect(directory.url, settings={"auth_providers": ()})
    token = data_of(await server.sign_in("lee"))
    headers = {"authorization": f"Bearer {token['access_token']}"}
    body = {"refresh_token": token["refresh_token"]}
    assert error_of(await send(without.client, "POST", "/auth/refresh", body)) == WRONG
    user = (await row_of(server.system, slapd.LEE))["id"]
    async with server.system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == user).values(status="suspended"))

    assert (await send(server.client, "GET", "/users/me", headers=headers)).status_code == 401
    assert error_of(await send(server.client, "POST", "/auth/refresh", body)) == WRONG


@pytest.mark.nightly
@pytest.mark.parametrize("other", [("lee", "wrong"), ("disabled", slapd.PASSWORD), ("locked", slapd.PASSWORD)])
async def test_all_failed_sign_ins_take_equally_long(connect, directory, other):
    server = await connect(directory.url, settings={"login_stall_time": timedelta(milliseconds=300)})
    await update_settings(server.system, auth_login_attempts=None)
    loop = asyncio.get_running_loop()
    durations: tuple[list[float], list[float]] = ([], [])
    for _ in range(50):
        for kind, credentials in enumerate((("nobody", "wrong"), other)):
            started = loop.time()
            assert error_of(await server.sign_in(*credentials)) == WRONG
            durations[kind].append(loop.time() - started)

    assert not are_different(*durations)
