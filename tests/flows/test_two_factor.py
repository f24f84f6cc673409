"""Two-factor authentication (TFA): setup with the password, one-time codes, recovery codes and disabling."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from pyotp import TOTP
from sqlalchemy import delete, func, select, text

from app.core.caller import PUBLIC, Caller
from app.core.errors import Forbidden, InvalidCredentials, InvalidOtp, InvalidPayload
from app.db.models import ATTEMPTS, RECOVERY_CODES, Activity, Revision, Session, User
from app.flows.login import Credentials, LoginService
from app.flows.otp_verifier import MAX_WRONG_CODES
from app.flows.two_factor import TwoFactorService
from app.flows.user_admin import UserAdmin
from app.passwords.hasher_pool import PasswordService
from app.repositories.directory import Directory
from tests.base_data import static_token, uid
from tests.flows.clock import HASHED, OTHER_SECRET, PASSWORD, SECRET, TOTP_PERIOD, AccountHarness, FrozenClock

ALREADY_SET_MESSAGE = "TFA Secret is already set for this user"
WRONG_CODE_MESSAGE = '"otp" is invalid'
NOT_ENABLED_MESSAGE = f'User "{uid("vi")}" doesn\'t have TFA enabled'


@pytest_asyncio.fixture
async def accounts(inviters):
    """Vi, who has no write permission, and Sam have passwords and no TFA."""
    harness = AccountHarness(inviters, FrozenClock())
    for name in ("vi", "sam"):
        await harness.update_user(name, password=HASHED, tfa_secret=None)
    return harness


@pytest_asyncio.fixture
async def tfa_accounts(accounts):
    """As `accounts`, but Vi has TFA."""
    await accounts.update_user("vi", tfa_secret=SECRET)
    return accounts


def two_factor(accounts, name="vi", **caller):
    return TwoFactorService(accounts.directory_as(name, **caller))


async def scalar(accounts, statement):
    async with accounts.system.database.transaction() as connection:
        return await connection.scalar(statement)


async def secret_of(accounts, name="vi"):
    return await scalar(accounts, select(User.tfa_secret).where(User.id == uid(name)))


async def errors_of(*calls):
    """Run the calls concurrently and return the type of each one's error, or None."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [type(result) if isinstance(result, Exception) else None for result in results]


async def test_the_password_yields_a_new_secret_that_is_not_stored(accounts):
    generated, other = await two_factor(accounts).generate(PASSWORD), await two_factor(accounts).generate(PASSWORD)

    assert generated.url == (
        f"otpauth://totp/Rollcall:vi%40example.com?secret={generated.secret}&period=30&digits=6&algorithm=SHA1&issuer=Rollcall"
    )
    assert len(generated.secret) == 32
    assert TOTP(generated.secret).now()  # pyotp accepts it
    assert generated.secret != other.secret
    assert generated.secret not in repr(generated)
    assert await secret_of(accounts) is None


async def test_the_issuer_is_the_name_of_the_project(accounts):
    await accounts.system.load({"directus_settings": [{"id": 1, "project_name": "Our House & Co"}]})
    generated = await two_factor(accounts).generate(PASSWORD)

    assert generated.url.startswith("otpauth://totp/Our%20House%20%26%20Co:vi%40example.com?secret=")
    assert generated.url.endswith("&issuer=Our%20House%20%26%20Co")


async def test_anonymous_callers_have_no_two_factor_authentication(accounts):
    anonymous = TwoFactorService(Directory(PUBLIC, accounts.services))
    for call in (
        anonymous.generate(PASSWORD),
        anonymous.enable("000000", SECRET),
        anonymous.disable("000000"),
        anonymous.recovery_codes("000000"),
        anonymous.disable_for(uid("vi")),
    ):
        with pytest.raises(InvalidCredentials):
            await call


async def test_a_stolen_token_does_not_allow_guessing_the_password(accounts):
    """Wrong passwords count together with those of logins from the same IP."""
    await accounts.system.load({"directus_settings": [{"id": 1, "auth_login_attempts": 3}]})
    thief = Caller(token=static_token("vi"), ip="192.0.2.66")
    for password in ("wrong", "wrong again", "", PASSWORD + "!"):
        with pytest.raises(InvalidCredentials):
            await TwoFactorService(Directory(thief, accounts.services)).generate(password)
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(Directory(thief, accounts.services)).generate(PASSWORD)
    with pytest.raises(InvalidCredentials):
        await accounts.login(ip="192.0.2.66")

    assert (await accounts.login(ip="192.0.2.1")).access


async def test_generating_secrets_with_the_right_password_causes_no_lockout(accounts):
    await accounts.system.load({"directus_settings": [{"id": 1, "auth_login_attempts": 3}]})
    for _ in range(5):
        await two_factor(accounts).generate(PASSWORD)

    assert (await accounts.login()).access


async def test_a_user_of_another_provider_needs_no_password(accounts):
    await accounts.update_user("sam", provider="github")
    for password in ("", "anything"):
        secret = (await two_factor(accounts, "sam").generate(password)).secret
    await two_factor(accounts, "sam").enable(accounts.clock.code(secret), secret)
    with pytest.raises(InvalidPayload, match=ALREADY_SET_MESSAGE):
        await two_factor(accounts, "sam").generate("")


async def test_two_factor_authentication_is_enabled_once(tfa_accounts):
    code = tfa_accounts.clock.code(OTHER_SECRET)
    for call in (two_factor(tfa_accounts).generate(PASSWORD), two_factor(tfa_accounts).enable(code, OTHER_SECRET)):
        with pytest.raises(InvalidPayload, match=ALREADY_SET_MESSAGE):
            await call
    with pytest.raises(InvalidCredentials):
        await two_factor(tfa_accounts).generate("wrong")

    assert await secret_of(tfa_accounts) == SECRET


async def test_enabling_requires_a_right_code(accounts):
    for code in ("000000", "", "abc", "1" * 10_000, "١٢٣٤٥٦", accounts.clock.code(OTHER_SECRET)):
        with pytest.raises(InvalidPayload, match=WRONG_CODE_MESSAGE):
            await two_factor(accounts).enable(code, SECRET)

    assert await secret_of(accounts) is None


async def test_a_malformed_secret_is_rejected_with_the_expected_format(accounts):
    for secret in (
        "",
        "x",
        SECRET[:15],
        "JBSWY3DPEHPK3PX1",
        SECRET + "A",
        "J" * 129,
        "ĴBSWY3DPEHPK3PXP",
        SECRET + "\0",
    ):
        with pytest.raises(InvalidPayload, match='"secret" must be base32 of 16 to 128 characters'):
            await two_factor(accounts).enable("000000", secret)


async def test_a_secret_may_have_spaces_and_lower_case_letters(accounts):
    await two_factor(accounts).enable(accounts.clock.code(), "jbsw y3dp ehpk 3pxp")

    assert await secret_of(accounts) == SECRET


async def test_once_enabled_every_login_requires_a_new_code(accounts):
    await two_factor(accounts).enable(accounts.clock.code(), SECRET)
    for otp in (None, "", "000000"):
        with pytest.raises(InvalidOtp):
            await accounts.login(otp=otp)

    assert (await accounts.login(otp=accounts.clock.code())).access  # the code used to enable it works once more
    with pytest.raises(InvalidOtp):
        await accounts.login(otp=accounts.clock.code())
    accounts.clock.advance()
    assert (await accounts.login(otp=accounts.clock.code())).access


USES_OF_A_CODE = {
    "login": (InvalidOtp, lambda accounts, code: accounts.login(otp=code)),
    "recovery codes": (InvalidPayload, lambda accounts, code: two_factor(accounts).recovery_codes(code)),
    "disable": (InvalidPayload, lambda accounts, code: two_factor(accounts).disable(code)),
}


@pytest.mark.parametrize("first", ["login", "recovery codes"])
@pytest.mark.parametrize("second", USES_OF_A_CODE)
async def test_a_code_is_accepted_once_whatever_it_is_used_for(tfa_accounts, first, second):
    code = tfa_accounts.clock.code()
    await USES_OF_A_CODE[first][1](tfa_accounts, code)
    error, use = USES_OF_A_CODE[second]
    with pytest.raises(error):
        await use(tfa_accounts, code)

    tfa_accounts.clock.advance()
    assert await use(tfa_accounts, tfa_accounts.clock.code()) or second == "disable"


@pytest.mark.parametrize("use", [name for name in USES_OF_A_CODE if name != "disable"])
async def test_the_code_that_enabled_tfa_is_accepted_once_more(accounts, use):
    code = accounts.clock.code()
    await two_factor(accounts).enable(code, SECRET)
    await USES_OF_A_CODE[use][1](accounts, code)

    for error, again in USES_OF_A_CODE.values():
        with pytest.raises(error):
            await again(accounts, code)


async def test_one_of_many_concurrent_logins_with_one_code_succeeds(tfa_accounts):
    results = await errors_of(*(tfa_accounts.login(otp=tfa_accounts.clock.code()) for _ in range(5)))

    assert sorted(results, key=str) == [InvalidOtp] * 4 + [None]


async def test_one_of_two_concurrent_setups_succeeds(accounts):
    codes = [(accounts.clock.code(secret), secret) for secret in (SECRET, OTHER_SECRET)]
    results = await errors_of(*(two_factor(accounts).enable(*code) for code in codes))

    assert sorted(results, key=str) == [InvalidPayload, None]
    assert await secret_of(accounts) == codes[results.index(None)][1]


async def test_the_audit_log_records_the_changes_without_secrets(accounts):
    await two_factor(accounts).enable(accounts.clock.code(), SECRET)
    accounts.clock.advance()
    recovery = await two_factor(accounts).recovery_codes(accounts.clock.code())
    await two_factor(accounts).disable(recovery[0])

    async with accounts.system.database.transaction() as connection:
        rows = [
            tuple(row) for model in (Activity, Revision) for row in await connection.execute(select(model.__table__))
        ]
    recorded = repr(rows)
    changes = [row for row in rows if uid("vi") in row and "update" in row]
    assert len(changes) == 2
    assert "tfa_secret" in recorded
    assert "**********" in recorded
    assert not any(word in recorded for word in (SECRET, SECRET.lower(), *recovery))


async def test_a_code_disables_two_factor_authentication(tfa_accounts):
    with pytest.raises(InvalidPayload, match=WRONG_CODE_MESSAGE):
        await two_factor(tfa_accounts).disable("000000")
    assert await secret_of(tfa_accounts) == SECRET

    await two_factor(tfa_accounts).disable(tfa_accounts.clock.code())
    assert await secret_of(tfa_accounts) is None
    assert (await tfa_accounts.login()).access
    for call in (two_factor(tfa_accounts).disable("000000"), two_factor(tfa_accounts).recovery_codes("000000")):
        with pytest.raises(InvalidPayload, match=NOT_ENABLED_MESSAGE):
            await call


async def test_it_can_be_enabled_again_within_the_same_totp_period(tfa_accounts):
    code = tfa_accounts.clock.code(OTHER_SECRET)
    await two_factor(tfa_accounts).disable(tfa_accounts.clock.code())
    await two_factor(tfa_accounts).enable(code, OTHER_SECRET)

    assert (await tfa_accounts.login(otp=code)).access


async def test_wrong_codes_of_all_operations_count_towards_one_limit(tfa_accounts):
    for number in range(MAX_WRONG_CODES):
        expected, call = (
            (InvalidPayload, two_factor(tfa_accounts).disable("000000"))
            if number % 2
            else (InvalidOtp, tfa_accounts.login(otp="1"))
        )
        with pytest.raises(expected):
            await call
    for expected, call in (
        (InvalidOtp, tfa_accounts.login(otp=tfa_accounts.clock.code())),
        (InvalidPayload, two_factor(tfa_accounts).disable(tfa_accounts.clock.code())),
        (InvalidPayload, two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())),
    ):
        with pytest.raises(expected):
            await call

    tfa_accounts.clock.advance(tfa_accounts.services.settings.login_lockout_ttl + TOTP_PERIOD)
    assert (await tfa_accounts.login(otp=tfa_accounts.clock.code())).access


async def test_concurrent_wrong_codes_are_counted_individually(tfa_accounts):
    await errors_of(*(two_factor(tfa_accounts).disable("000000") for _ in range(MAX_WRONG_CODES)))
    with pytest.raises(InvalidPayload, match=WRONG_CODE_MESSAGE):
        await two_factor(tfa_accounts).disable(tfa_accounts.clock.code())


async def test_a_right_code_resets_the_count_of_wrong_ones(tfa_accounts):
    for _ in range(3):
        with pytest.raises(InvalidOtp):
            await tfa_accounts.login(otp="000000")
    await tfa_accounts.login(otp=tfa_accounts.clock.code())
    tfa_accounts.clock.advance()
    for _ in range(MAX_WRONG_CODES - 1):
        with pytest.raises(InvalidOtp):
            await tfa_accounts.login(otp="000000")

    assert (await tfa_accounts.login(otp=tfa_accounts.clock.code())).access


async def test_ten_recovery_codes_are_returned_once_and_stored_as_hashes(tfa_accounts):
    codes = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())

    async with tfa_accounts.system.database.transaction() as connection:
        rows = (await connection.execute(select(RECOVERY_CODES))).all()
    assert len(set(codes)) == len(rows) == 10
    assert {str(row.user) for row in rows} == {uid("vi")}
    assert not any(code in repr(rows) or code.replace("-", "").upper() in repr(rows) for code in codes)


async def test_each_recovery_code_works_once_in_any_spelling(tfa_accounts):
    first, second, third, fourth, *_ = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())

    for code in (first, second.upper(), third.replace("-", ""), f" {fourth.replace('-', ' ').upper()} "):
        assert (await tfa_accounts.login(otp=code)).access
        with pytest.raises(InvalidOtp):
            await tfa_accounts.login(otp=code)


async def test_one_of_many_concurrent_logins_with_one_recovery_code_succeeds(tfa_accounts):
    code = (await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code()))[0]
    results = await errors_of(*(tfa_accounts.login(otp=code) for _ in range(5)))

    assert sorted(results, key=str) == [InvalidOtp] * 4 + [None]


async def test_new_recovery_codes_invalidate_the_old_ones(tfa_accounts):
    old = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())
    tfa_accounts.clock.advance()
    new = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())

    for code in old:
        with pytest.raises(InvalidOtp):
            await tfa_accounts.login(otp=code)
        await tfa_accounts.system.database.run_write(
            lambda writer: writer.fetch_all(writer.compile(delete(ATTEMPTS))), exclusive=False
        )  # otherwise the failed attempts would lead to a lockout
    assert (await tfa_accounts.login(otp=new[0])).access


async def test_the_recovery_codes_of_another_user_are_rejected(tfa_accounts):
    """Even if both users have the same secret."""
    await tfa_accounts.update_user("sam", tfa_secret=SECRET)
    codes = await two_factor(tfa_accounts, "sam").recovery_codes(tfa_accounts.clock.code())

    with pytest.raises(InvalidOtp):
        await tfa_accounts.login("vi", otp=codes[0])
    with pytest.raises(InvalidPayload, match=WRONG_CODE_MESSAGE):
        await two_factor(tfa_accounts).disable(codes[0])
    assert (await tfa_accounts.login("sam", otp=codes[0])).access


async def test_creating_recovery_codes_requires_an_unused_authenticator_code(tfa_accounts):
    code = tfa_accounts.clock.code()
    codes = await two_factor(tfa_accounts).recovery_codes(code)
    for rejected in (code, codes[0], "000000", ""):
        with pytest.raises(InvalidPayload, match=WRONG_CODE_MESSAGE):
            await two_factor(tfa_accounts).recovery_codes(rejected)

    assert (await tfa_accounts.login(otp=codes[0])).access


async def test_disabling_with_a_recovery_code_deletes_the_others(tfa_accounts):
    codes = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())
    await two_factor(tfa_accounts).disable(codes[0])

    assert await secret_of(tfa_accounts) is None
    assert await scalar(tfa_accounts, select(func.count()).select_from(RECOVERY_CODES)) == 0


async def by_admin_update(accounts):
    await accounts.directory_as("ada")["users"].update_one(uid("vi"), {"tfa_secret": None})


async def by_admin_mutation(accounts):
    mutation = "mutation($id: ID!) { update_users_item(id: $id, data: {tfa_secret: null}) { id } }"
    result = await accounts.system.execute(mutation, {"id": uid("vi")}, Caller(user=uid("ada")))
    assert result.errors is None


async def by_admin_flow(accounts):
    await two_factor(accounts, "ada").disable_for(uid("vi"))


async def by_command_line(accounts):
    await UserAdmin(accounts.services).disable_tfa("vi@example.com")


async def by_directus(accounts):
    await accounts.update_user("vi", tfa_secret=None)


DISABLERS = [by_admin_update, by_admin_mutation, by_admin_flow, by_command_line, by_directus]


@pytest.mark.parametrize("disable", DISABLERS)
async def test_recovery_codes_become_invalid_however_tfa_is_disabled(tfa_accounts, disable):
    codes = await two_factor(tfa_accounts).recovery_codes(tfa_accounts.clock.code())
    await disable(tfa_accounts)
    assert await secret_of(tfa_accounts) is None
    assert (await tfa_accounts.login()).access

    await tfa_accounts.update_user("vi", tfa_secret=OTHER_SECRET)  # as if set up again with Directus
    with pytest.raises(InvalidOtp):
        await tfa_accounts.login(otp=codes[0])


async def test_only_admins_disable_tfa_for_others(tfa_accounts):
    for name in ("sam", "ed", "vi"):
        with pytest.raises(Forbidden):
            await two_factor(tfa_accounts, name).disable_for(uid("vi"))

    assert await secret_of(tfa_accounts) == SECRET


async def test_disabling_tfa_for_an_unknown_user_is_forbidden(tfa_accounts):
    for user in (uid("nobody at all"), "vi", "", "\0"):
        with pytest.raises(Forbidden):
            await two_factor(tfa_accounts, "ada").disable_for(user)


async def test_an_admin_needs_a_code_to_disable_their_own_tfa(accounts):
    await accounts.update_user("ada", tfa_secret=SECRET)
    for user in (uid("ada"), uid("ada").upper()):
        with pytest.raises(InvalidPayload, match="with a code"):
            await two_factor(accounts, "ada").disable_for(user)
    await two_factor(accounts, "ada").disable(accounts.clock.code())

    assert await secret_of(accounts, "ada") is None


async def test_an_empty_secret_has_no_valid_codes(accounts):
    """TOTP codes of an empty key can be computed by anyone."""
    await accounts.update_user("vi", tfa_secret="")
    with pytest.raises(InvalidOtp):
        await accounts.login(otp=accounts.clock.code(""))


class InterruptedPasswords(PasswordService):
    """A password service that calls `interruption` while a password is verified."""

    def __init__(self, interruption):
        super().__init__()
        self._interruption = interruption

    async def verify(self, password, hashed):
        verified = await super().verify(password, hashed)
        await self._interruption()
        return verified


@pytest.mark.parametrize(
    "changes", [{"tfa_secret": SECRET}, {"status": "suspended"}, {"password": "$argon2id$another"}]
)
async def test_a_login_fails_if_the_account_changes_while_it_is_checked(accounts, changes):
    """For example, the password is changed, which ends all sessions, during a login with the old one."""

    async def interruption():
        await accounts.update_user("vi", **changes)

    services = replace(accounts.services, passwords=InterruptedPasswords(interruption))
    with pytest.raises(InvalidCredentials):
        await LoginService(Directory(PUBLIC, services)).login(Credentials("vi@example.com", PASSWORD))

    assert await scalar(accounts, select(func.count()).select_from(Session)) == 0


class InterruptedDatabase:
    """A database that calls `interruption` before the write transaction of this number."""

    def __init__(self, database, number, interruption):
        self._database, self._remaining, self._interruption = database, number, interruption

    def __getattr__(self, name):
        return getattr(self._database, name)

    async def run_write(self, work, *, exclusive=True):
        self._remaining -= 1
        if self._remaining == 0:
            await self._interruption()
        return await self._database.run_write(work, exclusive=exclusive)


@pytest.mark.parametrize("new_secret", [None, OTHER_SECRET])
async def test_no_recovery_codes_are_stored_if_the_secret_changes_meanwhile(tfa_accounts, new_secret):
    """The first transaction counts the attempt, the second consumes the code, the third would store recovery codes."""

    async def interruption():
        await tfa_accounts.update_user("vi", tfa_secret=new_secret)

    services = replace(
        tfa_accounts.services, database=InterruptedDatabase(tfa_accounts.services.database, 3, interruption)
    )
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(Directory(Caller(user=uid("vi")), services)).recovery_codes(tfa_accounts.clock.code())

    assert await scalar(tfa_accounts, select(func.count()).select_from(RECOVERY_CODES)) == 0


async def test_expired_failures_do_not_count(tfa_accounts):
    ttl = tfa_accounts.services.settings.login_lockout_ttl
    for _ in range(MAX_WRONG_CODES):
        with pytest.raises(InvalidPayload):
            await two_factor(tfa_accounts).disable("000000")
    tfa_accounts.clock.advance(ttl + timedelta(seconds=1))
    await two_factor(tfa_accounts).disable(tfa_accounts.clock.code())

    assert await secret_of(tfa_accounts) is None
    assert await scalar(tfa_accounts, text("SELECT count(*) FROM rollcall_attempts")) == 0
