"""The user of a sign-in with a provider: whether it may sign in, and what the sign-in changes.

A user belongs to a provider by `provider` and `external_identifier`, never by the email address alone.
"""

from typing import Any

from app.core.caller import on_behalf_of
from app.core.errors import InvalidCredentials, InvalidOtp, InvalidProvider, RecordNotUnique, UserSuspended
from app.core.provider_settings import ProviderSettings
from app.db.transaction import WriteTransaction
from app.flows.otp_verifier import OTPVerifier
from app.flows.session_start import SessionStart
from app.flows.single_sign_on.failures import refused
from app.flows.single_sign_on.profile import Profile
from app.flows.tokens import TokenMode
from app.query.collection import USERS
from app.query.payload import parse_payload
from app.repositories.commands.accounts import Account
from app.repositories.commands.provider_users import ProviderUser, SignInProviderUser
from app.repositories.directory import Directory
from app.repositories.rules.users import ACTIVE, SUSPENDED
from app.repositories.stores.sessions import SessionGrant


class UserSignIn:
    """Signs in one user whose identity a provider has proven."""

    def __init__(self, directory: Directory, settings: ProviderSettings) -> None:
        self._directory, self._services, self._settings = directory, directory.services, settings

    async def check_account(self, account: Account, otp: str | None) -> None:
        """Check that an existing user may sign in with this provider, and the one-time password if there must be one.

        Raises:
            UserSuspended, InvalidCredentials, InvalidOtp: It is not so.
        """
        if account.provider != self._settings.name:
            raise self._refused("the identifier belongs to a user of another provider", user=account.id)
        if account.status != ACTIVE:
            refused = self._refused(f"the user is {account.status}", user=account.id)
            raise UserSuspended if account.status == SUSPENDED else refused
        if account.tfa_secret is not None:
            verifier = OTPVerifier(self._services, account)
            if not await verifier.verify(otp, recovery=True):
                raise InvalidOtp
            await self._services.database.run_write(verifier.reset, exclusive=False)

    def check_registration(self, profile: Profile) -> None:
        """Check that a new user may be created.

        Raises:
            InvalidCredentials: It may not.
        """
        if not self._settings.allow_public_registration:
            raise self._refused("there is no such user, and the provider may not register users")
        if not profile.is_email_accepted:
            raise self._refused("there is no such user, and the email address is not verified")

    async def start_session(
        self,
        user: ProviderUser | None,
        profile: Profile,
        refresh_token: str | None,
        mode: TokenMode,
        *,
        is_new_identity: bool = False,
    ) -> SessionGrant:
        """Create or update the user and start a session, in one transaction.

        With `is_new_identity`, the user becomes one of the provider, and its other sessions end.

        Raises:
            InvalidProvider: Another user has the email address or the identifier.
            RollcallError: As any write to a user.
        """
        values = self._new_values(profile) if user is None else self._changes(user, profile)
        if is_new_identity:
            values |= self._identity(profile)
        users = self._services.registry.own(USERS)
        payload = parse_payload(users, values, self._services.limits.max_depth)
        start = SessionStart(self._directory, mode)
        grants: list[SessionGrant] = []

        async def begin(writer: WriteTransaction, key: str) -> None:
            grants[:] = [await start.begin(writer, key, profile.email)]  # a transaction may be repeated

        account = user.account if user else None
        caller = on_behalf_of(account.id if account else None, self._directory.caller)
        directory = Directory(caller, self._services, self._directory.client_info, self._directory.budget)
        try:
            await directory["users"].write(SignInProviderUser(account, payload, refresh_token, begin, is_new_identity))
        except RecordNotUnique as error:
            self._refused(f"another user has the {error.details['field']} of this one")
            raise InvalidProvider from None
        if start.after_commit is not None:
            await start.after_commit()
        return grants[0]

    def _new_values(self, profile: Profile) -> dict[str, Any]:
        return {
            **self._identity(profile),
            "email": profile.email,
            "first_name": profile.first_name,
            "last_name": profile.last_name,
            "role": profile.role,
            "status": ACTIVE,
        }

    def _identity(self, profile: Profile) -> dict[str, Any]:
        return {"provider": self._settings.name, "external_identifier": profile.identifier}

    def _changes(self, user: ProviderUser, profile: Profile) -> dict[str, Any]:
        """Return what a sign-in changes: a mapped role, and what is synchronised with the provider."""
        values: dict[str, Any] = {}
        if self._settings.assigns_roles:
            values["role"] = profile.role
        if self._settings.sync_user_info:
            values |= {"first_name": profile.first_name, "last_name": profile.last_name}
            if profile.email and profile.is_email_accepted:
                values["email"] = profile.email
        return {name: value for name, value in values.items() if user.synced[name] != value}

    def _refused(self, reason: str, **details: str) -> InvalidCredentials:
        return refused(self._settings, reason, **details)
