"""The spellings of an email address: an international domain is written in Unicode or, in ASCII, with `xn--`."""

MAX_LENGTH = 320
"""Longer texts are no email addresses (RFC 5321), and have no other spelling."""
ASCII_PREFIX = "xn--"


def email_spellings(email: str) -> tuple[str, ...]:
    """Return an email address, and then those that differ from it only in the spelling of its domain."""
    local_part, at, domain = email.rpartition("@")
    domains = _domain_spellings(domain) if at and len(email) <= MAX_LENGTH else ()
    spellings = {email.lower(): email}
    for spelling in domains:
        spellings.setdefault(f"{local_part}@{spelling}".lower(), f"{local_part}@{spelling}")
    return tuple(spellings.values())


def email_key(email: str) -> str:
    """Return a text that is the same for all spellings of an email address, and regardless of case."""
    return min(email_spellings(email.lower())).casefold()


def ascii_domain(domain: str) -> str:
    """Return a domain as the protocol for mail needs it.

    Raises:
        ValueError: The domain is invalid.
    """
    return domain if domain.isascii() else _encode(domain)


def is_canonical_domain(domain: str) -> bool:
    """Return whether a domain is, regardless of case, one of the two spellings by which it is found."""
    return domain.isascii() or domain.lower() in _domain_spellings(domain)


def _domain_spellings(domain: str) -> tuple[str, ...]:
    """Return the Unicode and the ASCII spelling of an international domain; empty for any other, or an invalid one."""
    if domain.isascii() and ASCII_PREFIX not in domain.lower():
        return ()
    import idna  # noqa: PLC0415  # as in `_encode`

    try:
        in_ascii = _encode(domain)
        return idna.decode(in_ascii), in_ascii
    except UnicodeError:
        return ()


def _encode(domain: str) -> str:
    import idna  # noqa: PLC0415  # few domains are international

    return idna.encode(domain, uts46=True).decode()
