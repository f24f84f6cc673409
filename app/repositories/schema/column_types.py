"""The kind and the type of a custom column, from its type in the database and its specials in `directus_fields`."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, String, Text, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from app.core.values import KEY_LENGTH
from app.db.base import Csv, ExactDecimal, Json, PlainTime, Real, Timestamp, UUIDText
from app.query.collection import FieldKind

DEFAULT_PRECISION, DEFAULT_SCALE = 10, 5
"""The digits of a decimal whose column has no limit, as in Directus."""

MAX_SHARED_TYPES = 1_000

ColumnType = tuple[FieldKind, TypeEngine[Any]]


def column_type(stored: TypeEngine[Any], special: frozenset[str]) -> ColumnType | None:
    """Return the kind and the type of a column as Directus 11 derives them; None if there is no kind for it.

    Equal types are one object, so that definitions of fields with them are equal.
    """
    if isinstance(stored, types.Enum):
        return None
    if isinstance(stored, types.String):
        return _text_type(stored, special)
    if isinstance(stored, types.DateTime) and "cast-timestamp" in special:  # as Directus marks them on SQLite
        return "timestamp", _shared(Timestamp)
    return next((build(stored) for type_, build in _TYPES if isinstance(stored, type_)), None)


@lru_cache(maxsize=MAX_SHARED_TYPES)
def _shared(type_: type[TypeEngine[Any]], *arguments: Any, **options: Any) -> TypeEngine[Any]:
    return type_(*arguments, **options)


def _text_type(stored: String, special: frozenset[str]) -> ColumnType:
    if "cast-csv" in special:
        return "csv", _shared(Csv)
    if "cast-json" in special:
        return "json", _shared(Json)
    if special & {"hash", "conceal"}:
        return "hash", _shared(String, stored.length)
    if isinstance(stored, types.CHAR) and stored.length == KEY_LENGTH:
        return "uuid", _shared(UUIDText)
    return "string", _shared(String, stored.length) if stored.length else _shared(Text)


def _timestamp_type(stored: Any) -> ColumnType:
    # SQLite has no time zones: there the name of the type tells
    is_timestamp = stored.timezone if isinstance(stored, postgresql.TIMESTAMP) else isinstance(stored, types.TIMESTAMP)
    return ("timestamp", _shared(Timestamp)) if is_timestamp else ("dateTime", _shared(PlainTime, "dateTime"))


def _decimal_type(stored: Any) -> ColumnType:
    precision = stored.precision or DEFAULT_PRECISION
    scale = DEFAULT_SCALE if stored.scale is None else stored.scale
    return "decimal", _shared(ExactDecimal, precision, scale)


_TYPES: Iterable[tuple[type[TypeEngine[Any]], Callable[[Any], ColumnType]]] = (
    (types.Uuid, lambda _: ("uuid", _shared(UUIDText))),
    (types.JSON, lambda _: ("json", _shared(Json))),
    (types.Boolean, lambda _: ("boolean", _shared(Boolean))),
    (types.BigInteger, lambda _: ("bigInteger", _shared(BigInteger))),
    (types.Integer, lambda _: ("integer", _shared(Integer))),
    (types.Float, lambda stored: ("float", _shared(Real, double=isinstance(stored, types.Double)))),
    (types.Numeric, _decimal_type),
    (types.DateTime, _timestamp_type),
    (types.Date, lambda _: ("date", _shared(PlainTime, "date"))),
    (types.Time, lambda _: ("time", _shared(PlainTime, "time"))),
)
"""Types as SQLAlchemy reflects them; a type comes before those that it is a kind of."""
