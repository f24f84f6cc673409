"""The part of the schema that a caller sees, as a set of coordinates; a document may use only these."""

from collections.abc import Iterator
from functools import cached_property

from graphql import (
    GraphQLNamedType,
    GraphQLSchema,
    get_named_type,
    is_input_object_type,
    is_object_type,
)

from app.graphql.documents.normalize_document import WITHOUT_READ_BACK
from app.graphql.documents.normalize_values import TRAVERSES
from app.graphql.types.builder import (
    aggregate_object_type,
    aggregated_type,
    functions_type,
    input_type,
    mutated_type,
)
from app.graphql.visibility.extension_visibility import root_field_of
from app.policy.schema_rights import ALL_SCHEMA_RIGHTS
from app.policy.visibility import CollectionVisibility, SchemaVisibility
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS, is_number
from app.query.collection import USERS, Collection, Field

EMPTY_FIELD = "_empty"
"""The root field of a caller who may read nothing, because GraphQL has no empty types."""

REQUIRED_COLLECTIONS = {"permissions_me": "directus_permissions", "policies_me_globals": "directus_policies"}
"""Root fields that are visible only with read access to a collection, as in Directus."""

ADMIN_FIELDS = (
    "users_sessions",
    "users_sessions_revoke",
    "users_tokens",
    "users_passkeys",
    "users_passkeys_revoke",
    "access_simulate",
    "access_who_can",
)
"""Root fields that only admins see."""

USER_MUTATIONS = ("create_tokens_item", "delete_tokens_item")
"""Mutations that every signed-in caller sees."""

SCHEMA_MUTATIONS = (
    "create_fields_item",
    "update_fields_item",
    "update_fields_items",
    "delete_fields_item",
    "create_relations_item",
    "update_relations_item",
    "delete_relations_item",
)
"""Mutations of custom fields and relations, which only admins see."""

ROW_MUTATION_PREFIXES = ("create_", "update_", "delete_")
"""Prefixes of the mutations that write rows of a collection; most others are visible to every caller."""

SPECS_FIELDS = ("server_specs_graphql", "server_specs_oas")
"""Root fields that describe the API, hidden if introspection is disabled."""

PUBLIC_INFO_FIELDS = ("project",)
"""Fields of `server_info` that anonymous callers see; the others require authentication."""

PER_CALLER_TYPES = ("Query", "Mutation", "Subscription", "server_info")
"""Types of which callers see different parts, besides those of the collections."""

TYPE_SUFFIXES = ("", "_filter", "_quantifier_filter")
"""Suffixes of the types that have a field for each readable field of a collection."""


class VisibleCoordinates(CollectionVisibility):
    """The coordinates that callers with one `SchemaVisibility` see."""

    def __init__(self, full: GraphQLSchema, visibility: SchemaVisibility, *, introspection: bool) -> None:
        super().__init__(visibility)
        self._full, self.introspection = full, introspection

    @cached_property
    def all(self) -> frozenset[str]:
        """All visible coordinates."""
        shared = (name for name, type_ in self._full.type_map.items() if is_shared(type_))
        parts = (
            self._queries(),
            self._mutations(),
            self._subscriptions(),
            self._collection_types(),
            self._input_types(),
            shared,
            self._shared_members(),
        )
        return frozenset(coordinate for part in parts for coordinate in part)

    def _shared_members(self) -> Iterator[str]:
        for type_ in self._full.type_map.values():
            if is_shared(type_) and (is_object_type(type_) or is_input_object_type(type_)):
                yield from (f"{type_.name}.{name}" for name in type_.fields)

    def _queries(self) -> Iterator[str]:
        query = self._full.query_type
        yield "Query"
        for name, field in query.fields.items() if query else ():
            if spec := root_field_of(field):
                yield from (f"Query.{name}",) if spec.is_visible(self.schema) else ()
                continue
            named = get_named_type(field.type).name
            collection = self.registry.get(named.removesuffix("_aggregated"))
            required = self.registry.get(REQUIRED_COLLECTIONS.get(name, "")) or collection
            hidden = name == EMPTY_FIELD or (name in SPECS_FIELDS and not self.introspection)
            hidden = hidden or (name in ADMIN_FIELDS and not self.schema.admin)
            hidden = hidden or (named in ALL_SCHEMA_RIGHTS and named not in self.schema.schema_rights)
            if required in self.readable_fields or (required is None and not hidden):
                yield f"Query.{name}"
        if not self.readable_fields:
            yield f"Query.{EMPTY_FIELD}"
        if self.introspection:
            yield from ("Query.__schema", "Query.__type")

    def _mutations(self) -> Iterator[str]:
        yield from ("Mutation", *(f"Mutation.{name}" for name in self._account_mutations()))
        yield from (f"Mutation.{name}" for name in (SCHEMA_MUTATIONS if self.schema.admin else ()))
        for collection in self.registry.writable:
            names: list[str] = []
            if collection in self.writable_fields["create"] and not collection.singleton:
                names += [f"create_{collection.short_name}_{part}" for part in ("items", "item")]
            if collection in self.writable_fields["update"]:
                updates = [f"update_{collection.short_name}_{part}" for part in ("items", "batch", "item")]
                names += [f"update_{collection.short_name}"] if collection.singleton else updates
                names += ["update_users_me"] if collection.is_same(USERS) else []
            yield from (f"Mutation.{name}" for name in names)
            if collection not in self.readable_fields:
                yield from (f"Mutation.{name}{WITHOUT_READ_BACK}" for name in names)
            if collection in self.schema.delete and not collection.singleton:
                yield from (f"Mutation.delete_{collection.short_name}_{part}" for part in ("items", "item"))

    def _subscriptions(self) -> Iterator[str]:
        yield "Subscription"
        for collection in self.readable_fields:
            name = mutated_type(collection)
            yield from (f"Subscription.{name}", name, *(f"{name}.{member}" for member in ("key", "event", "data")))

    def _account_mutations(self) -> Iterator[str]:
        mutation = self._full.mutation_type
        allowed = {
            "users_invite": self.may_write("create", USERS),
            "users_invite_revoke": self.may_delete(USERS),
            **dict.fromkeys(ADMIN_FIELDS, self.schema.admin),
            **dict.fromkeys(USER_MUTATIONS, self.schema.authenticated),
        }
        for name, field in mutation.fields.items() if mutation else ():
            if spec := root_field_of(field):
                is_visible = spec.is_visible(self.schema)
            else:
                is_visible = allowed.get(name, not name.startswith(ROW_MUTATION_PREFIXES))
            if is_visible:
                yield name

    def _collection_types(self) -> Iterator[str]:
        yield "server_info"
        info = self._full.type_map["server_info"].fields  # type: ignore[attr-defined]  # an object type
        yield from (f"server_info.{name}" for name in info if self.schema.authenticated or name in PUBLIC_INFO_FIELDS)
        for collection, fields in self.readable_fields.items():
            for suffix in TYPE_SUFFIXES:
                name = f"{collection.name}{suffix}"
                yield name
                if suffix:
                    yield from (f"{name}.{part}" for part in ("_and", "_or", "_some", "_none"))
                for field in fields:
                    yield from self._field_coordinates(name, collection, field)
            yield from _aggregation_types(collection, fields)
        yield from self._schema_types()

    def _schema_types(self) -> Iterator[str]:
        """Yield the types that describe collections, fields and relations."""
        for table in self.schema.schema_rights:
            for name in (table, f"{table}_meta", f"{table}_schema"):
                yield name
                members = self._full.type_map[name].fields  # type: ignore[attr-defined]  # an object type
                yield from (f"{name}.{member}" for member in members)

    def _field_coordinates(self, type_: str, collection: Collection, field: Field) -> Iterator[str]:
        yield f"{type_}.{field.name}"
        if functions_type(field):
            yield f"{type_}.{field.name}_func"
        if self.navigable(field):
            yield f"{type_}.{field.name}{TRAVERSES}"

    def _input_types(self) -> Iterator[str]:
        for action, collections in self.writable_fields.items():
            for collection, fields in collections.items():
                if collection.writable:
                    name = input_type(action, collection)
                    yield from (name, *(f"{name}.{field.name}" for field in fields))
                    yield from (f"{name}.{field.name}{TRAVERSES}" for field in fields if self.writable(action, field))


def is_shared(type_: GraphQLNamedType) -> bool:
    """Return whether a type is the same for every caller."""
    collection_prefixes = ("directus_", "create_directus_", "update_directus_")
    return not type_.name.startswith(collection_prefixes) and type_.name not in PER_CALLER_TYPES


def _aggregation_types(collection: Collection, fields: frozenset[Field]) -> Iterator[str]:
    """Yield the types of aggregations: counts of every field, and the numeric functions of numbers."""
    name = aggregated_type(collection)
    numbers = [field for field in fields if is_number(field)]
    yield name
    yield from (
        f"{name}.{part}" for part in ("group", "countAll", *COUNT_FUNCTIONS, *(NUMERIC_FUNCTIONS if numbers else ()))
    )
    for function, aggregated in (("count", fields), ("sum", numbers)):
        type_ = aggregate_object_type(collection, function)
        yield from (type_, *(f"{type_}.{field.name}" for field in aggregated))
