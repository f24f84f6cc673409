"""Sign-in with a real LDAP directory."""

import pytest
from sqlalchemy import select, update

from app.db.models import Activity, User
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import REFRESH, SECRET, SESSION, cookies_of, data_of, error_of, send
from tests.ldap import slapd
from tests.ldap.conftest import NAME
from tests.single_sign_on.conftest import counts, row_of

WRONG = (401, "INVALID_CREDENTIALS")


async def test_a_first_sign_in_creates_the_user_as_directus_does(connect, directory):
    server = await connect(directory.url)
    tokens = data_of(await server.sign_in("kim"))
    row = await row_of(server.system, slapd.KIM)

    assert tokens.keys() == {"access_token", "refresh_token", "expires"}
    assert (row["provider"], row["email"], row["status"], row["role"]) == (NAME, "kim@example.com", "active", None)
    assert (row["first_name"], row["last_name"], row["password"], row["auth_data"]) == ("Kim", "Example", None, None)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert data_of(await send(server.client, "GET", "/users/me?fields=id", headers=headers))["id"] == str(row["id"])


async def test_a_later_sign_in_finds_the_user_whatever_the_case_of_the_identifier(connect, directory):
    server = await connect(directory.url)
    await server.sign_in("kim")
    before = await counts(server.system)
    data_of(await server.sign_in("KIM"))

    assert await counts(server.system) == [before[0], before[1] + 1]
    user = (await row_of(server.system, slapd.KIM))["id"]
    async with server.system.database.transaction() as connection:
        query = select(Activity.action).where(Activity.item == str(user)).order_by(Activity.id)
        assert (await connection.scalars(query)).all() == ["create", "login", "login"]


@pytest.mark.parametrize(
    ("mode", "cookies", "keys"),
    [
        ("json", set(), {"access_token", "refresh_token", "expires"}),
        ("cookie", {REFRESH}, {"access_token", "expires"}),
        ("session", {SESSION}, {"expires"}),
    ],
)
async def test_the_client_chooses_how_it_receives_tokens(connect, directory, mode, cookies, keys):
    server = await connect(directory.url)
    response = await server.sign_in("plain", mode=mode)

    assert data_of(response).keys() == keys
    assert cookies_of(response).keys() == cookies


async def test_the_directory_is_listed_as_by_directus(connect, directory):
    server = await connect(directory.url, label="The office")
    listed = {"name": NAME, "label": "The office", "driver": "ldap"}
    for path in ("/auth", "/auth?sessionOnly"):
        assert (await server.client.get(path)).json() == {"data": [listed], "disableDefault": False}


TLS = {
    "ldaps": ("tls_url", {}),
    "StartTLS": ("url", {"start_tls": "true"}),
}


@pytest.mark.parametrize(("kind", "more"), TLS.values(), ids=TLS)
async def test_a_certificate_is_verified_with_the_configured_authority(connect, directory, kind, more):
    url = getattr(directory, kind)
    trusting = await connect(url, client__tls_options__ca_file=str(directory.ca), **more)
    with_text = await connect(url, client__tls_options__ca=directory.ca.read_text().replace("\n", "\\n"), **more)
    lax = await connect(url, client__tls_options__reject_unauthorized="false", **more)
    wary = await connect(url, **more)

    for server in (trusting, with_text, lax):
        data_of(await server.sign_in("kim"))
    assert error_of(await wary.sign_in("kim")) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("more", [{}, {"start_tls": "true"}])
async def test_a_certificate_of_another_host_is_refused(connect, directory, more):
    url = (directory.url if more else directory.tls_url).replace("127.0.0.1", "localhost")
    server = await connect(url, client__tls_options__ca_file=str(directory.ca), **more)

    assert error_of(await server.sign_in("kim")) == (503, "SERVICE_UNAVAILABLE")


async def test_a_changed_password_counts_at_once(connect, directory):
    server = await connect(directory.url)
    data_of(await server.sign_in("lee"))
    directory.modify(slapd.LEE, userPassword="another password")
    try:
        assert error_of(await server.sign_in("lee")) == WRONG
        data_of(await server.sign_in("lee", "another password"))
    finally:
        directory.modify(slapd.LEE, userPassword=slapd.PASSWORD)


@pytest.mark.parametrize("identifier", ["disabled", "expired", "locked"])
async def test_a_disabled_entry_cannot_sign_in(connect, directory, identifier):
    server = await connect(directory.url)
    before = await counts(server.system)

    assert error_of(await server.sign_in(identifier)) == WRONG
    assert await counts(server.system) == before


async def test_users_are_found_by_the_attribute_and_scope_of_the_settings(connect, directory):
    values = {"user_attribute": "mail", "user_dn": slapd.BASE, "user_scope": "sub", "mail_attribute": "title"}
    server = await connect(directory.url, first_name_attribute="sn", last_name_attribute="givenName", **values)
    data_of(await server.sign_in("kim@example.com"))
    row = await row_of(server.system, slapd.KIM)

    assert (row["email"], row["first_name"], row["last_name"]) == ("kim@example.org", "Example", "Kim")


GROUPS = {"group_dn": slapd.GROUPS}
ROLE_SETTINGS = {
    "the role with the name of a group": ("many", GROUPS, "role-Viewer"),
    "the alphabetically first of several": ("kim", GROUPS, "role-Editor"),
    "the default role": ("lee", {**GROUPS, "default_role_id": uid("role-Viewer")}, "role-Viewer"),
    "none": ("lee", GROUPS, None),
    "a mapped role": (
        "many",
        {**GROUPS, "role_mapping": f'json:{{"group-999": "{uid("role-Editor")}"}}'},
        "role-Editor",
    ),
    "no role by name if there is a mapping": (
        "kim",
        {**GROUPS, "role_mapping": f'json:{{"group-1": "{uid("role-Editor")}"}}'},
        None,
    ),
}


@pytest.mark.parametrize(("identifier", "values", "role"), ROLE_SETTINGS.values(), ids=ROLE_SETTINGS)
async def test_the_groups_give_a_role(connect, directory, identifier, values, role):
    server = await connect(directory.url, **values)
    data_of(await server.sign_in(identifier))
    row = await row_of(server.system, f"cn={identifier},{slapd.PEOPLE}")

    assert row["role"] == (None if role is None else type(row["id"])(uid(role)))


async def test_members_may_be_listed_by_uid(connect, directory):
    mapping = f'json:{{"posix": "{uid("role-Editor")}"}}'
    server = await connect(directory.url, group_attribute="memberUid", role_mapping=mapping, **GROUPS)
    data_of(await server.sign_in("kim"))

    assert str((await row_of(server.system, slapd.KIM))["role"]) == uid("role-Editor")


async def test_a_lost_group_takes_the_role_away(connect, directory):
    directory.add(slapd.group("Editors-of-a-test", slapd.LEE))
    mapping = f'json:{{"Editors-of-a-test": "{uid("role-Editor")}"}}'
    server = await connect(directory.url, role_mapping=mapping, **GROUPS)
    try:
        data_of(await server.sign_in("lee"))
        assert str((await row_of(server.system, slapd.LEE))["role"]) == uid("role-Editor")
    finally:
        directory.delete(f"cn=Editors-of-a-test,{slapd.GROUPS}")
    data_of(await server.sign_in("lee"))

    assert (await row_of(server.system, slapd.LEE))["role"] is None


@pytest.mark.parametrize("sync", ["true", "false"])
async def test_name_and_email_follow_the_directory_only_with_the_setting(connect, directory, sync):
    server = await connect(directory.url, sync_user_info=sync)
    await server.sign_in("lee")
    directory.modify(slapd.LEE, givenName="Renamed", mail="renamed@example.com")
    try:
        data_of(await server.sign_in("lee"))
    finally:
        directory.modify(slapd.LEE, givenName="Lee", mail="lee@example.com")
    row = await row_of(server.system, slapd.LEE)

    expected = ("Renamed", "renamed@example.com") if sync == "true" else ("Lee", "lee@example.com")
    assert (row["first_name"], row["email"]) == expected


async def test_two_factor_authentication_asks_for_a_code_after_the_password(connect, directory):
    clock = FrozenClock()
    server = await connect(directory.url, clock)
    await server.sign_in("kim")
    async with server.system.database.transaction() as connection:
        changed = update(User).where(User.external_identifier == slapd.KIM).values(tfa_secret=SECRET)
        await connection.execute(changed)

    assert error_of(await server.sign_in("kim")) == (401, "INVALID_OTP")
    assert error_of(await server.sign_in("kim", otp="000000")) == (401, "INVALID_OTP")
    assert error_of(await server.sign_in("kim", "wrong", otp=clock.code(SECRET))) == WRONG
    data_of(await server.sign_in("kim", otp=clock.code(SECRET)))
