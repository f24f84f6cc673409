"""`rollcall users …` claims to help when nobody can sign in: it does what it says, tells no more, and never falls over.

Commands run by the entry of the command line itself, in this process: starting another takes longer than they do.
"""

import asyncio
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import delete, func, insert, select, update

from app.cli import main
from app.core.caller import Caller
from app.core.errors import RollcallError
from app.core.hashing import verify_password
from app.db.models import Access, Policy, Session, User
from app.repositories.stores.login_attempts import AttemptCounter, account_and_network_key, account_key
from tests.db.test_bootstrap_and_import import rollcall as in_a_process
from tests.world import caller, static_token, uid
from tests.writes.editors import checksum

GIVEN = "correct horse, again"
ONCE = "Its password, shown this once: "


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


async def rollcall(url: str, *arguments: str, typed: str = "") -> Done:
    """What `rollcall …` does on the database at `url`, in this process."""

    def run() -> Done:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setenv("DATABASE_URL", url)
            patch.setenv("SECRET", "only for a test")
            patch.setattr(sys, "argv", ["rollcall", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
            patch.setattr(sys, "excepthook", sys.excepthook)  # the command line sets one of its own
            with pytest.raises(SystemExit) as ended:
                main()
        return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return await asyncio.to_thread(run)


@pytest.fixture
def users(editors):
    """Runs `rollcall users …` on the desk's database; what stands on standard input is the password."""

    async def command(*arguments: str, typed: str = GIVEN) -> Done:
        return await rollcall(editors.settings.database_url, "users", *arguments, typed=typed)

    return command


async def person(system, address) -> Any:
    async with system.database.transaction() as connection:
        return (await connection.execute(select(User.__table__).where(func.lower(User.email) == address))).one()


async def change(system, whom, **values):
    async with system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid(whom)).values(**values))


async def is_admin(system, key):
    return bool((await system.directory(Caller(user=str(key))).fresh_access()).admin)


async def sessions(system, *names):
    """Gives everybody who is named a session; afterwards, whose are left."""
    async with system.database.transaction() as connection:
        for name in names:
            ends = system.services.clock().replace(year=2999)
            await connection.execute(insert(Session).values(token=f"of-{name}", user_id=uid(name), expires=ends))
        return sorted((await connection.execute(select(Session.token))).scalars())


async def test_a_user_that_was_made_can_sign_in_with_what_was_typed(editors, users):
    done = await users("create", "New@example.com", "--role", "Viewer")
    new = await person(editors, "new@example.com")

    assert done == (0, "", "")
    assert verify_password(GIVEN, new.password)
    assert (new.email, new.status, new.provider, str(new.role)) == (
        "New@example.com",
        "active",
        "default",
        uid("role-Viewer"),
    )
    assert not await is_admin(editors, new.id)


@pytest.mark.parametrize("command", [("create", "new@example.com"), ("set-password", "vi@example.com")])
async def test_a_password_is_told_once_and_only_where_it_was_made_up(editors, users, command):
    made_up = await users(*command, "--make-up")
    told = made_up.out.removeprefix(ONCE).strip()

    assert (made_up.code, made_up.err) == (0, "")
    assert made_up.out == f"{ONCE}{told}\n"
    assert len(told) >= 16
    assert verify_password(told, (await person(editors, command[1])).password)

    again = await users("set-password", command[1], "--make-up")
    assert again.out.startswith(ONCE)
    assert again.out != made_up.out


@pytest.mark.parametrize("command", [("create", "vi@example.com"), ("set-password", "nobody@example.com")])
async def test_a_password_that_nobody_has_is_not_told(editors, users, command):
    done = await users(*command, "--make-up")

    assert (done.code, done.out) == (1, "")


@pytest.mark.parametrize("command", ["set-password", "suspend"])
async def test_a_new_password_and_a_suspension_end_a_users_sessions_and_nobody_elses(editors, users, command):
    await sessions(editors, "vi", "ed")
    vi = Caller(user=uid("vi"), session="of-vi")
    assert await editors.directory(vi).access()
    done = await users(command, "VI@example.com")

    assert done == (0, "", "")
    assert await sessions(editors) == ["of-ed"]
    if command == "set-password":
        assert verify_password(GIVEN, (await person(editors, "vi@example.com")).password)
    with pytest.raises(RollcallError) as refusal:
        await editors.directory(vi)["users"].read_by_query()
    assert refusal.value.code == "INVALID_CREDENTIALS"


async def test_lock_outs_can_be_ended_for_everybody(editors, users):
    attempts = AttemptCounter(editors.services, "login", timedelta(minutes=15))
    await attempts.count(account_and_network_key("vi@example.com", "192.0.2.1"), account_key("vi@example.com"))
    done = await users("unlock")

    assert done == (0, "Nobody is locked out any more.\n", "")
    assert await attempts.count(account_and_network_key("vi@example.com", "192.0.2.1")) == [1]


async def test_who_is_suspended_is_let_in_by_no_token(editors, users):
    await users("suspend", "vi@example.com")

    assert (await person(editors, "vi@example.com")).status == "suspended"
    with pytest.raises(RollcallError) as refusal:
        await editors.directory(caller("vi"))["users"].read_by_query()
    assert refusal.value.code == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("whom", ["ada", "ann"])
async def test_a_second_factor_is_taken_away_an_admins_too_and_where_there_is_none(editors, users, whom):
    await change(editors, "ada", tfa_secret="JBSWY3DPEHPK3PXP")
    before = await person(editors, f"{whom}@example.com")
    done = await users("disable-tfa", f"{whom}@example.com")
    after = await person(editors, f"{whom}@example.com")

    assert done == (0, "", "")
    assert after.tfa_secret is None
    assert (after.password, after.token, after.status) == (before.password, before.token, before.status)


@pytest.mark.parametrize("whom", ["nora", "sue", "ada"])
async def test_whoever_is_made_an_admin_is_an_active_one_and_keeps_their_role(editors, users, whom):
    before = await person(editors, f"{whom}@example.com")
    done = await users("make-admin", f"{whom}@example.com")
    after = await person(editors, f"{whom}@example.com")

    assert done == (0, "", "")
    assert (after.status, after.role) == ("active", before.role)
    assert await is_admin(editors, uid(whom))


async def test_whoever_is_made_anew_can_be_an_admin_at_once(editors, users):
    done = await users("create", "new@example.com", "--role", "Viewer", "--admin")
    new = await person(editors, "new@example.com")

    assert done == (0, "", "")
    assert str(new.role) == uid("role-Viewer")
    assert await is_admin(editors, new.id)


@pytest.mark.parametrize("bound", [{"ip_access": ["10.1.0.0/16"]}, {"enforce_tfa": True}])
async def test_an_admin_who_is_made_is_one_from_anywhere(editors, users, bound):
    """A policy that holds only in the office, or only with a second factor, would help nobody at night."""
    async with editors.database.transaction() as connection:
        await connection.execute(update(Policy).where(Policy.id == uid("policy-Administrators")).values(**bound))
    done = await users("make-admin", "vi@example.com")

    assert done == (0, "", "")
    assert await is_admin(editors, uid("vi"))


async def test_an_admin_is_made_where_nobody_is_one_any_more(editors, users):
    async with editors.database.transaction() as connection:
        await connection.execute(delete(Access).where(Access.policy_id == uid("policy-Administrators")))
        await connection.execute(delete(Policy).where(Policy.id == uid("policy-Administrators")))
    assert not await is_admin(editors, uid("ada"))
    done = await users("make-admin", "ada@example.com")

    assert done == (0, "", "")
    assert await is_admin(editors, uid("ada"))


async def test_the_last_admin_is_not_suspended_but_one_of_two_is(editors, users):
    await sessions(editors, "ada")
    before = await checksum(editors)
    refused = await users("suspend", "ada@example.com")

    assert (refused.code, refused.out) == (1, "")
    assert "Cannot remove the last admin user from the system" in refused.err
    assert await checksum(editors) == before

    await users("make-admin", "vi@example.com")
    assert (await users("suspend", "ada@example.com")).code == 0
    assert (await person(editors, "ada@example.com")).status == "suspended"
    assert (await users("suspend", "vi@example.com")).code == 1


async def test_every_user_is_listed_with_no_secret_among_them(editors, users):
    await change(editors, "ada", password="$argon2id$of-ada", tfa_secret="JBSWY3DPEHPK3PXP", auth_data={"a": "hidden"})
    await change(editors, "nora", email=None)
    done = await users("list")
    async with editors.database.transaction() as connection:
        count = await connection.scalar(select(func.count()).select_from(User))
        addresses = (await connection.execute(select(User.email).where(User.email.is_not(None)))).scalars().all()
    lines = [line.split("\t") for line in done.out.splitlines()]

    assert (done.code, done.err) == (0, "")
    assert len(lines) == count
    assert {line[0] for line in lines} == {*addresses, "-"}
    assert ["ada@example.com", "active", "Administrator"] in lines
    assert ["sue@example.com", "suspended", "Staff"] in lines
    assert ["-", "active", "-"] in lines
    for secret in ("argon2", "NOTASECRET", "JBSWY3DPEHPK3PXP", "hidden", static_token("ada"), static_token("vi")):
        assert secret not in done.out


async def test_a_long_list_shows_everybody_once(editors, users, monkeypatch):
    monkeypatch.setattr("app.flows.user_admin.PAGE_SIZE", 3)
    for name in ("ada", "vi", "nora", "kit", "sam", "ann"):
        await change(editors, name, email=None)
    done = await users("list")
    async with editors.database.transaction() as connection:
        everybody = (await connection.execute(select(User.email).order_by(User.email))).scalars().all()

    assert sorted(line.split("\t")[0] for line in done.out.splitlines()) == sorted(email or "-" for email in everybody)


BAD = [
    # what is asked for,                                             what is typed,  and what is told
    (("set-password", "nobody@example.com"), GIVEN, "There is no user with the email nobody@example.com"),
    (("suspend", "i@example.com"), GIVEN, "There is no user with the email i@example.com"),  # vi's holds it
    (("create", "new@example.com", "--role", "Nobodies"), GIVEN, "There is no role named Nobodies"),
    (("create", "new@example.com", "--role", ""), GIVEN, ""),
    (("suspend", ""), GIVEN, ""),
    (("create", "VI@example.com"), GIVEN, "has to be unique"),
    (("create", "no address"), GIVEN, "valid email address"),
    (("create", "new@example.com"), "", "password"),
    (("create", "new@example.com"), "x" * 1025, "password"),
    (("create", "new@example.com"), "a\0b", "password"),
    (("create", "new@example.com", "--role", "\udcff"), GIVEN, "surrogate"),
]


@pytest.mark.parametrize(("command", "typed", "words"), BAD)
async def test_what_can_not_be_done_is_one_line_and_nothing_is_changed(editors, users, command, typed, words):
    before = await checksum(editors)
    done = await users(*command, typed=typed)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("rollcall: ")
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert GIVEN not in done.err
    assert "x" * 1025 not in done.err
    assert await checksum(editors) == before


async def test_several_roles_of_one_name_are_told_apart_by_nobody(editors, users):
    await editors.load({"directus_roles": [{"id": uid("role-twin"), "name": "Viewer"}]})
    try:
        done = await users("create", "new@example.com", "--role", "Viewer")
    finally:
        await editors.directory(caller("ada"))["roles"].delete_one(uid("role-twin"))

    assert (done.code, done.out) == (1, "")
    assert "There are several roles named Viewer" in done.err


@pytest.mark.parametrize("command", [("create",), ("list", "--secrets"), ("forgive", "vi@example.com")])
async def test_a_command_that_is_spelled_wrong_is_answered_with_how_to_spell_it(editors, users, command):
    before = await checksum(editors)
    done = await users(*command)

    assert (done.code, done.out) == (2, "")
    assert "Usage: " in done.err
    assert await checksum(editors) == before


async def test_the_command_as_it_is_installed_is_the_same_and_shows_no_traceback(templates):
    env = {"DATABASE_URL": f"sqlite:///{templates['sqlite']}", "SECRET": "only for a test", "PYTHONPATH": "."}
    done = await in_a_process("users", "suspend", "ada@example.com", **env)

    assert done == (1, "", "rollcall: Can't process content. Cannot remove the last admin user from the system.\n")


@pytest.mark.parametrize("command", [("list",), ("create", "new@example.com")])
async def test_where_nothing_was_set_up_that_is_told(empty_database_url, command):
    done = await rollcall(empty_database_url, "users", *command, typed=GIVEN)

    assert (done.code, done.out) == (1, "")
    assert done.err == "rollcall: The database doesn't hold what is needed: run `rollcall bootstrap` first.\n"


async def test_a_limit_on_lists_keeps_nobody_from_being_found(editors, users, monkeypatch):
    monkeypatch.setenv("QUERY_LIMIT_MAX", "1")
    for address in ("c@example.com", "xc@example.com", "axc@example.com"):
        await users("create", address)

    assert (await users("suspend", "xc@example.com")).code == 0
    assert (await person(editors, "xc@example.com")).status == "suspended"
    assert {"c@example.com", "axc@example.com"} <= set((await users("list")).out.split())
