"""Which rights an upgrade widens or narrows, role by role, and which permissions are the reason."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.import_export import Progress
from app.policy.rules import EVERY_FIELD, parse_rule
from app.query.collection import COLLECTIONS
from app.upgrade.app_minimum import GONE, MINIMUM, RowAccess, narrows, narrows_without, widens
from app.upgrade.difference_kinds import Difference, DifferenceKind
from app.upgrade.inspection import FLAGS
from app.upgrade.removed_columns import Relations, named_fields, named_in, read_relations

SHOWN_IDS = 6
"""Ids of rows that are told of one difference at most."""
PORTION = 2_000
"""Rows that are read at a time."""

_FROM = "FROM directus_permissions p LEFT JOIN directus_roles r ON r.id = p.role"
_JUDGED = "NOT coalesce(r.admin_access, false)"  # an admin's permissions never count
_ORDER = "ORDER BY name NULLS LAST, role, collection, action"
_PLACES = ", ".join(f"('{collection}', '{action}')" for collection, action in MINIMUM)
_AT_MINIMUM = f"(r.app_access AND (p.collection, p.action) IN ({_PLACES}))"
_TEXTS = "p.permissions::text AS permissions, p.validation::text AS validation, p.presets::text AS presets, p.fields"
_ROW = f"p.role, r.name, p.collection, p.action, p.id, {_TEXTS}"
_NAMES = f"({'|'.join(FLAGS)})"


def _first(condition: str) -> str:
    """The permissions that Directus 10 enforces: of each role, collection and action the one stored first."""
    return f"""
        SELECT * FROM (
            SELECT DISTINCT ON (p.role, p.collection, p.action) {_ROW} {_FROM} WHERE {_JUDGED} AND {condition}
            ORDER BY p.role, p.collection, p.action, p.ctid
        ) counted
    """


SEVERAL = f"""
    SELECT p.role, r.name, p.collection, p.action, count(*) AS many,
        (array_agg(p.id ORDER BY p.ctid))[1:{SHOWN_IDS}] AS ids
    {_FROM} WHERE {_JUDGED} GROUP BY p.role, r.name, p.collection, p.action
    HAVING count(*) > 1
    AND count(DISTINCT md5(ROW(p.permissions::text, p.validation::text, p.presets::text, p.fields)::text)) > 1
    {_ORDER}
"""
BESIDE = f"{_first(_AT_MINIMUM)} {_ORDER}"
FIELDLESS = f"""
    {_first(f"p.action = 'read' AND coalesce({_AT_MINIMUM}, false) = false")} WHERE coalesce(fields, '') = '' {_ORDER}
"""
DROPPED = f"""
    SELECT {_ROW} {_FROM} WHERE {_JUDGED} AND (
        p.collection = 'directus_permissions' OR p.permissions::text ~ '{_NAMES}' OR p.validation::text ~ '{_NAMES}'
        OR p.presets::text ~ '{_NAMES}' OR p.fields ~ '{_NAMES}'
    ) {_ORDER}, id
"""
_MOVED = """(p.collection = 'directus_webhooks'
    OR (p.collection = 'directus_activity' AND p.action IN ('create', 'update', 'delete')))"""
LATER = f"SELECT {_ROW} {_FROM} WHERE {_JUDGED} AND {_MOVED} {_ORDER}, id"
UNREAD = f"""
    SELECT {_ROW} {_FROM} WHERE {_JUDGED} AND NOT {_MOVED}
    AND p.collection IN ({", ".join(f"'{name}'" for name in COLLECTIONS)})
    AND (p.permissions::text <> '{{}}' OR p.validation::text <> '{{}}') {_ORDER}, id
"""
ADDRESS = "SELECT id AS role, name, ip_access FROM directus_roles WHERE ip_access <> '' ORDER BY name, id"
ENROLLING = """
    SELECT r.id AS role, r.name, count(*) AS many FROM directus_roles r JOIN directus_users u ON u.role = r.id
    WHERE r.enforce_tfa AND u.status = 'active' AND u.tfa_secret IS NULL GROUP BY r.id, r.name ORDER BY r.name, r.id
"""


async def differences(connection: AsyncConnection, progress: Progress) -> AsyncIterator[Difference]:
    """What differs in a database of Directus 10 after an upgrade, but for what is general; those of a kind together.

    Few rows at a time are read, however many there are; nothing is changed.
    """
    relations = await read_relations(connection)
    for number, (statement, judge) in enumerate(_SOURCES):
        progress("rights", number, len(_SOURCES))
        found = await connection.stream(text(statement), execution_options={"yield_per": PORTION})
        async for row in found:
            for difference in judge(row, relations):
                yield difference
    progress("rights", len(_SOURCES), len(_SOURCES))


Judge = Callable[[Row[Any], Relations], Iterator[Difference]]


def _several(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(
        DifferenceKind.SEVERAL,
        *_whose(row),
        row.collection,
        row.action,
        tuple(row.ids),
        row.many,
        f"only {row.ids[0]} counted",
    )


def _beside(row: Row[Any], _: Relations) -> Iterator[Difference]:
    place = (row.collection, row.action)
    own, minimum = _granted(row), MINIMUM[place]
    if place in GONE:
        if narrows_without(own, minimum):
            yield _of(DifferenceKind.BESIDE, row)
        return
    if narrows(row.action, own, minimum):
        yield _of(DifferenceKind.BESIDE, row)
    if widens(row.action, own, minimum):
        yield _of(DifferenceKind.UNRULED, row)


def _dropped(row: Row[Any], relations: Relations) -> Iterator[Difference]:
    if named := _named(row, relations):
        yield _of(DifferenceKind.DROPPED, row, ", ".join(named))
    if fields := named_fields(row.fields, row.collection):
        yield _of(DifferenceKind.UNLISTED, row, ", ".join(fields))


def _unread(row: Row[Any], relations: Relations) -> Iterator[Difference]:
    understood = parse_rule(row.action, row.collection, row.permissions, EVERY_FIELD, row.validation).rule
    if understood is None and not _named(row, relations):  # those are told of already
        yield _of(DifferenceKind.UNREAD, row)


def _named(row: Row[Any], relations: Relations) -> list[str]:
    texts = (row.permissions, row.validation, row.presets)
    return list(dict.fromkeys(name for json in texts for name in named_in(json, row.collection, relations)))


def _address(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(DifferenceKind.ADDRESS, *_whose(row), detail=row.ip_access)


def _enrolling(row: Row[Any], _: Relations) -> Iterator[Difference]:
    yield Difference(DifferenceKind.ENROLLING, *_whose(row), detail=f"{row.many} active users without")


def _plain(kind: DifferenceKind) -> Judge:
    return lambda row, _: iter([_of(kind, row)])


_SOURCES: tuple[tuple[str, Judge], ...] = (
    (SEVERAL, _several),
    (BESIDE, _beside),
    (ADDRESS, _address),
    (DROPPED, _dropped),
    (FIELDLESS, _plain(DifferenceKind.FIELDLESS)),
    (LATER, _plain(DifferenceKind.LATER)),
    (UNREAD, _unread),
    (ENROLLING, _enrolling),
)


def _of(kind: DifferenceKind, row: Row[Any], detail: str = "") -> Difference:
    return Difference(kind, *_whose(row), row.collection, row.action, (row.id,), 1, detail)


def _whose(row: Row[Any]) -> tuple[str | None, str | None]:
    return (str(row.role) if row.role else None, row.name)


def _granted(row: Row[Any]) -> RowAccess:
    fields = frozenset(filter(None, (row.fields or "").split(",")))
    return RowAccess(_object(row.permissions), fields, _object(row.validation))


def _object(json: str | None) -> dict[str, Any] | None:
    try:
        found = orjson.loads(json or "null")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
