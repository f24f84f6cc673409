"""Two-factor authentication (TFA): setting it up, removing it, and recovery codes.

Users need no permission to change users for this: it concerns their own account, and a password or code proves it.
"""

import base64
import re
from dataclasses import dataclass, field

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.caller import on_behalf_of
from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.core.otp import generate_recovery_codes, generate_totp_secret, otpauth_url
from app.db.transaction import WriteTransaction
from app.flows.login import LoginService
from app.flows.otp_verifier import OTPVerifier
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.directory import Directory
from app.repositories.project_settings import read_project_name
from app.repositories.stores.otp_codes import OTPStore

BASE32 = re.compile(r"[A-Z2-7]{16,128}", re.ASCII)
ALREADY_SET_MESSAGE = "TFA Secret is already set for this user"
WRONG_CODE_MESSAGE = '"otp" is invalid'
INVALID_SECRET_MESSAGE = '"secret" must be base32 of 16 to 128 characters, as generated'  # noqa: S105 - a message
OWN_TFA_NEEDS_CODE_MESSAGE = "Your own two-factor authentication can only be disabled with a code"


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """A generated secret, and its `otpauth:` URL for authenticators; it is not stored yet."""

    secret: str = field(repr=False)
    url: str = field(repr=False)


class TwoFactorService:
    """Manages the caller's two-factor authentication; every method raises InvalidCredentials for anonymous callers."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)

    async def generate(self, password: str) -> TotpSecret:
        """Return a new secret, if the password is the caller's own; the attempt is counted like a login.

        A user of another provider has no password here, and needs none, as in Directus: the secret is only stored after
        `enable`, which asks for no password either.

        Raises:
            InvalidCredentials: The password is wrong.
            InvalidPayload: The caller has two-factor authentication already.
        """
        account = await self._account()
        if account.provider == DEFAULT_PROVIDER:
            await self._check_password(account, password)
        _check_disabled(account)
        return await self.totp_secret(generate_totp_secret())

    async def _check_password(self, account: Account, password: str) -> None:
        login, email = LoginService(self._directory), account.email
        if email is None or (await login.check_password(email, password)).id != account.id:
            raise InvalidCredentials
        await self._services.database.run_write(lambda writer: login.reset_attempts(writer, email), exclusive=False)

    async def totp_secret(self, secret: str) -> TotpSecret:
        """Return a generated secret with its URL once more.

        Raises:
            InvalidPayload: The secret is malformed.
        """
        account, issuer = await self._account(), await read_project_name(self._services)
        normalized = _normalize_secret(secret)
        return TotpSecret(normalized, otpauth_url(normalized, account.email or "", issuer))

    async def enable(self, otp: str, secret: str) -> None:
        """Store the secret, so that logins require its codes; `otp` proves that an authenticator has it.

        Raises:
            InvalidPayload: The caller has two-factor authentication already, the secret is malformed, or the code is
                wrong.
        """
        account = await self._account()
        _check_disabled(account)
        normalized = _normalize_secret(secret)
        if not await OTPStore(self._services, account.id).verify_and_consume(otp, normalized):
            raise InvalidPayload(WRONG_CODE_MESSAGE)
        await self._set_secret(account, normalized)

    async def disable(self, otp: str) -> None:
        """Disable two-factor authentication with a one-time password or a recovery code.

        Raises:
            InvalidPayload: It is not enabled, or the code is wrong.
        """
        account = await self._verified_account(otp, recovery=True)
        await self._set_secret(account, None)

    async def disable_for(self, user: str) -> None:
        """Disable another user's two-factor authentication, as an admin.

        Raises:
            Forbidden: The caller is no admin, or there is no such user.
            InvalidPayload: The user is the admin itself.
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
        """Return ten new recovery codes, which replace the previous ones; only their hashes are stored.

        Raises:
            InvalidPayload: Two-factor authentication is not enabled, or the code is wrong; a recovery code is not
                accepted here.
        """
        account, codes = await self._verified_account(otp, recovery=False), generate_recovery_codes()

        async def replace(writer: WriteTransaction) -> None:
            if not await is_unchanged(writer, account):
                raise InvalidCredentials
            await OTPStore(self._services, account.id).replace_recovery_codes(writer, codes, account.tfa_secret or "")
            await OTPVerifier(self._services, account).reset(writer)

        await self._services.database.run_write(replace, exclusive=False)
        return codes

    async def _account(self) -> Account:
        await self._directory.refuse_api_token()
        user = (await self._directory.fresh_access()).user
        account = await self._accounts.by_id(user) if user else None
        if account is None:
            raise InvalidCredentials
        return account

    async def _verified_account(self, otp: str, *, recovery: bool) -> Account:
        """Return the caller's account after verifying a one-time password for it."""
        account = await self._account()
        _check_enabled(account)
        if not await OTPVerifier(self._services, account).verify(otp, recovery=recovery):
            raise InvalidPayload(WRONG_CODE_MESSAGE)
        return account

    async def _set_secret(self, account: Account, secret: str | None) -> None:
        """Store a secret, or remove it; after a concurrent change, raise the error that a later call would get."""
        caller = on_behalf_of(account.id, self._directory.caller)
        values = {"tfa_secret": secret}
        try:
            await self._accounts.update(
                account, values, caller, self._directory.client_info, conflict_error=InvalidCredentials
            )
        except InvalidCredentials:
            check = _check_enabled if secret is None else _check_disabled
            check(await self._account())
            raise
        await self._services.database.run_write(OTPVerifier(self._services, account).reset, exclusive=False)


def _check_disabled(account: Account) -> None:
    if account.tfa_secret is not None:
        raise InvalidPayload(ALREADY_SET_MESSAGE)


def _check_enabled(account: Account) -> None:
    if account.tfa_secret is None:
        raise InvalidPayload(f'User "{account.id}" doesn\'t have TFA enabled')


def _normalize_secret(secret: str) -> str:
    """Return a secret as it is stored: upper case, without spaces and padding.

    Raises:
        InvalidPayload: The secret is malformed.
    """
    normalized = secret.replace(" ", "").rstrip("=").upper()
    try:
        if BASE32.fullmatch(normalized):
            base64.b32decode(normalized + "=" * (-len(normalized) % 8))
            return normalized
    except ValueError:
        pass
    raise InvalidPayload(INVALID_SECRET_MESSAGE)
