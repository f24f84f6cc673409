"""The schema that a caller sees. It is built only for introspection and for the messages of validation errors."""

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
from app.graphql.visibility.coordinates import TYPE_SUFFIXES, VisibleCoordinates, is_shared
from app.policy.rules import Access
from app.policy.visibility import SchemaVisibility, WriteAction, visibility_for
from app.query.collection import Field
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import legacy_registry
from app.query.limits import QueryLimits


@lru_cache(maxsize=256)
def caller_schema(full: GraphQLSchema, visibility: SchemaVisibility, *, introspection: bool = True) -> "CallerSchema":
    """Return the schema of a visibility; the last 256 are cached."""
    return CallerSchema(full, visibility, introspection=introspection)


def caller_schema_for(full: GraphQLSchema, access: Access, limits: QueryLimits) -> "CallerSchema":
    """Return the schema of a caller with this access."""
    return caller_schema(full, visibility_for(access, legacy=limits.legacy_fields), introspection=limits.introspection)


class CallerSchema:
    """The part of the full schema that callers with one visibility see.

    With `relation_keys`, filters have the internal field of a relation's key, which normalized documents use.
    """

    def __init__(
        self, full: GraphQLSchema, visibility: SchemaVisibility, *, introspection: bool, relation_keys: bool = True
    ) -> None:
        self._full, self._visibility, self._relation_keys = full, visibility, relation_keys
        self._visible = VisibleCoordinates(full, visibility, introspection=introspection)
        self.introspection = introspection
        self._types: dict[str, GraphQLNamedType] = {}

    def allows(self, coordinates: frozenset[str]) -> bool:
        """Return whether all coordinates of a document are visible."""
        return coordinates <= self._visible.all

    @cached_property
    def introspection_schema(self) -> GraphQLSchema:
        """The schema as the caller introspects it, without the internal field of a relation's key."""
        return CallerSchema(self._full, self._visibility, introspection=self.introspection, relation_keys=False).schema

    @cached_property
    def sdl(self) -> str:
        """The schema as SDL."""
        return print_schema(self.introspection_schema) + "\n"

    @cached_property
    def schema(self) -> GraphQLSchema:
        """The schema that documents are validated with for error messages."""
        roots = (self._full.query_type, self._full.mutation_type, self._full.subscription_type)
        query, mutation, subscription = map(self._root, roots)
        return GraphQLSchema(
            query, mutation, subscription, directives=self._full.directives, description=self._full.description
        )

    def _root(self, type_: GraphQLObjectType | None) -> GraphQLObjectType | None:
        """Return a root type with its visible fields; None if there are none."""
        if type_ is None:
            return None
        names = [name for name in type_.fields if f"{type_.name}.{name}" in self._visible.all]
        return _object(type_, {name: self._output_field(type_.fields[name]) for name in names}) if names else None

    def _type(self, type_: Any) -> Any:
        if is_non_null_type(type_):
            return GraphQLNonNull(self._type(type_.of_type))
        if is_list_type(type_):
            return GraphQLList(self._type(type_.of_type))
        return type_ if is_shared(type_) else self._named_type(type_)

    def _named_type(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        if type_.name not in self._types:
            if isinstance(type_, GraphQLObjectType):
                self._types[type_.name] = _object(type_, lambda: self._object_fields(type_))
            elif isinstance(type_, GraphQLInputObjectType):
                kwargs: dict[str, Any] = {**type_.to_kwargs(), "fields": lambda: self._input_fields(type_)}
                self._types[type_.name] = GraphQLInputObjectType(**kwargs)
        return self._types[type_.name]

    def _object_fields(self, type_: GraphQLObjectType) -> dict[str, GraphQLField]:
        visible = {name: field for name, field in type_.fields.items() if f"{type_.name}.{name}" in self._visible.all}
        return {
            name: self._key_field(type_.name, name, field) or self._output_field(field)
            for name, field in visible.items()
        }

    def _key_field(self, type_: str, name: str, field: GraphQLField) -> GraphQLField | None:
        """Return a relation that the caller cannot traverse as a field of its key; None for any other field."""
        member = self._hidden_relation(type_, name)
        if member is None:
            return None
        key = self._full.type_map[key_type(member)]
        return GraphQLField(key, description=field.description, resolve=field.resolve)  # type: ignore[arg-type]

    def _hidden_relation(self, type_: str, name: str) -> Field | None:
        suffix = next(suffix for suffix in sorted(TYPE_SUFFIXES, key=len, reverse=True) if type_.endswith(suffix))
        collection = legacy_registry(self._visible.registry).get(type_.removesuffix(suffix))
        member = collection.fields.get(name) if collection else None
        hidden = member and collection and member.relation and not self._visible.navigable(member)
        return member if hidden else None

    def _output_field(self, field: GraphQLField) -> GraphQLField:
        """Return a field with visible types; if the caller cannot read its rows, a Boolean that tells of success."""
        collection = self._visible.registry.get(get_named_type(field.type).name)
        hidden = collection is not None and not self._visible.readable(collection)
        arguments = {
            name: type(argument)(**{**argument.to_kwargs(), "type_": self._type(argument.type)})
            for name, argument in field.args.items()
            if not (hidden and get_named_type(argument.type).name.endswith("_filter"))
        }
        type_ = GraphQLBoolean if hidden else self._type(field.type)
        kwargs: dict[str, Any] = {**field.to_kwargs(), "type_": type_, "args": arguments}
        return GraphQLField(**kwargs)

    def _input_fields(self, type_: GraphQLInputObjectType) -> dict[str, GraphQLInputField]:
        fields = {}
        for name, field in type_.fields.items():
            if f"{type_.name}.{name}" not in self._visible.all and not (name == RELATION_KEY and self._relation_keys):
                continue
            input_type = (
                self._written_key_type(type_.name, name)
                or self._filter_key_type(type_.name, name)
                or self._type(field.type)
            )
            fields[name] = GraphQLInputField(**{**field.to_kwargs(), "type_": input_type})
        return fields

    def _filter_key_type(self, type_: str, name: str) -> GraphQLNamedType | None:
        """Return the filter type of the key of a relation that the caller cannot traverse; None for any other field."""
        hidden = self._hidden_relation(type_, name)
        return self._full.type_map[operators_of(hidden.kind)] if hidden else None

    def _written_key_type(self, type_: str, name: str) -> GraphQLNamedType | None:
        """Return the key type of a relation whose rows the caller cannot write; None for any other field."""
        actions: tuple[WriteAction, ...] = ("create", "update")
        for action in actions:
            collection = self._visible.registry.get(type_.removeprefix(f"{action}_").removesuffix("_input"))
            member = collection.fields[name] if collection and type_.startswith(action) else None
            if member and member.relation and not self._visible.writable(action, member):
                return self._full.type_map[key_type(member)]
        return None


def _object(type_: GraphQLObjectType, fields: Any) -> GraphQLObjectType:
    """Return the same type with other fields."""
    kwargs: dict[str, Any] = {**type_.to_kwargs(), "fields": fields}
    return GraphQLObjectType(**kwargs)
