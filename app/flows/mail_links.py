"""The links in mails, by the kind of the mail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.core.config import Settings
from app.core.email_links import EmailLink, LinkPurpose, add_token, sign_link_token
from app.flows.mail_brand import server_url

RESET_TTL = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MailKind:
    """The link of one kind of mail: its purpose, its lifetime and, unless the mail has its own URL, its path.

    Without a purpose it is the plain address of a page.
    """

    purpose: LinkPurpose | None
    path: str
    ttl: Callable[[Settings], timedelta]

    def link(self, settings: Settings, secret: str, recipient: str, data: Mapping[str, Any], now: datetime) -> str:
        """Return the link of a mail with these data, valid from now; `secret` signs its token."""
        if self.purpose is None:
            return server_url(settings) + self.path
        claims = EmailLink(self.purpose, recipient, data.get("user"), data.get("password"))
        token = sign_link_token(secret, claims, self.ttl(settings), now)
        return add_token(data.get("url") or server_url(settings) + self.path, token)


INVITATION = MailKind(LinkPurpose.INVITATION, "/admin/accept-invite", lambda settings: settings.user_invite_token_ttl)
KIND_BY_NAME = {
    "invite": INVITATION,
    "reset": MailKind(LinkPurpose.RESET, "/admin/reset-password", lambda _: RESET_TTL),
    "verify": MailKind(
        LinkPurpose.REGISTRATION, "/users/register/verify-email", lambda settings: settings.email_verification_token_ttl
    ),
    "access_ends": MailKind(None, "/admin/account/rights", lambda settings: settings.access_expiry_notice),
}
