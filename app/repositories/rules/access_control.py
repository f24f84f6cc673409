"""What must always hold for roles, policies, access rows and permissions: who may do what."""

from typing import TYPE_CHECKING, Any

from app.core.errors import InvalidPayload
from app.core.ip_addresses import is_ip_rule
from app.query.collection import COLLECTIONS, ROLES, USERS
from app.query.payload import Payload
from app.repositories.engine.collection_rules import Invariants, Stored
from app.repositories.rules import legacy_fields
from app.repositories.rules.users import ROLE, STATUS, end_sessions

if TYPE_CHECKING:
    from app.repositories.engine.unit_of_work import Work

POLICIES, ACCESS = COLLECTIONS["directus_policies"], COLLECTIONS["directus_access"]
PARENT = ROLES.fields["parent"]
IP_ACCESS = POLICIES.fields["ip_access"]
GRANTING = frozenset(POLICIES.fields[name] for name in ("admin_access", "app_access", "enforce_tfa", "ip_access"))
LINKS = frozenset(ACCESS.fields[name] for name in ("role", "user", "policy"))


class RoleInvariants(Invariants):
    """No role is its own ancestor; who had one that is gone is suspended, as with Directus."""

    async def spelled(self, work: "Work", payload: Payload, row: Stored | None) -> Payload:
        return await legacy_fields.role(work, payload, row)

    async def creating(self, work: "Work", values: Stored) -> None:
        if values.get(PARENT):
            _check_parent(values.get(ROLES.key), values[PARENT])
            work.touched.roles.add(values[PARENT])

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        parent = values.get(PARENT)
        if PARENT in values and parent != row[PARENT]:
            work.touched.admins = work.touched.counts = True
        if parent and parent != row[PARENT]:
            _check_parent(row[ROLES.key], parent)
            await _check_ancestors(work, row[ROLES.key], parent)
            work.touched.roles.add(parent)

    async def deleting(self, work: "Work", rows: dict[Any, Stored]) -> None:
        work.touched.admins = True
        users, roles = work.rows(USERS), work.rows(ROLES)
        for key, row in (await users.stored(await users.pointing(ROLE, rows))).items():
            await work.adjust(USERS, row, {ROLE: None, STATUS: "suspended"})
            await end_sessions(work, key)
        for row in (await roles.stored(await roles.pointing(PARENT, rows))).values():
            if row[ROLES.key] not in rows:
                await work.adjust(ROLES, row, {PARENT: None})
            else:
                await roles.update(row[ROLES.key], {PARENT: None})


class PolicyInvariants(Invariants):
    """A policy holds at addresses that are some."""

    async def creating(self, work: "Work", values: Stored) -> None:
        _check_addresses(values)

    async def created(self, work: "Work", key: Any, values: Stored) -> None:
        work.touched.edited.add(key)

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        _check_addresses(values)
        if any(row[field] != values.get(field, row[field]) for field in GRANTING):
            work.touched.edited.add(row[POLICIES.key])
            work.touched.admins = work.touched.counts = True

    async def deleting(self, work: "Work", rows: dict[Any, Stored]) -> None:
        work.touched.admins = True


class AccessInvariants(Invariants):
    """Whoever attaches a policy has to answer for it."""

    async def created(self, work: "Work", key: Any, values: Stored) -> None:
        work.touched.policies.add(values[ACCESS.fields["policy"]])
        work.touched.counts = True

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        after = {**row, **values}
        if any(row[field] != after[field] for field in LINKS):
            work.touched.policies.add(after[ACCESS.fields["policy"]])
            work.touched.admins = work.touched.counts = True

    async def deleting(self, work: "Work", rows: dict[Any, Stored]) -> None:
        work.touched.admins = True


class PermissionInvariants(Invariants):
    """Whoever permits something has to answer for it."""

    async def spelled(self, work: "Work", payload: Payload, row: Stored | None) -> Payload:
        return await legacy_fields.permission(work, payload)

    async def created(self, work: "Work", key: Any, values: Stored) -> None:
        work.touched.permissions.add(key)

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        work.touched.permissions.add(row[COLLECTIONS["directus_permissions"].key])


def _check_parent(key: Any, parent: Any) -> None:
    if key == parent:
        raise InvalidPayload("A role cannot be a parent of itself")


async def _check_ancestors(work: "Work", key: Any, parent: Any) -> None:
    """Raises InvalidPayload where a role would become an ancestor of its own."""
    seen, above = set[Any](), parent
    while above is not None and above not in seen:
        seen.add(above)
        row = (await work.rows(ROLES).stored([above])).get(above)
        above = row[PARENT] if row else None
        if above == key:
            raise InvalidPayload("A role cannot have a parent that is already a descendant of itself")


def _check_addresses(values: Stored) -> None:
    if not all(is_ip_rule(entry) for entry in values.get(IP_ACCESS) or ()):
        raise InvalidPayload(
            "IP Access contains an incorrect value. Valid values are: IP addresses, IP ranges and CIDR blocks"
        )
