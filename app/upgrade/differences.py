"""Finds the access that an upgrade widens or narrows, by role, and the permissions that cause it."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.import_writes import Progress
from app.policy.rules import EVERY_FIELD, parse_rule
from app.query.collection import BUILT_IN
from app.upgrade.app_minimum import (
    APP_MINIMUM,
    REMOVED_FROM_MINIMUM,
    RowAccess,
    narrows,
    narrows_without_minimum,
    widens,
)
from app.upgrade.difference_kinds import Difference, DifferenceKind
from app.upgrade.inspection import ROLE_FLAGS
from app.upgrade.removed_columns import Relations, read_relations, removed_columns_in, removed_fields_in

MAX_IDS = 6
"""Maximum number of permission ids listed for one difference."""
BATCH_SIZE = 2_000
"""Rows read at a time."""

_FROM = "FROM directus_permissions p LEFT JOIN directus_roles r ON r.id = p.role"
_NOT_ADMIN = "NOT coalesce(r.admin_access, false)"  # permissions of admins have no effect
_ORDER = "ORDER BY name NULLS LAST, role, collection, action"
_MINIMUM_KEYS = ", ".join(f"('{collection}', '{action}')" for collection, action in APP_MINIMUM)
_BESIDE_MINIMUM = f"(r.app_access AND (p.collection, p.action) IN ({_MINIMUM_KEYS}))"
_RULES = "p.permissions::text AS permissions, p.validation::text AS validation, p.presets::text AS presets, p.fields"
_ROW = f"p.role, r.name, p.collection, p.action, p.id, {_RULES}"
_REMOVED_NAMES = f"({'|'.join(ROLE_FLAGS)})"


def _applied(condition: str) -> str:
    """Return a query of the permissions Directus 10 applies: for each role, collection and action, the first stored."""
    return f"""
        SELECT * FROM (
            SELECT DISTINCT ON (p.role, p.collection, p.action) {_ROW} {_FROM} WHERE {_NOT_ADMIN} AND {condition}
            ORDER BY p.role, p.collection, p.action, p.ctid
        ) counted
    """


DUPLICATE_PERMISSIONS = f"""
    SELECT p.role, r.name, p.collection, p.action, count(*) AS many,
        (array_agg(p.id ORDER BY p.ctid))[1:{MAX_IDS}] AS ids
    {_FROM} WHERE {_NOT_ADMIN} GROUP BY p.role, r.name, p.collection, p.action
    HAVING count(*) > 1
    AND count(DISTINCT md5(ROW(p.permissions::text, p.validation::text, p.presets::text, p.fields)::text)) > 1
    {_ORDER}
"""
BESIDE_APP_MINIMUM = f"{_applied(_BESIDE_MINIMUM)} {_ORDER}"
_READ_WITHOUT_MINIMUM = f"p.action = 'read' AND coalesce({_BESIDE_MINIMUM}, false) = false"
NO_FIELDS = f"{_applied(_READ_WITHOUT_MINIMUM)} WHERE coalesce(fields, '') = '' {_ORDER}"
REMOVED_COLUMNS = f"""
    SELECT {_ROW} {_FROM} WHERE {_NOT_ADMIN} AND (
        p.collection = 'directus_permissions'
        OR p.permissions::text ~ '{_REMOVED_NAMES}' OR p.validation::text ~ '{_REMOVED_NAMES}'
        OR p.presets::text ~ '{_REMOVED_NAMES}' OR p.fields ~ '{_REMOVED_NAMES}'
    ) {_ORDER}, id
"""
_MOVED = """(p.collection = 'directus_webhooks'
    OR (p.collection = 'directus_activity' AND p.action IN ('create', 'update', 'delete')))"""
LATER_MIGRATIONS = f"SELECT {_ROW} {_FROM} WHERE {_NOT_ADMIN} AND {_MOVED} {_ORDER}, id"
UNSUPPORTED_RULE = f"""
    SELECT {_ROW} {_FROM} WHERE {_NOT_ADMIN} AND NOT {_MOVED}
    AND p.collection IN ({", ".join(f"'{name}'" for name in BUILT_IN)})
    AND (p.permissions::text <> '{{}}' OR p.validation::text <> '{{}}') {_ORDER}, id
"""
IP_ACCESS = "SELECT id AS role, name, ip_access FROM directus_roles WHERE ip_access <> '' ORDER BY name, id"
TFA_SETUP_REQUIRED = """
    SELECT r.id AS role, r.name, count(*) AS many FROM directus_roles r JOIN directus_users u ON u.role = r.id
    WHERE r.enforce_tfa AND u.status = 'active' AND u.tfa_secret IS NULL GROUP BY r.id, r.name ORDER BY r.name, r.id
"""


async def find_differences(connection: AsyncConnection, progress: Progress) -> AsyncIterator[Difference]:
    """Yield the differences for a Directus 10 database, except the general ones; those of one kind are adjacent.

    Reads a bounded number of rows at a time, and changes nothing.
    """
    relations = await read_relations(connection)
    for number, (statement, check) in enumerate(_CHECKS):
        progress("access", number, len(_CHECKS))
        rows = await connection.stream(text(statement), execution_options={"yield_per": BATCH_SIZE})
        async for row in rows:
            for difference in check(row, relations):
                yield difference
    progress("access", len(_CHECKS), len(_CHECKS))


Check = Callable[[Row[Any], Relations], Iterator[Difference]]


def _duplicate_permissions(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(
        DifferenceKind.DUPLICATE_PERMISSIONS,
        *_role(row),
        row.collection,
        row.action,
        tuple(row.ids),
        row.many,
        f"only {row.ids[0]} was applied",
    )


def _beside_app_minimum(row: Row[Any], _: Relations) -> Iterator[Difference]:
    key = (row.collection, row.action)
    stored, minimum = _row_access(row), APP_MINIMUM[key]
    if key in REMOVED_FROM_MINIMUM:
        if narrows_without_minimum(stored, minimum):
            yield _difference(DifferenceKind.BESIDE_APP_MINIMUM, row)
        return
    if narrows(row.action, stored, minimum):
        yield _difference(DifferenceKind.BESIDE_APP_MINIMUM, row)
    if widens(row.action, stored, minimum):
        yield _difference(DifferenceKind.NULL_RULE, row)


def _removed_columns(row: Row[Any], relations: Relations) -> Iterator[Difference]:
    if columns := _columns_in_rules(row, relations):
        yield _difference(DifferenceKind.REMOVED_COLUMNS, row, ", ".join(columns))
    if fields := removed_fields_in(row.fields, row.collection):
        yield _difference(DifferenceKind.REMOVED_FIELDS, row, ", ".join(fields))


def _unsupported_rule(row: Row[Any], relations: Relations) -> Iterator[Difference]:
    parsed = parse_rule(row.action, row.collection, row.permissions, EVERY_FIELD, row.validation).rule
    if parsed is None and not _columns_in_rules(row, relations):  # these are reported by _removed_columns
        yield _difference(DifferenceKind.UNSUPPORTED_RULE, row)


def _columns_in_rules(row: Row[Any], relations: Relations) -> list[str]:
    rules = (row.permissions, row.validation, row.presets)
    return list(dict.fromkeys(name for json in rules for name in removed_columns_in(json, row.collection, relations)))


def _ip_access(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(DifferenceKind.IP_ACCESS, *_role(row), detail=row.ip_access)


def _tfa_setup_required(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(DifferenceKind.TFA_SETUP_REQUIRED, *_role(row), detail=f"{row.many} active users without it")


def _always(kind: DifferenceKind) -> Check:
    return lambda row, _: iter([_difference(kind, row)])


_CHECKS: tuple[tuple[str, Check], ...] = (
    (DUPLICATE_PERMISSIONS, _duplicate_permissions),
    (BESIDE_APP_MINIMUM, _beside_app_minimum),
    (IP_ACCESS, _ip_access),
    (REMOVED_COLUMNS, _removed_columns),
    (NO_FIELDS, _always(DifferenceKind.NO_FIELDS)),
    (LATER_MIGRATIONS, _always(DifferenceKind.LATER_MIGRATIONS)),
    (UNSUPPORTED_RULE, _unsupported_rule),
    (TFA_SETUP_REQUIRED, _tfa_setup_required),
)


def _difference(kind: DifferenceKind, row: Row[Any], detail: str = "") -> Difference:
    return Difference(kind, *_role(row), row.collection, row.action, (row.id,), 1, detail)


def _role(row: Row[Any]) -> tuple[str | None, str | None]:
    return (str(row.role) if row.role else None, row.name)


def _row_access(row: Row[Any]) -> RowAccess:
    fields = frozenset(filter(None, (row.fields or "").split(",")))
    return RowAccess(_object(row.permissions), fields, _object(row.validation))


def _object(json: str | None) -> dict[str, Any] | None:
    try:
        value = orjson.loads(json or "null")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
