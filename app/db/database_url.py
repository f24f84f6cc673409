"""Database URLs: which ones are accepted, and how several hosts are written."""

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL

DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
SETTING = "DATABASE_URL"
POSTGRESQL_EXAMPLE = "postgresql://user:password@host:5432/name"
SQLITE_EXAMPLE = "sqlite:///path/to/file.db"
SEVERAL_HOSTS = re.compile(
    r"(?P<start>[a-z+]+://(?:[^:/@]*(?::[^@]*)?@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<path>[^?]*)\??(?P<query>.*)"
)
"""A URL in the form of libpq, with `host:port,host:port`, which SQLAlchemy does not read."""
HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")
DEFAULT_PORT = "5432"
WRITABLE = "read-write"
SESSION_ATTRIBUTES = frozenset({"any", "primary", WRITABLE})
"""Values of `target_session_attrs` with which writes can succeed."""
OPTIONS = ("sslmode", "host", "port", "target_session_attrs")
KNOWN_OPTIONS = frozenset({"ssl", *OPTIONS})


def parse_url(text: str, setting: str = SETTING) -> URL:
    """Return the database URL in the form the drivers take; `setting` is its name in errors.

    With several hosts, connections are made to the one that accepts writes unless the URL says otherwise.

    Raises:
        OperatorError: The URL is not supported. The message does not quote it, because it may hold a password.
    """
    examples = POSTGRESQL_EXAMPLE if setting != SETTING else f"{POSTGRESQL_EXAMPLE} or {SQLITE_EXAMPLE}"
    hint = f"{setting} should be like {examples}"
    try:
        url = make_url(_with_hosts_as_options(text))
    except (ArgumentError, ValueError):
        raise OperatorError(f"{setting} is not a URL: {hint}.") from None
    if url.drivername not in DRIVERS or (setting != SETTING and not url.drivername.startswith("postgres")):
        raise OperatorError(f"{setting} begins with {url.drivername!r}, which is not supported: {hint}.")
    url = url.set(drivername=DRIVERS[url.drivername])
    if url.get_backend_name() == POSTGRESQL:
        return _postgresql_url(url, setting)
    if url.query or url.host or url.database in (None, "", ":memory:"):
        raise OperatorError(f"{setting} should name a file, and nothing after it: {hint}.")
    return url


def has_several_hosts(url: URL) -> bool:
    """Return whether the URL names several hosts."""
    return "," in str(url.query.get("host", "")) or isinstance(url.query.get("host"), tuple)


def _with_hosts_as_options(text: str) -> str:
    """Move several hosts of a URL to the options `host` and `port`.

    Raises:
        ValueError: One of them is not `host` or `host:port`.
    """
    parts = SEVERAL_HOSTS.fullmatch(text)
    if parts is None:
        return text
    found = [HOST.fullmatch(host) for host in parts["hosts"].split(",")]
    hosts = [match for match in found if match is not None]
    if len(hosts) < len(found):
        raise ValueError
    names = ",".join(match["host"].strip("[]") for match in hosts)
    ports = ",".join(match["port"] or DEFAULT_PORT for match in hosts)
    query = "&".join(filter(None, [parts["query"], f"host={names}", f"port={ports}"]))
    return f"{parts['start']}{parts['path']}?{query}"


def _postgresql_url(url: URL, setting: str) -> URL:
    unknown = sorted(set(url.query) - KNOWN_OPTIONS)
    if unknown:
        names = f"{', '.join(OPTIONS[:-1])} and {OPTIONS[-1]}"
        raise OperatorError(f"{setting} has the unknown option {unknown[0]!r}: use {names} only.")
    attributes = url.query.get("target_session_attrs", WRITABLE)
    if setting == SETTING and attributes not in SESSION_ATTRIBUTES:
        raise OperatorError(
            f"{setting} has target_session_attrs={attributes}, with which writes fail: use {WRITABLE} or primary."
        )
    if setting == SETTING and has_several_hosts(url):
        url = url.update_query_dict({"target_session_attrs": attributes})
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode}) if mode else url
