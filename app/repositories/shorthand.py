"""What Directus 10 spelled otherwise: a role's flags, and the role that a permission belongs to.

Such a role has a policy of its own name with those flags, and such a permission belongs to that policy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from app.core.errors import InvalidForeignKey, InvalidPayload
from app.query.collection import COLLECTIONS, ROLES, Field
from app.query.payload import Details, Payload, Replacement, as_key, stored

if TYPE_CHECKING:
    from app.repositories.work import Work

POLICIES, ACCESS, PERMISSIONS = (COLLECTIONS[f"directus_{name}"] for name in ("policies", "access", "permissions"))
NAME, ATTACHED = ROLES.fields["name"], ROLES.fields["policies"]
POLICY, ROLE = ACCESS.fields["policy"], ACCESS.fields["role"]
IP_ACCESS = POLICIES.fields["ip_access"]

Row = Mapping[Field, Any]


async def role(work: "Work", payload: Payload, row: Row | None) -> Payload:
    """A role's payload with its flags, where it has any, as a policy of its own; `row` is the role as it is stored.

    Where the flags are those that the role has already nothing is written. Raises InvalidPayload for a flag that
    another of the role's policies sets, so that it can't be unset here, and for flags beside policies.
    """
    if not payload.shorthand:
        return payload
    flags = {
        POLICIES.fields[name]: stored(POLICIES, POLICIES.fields[name], value, payload.path)
        for name, value in payload.shorthand.items()
    }
    plain = replace(payload, shorthand={}, many=dict(payload.many))
    attached = await _attached(work, row[ROLES.key]) if row else {}
    changed = {flag: value for flag, value in flags.items() if (value or None) != (_current(attached, flag) or None)}
    if not changed:
        return plain
    if ATTACHED in payload.many:
        raise InvalidPayload("A role takes either policies or flags such as admin_access, not both at once")
    name = payload.values.get(NAME) or (row[NAME] if row else None)
    own = {access: policy for access, policy in attached.items() if policy[POLICIES.fields["name"]] == name}
    others = {access: policy for access, policy in attached.items() if access not in own}
    for flag, value in changed.items():
        if not value and _current(others, flag):
            raise InvalidPayload(f'"{flag.name}" comes from another policy of the role, and can only be changed there')
    if own:
        access, policy = next(iter(own.items()))
        inner = Payload(POLICIES, {POLICIES.key: policy[POLICIES.key], **changed}, path=payload.path)
        written = Details((), (Payload(ACCESS, {ACCESS.key: access}, {POLICY: inner}, path=payload.path),), ())
    else:
        inner = Payload(POLICIES, {POLICIES.fields["name"]: name, **flags}, path=payload.path)
        written = Details((Payload(ACCESS, {}, {POLICY: inner}, path=payload.path),), (), ())
    plain.many[ATTACHED] = written
    return plain


async def permission(work: "Work", payload: Payload) -> Payload:
    """A permission's payload whose `role`, where it has one, is the policy of that role; null is everybody.

    Raises InvalidForeignKey for a role that isn't there.
    """
    if "role" not in payload.shorthand:
        return payload
    given = payload.shorthand["role"]
    given = given.get(ROLES.key.name) if isinstance(given, Mapping) else given
    belongs = PERMISSIONS.fields["policy"]
    plain = replace(payload, shorthand={}, values=dict(payload.values), ones=dict(payload.ones))
    if given is None:
        plain.values[belongs] = await _everybodys(work)
        return plain
    key = as_key(ROLES, given)
    row = (await work.rows(ROLES).stored([key])).get(key)
    if row is None:
        raise InvalidForeignKey(PERMISSIONS.name, "role", key)
    named = [policy for policy in (await _attached(work, key)).values() if policy[POLICIES.fields["name"]] == row[NAME]]
    if named:
        plain.values[belongs] = named[0][POLICIES.key]
    else:
        holder = Replacement((Payload(ACCESS, {ROLE: key}, path=payload.path),))
        values = {POLICIES.fields["name"]: row[NAME]}
        plain.ones[belongs] = Payload(POLICIES, values, many={POLICIES.fields["roles"]: holder}, path=payload.path)
    return plain


async def _attached(work: "Work", key: Any) -> dict[Any, Row]:
    """The policies attached to a role itself, by their access rows."""
    rows = work.rows(ACCESS)
    access = await rows.stored(await rows.pointing(ROLE, [key]))
    policies = await work.rows(POLICIES).stored({row[POLICY] for row in access.values()})
    return {key: policies[row[POLICY]] for key, row in access.items()}


def _current(attached: Mapping[Any, Row], flag: Field) -> Any:
    values = [policy[flag] for policy in attached.values()]
    if flag is IP_ACCESS:
        return next((value for value in values if value), None)
    return any(values)


async def _everybodys(work: "Work") -> Any:
    access = ACCESS.table.c
    everybodys = select(access.policy).where(access.role.is_(None), access.user.is_(None)).order_by(access.sort)
    rows = await work.writer.rows(work.writer.question(everybodys))
    if not rows:
        raise InvalidPayload("There is no policy that everybody has: name the policy")
    return rows[0][0]
