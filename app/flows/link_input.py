"""What the account flows are given, and believe only so far: URLs, new passwords, and links out of mails."""

from collections.abc import Sequence

from app.core.config import signing_secret
from app.core.email_links import EmailLink, LinkPurpose, is_allowed_url, verify_link_token
from app.core.errors import FailedValidation, InvalidPayload
from app.query.sql_expressions import MASK
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.services import Services

MAX_URL_LENGTH = 2048
"""Characters of a URL: it is kept until its mail has left."""


def allowed_link_url(url: str | None, allowed: Sequence[str], purpose: str) -> str | None:
    """Where a mail's link shall lead; None, also for an empty one, for where it leads by itself.

    Raises InvalidPayload for one that isn't among those `allowed`; `purpose` says what it can't be used to do.
    """
    if not url:
        return None
    if len(url) > MAX_URL_LENGTH or not is_allowed_url(url, allowed):
        raise InvalidPayload(f'URL "{url[:MAX_URL_LENGTH]}" can\'t be used to {purpose}')
    return url


def check_new_password(password: str) -> None:
    """Raises FailedValidation for an empty password, InvalidPayload for one that only stands for another.

    Everything else is judged where it is written.
    """
    if not password:
        raise FailedValidation("password", "nempty")
    if password == MASK:
        raise InvalidPayload("\"password\" can't be what is shown in a password's stead; choose another")


async def account_for_link(token: str, purpose: LinkPurpose, services: Services) -> tuple[EmailLink, Account | None]:
    """A link's token -> the link, and the account it leads to, where there is one; raises as `read_link`.

    A link that names a user's id leads to nobody else, whoever has its address meanwhile.
    """
    link = verify_link_token(token, signing_secret(services.settings), purpose)
    account = await AccountStore(services).by_email(link.email)
    if account is not None and link.user is not None and link.user != account.id:
        return link, None
    return link, account
