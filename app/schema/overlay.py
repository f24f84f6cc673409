"""What one caller sees of the schema: a set of coordinates, and a filtered schema only where one is needed."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    print_schema,
)
from graphql.type import GraphQLList, GraphQLNonNull

from app.core.kept import Kept
from app.policy.rules import Access
from app.query.aggregate import CALCULATING, COUNTING, is_number
from app.query.collection import COLLECTIONS, Collection, Field, target
from app.query.filter import OWN_KEY
from app.schema.build import aggregated_type, functions_type, key_type, measures_type, operators_of
from app.schema.spelling import INTO

NOTHING = "_empty"
"""The root field of a caller who may read nothing: GraphQL knows no empty type."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a caller sees of the schema: `fields` it may read on some row, and more of the server if it is `somebody`.

    Callers for whom these are equal see the same.
    """

    fields: frozenset[tuple[Collection, frozenset[Field]]]
    somebody: bool = True


NEEDED = {"permissions_me": "directus_permissions", "policies_me_globals": "directus_policies"}
"""Root fields that only those see who may read a collection, as Directus cuts its schema."""

PUBLIC_INFO = ("project",)
"""What everybody may know of the server; the rest takes somebody."""

OWN = ("Query", "Mutation", "Subscription", "server_info")
"""Types that callers see different parts of, besides those of the collections."""

_SHAPES = ("", "_filter", "_quantifier_filter")


def shown_to(access: Access) -> Shown:
    """The collections and fields a caller may read on some row: the fingerprint of what it sees of the schema."""
    fields = ((collection, access.fields("read", collection)) for collection in COLLECTIONS.values())
    seen = frozenset((collection, some) for collection, some in fields if some)
    return Shown(seen, somebody=access.user is not None or access.admin)


ANSWERS = 16
"""Introspections kept with an overlay."""

EVERYTHING_SHOWN = Shown(frozenset((c, frozenset(c.fields.values())) for c in COLLECTIONS.values()))


@lru_cache(maxsize=256)
def overlay(full: GraphQLSchema, shown: Shown, *, introspection: bool = True) -> "Overlay":
    """The overlay of a fingerprint; the last 256 are kept."""
    return Overlay(full, shown, introspection=introspection)


class Overlay:
    """The part of the full schema that callers with one fingerprint see."""

    def __init__(self, full: GraphQLSchema, shown: Shown, *, introspection: bool, keys: bool = True) -> None:
        self._full, self._keys = full, keys
        self._fingerprint = shown
        self._shown: Mapping[Collection, frozenset[Field]] = dict(shown.fields)
        self.introspection = introspection
        self._made: dict[str, GraphQLNamedType] = {}
        self.answers: Kept[Hashable, Any] = Kept(ANSWERS)
        """Finished introspections."""

    def admits(self, coordinates: frozenset[str]) -> bool:
        """Whether everything a document touches is there to be seen."""
        return coordinates <= self._coordinates

    def navigable(self, collection: Collection, field: Field) -> bool:
        """Whether a relation may be walked: its target is seen, and so is one of the fields that spell it backwards.

        Where no field of the target does, the target alone decides. That is how Directus cuts its schema.
        """
        if field.relation is None:
            return False
        there = self._shown.get(target(field), frozenset())
        back = field.relation.reverse
        return bool(there) and (not back or any(other.name in back for other in there))

    @cached_property
    def printed(self) -> GraphQLSchema:
        """The filtered schema as the caller introspects it: without the inner spelling of a relation's key."""
        return Overlay(self._full, self._fingerprint, introspection=self.introspection, keys=False).schema

    @cached_property
    def sdl(self) -> str:
        """The filtered schema as text."""
        return print_schema(self.printed) + "\n"

    @cached_property
    def schema(self) -> GraphQLSchema:
        """The filtered schema: what words the caller's mistakes."""
        query = self._full.query_type
        if query is None:
            raise TypeError("the schema has no Query")
        fields = {
            name: self._output(field) for name, field in query.fields.items() if f"Query.{name}" in self._coordinates
        }
        kept = _object(query, fields)
        return GraphQLSchema(kept, directives=self._full.directives, description=self._full.description)

    @cached_property
    def _coordinates(self) -> frozenset[str]:
        shared = (name for name, type_ in self._full.type_map.items() if self._is_shared(type_))
        return frozenset((*self._roots(), *self._members(), *shared, *self._shared_members()))

    def _is_shared(self, type_: GraphQLNamedType) -> bool:
        """Whether a type is the same for every caller."""
        return not type_.name.startswith("directus_") and type_.name not in OWN

    def _shared_members(self) -> Iterator[str]:
        for type_ in self._full.type_map.values():
            if self._is_shared(type_) and (is_object_type(type_) or is_input_object_type(type_)):
                yield from (f"{type_.name}.{name}" for name in type_.fields)

    def _roots(self) -> Iterator[str]:
        query = self._full.query_type
        for name, field in query.fields.items() if query else ():
            named = get_named_type(field.type).name
            collection = COLLECTIONS.get(named.removesuffix("_aggregated"))
            needed = COLLECTIONS.get(NEEDED.get(name, "")) or collection
            hidden = name == NOTHING or (name == "server_specs_graphql" and not self.introspection)
            if needed in self._shown or (needed is None and not hidden):
                yield f"Query.{name}"
        if not self._shown:
            yield f"Query.{NOTHING}"
        if self.introspection:
            yield from ("Query.__schema", "Query.__type")

    def _members(self) -> Iterator[str]:
        yield "server_info"
        info = self._full.type_map["server_info"].fields  # type: ignore[attr-defined]  # an object type
        yield from (f"server_info.{name}" for name in info if self._fingerprint.somebody or name in PUBLIC_INFO)
        for collection, fields in self._shown.items():
            for shape in _SHAPES:
                name = f"{collection.name}{shape}"
                yield name
                if shape:
                    yield from (f"{name}.{part}" for part in ("_and", "_or", "_some", "_none"))
                for field in fields:
                    yield from self._coordinates_of(name, collection, field)
            yield from _aggregated(collection, fields)

    def _coordinates_of(self, type_: str, collection: Collection, field: Field) -> Iterator[str]:
        yield f"{type_}.{field.name}"
        if functions_type(field):
            yield f"{type_}.{field.name}_func"
        if self.navigable(collection, field):
            yield f"{type_}.{field.name}{INTO}"

    def _type(self, type_: Any) -> Any:
        if is_non_null_type(type_):
            return GraphQLNonNull(self._type(type_.of_type))
        if is_list_type(type_):
            return GraphQLList(self._type(type_.of_type))
        return type_ if self._is_shared(type_) else self._named(type_)

    def _named(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        if type_.name not in self._made:
            if isinstance(type_, GraphQLObjectType):
                self._made[type_.name] = _object(type_, lambda: self._object_fields(type_))
            elif isinstance(type_, GraphQLInputObjectType):
                same: dict[str, Any] = {**type_.to_kwargs(), "fields": lambda: self._input_fields(type_)}
                self._made[type_.name] = GraphQLInputObjectType(**same)
        return self._made[type_.name]

    def _object_fields(self, type_: GraphQLObjectType) -> dict[str, GraphQLField]:
        kept = {name: field for name, field in type_.fields.items() if f"{type_.name}.{name}" in self._coordinates}
        return {name: self._key_field(type_.name, name, field) or self._output(field) for name, field in kept.items()}

    def _key_field(self, type_: str, name: str, field: GraphQLField) -> GraphQLField | None:
        """A relation that can't be walked, printed as its key."""
        member = self._hidden_relation(type_, name)
        if member is None:
            return None
        key = self._full.type_map[key_type(member)]
        return GraphQLField(key, description=field.description, resolve=field.resolve)  # type: ignore[arg-type]

    def _hidden_relation(self, type_: str, name: str) -> Field | None:
        shape = next(shape for shape in sorted(_SHAPES, key=len, reverse=True) if type_.endswith(shape))
        collection = COLLECTIONS.get(type_.removesuffix(shape))
        member = collection.fields.get(name) if collection else None
        hidden = member and collection and member.relation and not self.navigable(collection, member)
        return member if hidden else None

    def _output(self, field: GraphQLField) -> GraphQLField:
        arguments = {
            name: type(argument)(**{**argument.to_kwargs(), "type_": self._type(argument.type)})
            for name, argument in field.args.items()
        }
        return GraphQLField(**{**field.to_kwargs(), "type_": self._type(field.type), "args": arguments})

    def _input_fields(self, type_: GraphQLInputObjectType) -> dict[str, GraphQLInputField]:
        kept = {}
        for name, field in type_.fields.items():
            if f"{type_.name}.{name}" not in self._coordinates and not (name == OWN_KEY and self._keys):
                continue
            hidden = self._hidden_relation(type_.name, name)
            of = self._full.type_map[operators_of(hidden.kind)] if hidden else self._type(field.type)
            kept[name] = GraphQLInputField(**{**field.to_kwargs(), "type_": of})
        return kept


def _aggregated(collection: Collection, fields: frozenset[Field]) -> Iterator[str]:
    """What may be told of groups of rows: how many there are of a field, and more of those that are numbers."""
    name = aggregated_type(collection)
    numbers = [field for field in fields if is_number(field)]
    yield name
    yield from (f"{name}.{part}" for part in ("group", "countAll", *COUNTING, *(CALCULATING if numbers else ())))
    for function, measured in (("count", fields), ("sum", numbers)):
        of = measures_type(collection, function)
        yield from (of, *(f"{of}.{field.name}" for field in measured))


def _object(type_: GraphQLObjectType, fields: Any) -> GraphQLObjectType:
    """The same type with other fields."""
    same: dict[str, Any] = {**type_.to_kwargs(), "fields": fields}
    return GraphQLObjectType(**same)
