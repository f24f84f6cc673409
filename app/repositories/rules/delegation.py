"""Prevents privilege escalation: rejects writes that grant permissions their author did not hold before."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, Text, cast, or_, select

from app.core.errors import Forbidden
from app.policy.grantor_rights import GrantedPolicy, GrantorRights
from app.policy.permission_summary import PermissionGrant, parse_grant
from app.policy.role_tree import with_ancestors
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, USERS
from app.query.sql_writes import in_list
from app.repositories.engine.context import WriteContext
from app.repositories.engine.table import RowStore

EXCEEDS_OWN_RIGHTS_MESSAGE = "You don't have permission to grant more than you have yourself"
ADMIN_CREDENTIALS_MESSAGE = "You don't have permission to change the credentials of an admin"
_ROLES, _USERS = ROLES.table.c, USERS.table.c
_ACCESS, _POLICIES, _PERMISSIONS = ACCESS.table.c, POLICIES.table.c, PERMISSIONS.table.c
PERMISSION_COLUMNS = (
    _PERMISSIONS.policy,
    _PERMISSIONS.action,
    _PERMISSIONS.collection,
    cast(_PERMISSIONS.permissions, Text),
    cast(_PERMISSIONS.fields, Text),
    cast(_PERMISSIONS.validation, Text),
    cast(_PERMISSIONS.presets, Text),
)


async def check_delegation(work: WriteContext) -> None:
    """Check that the author of a write held every right that it granted to anyone, before the write began.

    Only admins may change the fields that an admin signs in with, because these would let the author sign in as admin.

    Raises:
        Forbidden: The write granted more, or changed the sign-in fields of an admin.
    """
    affected, access = work.affected, work.access
    if access.admin or not (
        affected.roles or affected.policies or affected.edited_policies or affected.permissions or affected.users
    ):
        return
    own_rights = GrantorRights(access.admin, access.app, frozenset(access.policies), tuple(await work.grants()))
    if affected.users and any(
        policy.admin for policy in await _load_policies(work, await _policies_of(work, (), affected.users))
    ):
        raise Forbidden(ADMIN_CREDENTIALS_MESSAGE)
    inherited = await _policies_of(work, affected.roles)
    unproven = (inherited | affected.policies) - own_rights.policies | affected.edited_policies
    granted = await _load_policies(work, unproven)
    if not all(own_rights.covers(policy) for policy in granted):
        raise Forbidden(EXCEEDS_OWN_RIGHTS_MESSAGE)
    if affected.permissions:
        rows = await _fetch(work, select(*PERMISSION_COLUMNS).where(in_list(_PERMISSIONS.id, affected.permissions)))
        if not all(own_rights.covers_permission(parse_grant(*row[1:])) for row in rows):
            raise Forbidden(EXCEEDS_OWN_RIGHTS_MESSAGE)


async def _policies_of(work: WriteContext, roles: Iterable[str], users: Iterable[str] = ()) -> set[str]:
    """Return the policies that are attached to users, to roles, or to their ancestors, as stored after the write."""
    roles, users = set(roles), list(users)
    if users:
        rows = await RowStore(work.writer, USERS).fetch(users)
        roles |= {row[USERS.fields["role"]] for row in rows.values() if row[USERS.fields["role"]]}
    if not roles and not users:
        return set()
    tree = with_ancestors(select(_ROLES.id, _ROLES.parent).where(in_list(_ROLES.id, roles)))
    is_attached = or_(_ACCESS.role.in_(select(tree.c.id)), in_list(_ACCESS.user, users))
    return {row[0] for row in await _fetch(work, select(_ACCESS.policy).where(is_attached).distinct())}


async def _load_policies(work: WriteContext, policies: Iterable[str]) -> list[GrantedPolicy]:
    keys = sorted(policies)
    if not keys:
        return []
    flags = await _fetch(
        work, select(_POLICIES.id, _POLICIES.admin_access, _POLICIES.app_access).where(in_list(_POLICIES.id, keys))
    )
    permissions: dict[str, list[PermissionGrant]] = {}
    of_policies = select(*PERMISSION_COLUMNS).where(in_list(_PERMISSIONS.policy, keys))
    for policy, *permission in await _fetch(work, of_policies):
        permissions.setdefault(policy, []).append(parse_grant(*permission))
    return [GrantedPolicy(bool(admin), bool(app), tuple(permissions.get(key, ()))) for key, admin, app in flags]


async def _fetch(work: WriteContext, statement: Select[Any]) -> list[list[Any]]:
    return await work.writer.rows(work.writer.prepare(statement))
