"""What a caller may write: which rows, which of their fields, and what is filled in where it gives nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from app.core.errors import Forbidden
from app.policy.rules import Access, Rule
from app.policy.scopes import UnrestrictedScope
from app.query.collection import USERS, Collection, Field
from app.query.filter import UnknownField, Variable
from app.query.scoped import CallerLookup, ScopedRows

WILDCARD_EXCLUDED_FIELDS = frozenset(
    USERS.fields[name] for name in ("provider", "external_identifier", "tfa_secret", "token")
)
"""How somebody signs in: of other people `*` doesn't name these, a permission has to."""


class WriteResolver:
    """One caller's rights to write at one moment. It never sees what is stored."""

    def __init__(self, access: Access, now: datetime) -> None:
        self.access, self.now = access, now
        self._eyes = UnrestrictedScope(access, now)

    def rules(self, action: str, collection: Collection) -> tuple[Rule, ...]:
        """The rules for an action on a collection; Forbidden where there is none."""
        return require_rules(self.access, action, collection)

    def require_fields(self, action: str, collection: Collection, fields: Iterable[Field]) -> None:
        """Raises Forbidden where the action is granted on no row, UnknownField for a field never to be written."""
        rules = self.rules(action, collection)
        granted = rules[0].fields if len(rules) == 1 else frozenset[Field]().union(*(rule.fields for rule in rules))
        for field in fields:
            if field not in granted:
                raise UnknownField(collection, field.name)

    def scope(self, action: str, collection: Collection) -> ScopedRows:
        """The question which rows each rule reaches; a rule sees what is there, whatever its caller may see."""
        filters = (rule.filter for rule in self.rules(action, collection))
        return ScopedRows(collection, tuple(self._eyes.condition(collection, filter_) for filter_ in filters))

    def lookup(self, variable: Variable) -> CallerLookup | None:
        """Where a variable's value is to be read; None for one that is known, and for what is concealed."""
        if not variable.path or self.access.user is None or any(field.concealed for field in variable.path):
            return None
        return self._eyes.lookup(variable)

    def check(
        self,
        action: str,
        collection: Collection,
        reached: Sequence[bool],
        fields: Iterable[Field],
        *,
        own: bool = False,
    ) -> tuple[Rule, ...]:
        """The rules that reach one row, as `reached` tells in the order of `rules`; of a row that isn't there, nothing.

        Raises Forbidden where none does, or where those that do don't let a field be written; a row of one's `own`
        may have even its reserved fields written by `*`.
        """
        judged = zip(self.rules(action, collection), reached, strict=True) if reached else ()
        rules = tuple(rule for rule, holds in judged if holds)
        missing = [field.name for field in fields if not any(writable(rule, field, own=own) for rule in rules)]
        if rules and not missing:
            return rules
        named = f" for the field(s) {', '.join(map(_quoted, missing))} in" if missing else " for"
        raise Forbidden(
            f'You don\'t have permission to perform "{action}"{named} collection "{collection.name}" '
            "or it does not exist"
        )


def require_rules(access: Access, action: str, collection: Collection) -> tuple[Rule, ...]:
    """The rules for an action on a collection; Forbidden where there is none."""
    rules = access.granted(action, collection)
    if not rules:
        raise Forbidden(
            f'You don\'t have permission to access collection "{collection.name}" or it does not exist. Queried in root'
        )
    return rules


def writable(rule: Rule, field: Field, *, own: bool) -> bool:
    """Whether a rule lets a field be written of a row: of others' the reserved ones only by their names."""
    return field in rule.fields and (own or field not in WILDCARD_EXCLUDED_FIELDS or field in rule.named)


def presets(rules: Iterable[Rule]) -> dict[str, Any]:
    """What these rules fill in, as it is written down, variables and all; where two say otherwise the later counts."""
    found: dict[str, Any] = {}
    for rule in rules:
        if not rule.presets:
            continue
        try:
            given = orjson.loads(rule.presets)
        except orjson.JSONDecodeError:
            continue
        found |= given if isinstance(given, dict) else {}
    return found


def _quoted(name: str) -> str:
    return f'"{name}"'
