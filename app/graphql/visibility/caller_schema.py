"""A caller's own schema, built only where one is needed: to be introspected, and to word what it is refused."""

from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_list_type,
    is_non_null_type,
    print_schema,
)
from graphql.type import GraphQLList, GraphQLNonNull

from app.graphql.types.builder import key_type, operators_of
from app.graphql.visibility.coordinates import SHAPES, VisibleCoordinates, is_shared
from app.policy.rules import Access
from app.policy.visibility import SchemaVisibility, WriteAction, visibility_for
from app.query.collection import COLLECTIONS, Field
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import LEGACY_COLLECTIONS
from app.query.limits import QueryLimits


@lru_cache(maxsize=256)
def caller_schema(full: GraphQLSchema, shown: SchemaVisibility, *, introspection: bool = True) -> "CallerSchema":
    """The overlay of a fingerprint; the last 256 are kept."""
    return CallerSchema(full, shown, introspection=introspection)


def caller_schema_for(full: GraphQLSchema, access: Access, limits: QueryLimits) -> "CallerSchema":
    """The overlay of a caller with such rights."""
    return caller_schema(full, visibility_for(access, legacy=limits.legacy_fields), introspection=limits.introspection)


class CallerSchema:
    """The part of the full schema that callers with one fingerprint see."""

    def __init__(self, full: GraphQLSchema, shown: SchemaVisibility, *, introspection: bool, keys: bool = True) -> None:
        self._full, self._fingerprint, self._keys = full, shown, keys
        self._seen = VisibleCoordinates(full, shown, introspection=introspection)
        self.introspection = introspection
        self._made: dict[str, GraphQLNamedType] = {}

    def allows(self, coordinates: frozenset[str]) -> bool:
        """Whether everything a document touches is there to be seen."""
        return coordinates <= self._seen.all

    @cached_property
    def introspection_schema(self) -> GraphQLSchema:
        """The filtered schema as the caller introspects it: without the inner spelling of a relation's key."""
        return CallerSchema(self._full, self._fingerprint, introspection=self.introspection, keys=False).schema

    @cached_property
    def sdl(self) -> str:
        """The filtered schema as text."""
        return print_schema(self.introspection_schema) + "\n"

    @cached_property
    def schema(self) -> GraphQLSchema:
        """The filtered schema: what words the caller's mistakes."""
        query, mutation = (self._root(type_) for type_ in (self._full.query_type, self._full.mutation_type))
        return GraphQLSchema(query, mutation, directives=self._full.directives, description=self._full.description)

    def _root(self, type_: GraphQLObjectType | None) -> GraphQLObjectType | None:
        """A root type with the fields that are seen; none where there are none."""
        if type_ is None:
            return None
        names = [name for name in type_.fields if f"{type_.name}.{name}" in self._seen.all]
        return _object(type_, {name: self._output(type_.fields[name]) for name in names}) if names else None

    def _type(self, type_: Any) -> Any:
        if is_non_null_type(type_):
            return GraphQLNonNull(self._type(type_.of_type))
        if is_list_type(type_):
            return GraphQLList(self._type(type_.of_type))
        return type_ if is_shared(type_) else self._named(type_)

    def _named(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        if type_.name not in self._made:
            if isinstance(type_, GraphQLObjectType):
                self._made[type_.name] = _object(type_, lambda: self._object_fields(type_))
            elif isinstance(type_, GraphQLInputObjectType):
                same: dict[str, Any] = {**type_.to_kwargs(), "fields": lambda: self._input_fields(type_)}
                self._made[type_.name] = GraphQLInputObjectType(**same)
        return self._made[type_.name]

    def _object_fields(self, type_: GraphQLObjectType) -> dict[str, GraphQLField]:
        kept = {name: field for name, field in type_.fields.items() if f"{type_.name}.{name}" in self._seen.all}
        return {name: self._key_field(type_.name, name, field) or self._output(field) for name, field in kept.items()}

    def _key_field(self, type_: str, name: str, field: GraphQLField) -> GraphQLField | None:
        """A relation that can't be walked, printed as its key."""
        member = self._hidden_relation(type_, name)
        if member is None:
            return None
        key = self._full.type_map[key_type(member)]
        return GraphQLField(key, description=field.description, resolve=field.resolve)  # type: ignore[arg-type]

    def _hidden_relation(self, type_: str, name: str) -> Field | None:
        shape = next(shape for shape in sorted(SHAPES, key=len, reverse=True) if type_.endswith(shape))
        collection = LEGACY_COLLECTIONS.get(type_.removesuffix(shape))
        member = collection.fields.get(name) if collection else None
        hidden = member and collection and member.relation and not self._seen.navigable(member)
        return member if hidden else None

    def _output(self, field: GraphQLField) -> GraphQLField:
        """A field of types that are seen; where its rows aren't, it only tells that it was done."""
        collection = COLLECTIONS.get(get_named_type(field.type).name)
        hidden = collection is not None and not self._seen.readable(collection)
        arguments = {
            name: type(argument)(**{**argument.to_kwargs(), "type_": self._type(argument.type)})
            for name, argument in field.args.items()
            if not (hidden and get_named_type(argument.type).name.endswith("_filter"))
        }
        told = GraphQLBoolean if hidden else self._type(field.type)
        same: dict[str, Any] = {**field.to_kwargs(), "type_": told, "args": arguments}
        return GraphQLField(**same)

    def _input_fields(self, type_: GraphQLInputObjectType) -> dict[str, GraphQLInputField]:
        kept = {}
        for name, field in type_.fields.items():
            if f"{type_.name}.{name}" not in self._seen.all and not (name == RELATION_KEY and self._keys):
                continue
            of = self._written(type_.name, name) or self._filtered(type_.name, name) or self._type(field.type)
            kept[name] = GraphQLInputField(**{**field.to_kwargs(), "type_": of})
        return kept

    def _filtered(self, type_: str, name: str) -> GraphQLNamedType | None:
        """A relation that can't be walked is filtered by its key."""
        hidden = self._hidden_relation(type_, name)
        return self._full.type_map[operators_of(hidden.kind)] if hidden else None

    def _written(self, type_: str, name: str) -> GraphQLNamedType | None:
        """A relation whose rows can't be written is written as its key."""
        actions: tuple[WriteAction, ...] = ("create", "update")
        for action in actions:
            collection = COLLECTIONS.get(type_.removeprefix(f"{action}_").removesuffix("_input"))
            member = collection.fields[name] if collection and type_.startswith(action) else None
            if member and member.relation and not self._seen.writable(action, member):
                return self._full.type_map[key_type(member)]
        return None


def _object(type_: GraphQLObjectType, fields: Any) -> GraphQLObjectType:
    """The same type with other fields."""
    same: dict[str, Any] = {**type_.to_kwargs(), "fields": fields}
    return GraphQLObjectType(**same)
