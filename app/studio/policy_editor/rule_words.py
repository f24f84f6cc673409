"""Filters in words, such as "Status is active and Role: Name is “Staff”"."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.timestamps import format_timestamp
from app.query.collection import USERS, Collection, Field
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable
from app.studio.form_errors import Translate
from app.studio.policy_editor.operator_labels import operator_labels

PAIR_OPERATORS = ("_between", "_nbetween")


@dataclass(frozen=True, slots=True)
class RuleWords:
    """Writes filters in the language of a page. `user_labels` are the labels of the fields of users."""

    translate: Translate
    user_labels: Mapping[str, str]

    def text(self, collection: Collection, filter_: Filter) -> str:
        """Return a filter on the rows of a collection in words; empty if it matches every row."""
        match filter_:
            case AndFilter(parts):
                return self._joined(collection, parts, self.translate("{first} and {second}"))
            case OrFilter(parts):
                joined = self._joined(collection, parts, self.translate("{first} or {second}"))
                return joined or self.translate("never")
            case RelationFilter(field, quantifier, inner):
                return self._relation(collection, field, quantifier, inner)
            case FieldFilter(field, function, operator, value):
                label = self._label(collection, field)
                label = f"{label}: {function}" if function else label
                comparison = operator_labels(self.translate).get(operator, operator)
                operand = self._operand(collection, field, operator, value)
                return " ".join(filter(None, (label, comparison, operand)))

    def _joined(self, collection: Collection, parts: Iterable[Filter], pattern: str) -> str:
        parts = tuple(parts)
        texts = [self._part(collection, part) if len(parts) > 1 else self.text(collection, part) for part in parts]
        joined = texts[0] if texts else ""
        for text in texts[1:]:
            joined = pattern.format(first=joined, second=text)
        return joined

    def _part(self, collection: Collection, part: Filter) -> str:
        """Return a part of a longer filter, in parentheses if it has several parts itself."""
        text = self.text(collection, part) or self.translate("always")
        return f"({text})" if isinstance(part, AndFilter | OrFilter) and len(part.parts) > 1 else text

    def _relation(self, collection: Collection, field: Field, quantifier: str, inner: Filter) -> str:
        label, target = self._label(collection, field), collection.target_of(field)
        text = self._part(target, inner)
        if quantifier == "any":
            return f"{label}: {text}"
        _ = self.translate
        is_none = quantifier == "none"
        pattern = _("{field}: none with {condition}") if is_none else _("{field}: at least one with {condition}")
        return pattern.format(field=label, condition=text)

    def _label(self, collection: Collection, field: Field) -> str:
        is_user = collection.name == USERS.name
        return self._field_label(field) if is_user else field.name.replace("_", " ").capitalize()

    def _operand(self, collection: Collection, field: Field, operator: str, value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, tuple):
            return self._value(collection, field, value)
        texts = [self._value(collection, field, item) for item in value]
        if operator in PAIR_OPERATORS:
            return self.translate("{first} and {second}").format(first=texts[0], second=texts[1])
        return ", ".join(texts)

    def _value(self, collection: Collection, field: Field, value: Any) -> str:
        if isinstance(value, Variable):
            return self._variable(value)
        if isinstance(value, bool):
            return self.translate("yes") if value else self.translate("no")
        if isinstance(value, int | float):
            return str(value)
        if collection.name == USERS.name and field.name == "status" and value in (names := self._statuses()):
            return names[value]
        text = format_timestamp(value) if isinstance(value, datetime) else str(value)
        return self.translate("“{text}”").format(text=text)

    def _statuses(self) -> Mapping[str, str]:
        _ = self.translate
        return {
            "active": _("active"),
            "invited": _("invited"),
            "draft": _("draft"),
            "suspended": _("suspended"),
            "archived": _("archived"),
            "unverified": _("unverified"),
        }

    def _variable(self, variable: Variable) -> str:
        _ = self.translate
        names = {
            "CURRENT_USER": _("the signed-in user"),
            "CURRENT_ROLE": _("the role of the signed-in user"),
            "CURRENT_ROLES": _("the role of the signed-in user and the roles above it"),
            "CURRENT_POLICIES": _("the policies of the signed-in user"),
            "NOW": _("now"),
        }
        if variable.argument:
            return f"{names[variable.name]} ({variable.argument})"
        if not variable.path:
            return names[variable.name]
        of_user = variable.name == "CURRENT_USER"
        pattern = _("{field} of the signed-in user") if of_user else _("{field} of the role of the signed-in user")
        return pattern.format(field=": ".join(self._field_label(field) for field in variable.path))

    def _field_label(self, field: Field) -> str:
        return self.user_labels.get(field.name, field.name.replace("_", " ").capitalize())
