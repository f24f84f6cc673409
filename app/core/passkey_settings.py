"""The relying party that passkeys belong to, derived from the settings."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

DOMAIN_PATTERN = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII)
LOCAL_HOST = "localhost"
"""The only host whose pages are secure without TLS."""


@dataclass(frozen=True, slots=True)
class PasskeySettings:
    """The domain that passkeys belong to, and the origins of the pages that may use them."""

    rp_id: str
    origins: tuple[str, ...]


def passkey_settings(public_url: str | None, rp_id: str | None, origins: tuple[str, ...]) -> PasskeySettings | None:
    """Return the relying party for a server at `public_url`; None if browsers support no passkeys there.

    They do so on HTTPS pages and at `localhost`, and not for IP addresses.

    Raises:
        ValueError: `rp_id` is neither the host of `public_url` nor a domain above it.
    """
    try:
        parts, origin = urlsplit(public_url or ""), _origin(public_url or "")
    except ValueError:  # an invalid port or IPv6 address
        return None
    host = parts.hostname or ""
    if not _is_secure(parts.scheme, host) or not DOMAIN_PATTERN.fullmatch(host) or _is_ip(host):
        return None
    if rp_id is not None and rp_id != host and not (host.endswith(f".{rp_id}") and "." in rp_id):
        raise ValueError("PASSKEY_RP_ID: must be the host of PUBLIC_URL, or a domain that the host is below")
    return PasskeySettings(rp_id or host, tuple(dict.fromkeys((origin, *origins))))


def _is_secure(scheme: str, host: str) -> bool:
    return scheme == "https" or (scheme == "http" and (host == LOCAL_HOST or host.endswith(f".{LOCAL_HOST}")))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _origin(url: str) -> str:
    """Return the origin of a URL as browsers write it: without the default port."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"
