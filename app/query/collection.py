"""The registry of collections and their fields: the built-in ones are derived from the models."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, inspect
from sqlalchemy.orm import Mapper, RelationshipProperty

from app.db.base import Base, Csv, JsonText, Timestamp, UUIDText
from app.db.models import (
    ACCESS_EXPIRY,
    Access,
    Activity,
    File,
    Folder,
    Permission,
    Policy,
    Revision,
    Role,
    Settings,
    User,
)

FieldKind = Literal[
    "string",
    "uuid",
    "integer",
    "bigInteger",
    "float",
    "decimal",
    "boolean",
    "date",
    "time",
    "dateTime",
    "timestamp",
    "json",
    "csv",
    "hash",
    "alias",
]

PREFIX = "directus_"
WRITABLE_NAMES = tuple(
    f"{PREFIX}{name}"
    for name in ("permissions", "files", "folders", "users", "roles", "policies", "access", "settings")
)
"""The collections that clients may write to, in the order of the mutations in the schema."""


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """A relation from one collection to another.

    `foreign_key` is a column of this collection for a to-one relation, of the target for a to-many one. `reverse` names
    the target's fields that describe the same relation from the other side.
    """

    target: str
    many: bool
    foreign_key: Column[Any]
    reverse: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Derivation:
    """How the value of a field without a column is computed: from `field` of the rows at the end of `path`.

    Flags are combined by OR, lists by union. A key is used only if all the rows agree on it; otherwise it is null.
    With `ancestors`, the path starts at the row and at every row reached by following this relation repeatedly.
    """

    path: tuple["Field", ...]
    field: "Field"
    ancestors: "Field | None" = None


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a collection. Compared by identity, because there is only one instance of each."""

    name: str
    kind: FieldKind
    column: Column[Any] | None = None
    relation: Relation | None = None
    required: bool = False
    concealed: bool = False
    note: str | None = None
    special: frozenset[str] = frozenset()
    """What Directus calls special about a custom field: `date-created`, `hash` …"""
    validation: str | None = None
    """The JSON text of a filter that written values of a custom field must match."""
    derivation: Derivation | None = None
    """Set if the value is derived from other rows; `column` is then the column of the field it is derived from."""
    side_key: Column[Any] | None = None
    """Set if `column` is in a side table, which has a row for each row with a value: its foreign key to that row."""

    @property
    def stored(self) -> Column[Any]:
        """The column that stores this field's value.

        Raises:
            TypeError: The field is a to-many relation, which has no column.
        """
        if self.column is None:
            raise TypeError(f"{self.name} is a to-many relation and has no column")
        return self.column

    @property
    def many(self) -> bool:
        """Whether this field is a to-many relation, which has no column."""
        return self.relation is not None and self.relation.many

    @property
    def is_hashed(self) -> bool:
        """Whether values of a custom field are stored as their hashes."""
        return "hash" in self.special

    @property
    def sent_as_text(self) -> bool:
        """Whether clients receive the value as text, because JavaScript has no numbers with that many digits."""
        return self.kind in ("bigInteger", "decimal")

    @property
    def scale(self) -> int:
        """The digits after the point that a decimal has."""
        return getattr(self.stored.type, "scale", None) or 0

    @property
    def link(self) -> Relation:
        """The relation of this field.

        Raises:
            TypeError: The field is not a relation.
        """
        if self.relation is None:
            raise TypeError(f"{self.name} is not a relation")
        return self.relation


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """A table as clients see it: `name` in requests (`directus_users`), `short_name` in root fields (`users`)."""

    name: str
    table: Table
    fields: Mapping[str, Field]
    registry: "Registry" = field(repr=False)
    """The registry that contains this collection."""
    singleton: bool = False
    """Whether it has a single row, which is read without a key."""
    writable: bool = True
    """Whether clients may write to it."""
    wildcard_excluded: frozenset[str] = frozenset()
    """Names of fields that `*` does not include; they are returned only if they are selected by name."""
    derived: tuple[Field, ...] = ()
    """The fields whose values are derived from other rows."""
    order_field: Field | None = None
    """The field that rows are sorted by unless a query says otherwise; None for the key."""

    @property
    def short_name(self) -> str:
        """The name without its prefix, as in root fields."""
        return self.name.removeprefix(PREFIX)

    @property
    def key(self) -> Field:
        """The field that identifies a row."""
        return self.fields["id"]

    @property
    def key_column(self) -> Column[Any]:
        """The column of the field that identifies a row."""
        return self.column(self.key)

    @property
    def relations(self) -> Iterable[Field]:
        """The fields that are relations to other collections."""
        return (field for field in self.fields.values() if field.relation)

    def target_of(self, relation: Field) -> "Collection":
        """Return the target collection of a relation, from this collection's registry."""
        return self.registry[relation.link.target]

    def inverse_of(self, relation: Field) -> Field:
        """Return the to-one field of the target that a to-many relation of this collection is the other side of."""
        return self.target_of(relation).fields[str(relation.link.foreign_key.name)]

    def column(self, field: Field) -> Column[Any]:
        """Return the column of this collection's table that stores a field; built-in fields know one of another table.

        Raises:
            TypeError: The field is a to-many relation, which has no column.
        """
        return self.table.c[field.stored.name]

    def is_same(self, other: "Collection") -> bool:
        """Return whether both are the same table; their fields may differ if they are from different registries."""
        return self.name == other.name


class Registry(Mapping[str, Collection]):
    """All collections that one database serves, by name. Immutable, and compared by identity."""

    __slots__ = ("__weakref__", "_collections", "legacy")

    def __init__(self, build: Callable[["Registry"], Iterable[Collection]]) -> None:
        """Create a registry of the collections that `build` returns for it, which may refer to it."""
        self._collections = {collection.name: collection for collection in build(self)}
        self.legacy: Registry | None = None
        """The same registry with the fields of Directus 10, once `legacy_registry` has created it."""

    def __getitem__(self, name: str) -> Collection:
        return self._collections[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._collections)

    def __len__(self) -> int:
        return len(self._collections)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def own(self, collection: Collection) -> Collection:
        """Return this registry's collection for a built-in one, or one of another registry."""
        return self._collections[collection.name]

    @property
    def writable(self) -> tuple[Collection, ...]:
        """The collections that clients may write to, in the order of the mutations in the schema."""
        return tuple(self._collections[name] for name in WRITABLE_NAMES)


def _field_kind(column: Column[Any]) -> FieldKind:
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


def _is_required(column: Column[Any]) -> bool:
    """Return whether the SDL prints `!`: the column is not nullable and has no default, or only a falsy one."""
    default = getattr(column.server_default, "arg", None)
    return not column.nullable and str(default).strip("'").lower() in {"none", "false", "0", ""}


def _foreign_column(prop: RelationshipProperty[Any]) -> Column[Any]:
    column = next(iter(prop.remote_side if prop.uselist else prop.local_columns))
    if not isinstance(column, Column):
        raise TypeError(f"{prop} is not joined by a column")
    return column


def _reverse_fields(prop: RelationshipProperty[Any], column: Column[Any]) -> tuple[str, ...]:
    if prop.uselist:
        return (column.name,)
    others = prop.mapper.relationships
    return tuple(other.key for other in others if other.uselist and _foreign_column(other) is column)


def _create_relation(prop: RelationshipProperty[Any]) -> Relation:
    column = _foreign_column(prop)
    target = prop.mapper.local_table.name  # type: ignore[attr-defined]  # the models are mapped to plain tables
    return Relation(target, bool(prop.uselist), column, _reverse_fields(prop, column))


SIDE_FIELDS: Mapping[type[Base], tuple[Field, ...]] = {
    Access: (
        Field(
            "expires",
            "timestamp",
            ACCESS_EXPIRY.c.expires,
            note=ACCESS_EXPIRY.c.expires.info["note"],
            side_key=ACCESS_EXPIRY.c.access,
        ),
    ),
}
"""The fields of each model that Directus does not have, whose values are therefore in tables of Rollcall's own."""


def _create_collection(model: type[Base], registry: Registry, names: frozenset[str]) -> Collection:
    mapper: Mapper[Any] = inspect(model)
    table = mapper.local_table
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    relations = {prop.key: _create_relation(prop) for prop in mapper.relationships}
    reachable = {name: relation for name, relation in relations.items() if relation.target in names}
    fields = {
        str(column.name): Field(
            str(column.name),  # orjson does not accept SQLAlchemy's `quoted_name` as a key
            _field_kind(column),
            column,
            reachable.get(column.name),
            _is_required(column) and not column.foreign_keys,
            bool(column.info.get("concealed")),
            column.info.get("note"),
        )
        for column in table.columns
    }
    aliases = {name: Field(name, "alias", relation=relation) for name, relation in reachable.items() if relation.many}
    beside = {field.name: field for field in SIDE_FIELDS.get(model, ())}
    return Collection(
        str(table.name),
        table,
        MappingProxyType(fields | beside | aliases),
        registry,
        singleton=model is Settings,
        writable=table.name in WRITABLE_NAMES,
        wildcard_excluded=frozenset(beside),
        order_field=next((field for field in fields.values() if field.stored.info.get("orders_rows")), None),
    )


def _create_registry(models: Iterable[type[Base]]) -> Registry:
    models = tuple(models)
    names = frozenset(model.__tablename__ for model in models)
    return Registry(lambda registry: (_create_collection(model, registry, names) for model in models))


BUILT_IN = _create_registry((Activity, Permission, File, Folder, User, Role, Revision, Policy, Access, Settings))
"""The registry of a database without custom fields."""
ACCESS, ACTIVITY, FILES, FOLDERS, PERMISSIONS, POLICIES, REVISIONS, ROLES, SETTINGS, USERS = (
    BUILT_IN[model.__tablename__]
    for model in (Access, Activity, File, Folder, Permission, Policy, Revision, Role, Settings, User)
)
"""The built-in collections. They name a collection and its built-in fields, which all registries share; queries and
writes need the collection of their own registry (`Registry.own`)."""
