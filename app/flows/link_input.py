"""Checks of untrusted input to the account flows: URLs for mailed links, new passwords, and link tokens."""

from collections.abc import Sequence

from app.core.config import signing_secret
from app.core.email_links import EmailLink, LinkPurpose, is_allowed_url, verify_link_token
from app.core.errors import InvalidPayload
from app.query.sql_expressions import MASK
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.rules.password_policy import check_not_empty
from app.repositories.services import Services

MAX_URL_LENGTH = 2048
"""In characters; the URL is stored until its mail has been sent."""


def allowed_link_url(url: str | None, allowed: Sequence[str], purpose: str) -> str | None:
    """Return the URL that a mailed link points to; None, also for an empty one, for the default.

    `purpose` completes the error message.

    Raises:
        InvalidPayload: The URL is not among those `allowed`.
    """
    if not url:
        return None
    if len(url) > MAX_URL_LENGTH or not is_allowed_url(url, allowed):
        raise InvalidPayload(f'URL "{url[:MAX_URL_LENGTH]}" can\'t be used to {purpose}')
    return url


def check_new_password(password: str) -> None:
    """Check a password before anything is read: that it is not empty, and not the mask, which a write would ignore.

    Raises:
        FailedValidation: The password is empty.
        InvalidPayload: The password is the mask that responses show in place of one.
    """
    check_not_empty(password)
    if password == MASK:
        raise InvalidPayload('"password" can\'t be the mask that is shown in place of a password; choose another')


async def account_for_link(token: str, purpose: LinkPurpose, services: Services) -> tuple[EmailLink, Account | None]:
    """Return a link's content and the account it belongs to, if any; raises as `verify_link_token`.

    A link that contains a user's id belongs to no other account, even if another user has its email now.
    """
    link = verify_link_token(token, signing_secret(services.settings), purpose)
    account = await AccountStore(services).by_email(link.email)
    if account is not None and link.user is not None and link.user != account.id:
        return link, None
    return link, account
