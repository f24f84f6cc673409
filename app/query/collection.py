"""The registry: what a collection is and which fields it has, derived from the models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, inspect
from sqlalchemy.orm import Mapper, RelationshipProperty

from app.db.base import Base, Csv, JsonText, Timestamp, UUIDText
from app.db.models import Access, Activity, File, Folder, Permission, Policy, Revision, Role, Settings, User

FieldKind = Literal["string", "uuid", "integer", "bigInteger", "boolean", "timestamp", "json", "csv", "hash", "alias"]

PREFIX = "directus_"


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """A way from one collection to another.

    `foreign` is the column that holds the other side's key: a column of this collection for a to-one relation,
    of the target for a to-many. `reverse` names the fields of the target that spell the same way backwards.
    """

    target: str
    many: bool
    foreign: Column[Any]
    reverse: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Derivation:
    """How a field is told that is stored nowhere: from what a field holds of the rows at the end of a path.

    Of flags, whether one of them is set; of lists, whatever stands in one of them; of keys, the only one there is.
    With `above` the path begins at the row, and at all rows that this relation leads to, one after another.
    """

    path: tuple["Field", ...]
    field: "Field"
    ancestors: "Field | None" = None


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of a collection; compared by identity, for there is one of each."""

    name: str
    kind: FieldKind
    column: Column[Any] | None = None
    relation: Relation | None = None
    required: bool = False
    concealed: bool = False
    note: str | None = None
    derivation: Derivation | None = None
    """Where it isn't stored, but told from other rows; its `column` is then that of the field it is told from."""

    @property
    def stored(self) -> Column[Any]:
        """The column that holds this field's own value; a to-many relation has none (TypeError)."""
        if self.column is None:
            raise TypeError(f"{self.name} is a to-many relation and has no column")
        return self.column

    @property
    def many(self) -> bool:
        """Whether this field is a to-many relation, which has no column of its own."""
        return self.relation is not None and self.relation.many

    @property
    def link(self) -> Relation:
        """The relation this field is; TypeError where it is none."""
        if self.relation is None:
            raise TypeError(f"{self.name} is not a relation")
        return self.relation


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """A table as clients know it: `name` on the wire (`directus_users`), `short` in root fields (`users`)."""

    name: str
    table: Table
    fields: Mapping[str, Field]
    registry: Mapping[str, "Collection"] = field(repr=False)
    """The registry it stands in."""
    singleton: bool = False
    """Whether it holds one row, which is asked for without a key."""
    wildcard_excluded: frozenset[str] = frozenset()
    """The names of fields that `*` doesn't stand for: they are told where they are named."""
    derived: tuple[Field, ...] = ()
    """Those of its fields that are told from other rows."""

    @property
    def short_name(self) -> str:
        """The name without its prefix, as root fields spell it."""
        return self.name.removeprefix(PREFIX)

    @property
    def key(self) -> Field:
        """The field that identifies a row."""
        return self.fields["id"]

    @property
    def relations(self) -> Iterable[Field]:
        """The fields that lead to other collections."""
        return (field for field in self.fields.values() if field.relation)

    def target_of(self, relation: Field) -> "Collection":
        """The collection that a relation leads to, in the registry that this one stands in."""
        return self.registry[relation.link.target]


def _kind(column: Column[Any]) -> FieldKind:
    if column.info.get("hash"):
        return "hash"
    kinds: tuple[tuple[type, FieldKind], ...] = (
        (UUIDText, "uuid"),
        (Timestamp, "timestamp"),
        (JsonText, "json"),
        (Csv, "csv"),
        (Boolean, "boolean"),
        (BigInteger, "bigInteger"),
        (Integer, "integer"),
    )
    return next((kind for type_, kind in kinds if isinstance(column.type, type_)), "string")


def _required(column: Column[Any]) -> bool:
    """Whether the SDL prints `!`: not nullable, and no default but a falsy one, which doesn't count."""
    default = getattr(column.server_default, "arg", None)
    return not column.nullable and str(default).strip("'").lower() in {"none", "false", "0", ""}


def _foreign(prop: RelationshipProperty[Any]) -> Column[Any]:
    column = next(iter(prop.remote_side if prop.uselist else prop.local_columns))
    if not isinstance(column, Column):
        raise TypeError(f"{prop} is not joined by a column")
    return column


def _reverse(prop: RelationshipProperty[Any], column: Column[Any]) -> tuple[str, ...]:
    if prop.uselist:
        return (column.name,)
    back = prop.mapper.relationships
    return tuple(other.key for other in back if other.uselist and _foreign(other) is column)


def _relation(prop: RelationshipProperty[Any]) -> Relation:
    column = _foreign(prop)
    target = prop.mapper.local_table.name  # type: ignore[attr-defined]  # our models are mapped to plain tables
    return Relation(target, bool(prop.uselist), column, _reverse(prop, column))


def _collection(model: type[Base], registry: Mapping[str, Collection], known: frozenset[str]) -> Collection:
    mapper: Mapper[Any] = inspect(model)
    table = mapper.local_table
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    relations = {prop.key: _relation(prop) for prop in mapper.relationships}
    reachable = {name: relation for name, relation in relations.items() if relation.target in known}
    fields = {
        str(column.name): Field(
            str(column.name),  # SQLAlchemy's own kind of text can't be a key of an answer
            _kind(column),
            column,
            reachable.get(column.name),
            _required(column) and not column.foreign_keys,
            bool(column.info.get("concealed")),
            column.info.get("note"),
        )
        for column in table.columns
    }
    aliases = {name: Field(name, "alias", relation=relation) for name, relation in reachable.items() if relation.many}
    return Collection(table.name, table, MappingProxyType(fields | aliases), registry, singleton=model is Settings)


def _registry(models: Iterable[type[Base]]) -> Mapping[str, Collection]:
    models = tuple(models)
    known = frozenset(model.__tablename__ for model in models)
    registry: dict[str, Collection] = {}
    registry |= {model.__tablename__: _collection(model, registry, known) for model in models}
    return MappingProxyType(registry)


COLLECTIONS = _registry((Activity, Permission, File, Folder, User, Role, Revision, Policy, Access, Settings))
ACCESS, ACTIVITY, FILES, FOLDERS, PERMISSIONS, POLICIES, REVISIONS, ROLES, SETTINGS, USERS = (
    COLLECTIONS[model.__tablename__]
    for model in (Access, Activity, File, Folder, Permission, Policy, Revision, Role, Settings, User)
)
WRITABLE_COLLECTIONS = (PERMISSIONS, FILES, FOLDERS, USERS, ROLES, POLICIES, ACCESS, SETTINGS)
"""The collections that clients may write to, in the order of the mutations in the schema."""


def target(field: Field) -> Collection:
    """The collection that a relation leads to."""
    return COLLECTIONS[field.link.target]
