"""A second factor: set up against the password, used once, lost and recovered, and taken away."""

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
from tests.flows.clock import HASHED, OTHER_SECRET, PASSWORD, SECRET, TOTP_PERIOD, AccountHarness, FrozenClock
from tests.world import static_token, uid

ALREADY = "TFA Secret is already set for this user"
WRONG = '"otp" is invalid'
NOT_SET = f'User "{uid("vi")}" doesn\'t have TFA enabled'


@pytest_asyncio.fixture
async def place(inviters):
    """Vi, who may change nothing, and Sam have passwords and no second factor yet."""
    place = AccountHarness(inviters, FrozenClock())
    for name in ("vi", "sam"):
        await place.give(name, password=HASHED, tfa_secret=None)
    return place


@pytest_asyncio.fixture
async def secured(place):
    """And now Vi has a second factor."""
    await place.give("vi", tfa_secret=SECRET)
    return place


def factor(place, name="vi", **claims):
    return TwoFactorService(place.as_(name, **claims))


async def scalar(place, statement):
    async with place.system.database.transaction() as connection:
        return await connection.scalar(statement)


async def secret_of(place, name="vi"):
    return await scalar(place, select(User.tfa_secret).where(User.id == uid(name)))


async def outcomes(*attempts):
    """What each of several at once was refused with; None where it wasn't."""
    told = await asyncio.gather(*attempts, return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else None for one in told]


async def test_the_password_yields_a_new_secret_that_is_not_stored(place):
    made, other = await factor(place).generate(PASSWORD), await factor(place).generate(PASSWORD)

    assert made.url == (
        f"otpauth://totp/Directus:vi%40example.com?secret={made.secret}&period=30&digits=6&algorithm=SHA1&issuer=Directus"
    )
    assert len(made.secret) == 32
    assert TOTP(made.secret).now()  # whoever uses that library can
    assert made.secret != other.secret
    assert made.secret not in repr(made)
    assert await secret_of(place) is None


async def test_the_issuer_is_the_name_of_the_project(place):
    await place.system.load({"directus_settings": [{"id": 1, "project_name": "Our House & Co"}]})
    made = await factor(place).generate(PASSWORD)

    assert made.url.startswith("otpauth://totp/Our%20House%20%26%20Co:vi%40example.com?secret=")
    assert made.url.endswith("&issuer=Our%20House%20%26%20Co")


async def test_anonymous_callers_have_no_two_factor_authentication(place):
    nobody = TwoFactorService(Directory(PUBLIC, place.services))
    for doing in (
        nobody.generate(PASSWORD),
        nobody.enable("000000", SECRET),
        nobody.disable("000000"),
        nobody.recovery_codes("000000"),
        nobody.disable_for(uid("vi")),
    ):
        with pytest.raises(InvalidCredentials):
            await doing


async def test_a_stolen_token_does_not_allow_guessing_the_password(place):
    """Wrong ones are counted together with those at the sign-in, from that address."""
    await place.system.load({"directus_settings": [{"id": 1, "auth_login_attempts": 3}]})
    thief = Caller(token=static_token("vi"), ip="192.0.2.66")
    for password in ("wrong", "wrong again", "", PASSWORD + "!"):
        with pytest.raises(InvalidCredentials):
            await TwoFactorService(Directory(thief, place.services)).generate(password)
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(Directory(thief, place.services)).generate(PASSWORD)
    with pytest.raises(InvalidCredentials):
        await place.sign_in(ip="192.0.2.66")

    assert (await place.sign_in(ip="192.0.2.1")).access


async def test_generating_secrets_with_the_right_password_causes_no_lockout(place):
    await place.system.load({"directus_settings": [{"id": 1, "auth_login_attempts": 3}]})
    for _ in range(5):
        await factor(place).generate(PASSWORD)

    assert (await place.sign_in()).access


async def test_a_user_of_another_provider_gets_no_secret(place):
    await place.give("sam", provider="github")
    with pytest.raises(InvalidCredentials):
        await factor(place, "sam").generate(PASSWORD)


async def test_two_factor_authentication_is_enabled_once(secured):
    code = secured.clock.code(OTHER_SECRET)
    for doing in (factor(secured).generate(PASSWORD), factor(secured).enable(code, OTHER_SECRET)):
        with pytest.raises(InvalidPayload, match=ALREADY):
            await doing
    with pytest.raises(InvalidCredentials):
        await factor(secured).generate("wrong")

    assert await secret_of(secured) == SECRET


async def test_enabling_requires_a_right_code(place):
    for code in ("000000", "", "abc", "1" * 10_000, "١٢٣٤٥٦", place.clock.code(OTHER_SECRET)):
        with pytest.raises(InvalidPayload, match=WRONG):
            await factor(place).enable(code, SECRET)

    assert await secret_of(place) is None


async def test_a_malformed_secret_is_rejected_with_the_expected_format(place):
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
            await factor(place).enable("000000", secret)


async def test_a_secret_may_have_spaces_and_lower_case_letters(place):
    await factor(place).enable(place.clock.code(), "jbsw y3dp ehpk 3pxp")

    assert await secret_of(place) == SECRET


async def test_once_enabled_every_login_requires_a_new_code(place):
    await factor(place).enable(place.clock.code(), SECRET)
    for otp in (None, "", "000000"):
        with pytest.raises(InvalidOtp):
            await place.sign_in(otp=otp)

    assert (await place.sign_in(otp=place.clock.code())).access  # the very code it was set up with
    with pytest.raises(InvalidOtp):
        await place.sign_in(otp=place.clock.code())
    place.clock.move()
    assert (await place.sign_in(otp=place.clock.code())).access


async def test_one_of_many_concurrent_logins_with_one_code_succeeds(secured):
    told = await outcomes(*(secured.sign_in(otp=secured.clock.code()) for _ in range(5)))

    assert sorted(told, key=str) == [InvalidOtp] * 4 + [None]


async def test_one_of_two_concurrent_setups_succeeds(place):
    codes = [(place.clock.code(secret), secret) for secret in (SECRET, OTHER_SECRET)]
    told = await outcomes(*(factor(place).enable(*code) for code in codes))

    assert sorted(told, key=str) == [InvalidPayload, None]
    assert await secret_of(place) == codes[told.index(None)][1]


async def test_the_audit_log_records_the_changes_without_secrets(place):
    await factor(place).enable(place.clock.code(), SECRET)
    place.clock.move()
    recovery = await factor(place).recovery_codes(place.clock.code())
    await factor(place).disable(recovery[0])

    async with place.system.database.transaction() as connection:
        rows = [
            tuple(row) for model in (Activity, Revision) for row in await connection.execute(select(model.__table__))
        ]
    told = repr(rows)
    changes = [row for row in rows if uid("vi") in row and "update" in row]
    assert len(changes) == 2
    assert "tfa_secret" in told
    assert "**********" in told
    assert not any(word in told for word in (SECRET, SECRET.lower(), *recovery))


async def test_a_code_disables_two_factor_authentication(secured):
    with pytest.raises(InvalidPayload, match=WRONG):
        await factor(secured).disable("000000")
    assert await secret_of(secured) == SECRET

    await factor(secured).disable(secured.clock.code())
    assert await secret_of(secured) is None
    assert (await secured.sign_in()).access
    for doing in (factor(secured).disable("000000"), factor(secured).recovery_codes("000000")):
        with pytest.raises(InvalidPayload, match=NOT_SET):
            await doing


async def test_it_can_be_enabled_again_within_the_same_totp_period(secured):
    code = secured.clock.code(OTHER_SECRET)
    await factor(secured).disable(secured.clock.code())
    await factor(secured).enable(code, OTHER_SECRET)

    assert (await secured.sign_in(otp=code)).access


async def test_wrong_codes_of_all_operations_count_towards_one_limit(secured):
    for at in range(MAX_WRONG_CODES):
        refusal = (
            (InvalidPayload, factor(secured).disable("000000")) if at % 2 else (InvalidOtp, secured.sign_in(otp="1"))
        )
        with pytest.raises(refusal[0]):
            await refusal[1]
    for refused, doing in (
        (InvalidOtp, secured.sign_in(otp=secured.clock.code())),
        (InvalidPayload, factor(secured).disable(secured.clock.code())),
        (InvalidPayload, factor(secured).recovery_codes(secured.clock.code())),
    ):
        with pytest.raises(refused):
            await doing

    secured.clock.move(secured.services.settings.login_lockout_ttl + TOTP_PERIOD)
    assert (await secured.sign_in(otp=secured.clock.code())).access


async def test_concurrent_wrong_codes_are_counted_individually(secured):
    await outcomes(*(factor(secured).disable("000000") for _ in range(MAX_WRONG_CODES)))
    with pytest.raises(InvalidPayload, match=WRONG):
        await factor(secured).disable(secured.clock.code())


async def test_a_right_code_resets_the_count_of_wrong_ones(secured):
    for _ in range(3):
        with pytest.raises(InvalidOtp):
            await secured.sign_in(otp="000000")
    await secured.sign_in(otp=secured.clock.code())
    secured.clock.move()
    for _ in range(MAX_WRONG_CODES - 1):
        with pytest.raises(InvalidOtp):
            await secured.sign_in(otp="000000")

    assert (await secured.sign_in(otp=secured.clock.code())).access


async def test_ten_recovery_codes_are_returned_once_and_stored_as_hashes(secured):
    codes = await factor(secured).recovery_codes(secured.clock.code())

    async with secured.system.database.transaction() as connection:
        rows = (await connection.execute(select(RECOVERY_CODES))).all()
    assert len(set(codes)) == len(rows) == 10
    assert {str(row.user) for row in rows} == {uid("vi")}
    assert not any(code in repr(rows) or code.replace("-", "").upper() in repr(rows) for code in codes)


async def test_each_recovery_code_works_once_in_any_spelling(secured):
    first, second, third, fourth, *_ = await factor(secured).recovery_codes(secured.clock.code())

    for code in (first, second.upper(), third.replace("-", ""), f" {fourth.replace('-', ' ').upper()} "):
        assert (await secured.sign_in(otp=code)).access
        with pytest.raises(InvalidOtp):
            await secured.sign_in(otp=code)


async def test_one_of_many_concurrent_logins_with_one_recovery_code_succeeds(secured):
    code = (await factor(secured).recovery_codes(secured.clock.code()))[0]
    told = await outcomes(*(secured.sign_in(otp=code) for _ in range(5)))

    assert sorted(told, key=str) == [InvalidOtp] * 4 + [None]


async def test_new_recovery_codes_invalidate_the_old_ones(secured):
    old = await factor(secured).recovery_codes(secured.clock.code())
    secured.clock.move()
    new = await factor(secured).recovery_codes(secured.clock.code())

    for code in old:
        with pytest.raises(InvalidOtp):
            await secured.sign_in(otp=code)
        await secured.system.database.run_write(
            lambda writer: writer.fetch_all(writer.compile(delete(ATTEMPTS))), exclusive=False
        )  # here it is about the codes
    assert (await secured.sign_in(otp=new[0])).access


async def test_the_recovery_codes_of_another_user_are_rejected(secured):
    """Even where two have one secret."""
    await secured.give("sam", tfa_secret=SECRET)
    codes = await factor(secured, "sam").recovery_codes(secured.clock.code())

    with pytest.raises(InvalidOtp):
        await secured.sign_in("vi", otp=codes[0])
    with pytest.raises(InvalidPayload, match=WRONG):
        await factor(secured).disable(codes[0])
    assert (await secured.sign_in("sam", otp=codes[0])).access


async def test_creating_recovery_codes_requires_an_unused_authenticator_code(secured):
    code = secured.clock.code()
    codes = await factor(secured).recovery_codes(code)
    for wrong in (code, codes[0], "000000", ""):
        with pytest.raises(InvalidPayload, match=WRONG):
            await factor(secured).recovery_codes(wrong)

    assert (await secured.sign_in(otp=codes[0])).access


async def test_disabling_with_a_recovery_code_deletes_the_others(secured):
    codes = await factor(secured).recovery_codes(secured.clock.code())
    await factor(secured).disable(codes[0])

    assert await secret_of(secured) is None
    assert await scalar(secured, select(func.count()).select_from(RECOVERY_CODES)) == 0


async def by_an_admins_change(place):
    await place.as_("ada")["users"].update_one(uid("vi"), {"tfa_secret": None})


async def by_an_admins_mutation(place):
    changed = "mutation($id: ID!) { update_users_item(id: $id, data: {tfa_secret: null}) { id } }"
    told = await place.system.execute(changed, {"id": uid("vi")}, Caller(user=uid("ada")))
    assert told.errors is None


async def by_the_flow_of_an_admin(place):
    await factor(place, "ada").disable_for(uid("vi"))


async def by_whoever_holds_the_server(place):
    await UserAdmin(place.services).disable_tfa("vi@example.com")


async def by_a_neighbour(place):
    await place.give("vi", tfa_secret=None)


WAYS = [
    by_an_admins_change,
    by_an_admins_mutation,
    by_the_flow_of_an_admin,
    by_whoever_holds_the_server,
    by_a_neighbour,
]


@pytest.mark.parametrize("way", WAYS)
async def test_recovery_codes_become_invalid_however_tfa_is_disabled(secured, way):
    codes = await factor(secured).recovery_codes(secured.clock.code())
    await way(secured)
    assert await secret_of(secured) is None
    assert (await secured.sign_in()).access

    await secured.give("vi", tfa_secret=OTHER_SECRET)  # as a neighbour would set up another
    with pytest.raises(InvalidOtp):
        await secured.sign_in(otp=codes[0])


async def test_only_admins_disable_tfa_for_others(secured):
    for name in ("sam", "ed", "vi"):
        with pytest.raises(Forbidden):
            await factor(secured, name).disable_for(uid("vi"))

    assert await secret_of(secured) == SECRET


async def test_disabling_tfa_for_an_unknown_user_is_forbidden(secured):
    for user in (uid("nobody at all"), "vi", "", "\0"):
        with pytest.raises(Forbidden):
            await factor(secured, "ada").disable_for(user)


async def test_an_admin_needs_a_code_to_disable_their_own_tfa(place):
    await place.give("ada", tfa_secret=SECRET)
    for own in (uid("ada"), uid("ada").upper()):
        with pytest.raises(InvalidPayload, match="with a code"):
            await factor(place, "ada").disable_for(own)
    await factor(place, "ada").disable(place.clock.code())

    assert await secret_of(place, "ada") is None


async def test_an_empty_secret_has_no_valid_codes(place):
    """An empty key makes codes too, which everybody could."""
    await place.give("vi", tfa_secret="")
    with pytest.raises(InvalidOtp):
        await place.sign_in(otp=place.clock.code(""))


class Meddled(PasswordService):
    """While a password is looked at, which takes its time, something else happens."""

    def __init__(self, meanwhile):
        super().__init__()
        self._meanwhile = meanwhile

    async def verify(self, password, hashed):
        right = await super().verify(password, hashed)
        await self._meanwhile()
        return right


@pytest.mark.parametrize(
    "changes", [{"tfa_secret": SECRET}, {"status": "suspended"}, {"password": "$argon2id$another"}]
)
async def test_a_login_fails_if_the_account_changes_while_it_is_checked(place, changes):
    """A password is changed, and its sessions ended, while somebody signs in with the old one."""

    async def meanwhile():
        await place.give("vi", **changes)

    services = replace(place.services, passwords=Meddled(meanwhile))
    with pytest.raises(InvalidCredentials):
        await LoginService(Directory(PUBLIC, services)).login(Credentials("vi@example.com", PASSWORD))

    assert await scalar(place, select(func.count()).select_from(Session)) == 0


class Interrupted:
    """A database in which something else happens right before the last of so many transactions."""

    def __init__(self, database, transactions, meanwhile):
        self._database, self._left, self._meanwhile = database, transactions, meanwhile

    def __getattr__(self, name):
        return getattr(self._database, name)

    async def run_write(self, work, *, exclusive=True):
        self._left -= 1
        if self._left == 0:
            await self._meanwhile()
        return await self._database.run_write(work, exclusive=exclusive)


@pytest.mark.parametrize("now", [None, OTHER_SECRET])
async def test_no_recovery_codes_are_stored_if_the_secret_changes_meanwhile(secured, now):
    """The code is counted, it is used, and then the codes would be stored."""

    async def meanwhile():
        await secured.give("vi", tfa_secret=now)

    services = replace(secured.services, database=Interrupted(secured.services.database, 3, meanwhile))
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(Directory(Caller(user=uid("vi")), services)).recovery_codes(secured.clock.code())

    assert await scalar(secured, select(func.count()).select_from(RECOVERY_CODES)) == 0


async def test_expired_failures_do_not_count(secured):
    ttl = secured.services.settings.login_lockout_ttl
    for _ in range(MAX_WRONG_CODES):
        with pytest.raises(InvalidPayload):
            await factor(secured).disable("000000")
    secured.clock.move(ttl + timedelta(seconds=1))
    await factor(secured).disable(secured.clock.code())

    assert await secret_of(secured) is None
    assert await scalar(secured, text("SELECT count(*) FROM rollcall_attempts")) == 0
