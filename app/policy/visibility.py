"""Which collections and fields of the schema a caller sees: computed from its access, independent of any API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from app.policy.rules import Access, AccessShape
from app.query.collection import COLLECTIONS, WRITABLE_COLLECTIONS, Collection, Field, target
from app.query.legacy_fields import LEGACY_COLLECTIONS

Fields = frozenset[tuple[Collection, frozenset[Field]]]
WriteAction = Literal["create", "update"]


@dataclass(frozen=True, slots=True)
class SchemaVisibility:
    """What a caller sees of the schema. Callers with equal visibilities see the same schema.

    `read`, `create` and `update` hold the fields it may use on at least one row, `delete` the collections it may delete
    from. `authenticated` callers see more of the server than the public, an `admin` sees everything.
    """

    read: Fields
    create: Fields = frozenset()
    update: Fields = frozenset()
    delete: frozenset[Collection] = frozenset()
    authenticated: bool = True
    admin: bool = False


def _admin_visibility(registry: Mapping[str, Collection]) -> SchemaVisibility:
    fields = frozenset(
        (collection, frozenset(registry[name].fields.values())) for name, collection in COLLECTIONS.items()
    )
    return SchemaVisibility(fields, fields, fields, frozenset(COLLECTIONS.values()), admin=True)


ADMIN_VISIBILITY, ADMIN_VISIBILITY_WITH_LEGACY = _admin_visibility(COLLECTIONS), _admin_visibility(LEGACY_COLLECTIONS)

_CacheKey = tuple[bool, bool]
_visibilities: WeakKeyDictionary[AccessShape, dict[_CacheKey, SchemaVisibility]] = WeakKeyDictionary()
"""Computed once per access shape and dropped together with it: the access cache bounds their number."""


def visibility_for(access: Access, *, legacy: bool = False) -> SchemaVisibility:
    """Return what a caller with this access sees; with `legacy`, including the fields of Directus 10."""
    if access.admin:
        return ADMIN_VISIBILITY_WITH_LEGACY if legacy else ADMIN_VISIBILITY
    key = (access.user is not None, legacy)
    by_key = _visibilities.setdefault(access.shape, {})
    visibility = by_key.get(key)
    if visibility is None:
        visibility = by_key[key] = _compute(access.shape, authenticated=key[0], legacy=legacy)
    return visibility


def _compute(shape: AccessShape, *, authenticated: bool, legacy: bool) -> SchemaVisibility:
    registry = LEGACY_COLLECTIONS if legacy else COLLECTIONS

    def fields(action: str) -> Fields:
        granted = ((collection, shape.fields(action, registry[name])) for name, collection in COLLECTIONS.items())
        return frozenset((collection, some) for collection, some in granted if some)

    deletable = frozenset(
        collection for collection in COLLECTIONS.values() if shape.rules.get(("delete", collection.name))
    )
    return SchemaVisibility(fields("read"), fields("create"), fields("update"), deletable, authenticated)


class CollectionVisibility:
    """What callers with one visibility see of each collection, and which relations they can follow."""

    def __init__(self, schema: SchemaVisibility) -> None:
        self.schema = schema
        self.readable_fields: Mapping[Collection, frozenset[Field]] = dict(schema.read)
        self.writable_fields: dict[WriteAction, Mapping[Collection, frozenset[Field]]] = {
            "create": dict(schema.create),
            "update": dict(schema.update),
        }

    def readable(self, collection: Collection) -> bool:
        """Return whether any field of a collection is readable."""
        return collection in self.readable_fields

    def navigable(self, field: Field) -> bool:
        """Return whether a relation can be followed: its target and a field of the inverse relation are visible.

        If the target has no field for the inverse relation, the target alone decides, as in Directus' own schema.
        """
        return _is_navigable(field, self.readable_fields)

    def writable(self, action: WriteAction, field: Field) -> bool:
        """Return whether the rows behind a relation can be written along with the row."""
        return (
            field.relation is not None
            and target(field) in WRITABLE_COLLECTIONS
            and _is_navigable(field, self.writable_fields[action])
        )


def _is_navigable(field: Field, visible: Mapping[Collection, frozenset[Field]]) -> bool:
    if field.relation is None:
        return False
    target_fields = visible.get(target(field), frozenset())
    inverse = field.relation.reverse
    return bool(target_fields) and (not inverse or any(other.name in inverse for other in target_fields))
