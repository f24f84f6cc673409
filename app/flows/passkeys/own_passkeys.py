"""The passkeys of the caller, or those of another user for admins: registered, listed, renamed and revoked."""

import asyncio

import structlog
from sqlalchemy.exc import IntegrityError

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.core.values import KEY_LENGTH, canonical_uuid
from app.db.models import PASSKEYS
from app.db.transaction import WriteTransaction
from app.flows.account_owner import account_owner
from app.flows.credential_name import parse_credential_name
from app.flows.passkeys.account_proof import Proof, confirm_account
from app.flows.passkeys.assertions import PasskeyOptions, PasskeyResponse, relying_party, user_handle
from app.flows.passkeys.challenge import Challenge, Purpose, read_challenge
from app.passkeys.relying_party import CeremonyRejected
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.commands.passkey_revocation import RevokePasskeyOfUser
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.project_settings import read_project_name
from app.repositories.stores.passkeys import Passkey, PasskeyStore, credential_ids, list_credentials, list_passkeys

MAX_PASSKEYS_PER_USER = 50
EXPIRED_MESSAGE = '"challenge_token" is invalid or has expired: request new options'
REJECTED_MESSAGE = '"credential" is no valid response of an authenticator to the options'
REGISTERED_MESSAGE = "This passkey is registered already"
OTHER_PROVIDER_MESSAGE = "Users of an authentication provider sign in there: they can't have passkeys"

log = structlog.get_logger(__name__)


class PasskeyService:
    """The passkeys of the caller; `user` names another one, which requires an admin.

    Every method raises InvalidCredentials for anonymous callers, and APITokenRefused for callers with an API token.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def all(self, user: str | None = None) -> list[Passkey]:
        """Return the passkeys, the newest first; raises Forbidden if an admin is required."""
        return await list_passkeys(self._services, await self._owner(user))

    async def registration_options(self, proof: Proof) -> PasskeyOptions:
        """Return options to register a passkey, after `proof` that it is the caller who does.

        Raises:
            InvalidCredentials, InvalidOtp: The proof is wrong, or not enough.
            Forbidden: The caller signs in with another provider.
            InvalidProviderConfig: Passkeys are not available.
        """
        party, account = relying_party(self._services), await self._account()
        if account.provider != DEFAULT_PROVIDER:
            raise Forbidden(OTHER_PROVIDER_MESSAGE)
        await confirm_account(self._directory, account, proof)
        challenge = Challenge.start(Purpose.REGISTRATION, account, self._directory.caller.session)
        public_key = party.creation_options(
            challenge.bytes,
            await read_project_name(self._services),
            user_handle(account.id),
            account.email or account.id,
            credential_ids(await list_credentials(self._services, account.id)),
        )
        return PasskeyOptions(challenge.sign(self._services), public_key)

    async def register(self, response: PasskeyResponse, name: str) -> Passkey:
        """Store the passkey that an authenticator created for the options, and return it.

        Raises:
            InvalidPayload: The options are not the caller's, have expired or were used before, the account has changed
                since, the response or the name is invalid, or the user has too many passkeys.
        """
        party, account, name = relying_party(self._services), await self._account(), parse_credential_name(name)
        challenge = read_challenge(response.challenge_token, Purpose.REGISTRATION, self._services)
        if challenge is None or not challenge.belongs_to(account, self._directory.caller.session):
            raise InvalidPayload(EXPIRED_MESSAGE)
        if not await challenge.consume(self._services):
            raise InvalidPayload(EXPIRED_MESSAGE)
        try:
            credential = await asyncio.to_thread(party.verify_registration, response.credential, challenge.bytes)
        except CeremonyRejected as rejection:
            log.info("passkey_rejected", reason=str(rejection))
            raise InvalidPayload(REJECTED_MESSAGE) from None

        async def store(writer: WriteTransaction) -> Passkey:
            if not await is_unchanged(writer, account):
                raise InvalidCredentials
            passkeys = PasskeyStore(writer, self._services)
            if await passkeys.count(account.id) >= MAX_PASSKEYS_PER_USER:
                raise InvalidPayload(f"A user can have {MAX_PASSKEYS_PER_USER} passkeys at most: revoke one first")
            created = await passkeys.create(account.id, name, credential)
            await self._audit_log(writer, account.id).record_in("create", PASSKEYS.name, created.id)
            return created

        try:
            return await self._services.database.run_write(store, exclusive=False)
        except IntegrityError:
            raise InvalidPayload(REGISTERED_MESSAGE) from None

    async def rename(self, passkey: str, name: str) -> Passkey:
        """Rename one of the caller's passkeys and return it; raises Forbidden if there is no such passkey."""
        owner, key, name = await self._owner(None), _parse_id(passkey), parse_credential_name(name)

        async def rename(writer: WriteTransaction) -> bool:
            if not await PasskeyStore(writer, self._services).rename(key, owner, name):
                return False
            await self._audit_log(writer, owner).record_in("update", PASSKEYS.name, key)
            return True

        if not await self._services.database.run_write(rename, exclusive=False):
            raise Forbidden
        return next(one for one in await self.all() if one.id == key)

    async def revoke(self, passkey: str, proof: Proof) -> str:
        """Delete one of the caller's passkeys, which no longer signs in from then on, and return its id.

        Raises:
            InvalidCredentials, InvalidOtp: The proof is wrong, or not enough.
            Forbidden: There is no such passkey.
        """
        key = _parse_id(passkey)
        account = await self._account()
        if key not in {one.id for one in await self.all()}:
            raise Forbidden
        await confirm_account(self._directory, account, proof)

        async def delete(writer: WriteTransaction) -> bool:
            if not await PasskeyStore(writer, self._services).delete(key, account.id):
                return False
            await self._audit_log(writer, account.id).record_in("delete", PASSKEYS.name, key)
            return True

        if not await self._services.database.run_write(delete, exclusive=False):
            raise Forbidden
        return key

    async def revoke_for(self, passkey: str, user: str) -> str:
        """Delete a passkey of another user, as an admin, and return its id.

        Raises:
            Forbidden: The caller is no admin or may not change how the user signs in, or there is no such passkey.
            InvalidPayload: The user is the admin itself.
        """
        owner = await self._owner(user)
        if owner == (await self._directory.access()).user:
            raise InvalidPayload("Your own passkeys can only be revoked with a proof")
        key = _parse_id(passkey)
        await self._directory["users"].write(RevokePasskeyOfUser(key, owner))
        return key

    async def _owner(self, user: str | None) -> str:
        owner = await account_owner(self._directory, user)
        await self._directory.refuse_api_token()
        return owner

    async def _account(self) -> Account:
        await self._directory.refuse_api_token()
        user = (await self._directory.fresh_access()).user
        account = await AccountStore(self._services).by_id(user) if user else None
        if account is None:
            raise InvalidCredentials
        return account

    def _audit_log(self, writer: WriteTransaction, author: str) -> AuditLog:
        return AuditLog(writer, author, self._directory.caller, self._directory.client_info())


def _parse_id(text: str) -> str:
    """Return the id of a passkey; raise Forbidden for what can be none, as for an unknown one."""
    try:
        if len(text) == KEY_LENGTH:
            return canonical_uuid(text)
    except ValueError:
        pass
    raise Forbidden
