"""The permission of a page: what is stored of it, and what its caller may do with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import Forbidden
from app.query.collection import Collection
from app.studio.page_request import PageRequest
from app.studio.policy_editor.permission_form import parts_of
from app.studio.policy_editor.permission_grid import served_actions
from app.studio.policy_editor.policy_page import read_permissions, read_policy
from app.studio.policy_editor.visible_registry import visible_registry


@dataclass(frozen=True, slots=True)
class OpenPermission:
    """A permission of a policy for an action on a collection.

    `rows` are all permissions of the policy for this action; `stored` is the chosen one, empty if it is a new one.
    """

    policy: Mapping[str, Any]
    collection: Collection
    """The collection with the fields that the caller knows of."""
    action: str
    rows: list[dict[str, Any]]
    stored: Mapping[str, Any]
    may_save: bool
    may_delete: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the permission that its form shows."""
        return parts_of(self.action, self.stored)

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/policies/{self.policy['id']}/{self.collection.name}/{self.action}"


async def open_permission(request: PageRequest) -> OpenPermission:
    """Return the permission that an address names.

    Raises:
        Forbidden: There is no such policy, collection or action, or the caller may not see the permission.
    """
    key, name, action = (request.parameters[part] for part in ("policy", "collection", "action"))
    policy, permissions = await read_policy(request, key), await read_permissions(request, key)
    rights = await request.rights()
    collection = visible_registry(request.services.registry, rights).get(name)
    if permissions is None or collection is None or action not in served_actions(collection):
        raise Forbidden
    rows = [row for row in permissions if (row["collection"], row["action"]) == (name, action)]
    stored = _chosen(rows, request.query.get("permission", ""))
    repository, stored_key = request.directory["permissions"], stored.get("id")
    if stored:
        may_save = rights.may("update", "permissions") and await repository.may("update", stored_key)
    else:
        may_save = rights.may("create", "permissions") and rights.may(action, collection.short_name)
    if not stored and not may_save:
        raise Forbidden
    may_delete = bool(stored) and rights.may("delete", "permissions") and await repository.may("delete", stored_key)
    return OpenPermission(policy, collection, action, rows, stored, may_save, may_delete)


def _chosen(rows: list[dict[str, Any]], wanted: str) -> Mapping[str, Any]:
    return next((row for row in rows if str(row["id"]) == wanted), rows[0] if rows else {})
