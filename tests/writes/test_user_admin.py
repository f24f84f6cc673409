"""`rollcall users …` manages users when nobody can sign in: it does what it says and reveals no secret.

The commands run through the command line's entry point in this process: a process of its own takes longer to start.
"""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, update

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.core.hashing import verify_password
from app.db.models import Access, Policy, Session, User
from app.repositories.stores.login_attempts import AttemptCounter, account_and_network_key, account_key
from tests.base_data import caller, static_token, uid
from tests.cli.commands import CommandResult, run_command, run_process
from tests.writes.editors import checksum

pytestmark = pytest.mark.one_database

TYPED_PASSWORD = "correct horse, again"
GENERATED = "Password (shown only once): "


@pytest.fixture
def users(editors):
    """Runs `rollcall users …` on the editors' database; standard input holds the password."""

    async def command(*arguments: str, stdin: str = TYPED_PASSWORD) -> CommandResult:
        return await run_command(editors.settings.database_url, "users", *arguments, stdin=stdin)

    return command


async def user_row(system, email) -> Any:
    async with system.database.transaction() as connection:
        return (await connection.execute(select(User.__table__).where(func.lower(User.email) == email))).one()


async def update_user(system, name, **values):
    async with system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid(name)).values(**values))


async def is_admin(system, user_id):
    return bool((await system.directory(Caller(user=str(user_id))).fresh_access()).admin)


async def sessions(system, *names):
    """Create a session for each name, and return the tokens of all sessions."""
    async with system.database.transaction() as connection:
        for name in names:
            expires = system.services.clock().replace(year=2999)
            await connection.execute(insert(Session).values(token=f"of-{name}", user_id=uid(name), expires=expires))
        return sorted((await connection.execute(select(Session.token))).scalars())


async def test_a_created_user_can_sign_in_with_the_typed_password(editors, users):
    result = await users("create", "New@example.com", "--role", "Viewer")
    new = await user_row(editors, "new@example.com")

    assert result == (0, "", "")
    assert verify_password(TYPED_PASSWORD, new.password)
    assert (new.email, new.status, new.provider, str(new.role)) == (
        "New@example.com",
        "active",
        "default",
        uid("role-Viewer"),
    )
    assert not await is_admin(editors, new.id)


@pytest.mark.parametrize("command", [("create", "new@example.com"), ("set-password", "vi@example.com")])
async def test_a_password_is_printed_only_if_it_was_generated(editors, users, command):
    result = await users(*command, "--generate-password")
    password = result.out.removeprefix(GENERATED).strip()

    assert (result.code, result.err) == (0, "")
    assert result.out == f"{GENERATED}{password}\n"
    assert len(password) >= 16
    assert verify_password(password, (await user_row(editors, command[1])).password)

    again = await users("set-password", command[1], "--generate-password")
    assert again.out.startswith(GENERATED)
    assert again.out != result.out


@pytest.mark.parametrize("command", [("create", "vi@example.com"), ("set-password", "nobody@example.com")])
async def test_a_generated_password_is_not_printed_if_the_command_fails(editors, users, command):
    result = await users(*command, "--generate-password")

    assert (result.code, result.out) == (1, "")


@pytest.mark.parametrize("command", ["set-password", "suspend"])
async def test_a_new_password_or_a_suspension_ends_the_sessions_of_that_user_only(editors, users, command):
    await sessions(editors, "vi", "ed")
    vi = Caller(user=uid("vi"), session="of-vi")
    assert await editors.directory(vi).access()
    result = await users(command, "VI@example.com")

    assert result == (0, "", "")
    assert await sessions(editors) == ["of-ed"]
    if command == "set-password":
        assert verify_password(TYPED_PASSWORD, (await user_row(editors, "vi@example.com")).password)
    with pytest.raises(RollcallError) as caught:
        await editors.directory(vi)["users"].read_by_query()
    assert caught.value.code == "INVALID_CREDENTIALS"


async def test_unlock_ends_every_lockout(editors, users):
    attempts = AttemptCounter(editors.services, "login", timedelta(minutes=15))
    await attempts.count(account_and_network_key("vi@example.com", "192.0.2.1"), account_key("vi@example.com"))
    result = await users("unlock")

    assert result == (0, "All login lockouts were ended.\n", "")
    assert await attempts.count(account_and_network_key("vi@example.com", "192.0.2.1")) == [1]


async def test_the_static_token_of_a_suspended_user_is_rejected(editors, users):
    await users("suspend", "vi@example.com")

    assert (await user_row(editors, "vi@example.com")).status == "suspended"
    with pytest.raises(RollcallError) as caught:
        await editors.directory(caller("vi"))["users"].read_by_query()
    assert caught.value.code == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("name", ["ada", "ann"])
async def test_tfa_is_disabled_for_an_admin_too_and_for_a_user_without_it(editors, users, name):
    await update_user(editors, "ada", tfa_secret="JBSWY3DPEHPK3PXP")
    before = await user_row(editors, f"{name}@example.com")
    result = await users("disable-tfa", f"{name}@example.com")
    after = await user_row(editors, f"{name}@example.com")

    assert result == (0, "", "")
    assert after.tfa_secret is None
    assert (after.password, after.token, after.status) == (before.password, before.token, before.status)


@pytest.mark.parametrize("name", ["nora", "sue", "ada"])
async def test_make_admin_activates_the_user_and_keeps_the_role(editors, users, name):
    before = await user_row(editors, f"{name}@example.com")
    result = await users("make-admin", f"{name}@example.com")
    after = await user_row(editors, f"{name}@example.com")

    assert result == (0, "", "")
    assert (after.status, after.role) == ("active", before.role)
    assert await is_admin(editors, uid(name))


async def test_a_user_can_be_created_as_an_admin(editors, users):
    result = await users("create", "new@example.com", "--role", "Viewer", "--admin")
    new = await user_row(editors, "new@example.com")

    assert result == (0, "", "")
    assert str(new.role) == uid("role-Viewer")
    assert await is_admin(editors, new.id)


@pytest.mark.parametrize("restriction", [{"ip_access": ["10.1.0.0/16"]}, {"enforce_tfa": True}])
async def test_a_new_admin_is_not_limited_to_addresses_or_by_two_factor_setup(editors, users, restriction):
    """An admin policy that requires an address or TFA could leave the operator locked out."""
    async with editors.database.transaction() as connection:
        await connection.execute(update(Policy).where(Policy.id == uid("policy-Administrators")).values(**restriction))
    result = await users("make-admin", "vi@example.com")

    assert result == (0, "", "")
    assert await is_admin(editors, uid("vi"))


async def test_make_admin_works_without_any_admin_policy(editors, users):
    async with editors.database.transaction() as connection:
        await connection.execute(delete(Access).where(Access.policy_id == uid("policy-Administrators")))
        await connection.execute(delete(Policy).where(Policy.id == uid("policy-Administrators")))
    assert not await is_admin(editors, uid("ada"))
    result = await users("make-admin", "ada@example.com")

    assert result == (0, "", "")
    assert await is_admin(editors, uid("ada"))


async def test_the_last_admin_cannot_be_suspended_but_one_of_two_can(editors, users):
    await sessions(editors, "ada")
    before = await checksum(editors)
    result = await users("suspend", "ada@example.com")

    assert (result.code, result.out) == (1, "")
    assert "Cannot remove the last admin user from the system" in result.err
    assert await checksum(editors) == before

    await users("make-admin", "vi@example.com")
    assert (await users("suspend", "ada@example.com")).code == 0
    assert (await user_row(editors, "ada@example.com")).status == "suspended"
    assert (await users("suspend", "vi@example.com")).code == 1


async def test_list_prints_every_user_and_no_secret(editors, users):
    await update_user(
        editors, "ada", password="$argon2id$of-ada", tfa_secret="JBSWY3DPEHPK3PXP", auth_data={"a": "hidden"}
    )
    await update_user(editors, "nora", email=None)
    result = await users("list")
    async with editors.database.transaction() as connection:
        count = await connection.scalar(select(func.count()).select_from(User))
        addresses = (await connection.execute(select(User.email).where(User.email.is_not(None)))).scalars().all()
    lines = [line.split("\t") for line in result.out.splitlines()]

    assert (result.code, result.err) == (0, "")
    assert len(lines) == count
    assert {line[0] for line in lines} == {*addresses, "-"}
    assert ["ada@example.com", "active", "Administrator"] in lines
    assert ["sue@example.com", "suspended", "Staff"] in lines
    assert ["-", "active", "-"] in lines
    for secret in ("argon2", "NOTASECRET", "JBSWY3DPEHPK3PXP", "hidden", static_token("ada"), static_token("vi")):
        assert secret not in result.out


async def test_a_list_of_several_pages_prints_every_user_once(editors, users, monkeypatch):
    monkeypatch.setattr("app.flows.user_admin.PAGE_SIZE", 3)
    for name in ("ada", "vi", "nora", "kit", "sam", "ann"):
        await update_user(editors, name, email=None)
    result = await users("list")
    async with editors.database.transaction() as connection:
        emails = (await connection.execute(select(User.email).order_by(User.email))).scalars().all()

    assert sorted(line.split("\t")[0] for line in result.out.splitlines()) == sorted(email or "-" for email in emails)


FAILING_COMMANDS = [  # arguments, standard input, part of the message
    (("set-password", "nobody@example.com"), TYPED_PASSWORD, "There is no user with the email nobody@example.com"),
    (
        ("suspend", "i@example.com"),
        TYPED_PASSWORD,
        "There is no user with the email i@example.com",
    ),  # ends vi's
    (("create", "new@example.com", "--role", "Nobodies"), TYPED_PASSWORD, "There is no role named Nobodies"),
    (("create", "new@example.com", "--role", ""), TYPED_PASSWORD, ""),
    (("suspend", ""), TYPED_PASSWORD, ""),
    (("create", "VI@example.com"), TYPED_PASSWORD, "has to be unique"),
    (("create", "no address"), TYPED_PASSWORD, "valid email address"),
    (("create", "new@example.com"), "", "password"),
    (("create", "new@example.com"), "x" * 1025, "password"),
    (("create", "new@example.com"), "a\0b", "password"),
    (("create", "new@example.com", "--role", "\udcff"), TYPED_PASSWORD, "surrogate"),
]


@pytest.mark.parametrize(("command", "stdin", "message"), FAILING_COMMANDS)
async def test_a_failing_command_prints_one_line_and_changes_nothing(editors, users, command, stdin, message):
    before = await checksum(editors)
    result = await users(*command, stdin=stdin)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("rollcall: ")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert TYPED_PASSWORD not in result.err
    assert "x" * 1025 not in result.err
    assert await checksum(editors) == before


async def test_an_ambiguous_role_name_is_rejected(editors, users):
    await editors.load({"directus_roles": [{"id": uid("role-twin"), "name": "Viewer"}]})
    try:
        result = await users("create", "new@example.com", "--role", "Viewer")
    finally:
        await editors.directory(caller("ada"))["roles"].delete_one(uid("role-twin"))

    assert (result.code, result.out) == (1, "")
    assert "There are several roles named Viewer" in result.err


@pytest.mark.parametrize("command", [("create",), ("list", "--secrets"), ("forgive", "vi@example.com")])
async def test_a_misspelled_command_prints_its_usage(editors, users, command):
    before = await checksum(editors)
    result = await users(*command)

    assert (result.code, result.out) == (2, "")
    assert "Usage: " in result.err
    assert await checksum(editors) == before


async def test_the_installed_command_prints_no_traceback(templates):
    env = {
        "DATABASE_URL": f"sqlite:///{templates['sqlite']}",
        "SECRET": "a secret that only tests know and use",
        "PYTHONPATH": ".",
    }
    result = await run_process("users", "suspend", "ada@example.com", **env)

    assert result == (1, "", "rollcall: Can't process content. Cannot remove the last admin user from the system.\n")


async def test_users_are_found_and_listed_beyond_the_query_limit(editors, users, monkeypatch):
    monkeypatch.setenv("QUERY_LIMIT_MAX", "1")
    for address in ("c@example.com", "xc@example.com", "axc@example.com"):
        await users("create", address)

    assert (await users("suspend", "xc@example.com")).code == 0
    assert (await user_row(editors, "xc@example.com")).status == "suspended"
    assert {"c@example.com", "axc@example.com"} <= set((await users("list")).out.split())


@pytest.mark.parametrize("command", [("create", "new@example.com"), ("set-password", "vi@example.com")])
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"PASSWORD_MIN_LENGTH": "13"}, "Value has to have at least 13 characters"),
        ({"PASSWORD_REJECT_COMMON": "true"}, "Value is one of the most common passwords"),
    ],
)
async def test_a_password_below_the_limits_of_the_settings_is_refused(editors, command, limits, reason):
    before = await checksum(editors)
    url = editors.settings.database_url
    result = await run_command(url, "users", *command, stdin="qwerty123456", **limits)

    assert (result.code, result.out) == (1, "")
    assert reason in result.err
    assert await checksum(editors) == before


async def test_a_generated_password_is_as_long_as_the_settings_require(editors):
    url, command = editors.settings.database_url, ("users", "set-password", "vi@example.com", "--generate-password")
    result = await run_command(url, *command, PASSWORD_MIN_LENGTH="40", PASSWORD_REJECT_COMMON="true")

    assert (result.code, result.err) == (0, "")
    assert len(result.out.removeprefix(GENERATED).strip()) >= 40
