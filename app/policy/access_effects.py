"""Whom a change of rights affects, and how: users, roles and the public, grouped by what changes for them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.policy.access_cache import AccessCache
from app.policy.access_difference import ActionDifference, Standing, action_differences
from app.policy.rights_snapshot import Holder, RightsSnapshot
from app.policy.rules import Access, AccessState
from app.policy.user_groups import UserGroup


@dataclass(frozen=True, slots=True)
class AccessDifference:
    """How the rights of a holder differ; `before` and `after` are what it is, `actions` what it may do."""

    before: Standing
    after: Standing
    actions: tuple[ActionDifference, ...]


@dataclass(slots=True)
class AccessEffect:
    """The holders for whom the same changes: roles, users, and the public.

    `users` are the first ids of `user_count`. `sample` is one of the holders, before and after, with the first user if
    there is any: rules that depend on the user are evaluated for it.
    """

    difference: AccessDifference
    roles: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    user_count: int = 0
    public: bool = False
    sample: tuple[Holder | None, Holder | None, str | None] = (None, None, None)


class EffectFinder:
    """Compares the rights of every holder in two snapshots, at one address or, without it, whatever the address."""

    def __init__(
        self, cache: AccessCache, before: RightsSnapshot, after: RightsSnapshot, now: datetime, ip: str | None
    ) -> None:
        self._cache, self._before, self._after, self._now, self._ip = cache, before, after, now, ip
        self._nothing = Access(AccessState(""), (), (), False, False, False, {}, cache.registry)
        self._changed_policies = before.changed_policies(after)
        self._differences: dict[tuple[Holder | None, Holder | None], AccessDifference | None] = {}
        self._effects: dict[AccessDifference, AccessEffect] = {}

    def add_roles(self) -> Iterator[None]:
        """Compare what each role, and the public, grants its users by itself; yield after each."""
        for role in sorted(self._before.trees.keys() | self._after.trees.keys()):
            holder = Holder(role)
            pair = (holder if self._before.has(holder) else None, holder if self._after.has(holder) else None)
            if (effect := self._effect(*pair)) is not None:
                effect.roles.append(role)
            yield
        if (effect := self._effect(Holder(), Holder())) is not None:
            effect.public = True

    def add_users(self, group: UserGroup, max_users: int) -> None:
        """Compare the rights of a group of users; an effect lists at most `max_users`."""
        effect = self._effect(group.before, group.after)
        if effect is None:
            return
        if effect.sample[2] is None or group.users[0] < effect.sample[2]:
            effect.sample = (group.before, group.after, group.users[0])
        effect.user_count += group.size
        effect.users = sorted([*effect.users, *group.users])[:max_users]

    @property
    def effects(self) -> list[AccessEffect]:
        """The effects found so far, those for most users first."""
        return sorted(
            self._effects.values(), key=lambda one: (-one.user_count, -len(one.roles), not one.public, one.roles)
        )

    def accesses(self, effect: AccessEffect) -> tuple[Access, Access]:
        """Return what the sample of an effect may do before and after."""
        before, after, user = effect.sample
        return self._access(self._before, before, user), self._access(self._after, after, user)

    def _effect(self, before: Holder | None, after: Holder | None) -> AccessEffect | None:
        """Return the effect to which a holder belongs; None if nothing changes for it."""
        pair = (before, after)
        if pair not in self._differences:
            self._differences[pair] = self._difference(before, after)
        difference = self._differences[pair]
        if difference is None:
            return None
        if difference not in self._effects:
            self._effects[difference] = AccessEffect(difference, sample=(before, after, None))
        return self._effects[difference]

    def _difference(self, before: Holder | None, after: Holder | None) -> AccessDifference | None:
        if before is not None and after is not None and self._holds_same(before, after):
            return None
        old, new = self._access(self._before, before, None), self._access(self._after, after, None)
        standings = _standing(self._before, before, old), _standing(self._after, after, new)
        actions = action_differences(old, new, self._now)
        return AccessDifference(*standings, actions) if actions or standings[0] != standings[1] else None

    def _holds_same(self, before: Holder, after: Holder) -> bool:
        policies = self._before.held_by(before)
        return (
            before.role == after.role
            and policies == self._after.held_by(after)
            and self._before.roles_of(before) == self._after.roles_of(after)
            and self._changed_policies.isdisjoint(policies)
        )

    def _access(self, snapshot: RightsSnapshot, holder: Holder | None, user: str | None) -> Access:
        return self._nothing if holder is None else snapshot.access(self._cache, holder, user, self._ip)


def _standing(snapshot: RightsSnapshot, holder: Holder | None, access: Access) -> Standing:
    if holder is None:
        return Standing()
    held = snapshot.held_by(holder)
    grants: Any = access.admin or access.app or access.rules
    return Standing(
        active=True,
        admin=access.admin,
        app=access.app,
        enforce_tfa=access.enforce_tfa,
        grants_anything=bool(grants),
        addresses=snapshot.addresses(held),
        expires=min((end for end in held.values() if end is not None), default=None),
    )
