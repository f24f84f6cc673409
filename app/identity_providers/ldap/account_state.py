"""Whether an entry is disabled or locked, as the common directories say it."""

from app.identity_providers.ldap.messages import LdapEntry

CONTROL, COMPUTED_CONTROL = "userAccountControl", "msDS-User-Account-Control-Computed"
"""Active Directory: flags, and those that are computed, such as that of a lockout."""
LOCK, LOCKED_SINCE = "nsAccountLock", "pwdAccountLockedTime"
"""389 Directory Server and FreeIPA; the password policy of OpenLDAP."""
STATE_ATTRIBUTES = (CONTROL, COMPUTED_CONTROL, LOCK, LOCKED_SINCE)
INVALID_FLAGS = 0x2 | 0x10 | 0x800000
"""Disabled, locked out, and password expired: the flags that Directus checks."""
LOCKED_BY_ADMIN = "000001010000Z"
"""The time that stands for a lock without an end (draft-behera-ldap-password-policy, section 5.3.3)."""


def is_disabled(entry: LdapEntry) -> bool:
    """Return whether the directory says that the user must not sign in."""
    flags = (_number(entry.first(name)) for name in (CONTROL, COMPUTED_CONTROL))
    return (
        any(number & INVALID_FLAGS for number in flags)
        or (entry.first(LOCK) or "").lower() == "true"
        or entry.first(LOCKED_SINCE) == LOCKED_BY_ADMIN
    )


def _number(text: str | None) -> int:
    """Return a number; a text that is none counts as disabled, as its meaning is unknown."""
    try:
        return int(text or "0")
    except ValueError:
        return INVALID_FLAGS
