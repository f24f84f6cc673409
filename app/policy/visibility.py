"""Which collections and fields of the schema a caller sees: computed from its access, independent of any API."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from weakref import WeakKeyDictionary

from app.policy.rules import Access, AccessShape
from app.policy.schema_rights import ALL_SCHEMA_RIGHTS
from app.query.collection import Collection, Field, Registry
from app.query.legacy_fields import legacy_registry

Fields = frozenset[tuple[Collection, frozenset[Field]]]
WriteAction = Literal["create", "update"]


@dataclass(frozen=True, slots=True)
class SchemaVisibility:
    """What a caller sees of the schema. Callers with equal visibilities see the same schema.

    `read`, `create` and `update` hold the fields it may use on at least one row, `delete` the collections it may delete
    from. `authenticated` callers see more of the server than the public, an `admin` sees everything. `app` access shows
    some root fields of extensions.
    """

    registry: Registry
    read: Fields
    create: Fields = frozenset()
    update: Fields = frozenset()
    delete: frozenset[Collection] = frozenset()
    authenticated: bool = True
    admin: bool = False
    app: bool = False
    schema_rights: frozenset[str] = frozenset()
    """The tables that describe the schema whose contents it may list."""


@lru_cache(maxsize=8)
def admin_visibility(registry: Registry, *, legacy: bool = False) -> SchemaVisibility:
    """Return what an admin sees; with `legacy`, including the fields of Directus 10."""
    with_fields = legacy_registry(registry) if legacy else registry
    fields = frozenset(
        (collection, frozenset(with_fields.own(collection).fields.values())) for collection in registry.values()
    )
    deletable = frozenset(registry.values())
    return SchemaVisibility(registry, fields, fields, fields, deletable, admin=True, schema_rights=ALL_SCHEMA_RIGHTS)


_CacheKey = tuple[bool, bool, bool]
_visibilities: WeakKeyDictionary[AccessShape, dict[_CacheKey, SchemaVisibility]] = WeakKeyDictionary()
"""Computed once per access shape and dropped together with it: the access cache bounds their number."""


def visibility_for(access: Access, *, legacy: bool = False) -> SchemaVisibility:
    """Return what a caller with this access sees; with `legacy`, including the fields of Directus 10."""
    if access.admin:
        return admin_visibility(access.registry, legacy=legacy)
    key = (access.user is not None, legacy, access.app)
    by_key = _visibilities.setdefault(access.shape, {})
    visibility = by_key.get(key)
    if visibility is None:
        visibility = by_key[key] = _compute(access, legacy=legacy)
    return visibility


def _compute(access: Access, *, legacy: bool) -> SchemaVisibility:
    registry, shape = access.registry, access.shape
    with_fields = legacy_registry(registry) if legacy else registry

    def fields(action: str) -> Fields:
        by_collection = ((one, shape.fields(action, with_fields.own(one))) for one in registry.values())
        return frozenset((collection, some) for collection, some in by_collection if some)

    deletable = frozenset(one for one in registry.values() if shape.rules.get(("delete", one.name)))
    return SchemaVisibility(
        registry,
        fields("read"),
        fields("create"),
        fields("update"),
        deletable,
        authenticated=access.user is not None,
        app=access.app,
        schema_rights=access.schema_rights,
    )


class CollectionVisibility:
    """What callers with one visibility see of each collection, and which relations they can follow."""

    def __init__(self, schema: SchemaVisibility) -> None:
        self.schema, self.registry = schema, schema.registry
        self.readable_fields: Mapping[Collection, frozenset[Field]] = dict(schema.read)
        self.writable_fields: dict[WriteAction, Mapping[Collection, frozenset[Field]]] = {
            "create": dict(schema.create),
            "update": dict(schema.update),
        }

    def readable(self, collection: Collection) -> bool:
        """Return whether any field of a collection is readable."""
        return self.registry.own(collection) in self.readable_fields

    def may_write(self, action: WriteAction, collection: Collection) -> bool:
        """Return whether any field of a collection may be written by this action."""
        return self.registry.own(collection) in self.writable_fields[action]

    def may_delete(self, collection: Collection) -> bool:
        """Return whether some rows of a collection may be deleted."""
        return self.registry.own(collection) in self.schema.delete

    def navigable(self, field: Field) -> bool:
        """Return whether a relation can be followed: its target and a field of the inverse relation are visible.

        If the target has no field for the inverse relation, the target alone decides, as in Directus' own schema.
        """
        return self._is_navigable(field, self.readable_fields)

    def writable(self, action: WriteAction, field: Field) -> bool:
        """Return whether the rows behind a relation can be written along with the row."""
        return (
            field.relation is not None
            and self.registry[field.relation.target].writable
            and self._is_navigable(field, self.writable_fields[action])
        )

    def _is_navigable(self, field: Field, visible: Mapping[Collection, frozenset[Field]]) -> bool:
        if field.relation is None:
            return False
        target_fields = visible.get(self.registry[field.relation.target], frozenset())
        inverse = field.relation.reverse
        return bool(target_fields) and (not inverse or any(other.name in inverse for other in target_fields))
