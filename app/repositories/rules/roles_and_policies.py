"""Rules of roles, policies, access rows and permissions."""

from typing import Any

from app.core.errors import InvalidPayload
from app.core.ip_addresses import is_ip_rule
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, USERS
from app.query.payload import Payload
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.rules import legacy_writes
from app.repositories.rules.hierarchy import check_parent
from app.repositories.rules.stored_filters import ACTION, COLLECTION, VALIDATION, check_filter_sizes, check_validation
from app.repositories.rules.stored_regexes import check_regexes
from app.repositories.rules.users import ROLE, STATUS, SUSPENDED, end_sessions

PARENT = ROLES.fields["parent"]
IP_ACCESS = POLICIES.fields["ip_access"]
POLICY_FLAGS = frozenset(POLICIES.fields[name] for name in ("admin_access", "app_access", "enforce_tfa", "ip_access"))
"""The fields of a policy that decide, beside its permissions, what it grants."""
POLICY = PERMISSIONS.fields["policy"]
USER, ACCESS_ROLE = ACCESS.fields["user"], ACCESS.fields["role"]
EXPIRES = ACCESS.fields["expires"]
ACCESS_RIGHTS = frozenset((USER, ACCESS_ROLE, ACCESS.fields["policy"], EXPIRES))
"""The fields of an access row that decide who has which rights, and for how long."""


class RoleRules(CollectionRules):
    """Rules of roles: no role is its own ancestor, and users of a deleted role are suspended, as in Directus."""

    async def expand_legacy(self, work: WriteContext, payload: Payload, row: RowValues | None) -> Payload:
        return await legacy_writes.expand_role(work, payload, row)

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        if values.get(PARENT):
            await check_parent(work, ROLES, values.get(ROLES.key), values[PARENT])

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        if values.get(PARENT):
            work.affected.roles.add(key)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        parent = values.get(PARENT)
        if PARENT in values and parent != row[PARENT]:
            work.affected.admins = work.affected.user_counts = True
            work.affected.roles.add(row[ROLES.key])
        if parent and parent != row[PARENT]:
            await check_parent(work, ROLES, row[ROLES.key], parent)

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        work.affected.admins = True
        users, roles = work.rows(USERS), work.rows(ROLES)
        for key, row in (await users.fetch(await users.referencing(ROLE, rows))).items():
            await work.update_derived(USERS, row, {ROLE: None, STATUS: SUSPENDED})
            await end_sessions(work, key)
        for row in (await roles.fetch(await roles.referencing(PARENT, rows))).values():
            if row[ROLES.key] not in rows:
                await work.update_derived(ROLES, row, {PARENT: None})
                work.affected.roles.add(row[ROLES.key])
            else:
                await roles.update(row[ROLES.key], {PARENT: None})


class PolicyRules(CollectionRules):
    """Rules of policies: `ip_access` lists valid addresses, networks and ranges."""

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        _check_ip_access(values)

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        work.affected.policies.add(key)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        _check_ip_access(values)
        if any(row[field] != values.get(field, row[field]) for field in POLICY_FLAGS):
            work.affected.policies.add(row[POLICIES.key])
            work.affected.admins = work.affected.user_counts = True

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        work.affected.admins = True
        work.affected.policies.update(rows)


class AccessRules(CollectionRules):
    """Rules of access rows: holders whose policies change are noted for the checks at the end of the transaction."""

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        _check_expiry(values)

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        _note_holder(work, values)
        work.affected.user_counts = True

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        _check_expiry(values)
        after = {**row, **values}
        if any(row[field] != after[field] for field in ACCESS_RIGHTS):
            _note_holder(work, row)
            _note_holder(work, after)
            work.affected.admins = work.affected.user_counts = True

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        work.affected.admins = True
        for row in rows.values():
            _note_holder(work, row)


class PermissionRules(CollectionRules):
    """Rules of permissions: regular expressions are valid; changed policies are noted for the checks at the end."""

    async def expand_legacy(self, work: WriteContext, payload: Payload, row: RowValues | None) -> Payload:
        return await legacy_writes.expand_permission(work, payload)

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        check_filter_sizes(work, values)
        check_validation(work, values)
        await check_regexes(work, values)

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        work.affected.policies.add(values[POLICY])

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        check_filter_sizes(work, values)
        if any(row[field] != values.get(field, row[field]) for field in (COLLECTION, ACTION, VALIDATION)):
            check_validation(work, {**row, **values})
        await check_regexes(work, {field: value for field, value in values.items() if row[field] != value})
        work.affected.policies.update({row[POLICY], {**row, **values}[POLICY]})

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        work.affected.policies.update(row[POLICY] for row in rows.values())


def _note_holder(work: WriteContext, access: RowValues) -> None:
    """Note whose policies an access row changes: a user's, a role's or, without either, the public's."""
    user, role = access.get(USER), access.get(ACCESS_ROLE)
    if user is not None:
        work.affected.users.add(user)
    if role is not None:
        work.affected.roles.add(role)
    if user is None and role is None:
        work.affected.public = True


def _check_expiry(values: RowValues) -> None:
    """Check that the end of an access row, which may be past, is a time that every part of Rollcall can represent."""
    if isinstance(values.get(EXPIRES), str):
        raise InvalidPayload('"expires" must be a time within the years 1 to 9999')


def _check_ip_access(values: RowValues) -> None:
    if not all(is_ip_rule(rule) for rule in values.get(IP_ACCESS) or ()):
        raise InvalidPayload(
            "IP Access contains an incorrect value. Valid values are: IP addresses, IP ranges and CIDR blocks"
        )
