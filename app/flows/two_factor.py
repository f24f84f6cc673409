"""One's second factor: an authenticator is set up, and taken away again; and what helps where it is lost.

None of it takes a right to change users: it is about oneself, and proved by a password or a code.
"""

import base64
import re
from dataclasses import dataclass, field

from app.core.caller import on_behalf_of
from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.core.otp import generate_recovery_codes, generate_totp_secret, otpauth_url
from app.db.transaction import WriteTransaction
from app.flows import server_info
from app.flows.login import LoginService
from app.flows.otp_verifier import OTPVerifier
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.directory import Directory
from app.repositories.stores.otp_codes import OTPStore

BASE32 = re.compile(r"[A-Z2-7]{16,128}", re.ASCII)
DEFAULT_ISSUER = "Directus"
"""Who an authenticator says its codes are for where the project has no name."""
ALREADY_SET_MESSAGE = "TFA Secret is already set for this user"
WRONG_CODE_MESSAGE = '"otp" is invalid'
INVALID_SECRET_MESSAGE = '"secret" has to be base32 of 16 to 128 characters, as it was generated'  # noqa: S105 - says what one is
OWN_TFA_NEEDS_CODE_MESSAGE = "One's own second factor is taken away with a code of it"


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """A secret for an authenticator, and the `otpauth:` address by which one reads it; nothing is set up by it yet."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


class TwoFactorService:
    """The caller's second factor; everything raises InvalidCredentials where nobody asks."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)

    async def generate(self, password: str) -> TotpSecret:
        """A new secret for whoever knows his own password, which is counted as signing in with it is.

        Raises InvalidCredentials for a wrong one, InvalidPayload where there is a second factor already.
        """
        account = await self._account()
        sign_in, email = LoginService(self._directory), account.email
        if email is None or (await sign_in.check_password(email, password)).id != account.id:
            raise InvalidCredentials
        await self._services.database.run_write(lambda writer: sign_in.reset_attempts(writer, email), exclusive=False)
        _check_unset(account)
        secret, project = generate_totp_secret(), (await server_info.project(self._services))["project_name"]
        return TotpSecret(secret, otpauth_url(secret, email, project or DEFAULT_ISSUER))

    async def enable(self, otp: str, secret: str) -> None:
        """From here on signing in takes a code of this secret; `otp` shows that there is something that makes them.

        Raises InvalidPayload where there is a second factor already, where this is no secret, and for a wrong code.
        """
        account = await self._account()
        _check_unset(account)
        wanted = _read_secret(secret)
        if not await OTPStore(self._services, account.id).consume(otp, wanted, "enable"):
            raise InvalidPayload(WRONG_CODE_MESSAGE)
        await self._change(account, wanted)

    async def disable(self, otp: str) -> None:
        """Takes it away, with a code of it or a recovery code.

        Raises InvalidPayload where there is none, and for a wrong code.
        """
        account = await self._proved(otp, "disable", recovery=True)
        await self._change(account, None)

    async def disable_for(self, user: str) -> None:
        """Takes somebody else's away, as only admins may.

        Raises Forbidden for others and where there is no such user, InvalidPayload for the admin's own.
        """
        access = await self._directory.fresh_access()
        if access.user is None:
            raise InvalidCredentials
        if not access.admin:
            raise Forbidden
        if user.lower() == access.user:
            raise InvalidPayload(OWN_TFA_NEEDS_CODE_MESSAGE)
        await self._directory["users"].update_one(user, {"tfa_secret": None})

    async def recovery_codes(self, otp: str) -> list[str]:
        """Ten new recovery codes, which nobody is ever told again; those before them are good no more.

        Raises InvalidPayload where there is no second factor, and for a wrong code; a recovery code is wrong here.
        """
        account, codes = await self._proved(otp, "recovery", recovery=False), generate_recovery_codes()

        async def work(writer: WriteTransaction) -> None:
            if not await is_unchanged(writer, account):
                raise InvalidCredentials
            await OTPStore(self._services, account.id).replace_recovery(writer, codes, account.tfa_secret or "")
            await OTPVerifier(self._services, account).reset(writer)

        await self._services.database.run_write(work, exclusive=False)
        return codes

    async def _account(self) -> Account:
        user = (await self._directory.fresh_access()).user
        account = await self._accounts.by_id(user) if user else None
        if account is None:
            raise InvalidCredentials
        return account

    async def _proved(self, otp: str, purpose: str, *, recovery: bool) -> Account:
        """The caller's account, once a code of its second factor was shown."""
        account = await self._account()
        _check_set(account)
        if not await OTPVerifier(self._services, account).verify(otp, purpose, recovery=recovery):
            raise InvalidPayload(WRONG_CODE_MESSAGE)
        return account

    async def _change(self, account: Account, secret: str | None) -> None:
        """Gives an account another secret, or none; what was done meanwhile is told as if it had been first."""
        asking = on_behalf_of(account.id, self._directory.caller)
        values = {"tfa_secret": secret}
        try:
            await self._accounts.change(
                account, values, asking, self._directory.client_info, otherwise=InvalidCredentials
            )
        except InvalidCredentials:
            check = _check_set if secret is None else _check_unset
            check(await self._account())
            raise
        await self._services.database.run_write(OTPVerifier(self._services, account).reset, exclusive=False)


def _check_unset(account: Account) -> None:
    if account.tfa_secret is not None:
        raise InvalidPayload(ALREADY_SET_MESSAGE)


def _check_set(account: Account) -> None:
    if account.tfa_secret is None:
        raise InvalidPayload(f'User "{account.id}" doesn\'t have TFA enabled')


def _read_secret(secret: str) -> str:
    """A secret as it is stored: in capitals, without spaces and padding; raises InvalidPayload for what is none."""
    plain = secret.replace(" ", "").rstrip("=").upper()
    try:
        if BASE32.fullmatch(plain):
            base64.b32decode(plain + "=" * (-len(plain) % 8))
            return plain
    except ValueError:
        pass
    raise InvalidPayload(INVALID_SECRET_MESSAGE)
