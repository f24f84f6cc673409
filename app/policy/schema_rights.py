"""The rights to list collections, fields and relations: those to read the tables that describe them."""

from collections.abc import Iterable

from app.db.models import SCHEMA_TABLES

COLLECTIONS, FIELDS, RELATIONS = SCHEMA_TABLES
ALL_SCHEMA_RIGHTS = frozenset(SCHEMA_TABLES)
"""What admins and callers with app access may list, as in Directus."""


def schema_rights(permissions: Iterable[tuple[str, str]], *, everything: bool) -> frozenset[str]:
    """Return the tables that the (action, collection) of permissions allow to read, or every one."""
    if everything:
        return ALL_SCHEMA_RIGHTS
    return frozenset(collection for action, collection in permissions if action == "read") & ALL_SCHEMA_RIGHTS
