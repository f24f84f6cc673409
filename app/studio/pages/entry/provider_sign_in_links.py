"""Signing in with an account of another service: the links on the sign-in page, and what to say if it failed."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from app.core.errors import InvalidOtp, InvalidProvider, ServiceUnavailable, UserSuspended
from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import ProviderSettings
from app.studio.addresses import Addresses
from app.studio.form_errors import Translate

LOGIN = "/auth/login"


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """A provider's name on the page, and the address that leads to it."""

    label: str
    address: str


def provider_links(
    providers: tuple[ProviderSettings, ...], addresses: Addresses, target: str, otp: str | None = None
) -> list[ProviderLink]:
    """Return the links to the providers that start a session of a browser, and lead to a page of the Studio.

    That of an LDAP directory leads to its form.
    """
    parameters = {"redirect": addresses.checked(target)} | ({"otp": otp} if otp else {})
    return [
        ProviderLink(
            each.label or each.name,
            addresses.page(f"/sign-in/with/{each.name}", {"next": target})
            if isinstance(each, LdapSettings)
            else f"{addresses.server}{LOGIN}/{quote(each.name)}?{urlencode(parameters)}",
        )
        for each in providers
        if each.can_start_browser_session and not (otp and isinstance(each, LdapSettings))
    ]


def failure_message(reason: str, translate: Translate) -> str:
    """Return what is wrong and what to do, by the code with which a sign-in led back; empty without one."""
    _ = translate
    messages = {
        "": "",
        InvalidOtp.code: _("This account uses two-factor authentication. Enter a code, then sign in again."),
        InvalidProvider.code: _(
            "Another account has your email address, and does not belong to this service. Ask an administrator."
        ),
        ServiceUnavailable.code: _("The service does not respond at the moment. Try again later."),
        UserSuspended.code: _("Your account is suspended. Ask an administrator."),
    }
    failed = _("Signing in with this service failed. Try again, or ask an administrator for an account.")
    return messages.get(reason, failed)
