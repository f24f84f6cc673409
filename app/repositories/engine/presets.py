"""Presets and validations of permission rules, applied to a payload."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.errors import MultipleErrors, RollcallError
from app.core.request_budget import RequestBudget
from app.core.timestamps import format_timestamp
from app.db.transaction import WriteTransaction
from app.policy.preset_values import find_variables, is_list_variable, replace_variables
from app.policy.rules import Rule
from app.policy.validation import Values, validate, variables
from app.policy.variables import resolve_variable
from app.policy.write_resolver import WriteResolver, merge_presets
from app.query.collection import FieldKind
from app.query.filter import MATCH_ALL, Variable
from app.query.payload import FieldPath, Payload, parse_payload
from app.query.sql_expressions import lookup_select
from app.repositories.services import Services


class PresetApplier:
    """Applies presets and validations with the values that their variables have for the caller."""

    def __init__(
        self, policy: WriteResolver, writer: WriteTransaction, services: Services, budget: RequestBudget
    ) -> None:
        self._policy, self._writer, self._services, self._budget = policy, writer, services, budget

    async def apply(self, rules: Sequence[Rule], payload: Payload) -> Payload:
        """Return the payload with the presets of the rules for fields it does not set."""
        collection, presets = payload.collection, merge_presets(rules)
        if not presets:
            return payload
        names = {member.name for member in payload.fields} | payload.legacy.keys()
        missing = {name: value for name, value in presets.items() if name in collection.fields and name not in names}
        if not missing:
            return payload
        values = {
            text: await self._value(variable) for text, variable in find_variables(collection.registry, missing).items()
        }
        resolved = replace_variables(missing, values)
        additional = parse_payload(collection, resolved, self._services.limits.max_depth, payload.path)
        return Payload(
            collection,
            {**additional.values, **payload.values},
            {**additional.to_one, **payload.to_one},
            {**additional.to_many, **payload.to_many},
            payload.legacy,
            payload.path,
        )

    async def _value(self, variable: Variable) -> Any:
        values = [
            format_timestamp(value) if isinstance(value, datetime) else value
            for value in await self._variable_values(variable)
        ]
        return values if is_list_variable(variable) else next(iter(values), None)

    async def _variable_values(self, variable: Variable, kind: FieldKind = "string") -> tuple[Any, ...]:
        if not variable.path:
            kind_of_value: FieldKind = "timestamp" if variable.name == "NOW" else kind
            return resolve_variable(variable, kind_of_value, self._policy.access, self._policy.now)
        lookup = self._policy.lookup(variable)
        if lookup is None:
            return ()
        return tuple(row[0] for row in await self._writer.rows(self._writer.prepare(lookup_select(lookup))))

    async def validate(self, rules: Sequence[Rule], values: Values, path: FieldPath) -> None:
        """Raise FailedValidation, or MultipleErrors, if the values do not pass the validations of the rules."""
        rules = [rule for rule in rules if rule.validation != MATCH_ALL]
        lookups = {
            variable: await self._variable_values(variable)
            for rule in rules
            for variable in variables(rule.validation)
            if variable.path
        }

        def resolve(variable: Variable, kind: FieldKind) -> tuple[Any, ...]:
            return (
                lookups[variable]
                if variable.path
                else resolve_variable(variable, kind, self._policy.access, self._policy.now)
            )

        errors: list[RollcallError] = []
        for rule in rules:
            errors += await validate(rule.validation, values, resolve, self._match_regex, path)
        if errors:
            raise errors[0] if len(errors) == 1 else MultipleErrors(errors)

    async def _match_regex(self, pattern: str, text: str, name: str) -> bool:
        return await self._services.regexes.matches(pattern, text, name, self._budget)
