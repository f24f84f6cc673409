"""What a holder may do after a change and could not do before, and the other way round."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.policy.rule_dependencies import collections_read, depends_on_user, looks_up_user
from app.policy.rules import DELETE, EVERY_FIELD, READ, Access, Rule
from app.policy.scopes import CallerScope
from app.query.collection import Collection, Field
from app.query.scoped import TRUE, Predicate

ACTIONS = ("create", "read", "update", "delete")
CREATE = "create"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a holder is, whatever the collection.

    `addresses` are the IP rules of its access, None for every address. `expires` is when the first of its policies
    ends.
    """

    active: bool = False
    admin: bool = False
    app: bool = False
    enforce_tfa: bool = False
    grants_anything: bool = False
    addresses: tuple[str, ...] | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class RowComparison:
    """Rows of a collection before and after: all that a holder has, or those on which it has some `fields`."""

    before: Predicate
    after: Predicate
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ActionDifference:
    """How the right to perform an action on a collection differs.

    `comparisons` are of rows: the first of all rows, others of rows on which single fields may be read or written.
    `fields_gained` and `fields_lost` are `*` if they are all fields of the collection.
    """

    collection: Collection
    action: str
    granted_before: bool
    granted_after: bool
    fields_gained: tuple[str, ...]
    fields_lost: tuple[str, ...]
    values_changed: bool
    """Whether the validation or the presets of written values differ."""
    depends_on_user: bool
    reads: frozenset[str]
    """The collections whose rows decide which rows these are."""
    rules: tuple[frozenset[Rule], frozenset[Rule]]
    comparisons: tuple[RowComparison, ...]

    @property
    def replaced_rules(self) -> tuple[frozenset[Rule], frozenset[Rule]]:
        """The rules that are lost, and those that are gained."""
        before, after = self.rules
        return before - after, after - before

    def without_comparisons(self) -> "ActionDifference":
        """Return the same difference for a holder whose rows do not change."""
        return replace(self, comparisons=())


def action_differences(before: Access, after: Access, now: datetime) -> tuple[ActionDifference, ...]:
    """Return where what two accesses of the same holder allow differs."""
    return tuple(
        difference
        for collection in after.registry.values()
        for action in ACTIONS
        if (difference := action_difference(before, after, collection, action, now)) is not None
    )


def action_difference(
    before: Access, after: Access, collection: Collection, action: str, now: datetime
) -> ActionDifference | None:
    """Return how two accesses of the same holder differ for one action on one collection; None if they do not."""
    old, new = (frozenset(access.granted(action, collection)) for access in (before, after))
    same_holder = (before.state.role, before.roles, before.policies) == (after.state.role, after.roles, after.policies)
    if old == new and same_holder:
        return None
    looked_up = before.state.role != after.state.role and looks_up_user(old | new)
    comparisons = tuple(_comparisons(before, after, collection, action, now, keep=looked_up))
    fields_before, fields_after = (access.fields(action, collection) for access in (before, after))
    difference = ActionDifference(
        collection,
        action,
        bool(old),
        bool(new),
        _fields(collection, fields_after - fields_before) if action != DELETE else (),
        _fields(collection, fields_before - fields_after) if action != DELETE else (),
        bool(old and new) and action not in (READ, DELETE) and _checks(old) != _checks(new),
        depends_on_user(old | new),
        collections_read(collection, old | new),
        (old, new),
        comparisons,
    )
    return difference if _is_difference(difference) else None


def _is_difference(one: ActionDifference) -> bool:
    is_other = one.granted_before != one.granted_after or one.values_changed
    return is_other or bool(one.fields_gained or one.fields_lost or one.comparisons)


def _comparisons(
    before: Access, after: Access, collection: Collection, action: str, now: datetime, *, keep: bool
) -> Iterator[RowComparison]:
    if action == CREATE:
        return
    scopes = CallerScope(before, now, action), CallerScope(after, now, action)
    rows = RowComparison(scopes[0].rows(collection), scopes[1].rows(collection))
    fields = before.fields(action, collection) | after.fields(action, collection) if action != DELETE else ()
    stored = [one for one in collection.fields.values() if one in fields and one.derivation is None]
    groups = _grouped(collection, stored, scopes, rows)
    others = [replace(one, fields=_names(fields)) for one, fields in groups.items() if keep or one.before != one.after]
    if keep or rows.before != rows.after or others:
        yield rows
    yield from (one for one in others if replace(one, fields=None) != rows)


def _grouped(
    collection: Collection, fields: Iterable[Field], scopes: tuple[CallerScope, CallerScope], rows: RowComparison
) -> Mapping[RowComparison, list[Field]]:
    """Return fields by the rows on which they are granted before and after."""
    by_rules: dict[tuple[frozenset[Rule], ...], list[Field]] = {}
    rules = [scope.access.granted(scope.action, collection) for scope in scopes]
    for field in fields:
        granting = tuple(frozenset(rule for rule in side if field in rule.fields) for side in rules)
        by_rules.setdefault(granting, []).append(field)
    groups: dict[RowComparison, list[Field]] = {}
    for same in by_rules.values():
        before, after = (scope.visible(collection, same[0]) for scope in scopes)
        comparison = RowComparison(
            rows.before if before == TRUE else before,  # true on each row that the holder has
            rows.after if after == TRUE else after,
        )
        groups.setdefault(comparison, []).extend(same)
    return groups


def _checks(rules: Iterable[Rule]) -> frozenset[object]:
    return frozenset((rule.validation, rule.presets) for rule in rules)


def _fields(collection: Collection, fields: frozenset[Field]) -> tuple[str, ...]:
    """Return the names of fields, or `*` if they are all fields of the collection."""
    return (EVERY_FIELD,) if fields >= frozenset(collection.fields.values()) else _names(fields)


def _names(fields: Iterable[Field]) -> tuple[str, ...]:
    return tuple(sorted(field.name for field in fields))
