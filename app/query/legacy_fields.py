"""The registry as clients of Directus 10 know it: roles with flags of their own, and permissions of roles."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from app.query.collection import (
    ACCESS,
    COLLECTIONS,
    PERMISSIONS,
    POLICIES,
    ROLES,
    Collection,
    Derivation,
    Field,
    Relation,
)

ADDED_IN_11: Mapping[str, tuple[str, ...]] = {
    "directus_users": ("policies", "text_direction"),
    "directus_roles": ("parent", "children", "policies"),
    "directus_permissions": ("policy",),
}
"""Fields that Directus 10 didn't have."""


def _flag(name: str) -> Field:
    """A flag of a role: what the policies come to that are attached to it and to its ancestors."""
    flag = POLICIES.fields[name]
    path = (ROLES.fields["policies"], ACCESS.fields["policy"])
    return replace(flag, required=False, note=None, derivation=Derivation(path, flag, ROLES.fields["parent"]))


def _role() -> Field:
    """The role of a permission: the one that its policy is attached to, where there is just one."""
    role = ACCESS.fields["role"]
    path = (PERMISSIONS.fields["policy"], POLICIES.fields["roles"])
    relation = Relation(ROLES.name, many=False, foreign=role.stored, reverse=())
    return replace(role, relation=relation, derivation=Derivation(path, role))


DERIVED_FIELDS: Mapping[str, tuple[Field, ...]] = {
    ROLES.name: tuple(map(_flag, ("ip_access", "enforce_tfa", "admin_access", "app_access"))),
    PERMISSIONS.name: (_role(),),
}
"""Fields that Directus 10 had, and that are told from others now."""


def _registry(known: Iterable[Collection]) -> Mapping[str, Collection]:
    registry: dict[str, Collection] = {}
    for collection in known:
        derived, newer = DERIVED_FIELDS.get(collection.name, ()), frozenset(ADDED_IN_11.get(collection.name, ()))
        fields = MappingProxyType({**collection.fields, **{field.name: field for field in derived}})
        same = replace(collection, fields=fields, registry=registry, wildcard_excluded=newer, derived=derived)
        registry[collection.name] = same
    return MappingProxyType(registry)


LEGACY_COLLECTIONS = _registry(COLLECTIONS.values())
"""Every collection with the fields it had in Directus 10, beside those it has."""

LEGACY_FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    name: tuple(field.name for field in had) for name, had in DERIVED_FIELDS.items()
}
"""The names of such fields, which may be written in any case."""
