"""DDL for custom columns, on both databases.

SQLite can neither change a column nor add a foreign key to one, so there the column is replaced by a new one with the
same name and values.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from app.db.base import POSTGRESQL
from app.query.sql_indexes import index_names_of_column

TEMPORARY = "rollcall_replaced"
"""The name of a column while it replaces another."""


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """The collection that a column refers to by its `id`, and what happens when the row there is deleted."""

    target: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of a table: its type and default in SQL, its constraints and its reference.

    `unique` and `indexed` are the names of its index of either kind, if it has one.
    """

    table: str
    name: str
    type: str
    nullable: bool = True
    default: str = "NULL"
    unique: str | None = None
    indexed: str | None = None
    reference: ColumnReference | None = None

    def unique_name(self) -> str:
        """Return the name of a new unique index, as Directus gives it."""
        return f"{self.table}_{self.name}_unique"

    def index_name(self) -> str:
        """Return the name of a new index, as Directus gives it."""
        return f"{self.table}_{self.name}_index"


def add_column(dialect: str, column: ColumnDefinition) -> Iterator[str]:
    """Yield the statements that add a column with its indexes and its foreign key."""
    yield _add(dialect, column, column.name)
    yield from _create_indexes(dialect, column)


def drop_column(dialect: str, column: ColumnDefinition) -> Iterator[str]:
    """Yield the statements that drop a column with everything that belongs to it."""
    if dialect != POSTGRESQL:
        yield from _drop_indexes(column)
        yield from _drop_optional_indexes(column)
    yield f"ALTER TABLE {quoted(column.table)} DROP COLUMN {quoted(column.name)}"


def change_column(dialect: str, old: ColumnDefinition, new: ColumnDefinition, *, convert: bool) -> Iterator[str]:
    """Yield the statements that turn a column into another; with `convert` its values are copied."""
    if dialect == POSTGRESQL and (convert or old.type == new.type):
        yield from _alter(old, new)
    elif _body(old) != _body(new):
        yield from _replace(dialect, old, new, convert=convert)
    else:
        yield from _change_indexes(dialect, old, new)


def set_reference(dialect: str, old: ColumnDefinition, new: ColumnDefinition, constraint: str | None) -> Iterator[str]:
    """Yield the statements that give a column another foreign key or none; `constraint` is the name of the old one."""
    if dialect != POSTGRESQL:
        yield from _replace(dialect, old, new, convert=True)
        return
    table = quoted(old.table)
    if constraint is not None:
        yield f"ALTER TABLE {table} DROP CONSTRAINT {quoted(constraint)}"
    if new.reference is not None:
        name = quoted(f"{old.table}_{old.name}_foreign")
        yield (
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({quoted(old.name)}) "
            f"REFERENCES {quoted(new.reference.target)} (id) ON DELETE {new.reference.on_delete}"
        )


def _add(dialect: str, column: ColumnDefinition, name: str) -> str:
    return f"ALTER TABLE {quoted(column.table)} ADD COLUMN {quoted(name)} {_body(column)}"


def _body(column: ColumnDefinition) -> str:
    parts = [column.type]
    if not column.nullable:
        parts.append("NOT NULL")
    if column.default != "NULL":
        parts.append(f"DEFAULT {column.default}")
    if column.reference is not None:
        parts.append(f"REFERENCES {quoted(column.reference.target)} (id) ON DELETE {column.reference.on_delete}")
    return " ".join(parts)


def _create_indexes(dialect: str, column: ColumnDefinition) -> Iterator[str]:
    if column.unique is not None:
        yield _create_unique(dialect, column, column.unique)
    if column.indexed is not None:
        yield _create_index(column, column.indexed)


def _create_unique(dialect: str, column: ColumnDefinition, name: str) -> str:
    table, target = quoted(column.table), f"({quoted(column.name)})"
    if dialect == POSTGRESQL:  # a constraint, because that is what Directus drops when the field is no longer unique
        return f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} UNIQUE {target}"
    return f"CREATE UNIQUE INDEX {quoted(name)} ON {table} {target}"


def _create_index(column: ColumnDefinition, name: str) -> str:
    return f"CREATE INDEX {quoted(name)} ON {quoted(column.table)} ({quoted(column.name)})"


def _drop_indexes(column: ColumnDefinition) -> Iterator[str]:
    yield from (f"DROP INDEX {quoted(name)}" for name in (column.unique, column.indexed) if name is not None)


def _drop_optional_indexes(column: ColumnDefinition) -> Iterator[str]:
    yield from (f"DROP INDEX IF EXISTS {quoted(name)}" for name in index_names_of_column(column.table, column.name))


def _change_indexes(dialect: str, old: ColumnDefinition, new: ColumnDefinition) -> Iterator[str]:
    if old.unique is not None and new.unique is None:
        if dialect == POSTGRESQL:
            yield f"ALTER TABLE {quoted(old.table)} DROP CONSTRAINT IF EXISTS {quoted(old.unique)}"
        yield f"DROP INDEX IF EXISTS {quoted(old.unique)}"
    elif old.unique is None and new.unique is not None:
        yield _create_unique(dialect, new, new.unique)
    if old.indexed is not None and new.indexed is None:
        yield f"DROP INDEX {quoted(old.indexed)}"
    elif old.indexed is None and new.indexed is not None:
        yield _create_index(new, new.indexed)


def _alter(old: ColumnDefinition, new: ColumnDefinition) -> Iterator[str]:
    """Yield PostgreSQL's statements for what differs."""
    name = quoted(new.name)
    changes = []
    if old.type != new.type:
        yield from _drop_optional_indexes(old)  # their expressions may not accept the new type
        changes += [f"ALTER COLUMN {name} DROP DEFAULT"]
        changes += [f"ALTER COLUMN {name} TYPE {new.type} USING {name}::{new.type}"]
    if old.default != new.default or old.type != new.type:
        changes += [
            f"ALTER COLUMN {name} " + ("DROP DEFAULT" if new.default == "NULL" else f"SET DEFAULT {new.default}")
        ]
    if old.nullable != new.nullable:
        changes += [f"ALTER COLUMN {name} {'DROP' if new.nullable else 'SET'} NOT NULL"]
    for change in changes:
        yield f"ALTER TABLE {quoted(new.table)} {change}"
    yield from _change_indexes(POSTGRESQL, old, new)


def _replace(dialect: str, old: ColumnDefinition, new: ColumnDefinition, *, convert: bool) -> Iterator[str]:
    table, name, temporary = quoted(new.table), quoted(new.name), quoted(TEMPORARY)
    yield _add(dialect, new, TEMPORARY)
    if convert:
        yield f"UPDATE {table} SET {temporary} = CAST({name} AS {new.type})"
    yield from drop_column(dialect, old)
    yield f"ALTER TABLE {table} RENAME COLUMN {temporary} TO {name}"
    yield from _create_indexes(dialect, new)
