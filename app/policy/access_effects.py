"""Whom a change of rights affects, and how: users, roles and the public, grouped by what changes for them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from itertools import chain
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
    is_merged: bool = False
    """Whether the rows that the holders have differ, although their rights change alike."""

    def add(self, other: "AccessEffect", max_users: int) -> None:
        """Add the holders of an effect by which rights change alike."""
        self.roles += other.roles
        self.users = nsmallest(max_users, chain(self.users, other.users))
        self.user_count += other.user_count
        self.public = self.public or other.public
        self.is_merged = True
        if other.sample[2] is not None and (self.sample[2] is None or other.sample[2] < self.sample[2]):
            self.sample, self.difference = other.sample, other.difference


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

    def add_users(self, groups: Iterable[UserGroup], max_users: int) -> Iterator[None]:
        """Compare the rights of groups of users; an effect lists at most `max_users`; yield after each."""
        for group in groups:
            effect = self._effect(group.before, group.after)
            if effect is not None:
                self._add(effect, group, max_users)
            yield

    @staticmethod
    def _add(effect: AccessEffect, group: UserGroup, max_users: int) -> None:
        first = min(group.users)
        if effect.sample[2] is None or first < effect.sample[2]:
            effect.sample = (group.before, group.after, first)
        effect.user_count += len(group.users)
        effect.users = nsmallest(max_users, chain(effect.users, group.users))

    def effects(self, max_effects: int, max_users: int) -> list[AccessEffect]:
        """Return the effects found so far, those for most users first.

        If they are more than `max_effects`, those by which rights change alike are one, whatever other rights the
        holders have.
        """
        effects = list(self._effects.values())
        if len(effects) > max_effects:
            merged: dict[object, AccessEffect] = {}
            for effect in effects:
                known = merged.setdefault(_changed_rights(effect.difference), effect)
                if known is not effect:
                    known.add(effect, max_users)
            effects = list(merged.values())
        return sorted(effects, key=lambda one: (-one.user_count, -len(one.roles), not one.public, one.roles))

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


def _changed_rights(difference: AccessDifference) -> object:
    """Return what is equal for differences by which rights change alike."""
    actions = (
        (one.collection, one.action, one.granted_before, one.granted_after, *_changed_fields(one), one.replaced_rules)
        for one in difference.actions
    )
    return difference.before, difference.after, tuple(actions)


def _changed_fields(one: ActionDifference) -> tuple[object, ...]:
    return one.fields_gained, one.fields_lost, one.values_changed


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
