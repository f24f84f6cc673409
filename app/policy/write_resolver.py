"""The write resolver: the rows and fields a caller may write, and the presets of its permissions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from app.core.errors import Forbidden, ReadOnlyToken
from app.policy.rules import READ, Access, Rule
from app.policy.scopes import UnrestrictedScope
from app.query.collection import USERS, Collection, Field
from app.query.filter import UnknownField, Variable
from app.query.scoped import CallerLookup, ScopedRows

WILDCARD_EXCLUDED_FIELDS = frozenset(
    USERS.fields[name] for name in ("provider", "external_identifier", "tfa_secret", "token")
)
"""Fields that users log in with. On other users' rows `*` doesn't include them; a permission must name them."""


class WriteResolver:
    """Applies one caller's write permissions at one moment. It never sees stored values."""

    def __init__(self, access: Access, now: datetime) -> None:
        self.access, self.now = access, now
        self._scope = UnrestrictedScope(access, now)

    def rules(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        """Return the rules for an action on a collection.

        Raises:
            Forbidden: There are none.
        """
        return require_rules(self.access, action, collection)

    def require_fields(self, action: str, collection: Collection, fields: Iterable[Field]) -> None:
        """Check that each field may be written on some row.

        Raises:
            Forbidden: The caller has no rule for the action.
            UnknownField: No rule lists the field.
        """
        rules = self.rules(action, collection)
        granted = rules[0].fields if len(rules) == 1 else frozenset[Field]().union(*(rule.fields for rule in rules))
        for field in fields:
            if field not in granted:
                raise UnknownField(collection, field.name)

    def scope(self, action: str, collection: Collection) -> ScopedRows:
        """Return, per rule in the order of `rules`, the predicate of the rows it matches.

        Rules see stored values, even those that the caller may not read.

        Raises:
            Forbidden: The caller has no rule for the action.
        """
        return self._scoped_rows(collection, self.rules(action, collection))

    def permitted(self, action: str, collection: Collection) -> ScopedRows:
        """Return the same for the rules that grant the action, without those that only impose conditions."""
        rules = self.rules(action, collection)
        return self._scoped_rows(collection, [rule for rule in rules if not rule.only_conditions])

    def _scoped_rows(self, collection: Collection, rules: Iterable[Rule]) -> ScopedRows:
        return ScopedRows(collection, tuple(self._scope.condition(collection, rule.filter) for rule in rules))

    def lookup(self, variable: Variable) -> CallerLookup | None:
        """Return where to read a variable's value.

        None if it needs no look-up, the caller is anonymous, or a field of its path is concealed.
        """
        if not variable.path or self.access.user is None or any(field.concealed for field in variable.path):
            return None
        return self._scope.lookup(variable)

    def check(
        self,
        action: str,
        collection: Collection,
        matches: Sequence[bool],
        fields: Iterable[Field],
        *,
        is_self: bool = False,
    ) -> tuple[Rule, ...]:
        """Return the rules that match one row.

        `matches` has one item per rule, in the order of `rules`; it is empty if the row doesn't exist. If the row is
        the caller's own (`is_self`), `*` includes the fields in WILDCARD_EXCLUDED_FIELDS.

        Raises:
            Forbidden: No rule matches the row, or none of those that match grants one of the fields.
        """
        pairs = zip(self.rules(action, collection), matches, strict=True) if matches else ()
        rules = tuple(rule for rule, is_match in pairs if is_match)
        denied = [f.name for f in fields if not any(is_writable(rule, f, is_self=is_self) for rule in rules)]
        if any(not rule.only_conditions for rule in rules) and not denied:
            return rules
        subject = f" for the field(s) {', '.join(map(_quoted, denied))} in" if denied else " for"
        raise Forbidden(
            f'You don\'t have permission to perform "{action}"{subject} collection "{collection.name}" '
            "or it does not exist"
        )


def require_rules(access: Access, action: str, collection: Collection) -> tuple[Rule, ...]:
    """Return the caller's rules for an action on a collection.

    Raises:
        Forbidden: There are none.
        ReadOnlyToken: There are none, because the API token is read-only.
    """
    rules = access.granted(action, collection)
    if not rules and access.read_only and action != READ:
        raise ReadOnlyToken
    if not rules:
        raise Forbidden(
            f'You don\'t have permission to access collection "{collection.name}" or it does not exist. Queried in root'
        )
    return rules


def is_writable(rule: Rule, field: Field, *, is_self: bool) -> bool:
    """Return whether a rule grants writing a field of a row it matches. `is_self`: the row is the caller's own."""
    return field in rule.fields and (is_self or field not in WILDCARD_EXCLUDED_FIELDS or field in rule.named)


def merge_presets(rules: Iterable[Rule]) -> dict[str, Any]:
    """Return the rules' presets with their variables unresolved; a later rule overrides an earlier one."""
    merged: dict[str, Any] = {}
    for rule in rules:
        if rule.presets:
            merged |= orjson.loads(rule.presets) or {}
    return merged


def _quoted(name: str) -> str:
    return f'"{name}"'
