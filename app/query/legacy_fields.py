"""The registry with the fields of Directus 10: flags on roles, and the role of a permission."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from app.query.collection import (
    ACCESS,
    PERMISSIONS,
    POLICIES,
    ROLES,
    USERS,
    Collection,
    Derivation,
    Field,
    Registry,
    Relation,
)

ADDED_IN_11: Mapping[str, tuple[str, ...]] = {
    USERS.name: ("policies", "text_direction"),
    ROLES.name: ("parent", "children", "policies"),
    PERMISSIONS.name: ("policy",),
}
"""The fields of each collection that Directus 10 did not have."""


def _role_flag(name: str) -> Field:
    """Return a flag of a role, derived from the policies attached to it and to its ancestors."""
    flag = POLICIES.fields[name]
    path = (ROLES.fields["policies"], ACCESS.fields["policy"])
    return replace(flag, required=False, note=None, derivation=Derivation(path, flag, ROLES.fields["parent"]))


def _permission_role() -> Field:
    """Return the role of a permission: the role that its policy is attached to, if there is exactly one."""
    role = ACCESS.fields["role"]
    path = (PERMISSIONS.fields["policy"], POLICIES.fields["roles"])
    relation = Relation(ROLES.name, many=False, foreign_key=role.stored, reverse=())
    return replace(role, relation=relation, derivation=Derivation(path, role))


DERIVED_FIELDS: Mapping[str, tuple[Field, ...]] = {
    ROLES.name: tuple(map(_role_flag, ("ip_access", "enforce_tfa", "admin_access", "app_access"))),
    PERMISSIONS.name: (_permission_role(),),
}
"""The fields of each collection that Directus 10 stored and that are now derived from other rows."""


def with_legacy_fields(collection: Collection) -> Collection:
    """Return the collection with its fields of Directus 10 in addition to the current ones."""
    return legacy_registry(collection.registry)[collection.name]


def legacy_registry(registry: Registry) -> Registry:
    """Return the registry in which every collection has its fields of Directus 10, too. It is created once."""
    if registry.legacy is None:
        legacy = Registry(lambda legacy: (_add_legacy_fields(one, legacy) for one in registry.values()))
        registry.legacy = legacy.legacy = legacy
    return registry.legacy


def _add_legacy_fields(collection: Collection, registry: Registry) -> Collection:
    derived = DERIVED_FIELDS.get(collection.name, ())
    return replace(
        collection,
        fields=MappingProxyType({**collection.fields, **{field.name: field for field in derived}}),
        registry=registry,
        wildcard_excluded=collection.wildcard_excluded.union(ADDED_IN_11.get(collection.name, ())),
        derived=derived,
    )


LEGACY_FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    name: tuple(field.name for field in fields) for name, fields in DERIVED_FIELDS.items()
}
"""The names of the fields in `DERIVED_FIELDS`, which clients may write whether or not they may read them."""
