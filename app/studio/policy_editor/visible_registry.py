"""The collections and fields that a caller knows of: pages name no others."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from app.query.collection import Collection, Registry
from app.studio.policy_editor.permission_grid import ACTIONS
from app.studio.rights import Rights


def visible_registry(registry: Registry, rights: Rights) -> Registry:
    """Return a registry with the fields for which the caller may do anything; that itself for an admin."""
    if rights.admin:
        return registry

    def build(own: Registry) -> Iterator[Collection]:
        for collection in registry.values():
            names = {collection.key.name}
            for action in ACTIONS:
                names.update(rights.fields(action, collection.short_name, collection.fields))
            fields = {name: field for name, field in collection.fields.items() if name in names}
            yield replace(collection, fields=MappingProxyType(fields), registry=own)

    return Registry(build)
