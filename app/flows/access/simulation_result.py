"""Turns the effects that a simulation finds into the entries of its report."""

from collections.abc import Iterator, Mapping, Sequence

from app.core.timestamps import format_timestamp
from app.flows.access.simulation_report import (
    ActionChange,
    Effect,
    FieldRowsChange,
    HolderStanding,
    NamedRole,
    RowCounts,
)
from app.policy.access_difference import ActionDifference, RowComparison, Standing
from app.policy.access_effects import AccessEffect
from app.policy.row_counter import RowCounter


def effect_of(
    effect: AccessEffect,
    differences: Sequence[ActionDifference],
    counter: RowCounter,
    role_names: Mapping[str, str],
    max_roles: int,
) -> Effect:
    """Return the entry for an effect, with the rows that were counted; it lists at most `max_roles` roles."""
    before, after = effect.difference.before, effect.difference.after
    return Effect(
        roles=tuple(NamedRole(role, role_names[role]) for role in effect.roles[:max_roles]),
        roles_total=len(effect.roles),
        users=tuple(effect.users),
        users_total=effect.user_count,
        public=effect.public,
        before=_standing(before),
        after=_standing(after),
        lockouts=tuple(_lockouts(before, after)),
        actions=tuple(_action(one, counter, varies=effect.is_merged) for one in differences),
    )


def is_locked_out(effect: AccessEffect) -> bool:
    """Return whether holders lose all access."""
    before, after = effect.difference.before, effect.difference.after
    return before.active and before.grants_anything and not (after.active and after.grants_anything)


def _standing(one: Standing) -> HolderStanding:
    expires = format_timestamp(one.expires) if one.expires is not None else None
    return HolderStanding(one.active, one.admin, one.app, one.enforce_tfa, one.grants_anything, one.addresses, expires)


def _lockouts(before: Standing, after: Standing) -> Iterator[str]:
    if before.active and not after.active:
        yield "active"
        return
    if before.grants_anything and not after.grants_anything:
        yield "any_access"
        return
    if before.admin and not after.admin:
        yield "admin_access"
    if (before.app or before.admin) and not (after.app or after.admin):
        yield "app_access"
    if before.grants_anything and after.grants_anything and before.addresses is None and after.addresses is not None:
        yield "addresses"


def _action(one: ActionDifference, counter: RowCounter, *, varies: bool) -> ActionChange:
    counts = [_counts(one, comparison, counter) for comparison in one.comparisons]
    return ActionChange(
        collection=one.collection.name,
        action=one.action,
        allowed_before=one.granted_before,
        allowed_after=one.granted_after,
        fields_gained=one.fields_gained,
        fields_lost=one.fields_lost,
        values_changed=one.values_changed,
        rows=counts[0] if counts else None,
        field_rows=tuple(
            FieldRowsChange(comparison.fields or (), count)
            for comparison, count in zip(one.comparisons[1:], counts[1:], strict=True)
            if count is None or count.gained or count.lost
        ),
        rows_depend_on_user=one.depends_on_user or varies,
        rows_counted=None not in counts,
    )


def _counts(one: ActionDifference, comparison: RowComparison, counter: RowCounter) -> RowCounts | None:
    counted = counter.counted(one.collection, comparison)
    return RowCounts(*counted) if counted is not None else None
