"""Prevents privilege escalation: rejects writes that grant rights which their author did not hold before.

What a write granted is the difference between what users, roles and the public held before it and what they hold after
it, and between the policies themselves. Losing a condition, such as a preset or required TFA, counts as a grant of all
that the condition applied to.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import select

from app.core.errors import Forbidden
from app.policy.grantor_rights import (
    Bundle,
    GrantedPolicy,
    GrantorRights,
    changed_part,
    lost_conditions,
    part_of_targets,
)
from app.policy.holdings import PUBLIC, Held, Holdings, Policies
from app.query.collection import ROLES
from app.query.sql_writes import in_list
from app.repositories.engine.context import AffectedRights, WriteContext

EXCEEDS_OWN_RIGHTS_MESSAGE = "You don't have permission to grant more than you have yourself"
ADMIN_CREDENTIALS_MESSAGE = "You don't have permission to change the credentials of an admin"
CREDENTIALS_MESSAGE = "You don't have permission to change the credentials of a user who has more permissions than you"
NO_RIGHTS = GrantorRights((), frozenset())


async def check_delegation(work: WriteContext) -> None:
    """Check that the author of a write held every right that it granted to anyone, before the write began.

    A caller who sets the fields that a user logs in with can act as that user, and must hold all its rights, those
    before the write and those after it.

    Raises:
        Forbidden: The write granted more, or changed the sign-in fields of a user with more rights.
    """
    affected = work.affected
    if work.access.admin or not affected.changes_rights:
        return
    limits = work.services.limits.size
    registry = work.services.registry
    before = _Side(Holdings(work.services.reader, limits, registry, work.now), {})
    after = _Side(Holdings(work.writer, limits, registry, work.now), {})
    if not affected.policies:
        after.policies = before.policies
    rights = GrantorRights(await work.held_policies(), frozenset(work.access.granting))
    await _Delegation(affected, rights, before, after, await before.holdings.of_public()).check()


@dataclass(slots=True)
class _Side:
    """The holdings before or after a write, and the policies read so far; both sides share these if none changed."""

    holdings: Holdings
    policies: dict[str, GrantedPolicy]

    async def load(self, keys: Iterable[str]) -> None:
        """Read policies, so that `bundle` finds them."""
        self.policies |= await self.holdings.policies(sorted(set(keys) - self.policies.keys()))

    def bundle(self, policies: Policies) -> Bundle:
        """Return those of the policies that exist, each with its end."""
        return [replace(self.policies[key], until=policies[key]) for key in sorted(policies) if key in self.policies]


@dataclass(frozen=True, slots=True)
class _Delegation:
    """The checks of one write."""

    affected: AffectedRights
    rights: GrantorRights
    before: _Side
    after: _Side
    public: Policies
    """The policies of the public before the write: no user gains anything by what everybody can do."""

    async def check(self) -> None:
        affected = self.affected
        policies = await self._check_policies(affected.policies)
        users, roles = await self.before.holdings.holders(policies) if policies else (set[str](), set[str]())
        users |= await self._check_roles(affected.roles | roles)
        users |= await self._check_public() if affected.public or policies & self.public.keys() else set()
        await self._check_registration(affected.registration_roles)
        changed = affected.users | affected.activated_users | affected.users_with_new_credentials
        await self._check_users(users | changed)

    async def _check_policies(self, keys: Collection[str]) -> set[str]:
        """Check changed policies by themselves; return those that may have changed the conditions of their holders."""
        await self._load(keys, keys)
        lasting: Held = {key: {key: None} for key in keys}
        return {key for key in keys if self._check_change(*self._bundles(key, lasting, lasting))}

    async def _check_roles(self, roles: Collection[str]) -> set[str]:
        """Check roles, and those below a role whose conditions may have changed; return the users of the latter."""
        changed = await self._check_role_bundles(roles)
        if not changed:
            return set()
        selected = select(ROLES.table.c.id).where(in_list(ROLES.table.c.id, sorted(changed)))
        users, below = await self.after.holdings.members(selected)
        await self._check_role_bundles(below - set(roles))
        return users

    async def _check_role_bundles(self, roles: Collection[str]) -> set[str]:
        before, after = await self.before.holdings.of_roles(roles), await self.after.holdings.of_roles(roles)
        await self._load(_all_policies(before), _all_policies(after))
        return {role for role in roles if self._check_change(*self._bundles(role, before, after))}

    async def _check_registration(self, roles: Collection[str]) -> None:
        held = await self.after.holdings.of_roles(roles)
        await self.after.load(_all_policies(held))
        for role in roles:
            self._require_covered(self.after.bundle(held.get(role, {})))

    async def _check_public(self) -> set[str]:
        """Check the public; return the users without a role if their conditions may have changed."""
        before, after = {PUBLIC: self.public}, {PUBLIC: await self.after.holdings.of_public()}
        await self._load(before[PUBLIC], after[PUBLIC])
        is_changed = self._check_change(*self._bundles(PUBLIC, before, after))
        return await self.after.holdings.users_without_role() if is_changed else set()

    async def _check_users(self, users: Collection[str]) -> None:
        before, after = await self.before.holdings.of_users(users), await self.after.holdings.of_users(users)
        await self._load(_all_policies(before) | self.public.keys(), _all_policies(after))
        everybody = GrantorRights(self.before.bundle(self.public), frozenset(self.public))
        for user in users:
            bundles = self._bundles(user, before, after)
            if user in self.affected.users_with_new_credentials:
                self._check_credentials(everybody, *bundles)
            if user in self.affected.activated_users:
                self._require_covered(bundles[1], everybody)
            self._check_change(*bundles, everybody)

    def _check_credentials(self, everybody: GrantorRights, *bundles: Bundle) -> None:
        """Check that the author holds all rights of a user, those before and those after the write."""
        if any(policy.admin for bundle in bundles for policy in bundle):
            raise Forbidden(ADMIN_CREDENTIALS_MESSAGE)
        for bundle in bundles:
            self._require_covered(bundle, everybody, CREDENTIALS_MESSAGE)

    def _check_change(self, before: Bundle, after: Bundle, everybody: GrantorRights = NO_RIGHTS) -> bool:
        """Check what a holder gained; return whether conditions of others who hold the same may have changed."""
        requires_less_tfa, targets = lost_conditions(before, after)
        granted = [*_gained(before, after)]
        lost = after if requires_less_tfa else [part_of_targets(policy, targets) for policy in after]
        for part in (*granted, *lost):
            if not self._is_covered(part, after, everybody):
                raise Forbidden(EXCEEDS_OWN_RIGHTS_MESSAGE)
        return requires_less_tfa or bool(targets) or any(one.presets for part in granted for one in part.permissions)

    def _require_covered(
        self, bundle: Bundle, everybody: GrantorRights = NO_RIGHTS, message: str = EXCEEDS_OWN_RIGHTS_MESSAGE
    ) -> None:
        if not all(self._is_covered(policy, bundle, everybody) for policy in bundle):
            raise Forbidden(message)

    def _is_covered(self, policy: GrantedPolicy, bundle: Bundle, everybody: GrantorRights) -> bool:
        """Return whether the author or everybody has the rights of a policy that is held within a bundle.

        A policy of the public by itself may grant more than the public has, whose other policies impose conditions.
        """
        held = GrantorRights(bundle, frozenset(one.key for one in bundle))
        if everybody.holds(policy) and all(map(held.holds, everybody.policies)):
            return True
        return self.rights.covers(policy, bundle) or everybody.covers(policy, bundle)

    async def _load(self, before: Collection[str], after: Collection[str]) -> None:
        await self.before.load(before)
        await self.after.load(after)

    def _bundles(self, key: str, before: Held, after: Held) -> tuple[Bundle, Bundle]:
        return self.before.bundle(before.get(key, {})), self.after.bundle(after.get(key, {}))


def _gained(before: Bundle, after: Bundle) -> Iterator[GrantedPolicy]:
    """Yield the policies that a holder gained, and the parts that its policies gained."""
    previous = {policy.key: policy for policy in before}
    for policy in after:
        yield changed_part(previous.get(policy.key), policy)


def _all_policies(held: Held) -> set[str]:
    return {policy for policies in held.values() for policy in policies}
