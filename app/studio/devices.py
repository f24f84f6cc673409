"""Names a client's device in words, from its User-Agent header."""

import re
from collections.abc import Sequence
from typing import NamedTuple

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
"""Tokens of browsers, the more specific ones first: most of them also claim to be Chrome or Safari."""
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
PROGRAM = re.compile(r"([A-Za-z][\w.-]{0,40})(?:/[\w.+-]+)?(?:\s|$)", re.ASCII)
"""The first product of the header (RFC 9110, section 10.1.5)."""


class Device(NamedTuple):
    """A client: its browser or program, and its operating system; None for what is unknown."""

    program: str | None
    system: str | None


def describe_device(user_agent: str | None) -> Device:
    """Return what a User-Agent header says about a client, which may not be true."""
    header = user_agent or ""
    system = _first_name(SYSTEMS, header)
    if header.startswith("Mozilla/"):
        return Device(_first_name(BROWSERS, header), system)
    match = PROGRAM.match(header)
    return Device(match[1] if match else None, system)


def _first_name(names: Sequence[tuple[str, str]], header: str) -> str | None:
    return next((name for token, name in names if token in header), None)
