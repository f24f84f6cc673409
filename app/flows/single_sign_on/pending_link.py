"""A link of a provider's identity to an existing account, until the browser proves the password of the account.

A cookie holds it, so that it belongs to one browser, and every node can complete it. It is encrypted, because it holds
the refresh token of the provider and what the provider says about the user.
"""

import hmac
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime

from app.flows.single_sign_on.profile import Profile
from app.repositories.commands.accounts import Account

PURPOSE = b"account-link"
ID_BYTES = 32
MAX_COOKIE_LENGTH = 3800
"""In characters; browsers ignore cookies of more than 4,096 bytes with their name and attributes."""


@dataclass(frozen=True, slots=True)
class PendingLink:
    """A link: its provider and account, what the provider said, and where the sign-in leads to.

    `state` is the digest of the account when the link was offered.
    """

    provider: str
    id: str = field(repr=False)
    user: str
    state: str = field(repr=False)
    profile: Profile = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    redirect: str | None = None

    @classmethod
    def offer(
        cls, provider: str, account: Account, profile: Profile, refresh_token: str | None, redirect: str | None
    ) -> "PendingLink":
        """Return a new link to an account."""
        id_ = secrets.token_urlsafe(ID_BYTES)
        return cls(provider, id_, account.id, account.digest, profile, refresh_token, redirect)

    def seal(self, secret: str, expires: datetime) -> str:
        """Return the value of the cookie.

        A refresh token that is too long for a cookie is left out: the provider issues another one at the next sign-in.
        """
        values = {**asdict(self), "expires": expires.timestamp()}
        sealed = _encrypt(values, secret)
        return sealed if len(sealed) <= MAX_COOKIE_LENGTH else _encrypt({**values, "refresh_token": None}, secret)


def read_pending_link(cookie: str | None, provider: str, secret: str, now: datetime) -> PendingLink | None:
    """Return the link in a cookie, None if there is no valid one for this provider."""
    from app.flows.single_sign_on.sealed_cookie import unseal  # noqa: PLC0415  # as below

    if (values := unseal(cookie or "", _key(secret))) is None:
        return None
    if values.pop("expires") <= now.timestamp() or values["provider"] != provider:
        return None
    return PendingLink(**{**values, "profile": Profile(**values["profile"])})


def _encrypt(values: object, secret: str) -> str:
    from app.flows.single_sign_on.sealed_cookie import seal  # noqa: PLC0415  # takes a MB that few servers need

    return seal(values, _key(secret))


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), PURPOSE, "sha256")
