"""The declarative base, and column types that behave alike on PostgreSQL and SQLite."""

import json
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

import orjson
from sqlalchemy import CHAR, REAL, Date, DateTime, Dialect, Double, Float, MetaData, Numeric, Text, Time
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.core.timestamps import StoredTime, parse_stored_time
from app.core.values import canonical_uuid

POSTGRESQL = "postgresql"

# The names in Directus' own tables, so that an adopted database and a new one look alike.
NAMING_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_name)s_unique",
    "fk": "%(table_name)s_%(column_0_name)s_foreign",
    "ix": "%(table_name)s_%(column_0_name)s_index",
}


class Base(DeclarativeBase):
    """The base class of every model."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


class UUIDText(TypeDecorator[str]):
    """A UUID, in Python always its canonical text: lower case, with hyphens.

    Raises:
        ValueError: A text that is written is not a UUID.
    """

    impl = CHAR(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = postgresql.UUID(as_uuid=False) if dialect.name == POSTGRESQL else CHAR(36)
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: str | UUID | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return str(value) if isinstance(value, UUID) else canonical_uuid(value)


class Timestamp(TypeDecorator[StoredTime]):
    """A point in time, in Python an aware datetime, or a text if there is no datetime for it.

    SQLite stores it as UTC text of a fixed length, so that comparing texts compares times.

    Raises:
        ValueError: A datetime that is written has no time zone.
    """

    impl = postgresql.TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = postgresql.TIMESTAMP(timezone=True) if dialect.name == POSTGRESQL else Text()
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: StoredTime | None, dialect: Dialect) -> Any:
        if value is None or isinstance(value, str):
            return value
        if value.tzinfo is None:
            raise ValueError("A timestamp needs a time zone.")
        if dialect.name == POSTGRESQL:
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> StoredTime | None:
        return parse_stored_time(value) if isinstance(value, str) else value


class Now(FunctionElement[StoredTime]):
    """The current time of the database, in the form in which `Timestamp` stores it."""

    type = Timestamp()
    inherit_cache = True


@compiles(Now)
def _now(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(Now, "sqlite")
def _now_as_text(element: Now, compiler: SQLCompiler, **options: Any) -> str:
    return "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


class PlainTime(TypeDecorator[str]):
    """A `date`, a `time` or a `dateTime` without a time zone, in Python its ISO text; SQLite stores that text too."""

    impl = Text()
    cache_ok = True

    def __init__(self, kind: Literal["date", "time", "dateTime"]) -> None:
        self.kind = kind
        super().__init__()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = _PLAIN_TIMES[self.kind][0] if dialect.name == POSTGRESQL else Text()
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name != POSTGRESQL else _PLAIN_TIMES[self.kind][1](value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, str) else str(value.isoformat())


_PLAIN_TIMES: dict[str, tuple[TypeEngine[Any], Callable[[str], Any]]] = {
    "date": (Date(), date.fromisoformat),
    "time": (Time(), time.fromisoformat),
    "dateTime": (DateTime(), datetime.fromisoformat),
}
"""PostgreSQL's type of each kind, and the function that returns what its driver takes."""


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal with a fixed number of digits after the point, in Python a Decimal; SQLite stores a double."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        self.precision, self.scale = precision, scale
        super().__init__(precision, scale)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        native = Numeric(self.precision, self.scale) if dialect.name == POSTGRESQL else Float()
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == POSTGRESQL else float(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return value if value is None or isinstance(value, Decimal) else Decimal(f"{value:.{self.scale}f}")

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Decimal | None]:
        # not SQLAlchemy's own, which needs the column's type as the driver reports it
        return lambda value: self.process_result_value(value, dialect)


class Real(TypeDecorator[float]):
    """A floating-point number of single or `double` precision."""

    impl = Float()
    cache_ok = True

    def __init__(self, double: bool = False) -> None:  # its cache key ignores keyword-only ones
        self.double = double
        super().__init__()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Double() if self.double else REAL())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        if value is None or self.double or dialect.name != POSTGRESQL:
            return value
        # SQLAlchemy binds a double, which must equal the number of single precision that is stored
        rounded: float = struct.unpack("f", struct.pack("f", value))[0]
        return rounded

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


class JsonText(TypeDecorator[Any]):
    """JSON in a text column on both databases; None is SQL NULL."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else dump_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        # SQLite turns the text of a number into a number in a column that a project declared as `json`
        return json.loads(value) if isinstance(value, str) else value


class Json(JsonText):
    """JSON in PostgreSQL's `json` and in SQLite's text; None is SQL NULL.

    The engines are configured to return JSON as text, so that both databases behave alike.
    """

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_JsonColumn() if dialect.name == POSTGRESQL else Text())


class Csv(TypeDecorator[list[str]]):
    """A list of words, stored as `a,b,c`; the empty list is the empty text."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: list[str] | str | None, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, str) else ",".join(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str] | None:
        return value if value is None else value.split(",") if value else []


def dump_json(value: Any) -> str:
    """Return a value as compact JSON text, the same on both databases."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a number beyond 64 bits, or a key that is not a string
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _JsonColumn(postgresql.JSON):
    """PostgreSQL's `json`, written and read as text."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None
