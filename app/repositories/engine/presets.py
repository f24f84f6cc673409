"""What the rules of a write fill in where nothing is said, and what they find wrong with what is."""

from collections.abc import Sequence
from typing import Any

from app.core.errors import MultipleErrors, RollcallError
from app.db.transaction import WriteTransaction
from app.policy.rules import Rule
from app.policy.validation import Values, validate, variables
from app.policy.variables import resolve_variable
from app.policy.write_resolver import WriteResolver, merge_presets
from app.query.collection import FieldKind
from app.query.filter import MATCH_ALL, Variable, parse_variable
from app.query.payload import FieldPath, Payload, parse_payload
from app.query.sql_expressions import lookup_select


class PresetApplier:
    """Presets and validations, with the values that their variables have for whoever writes."""

    def __init__(self, policy: WriteResolver, writer: WriteTransaction, depth: int) -> None:
        self._policy, self._writer, self._depth = policy, writer, depth

    async def apply(self, rules: Sequence[Rule], payload: Payload) -> Payload:
        """The payload with what its rules fill in where it says nothing."""
        collection, given = payload.collection, merge_presets(rules)
        if not given:
            return payload
        names = {member.name for member in payload.fields} | payload.legacy.keys()
        missing = {name: value for name, value in given.items() if name in collection.fields and name not in names}
        if not missing:
            return payload
        resolved = {name: await self._resolved(value) for name, value in missing.items()}
        filled = parse_payload(collection, resolved, self._depth, payload.path)
        return Payload(
            collection,
            {**filled.values, **payload.values},
            {**filled.to_one, **payload.to_one},
            {**filled.to_many, **payload.to_many},
            payload.legacy,
            payload.path,
        )

    async def _resolved(self, value: Any) -> Any:
        variable = parse_variable(value) if isinstance(value, str) else None
        if variable is None:
            return value
        found = await self._all_of(variable)
        listed = variable.name in ("CURRENT_ROLES", "CURRENT_POLICIES")
        return list(found) if listed else next(iter(found), None)

    async def _all_of(self, variable: Variable, kind: FieldKind = "string") -> tuple[Any, ...]:
        if not variable.path:
            as_kind: FieldKind = "timestamp" if variable.name == "NOW" else kind
            return resolve_variable(variable, as_kind, self._policy.access, self._policy.now)
        lookup = self._policy.lookup(variable)
        if lookup is None:
            return ()
        return tuple(row[0] for row in await self._writer.rows(self._writer.prepare(lookup_select(lookup))))

    async def validate(self, rules: Sequence[Rule], values: Values, path: FieldPath) -> None:
        """Raises FailedValidation, or Several, where the validations of these rules don't hold for what is written."""
        rules = [rule for rule in rules if rule.validation != MATCH_ALL]
        known = {
            variable: await self._all_of(variable)
            for rule in rules
            for variable in variables(rule.validation)
            if variable.path
        }

        def resolve(variable: Variable, kind: FieldKind) -> tuple[Any, ...]:
            return (
                known[variable]
                if variable.path
                else resolve_variable(variable, kind, self._policy.access, self._policy.now)
            )

        errors: list[RollcallError] = []
        for rule in rules:
            errors += validate(rule.validation, values, resolve, path)
        if errors:
            raise errors[0] if len(errors) == 1 else MultipleErrors(errors)
