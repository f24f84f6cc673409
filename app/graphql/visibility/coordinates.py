"""What one caller sees of the schema, as a set of coordinates: whatever a document touches has to be among them."""

from collections.abc import Iterator
from functools import cached_property

from graphql import GraphQLNamedType, GraphQLSchema, get_named_type, is_input_object_type, is_object_type

from app.graphql.documents.normalize_document import WITHOUT_READ_BACK
from app.graphql.documents.normalize_values import TRAVERSES
from app.graphql.types.builder import aggregated_type, functions_type, input_type, measures_type
from app.policy.visibility import CollectionVisibility, SchemaVisibility
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS, is_number
from app.query.collection import COLLECTIONS, USERS, WRITABLE_COLLECTIONS, Collection, Field

NOTHING = "_empty"
"""The root field of a caller who may read nothing: GraphQL knows no empty type."""

NEEDED = {"permissions_me": "directus_permissions", "policies_me_globals": "directus_policies"}
"""Root fields that only those see who may read a collection, as Directus cuts its schema."""

ADMINS = ("users_sessions", "users_sessions_revoke")
"""Root fields that only admins see."""

OF_ROWS = ("create_", "update_", "delete_")
"""How the mutations that write a collection's rows begin; everybody sees the others, but for a few."""

SPECS = ("server_specs_graphql", "server_specs_oas")
"""Root fields that tell what there is, as introspection does."""

PUBLIC_INFO = ("project",)
"""What everybody may know of the server; the rest takes somebody."""

OWN = ("Query", "Mutation", "Subscription", "server_info")
"""Types that callers see different parts of, besides those of the collections."""

SHAPES = ("", "_filter", "_quantifier_filter")


class VisibleCoordinates(CollectionVisibility):
    """The coordinates of what is shown to callers with one fingerprint."""

    def __init__(self, full: GraphQLSchema, shown: SchemaVisibility, *, introspection: bool) -> None:
        super().__init__(shown)
        self._full, self.introspection = full, introspection

    @cached_property
    def all(self) -> frozenset[str]:
        """Every coordinate."""
        shared = (name for name, type_ in self._full.type_map.items() if is_shared(type_))
        parts = (self._queries(), self._mutations(), self._members(), self._inputs(), shared, self._shared_members())
        return frozenset(coordinate for part in parts for coordinate in part)

    def _shared_members(self) -> Iterator[str]:
        for type_ in self._full.type_map.values():
            if is_shared(type_) and (is_object_type(type_) or is_input_object_type(type_)):
                yield from (f"{type_.name}.{name}" for name in type_.fields)

    def _queries(self) -> Iterator[str]:
        query = self._full.query_type
        yield "Query"
        for name, field in query.fields.items() if query else ():
            named = get_named_type(field.type).name
            collection = COLLECTIONS.get(named.removesuffix("_aggregated"))
            needed = COLLECTIONS.get(NEEDED.get(name, "")) or collection
            hidden = name == NOTHING or (name in SPECS and not self.introspection)
            hidden = hidden or (name in ADMINS and not self.schema.admin)
            if needed in self.readable_fields or (needed is None and not hidden):
                yield f"Query.{name}"
        if not self.readable_fields:
            yield f"Query.{NOTHING}"
        if self.introspection:
            yield from ("Query.__schema", "Query.__type")

    def _mutations(self) -> Iterator[str]:
        yield from ("Mutation", *(f"Mutation.{name}" for name in self._accounts()))
        for collection in WRITABLE_COLLECTIONS:
            roots: list[str] = []
            if collection in self.writable_fields["create"] and not collection.singleton:
                roots += [f"create_{collection.short_name}_{what}" for what in ("items", "item")]
            if collection in self.writable_fields["update"]:
                several = [f"update_{collection.short_name}_{what}" for what in ("items", "batch", "item")]
                roots += [f"update_{collection.short_name}"] if collection.singleton else several
                roots += ["update_users_me"] if collection is USERS else []
            yield from (f"Mutation.{name}" for name in roots)
            if collection not in self.readable_fields:
                yield from (f"Mutation.{name}{WITHOUT_READ_BACK}" for name in roots)
            if collection in self.schema.delete and not collection.singleton:
                yield from (f"Mutation.delete_{collection.short_name}_{what}" for what in ("items", "item"))

    def _accounts(self) -> Iterator[str]:
        mutation = self._full.mutation_type
        needed = {
            "users_invite": USERS in self.writable_fields["create"],
            "users_invite_revoke": USERS in self.schema.delete,
            **dict.fromkeys(ADMINS, self.schema.admin),
        }
        names = mutation.fields if mutation else ()
        yield from (name for name in names if not name.startswith(OF_ROWS) and needed.get(name, True))

    def _members(self) -> Iterator[str]:
        yield "server_info"
        info = self._full.type_map["server_info"].fields  # type: ignore[attr-defined]  # an object type
        yield from (f"server_info.{name}" for name in info if self.schema.authenticated or name in PUBLIC_INFO)
        for collection, fields in self.readable_fields.items():
            for shape in SHAPES:
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
        if self.navigable(field):
            yield f"{type_}.{field.name}{TRAVERSES}"

    def _inputs(self) -> Iterator[str]:
        for action, collections in self.writable_fields.items():
            for collection, fields in collections.items():
                if collection in WRITABLE_COLLECTIONS:
                    name = input_type(action, collection)
                    yield from (name, *(f"{name}.{field.name}" for field in fields))
                    yield from (f"{name}.{field.name}{TRAVERSES}" for field in fields if self.writable(action, field))


def is_shared(type_: GraphQLNamedType) -> bool:
    """Whether a type is the same for every caller."""
    ours = ("directus_", "create_directus_", "update_directus_")
    return not type_.name.startswith(ours) and type_.name not in OWN


def _aggregated(collection: Collection, fields: frozenset[Field]) -> Iterator[str]:
    """What may be told of groups of rows: how many there are of a field, and more of those that are numbers."""
    name = aggregated_type(collection)
    numbers = [field for field in fields if is_number(field)]
    yield name
    yield from (
        f"{name}.{part}" for part in ("group", "countAll", *COUNT_FUNCTIONS, *(NUMERIC_FUNCTIONS if numbers else ()))
    )
    for function, measured in (("count", fields), ("sum", numbers)):
        of = measures_type(collection, function)
        yield from (of, *(f"{of}.{field.name}" for field in measured))
