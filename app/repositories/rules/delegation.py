"""No one hands out more than they have: what a write granted is compared with what its writer held before it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, cast, or_, select

from app.core.errors import Forbidden
from app.policy.delegation import GrantedPolicy, GrantorRights
from app.policy.permission_summary import PermissionGrant, parse_grant
from app.policy.role_tree import with_ancestors
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, USERS
from app.query.sql_writes import in_list
from app.repositories.engine.context import WriteContext
from app.repositories.engine.table import RowStore

TOO_MUCH = "You don't have permission to grant more than you have yourself"
ADMINS_OWN = "You don't have permission to change what an admin signs in with"
_ROLES, _USERS = ROLES.table.c, USERS.table.c
_ACCESS, _POLICIES, _PERMISSIONS = ACCESS.table.c, POLICIES.table.c, PERMISSIONS.table.c
PERMISSION = (
    _PERMISSIONS.policy,
    _PERMISSIONS.action,
    _PERMISSIONS.collection,
    cast(_PERMISSIONS.permissions, Text),
    cast(_PERMISSIONS.fields, Text),
    cast(_PERMISSIONS.validation, Text),
    cast(_PERMISSIONS.presets, Text),
)


async def check_delegation(work: WriteContext) -> None:
    """Raises Forbidden where a write granted, to anybody, what its writer did not have when it began.

    Whoever changes what an admin signs in with could be that admin: only admins may.
    """
    touched, access = work.affected, work.access
    if access.admin or not (
        touched.roles or touched.policies or touched.edited_policies or touched.permissions or touched.users
    ):
        return
    held = GrantorRights(access.admin, access.app, frozenset(access.policies), tuple(await work.grants()))
    if touched.users and any(
        policy.admin for policy in await _granted(work, await _policies_of(work, (), touched.users))
    ):
        raise Forbidden(ADMINS_OWN)
    attached = await _policies_of(work, touched.roles)
    doubtful = (attached | touched.policies) - held.policies | touched.edited_policies
    granted = await _granted(work, doubtful)
    if not all(held.covers(policy) for policy in granted):
        raise Forbidden(TOO_MUCH)
    if touched.permissions:
        rows = await _ask(work, select(*PERMISSION).where(in_list(_PERMISSIONS.id, touched.permissions)))
        if not all(held.covers_permission(parse_grant(*row[1:])) for row in rows):
            raise Forbidden(TOO_MUCH)


async def _policies_of(work: WriteContext, roles: Iterable[str], users: Iterable[str] = ()) -> set[str]:
    """The policies that roles, with their ancestors, and users come with, as things stand now."""
    roles, users = set(roles), list(users)
    if users:
        stored = await RowStore(work.writer, USERS).fetch(users)
        roles |= {row[USERS.fields["role"]] for row in stored.values() if row[USERS.fields["role"]]}
    if not roles and not users:
        return set()
    tree = with_ancestors(select(_ROLES.id, _ROLES.parent).where(in_list(_ROLES.id, roles)))
    come = or_(_ACCESS.role.in_(select(tree.c.id)), in_list(_ACCESS.user, users))
    return {row[0] for row in await _ask(work, select(_ACCESS.policy).where(come).distinct())}


async def _granted(work: WriteContext, policies: Iterable[str]) -> list[GrantedPolicy]:
    keys = sorted(policies)
    if not keys:
        return []
    flags = await _ask(
        work, select(_POLICIES.id, _POLICIES.admin_access, _POLICIES.app_access).where(in_list(_POLICIES.id, keys))
    )
    permissions: dict[str, list[PermissionGrant]] = {}
    for policy, *permission in await _ask(work, select(*PERMISSION).where(in_list(_PERMISSIONS.policy, keys))):
        permissions.setdefault(policy, []).append(parse_grant(*permission))
    return [GrantedPolicy(bool(admin), bool(app), tuple(permissions.get(key, ()))) for key, admin, app in flags]


async def _ask(work: WriteContext, asked: Any) -> list[list[Any]]:
    return await work.writer.rows(work.writer.prepare(asked))
