"""Whose account a request is about: the caller's own or, for admins, another user's."""

from app.core.errors import Forbidden, InvalidCredentials, TwoFactorSetupRequired
from app.query.collection import USERS
from app.query.payload import parse_key
from app.repositories.directory import Directory


async def account_owner(directory: Directory, user: str | None) -> str:
    """Return the id of the user whose account is requested, by default the caller's own.

    Trusted code must name a user.

    Raises:
        InvalidCredentials: The caller is anonymous.
        TwoFactorSetupRequired: The caller must set up two-factor authentication first.
        Forbidden: The user is another one, and the caller is no admin.
    """
    if directory.caller.system and user is not None:
        return str(parse_key(USERS, user))
    access = await directory.fresh_access()
    if access.user is None:
        raise InvalidCredentials
    if access.tfa_setup_required:
        raise TwoFactorSetupRequired
    owner = access.user if user is None else str(parse_key(USERS, user))
    if owner != access.user and not access.admin:
        raise Forbidden
    return owner
