"""What a provider's claims mean for the user: identifier, email, name and role."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import OAuthSettings, ProviderSettings
from app.identity_providers.base import Claims

MAX_NAME_LENGTH = 50
"""The length of the columns with the names, to which longer ones are cut."""
DEFAULT_KEYS: Mapping[str, tuple[str, str, str]] = {
    "openid": ("sub", "given_name", "family_name"),
    "oauth2": ("", "", ""),
}
"""Claims with the identifier and the names, by driver; empty for none."""
DESCRIBED_EMAIL, VERIFIED = "email", "email_verified"
"""The address that a provider verifies, and the claim that it has."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as the provider describes it. `role` is the one that the settings assign, None for none.

    `is_email_accepted` is whether the settings let users without a verified email address register or change it.
    """

    identifier: str | None
    email: str | None
    is_email_accepted: bool
    first_name: str | None
    last_name: str | None
    role: str | None
    is_email_verified: bool = False
    """Whether the provider says that the email address is the user's, without which an account is never linked."""
    is_identifier_trusted: bool = True
    """Whether the identifier is one that users can't choose: an email address is only if the provider verifies it."""


def read_profile(claims: Claims, settings: OAuthSettings) -> Profile:
    """Return the profile in a provider's claims; without an identifier of its own, the email address is used."""
    identifier_key, first_name_key, last_name_key = DEFAULT_KEYS[settings.driver]
    email, own = _text(claims, settings.email_key), _text(claims, settings.identifier_key or identifier_key)
    is_verified = _is_verified(claims, email)
    is_accepted = not settings.require_verified_email or (email is not None and is_verified is True)
    return Profile(
        identifier=own or email,
        email=email,
        is_email_accepted=is_accepted,
        first_name=_name(claims, settings.first_name_key or first_name_key),
        last_name=_name(claims, settings.last_name_key or last_name_key),
        role=mapped_role(_groups(_claim(claims, settings.group_claim_name)), settings) or settings.default_role_id,
        is_email_verified=is_verified is True,
        is_identifier_trusted=own is not None or (is_accepted and is_verified is not False),
    )


def _is_verified(claims: Claims, email: str | None) -> bool | None:
    """Return whether the provider has verified an address, None if it says nothing of that.

    It speaks of the claim `email` only (OpenID Connect Core 1.0, section 5.1): users may be able to choose another one.
    """
    claim, described = _claim(claims, VERIFIED), _text(claims, DESCRIBED_EMAIL)
    if claim is None:
        return None
    is_described = described is None or described.casefold() == (email or "").casefold()
    return claim in (True, "true") and is_described


def read_ldap_profile(claims: Claims, settings: LdapSettings, role: str | None) -> Profile:
    """Return the profile in the claims of an LDAP directory, with the role that the user's groups assign."""
    return Profile(
        identifier=_text(claims, "sub"),
        email=_text(claims, "email"),
        is_email_accepted=True,
        first_name=_name(claims, "given_name"),
        last_name=_name(claims, "family_name"),
        role=role or settings.default_role_id,
    )


def mapped_role(groups: Collection[str], settings: ProviderSettings) -> str | None:
    """Return the role of the first mapped group that the user has."""
    mapping = settings.role_mapping or {}
    return next((role for group, role in mapping.items() if group in groups), None)


def _groups(value: Any) -> frozenset[str]:
    """Return the names of groups: a list, or as in Directus a text with commas."""
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else ()
    return frozenset(str(group) for group in listed if isinstance(group, str | int))


def _claim(claims: Claims, path: str) -> Any:
    """Return a claim by name, or by a path of names with dots between them; None if it is missing."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(claims: Claims, path: str) -> str | None:
    value = _claim(claims, path) if path else None
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() or None if is_text else None


def _name(claims: Claims, path: str) -> str | None:
    return (_text(claims, path) or "")[:MAX_NAME_LENGTH].strip() or None
