"""The form of one permission: its parts, and what is wrong with them, by line and column."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import InvalidQuery
from app.policy.rules import DELETE, EVERY_FIELD, READ
from app.policy.write_resolver import WILDCARD_EXCLUDED_FIELDS
from app.query.collection import Collection
from app.query.filter import parse_variable
from app.query.limits import QueryLimits
from app.studio.form_errors import FormErrors, Translate
from app.studio.page_request import Form
from app.studio.policy_editor.empty_values import empty_value_path
from app.studio.policy_editor.json_text import JsonTextError, ParsedText, line_and_column, parse_json_text
from app.studio.policy_editor.rule_check import RuleCheck, RuleProblem

PARTS: Mapping[str, tuple[str, ...]] = {
    "create": ("fields", "validation", "presets"),
    READ: ("fields", "permissions"),
    "update": ("fields", "permissions", "validation", "presets"),
    DELETE: ("permissions",),
}
"""The parts of a permission that have an effect, by action."""


def parts_of(action: str, stored: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parts that the form shows: those with an effect, and others that are stored nevertheless."""
    parts = PARTS[action]
    stored_too = [name for name in ("permissions", "validation", "presets") if name not in parts and stored.get(name)]
    return (*parts, *stored_too)


def json_of(value: Any) -> str:
    """Return a stored value as text for its field."""
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


class _EmptyValueError(JsonTextError):
    """A condition has no value."""


@dataclass(slots=True)
class PermissionForm:
    """The submitted values of a permission: texts as they were typed, values as they are stored, and errors.

    `fields` has `EVERY_FIELD` if all fields were chosen; `field_choice` is "*" for all, empty for single ones, None if
    nothing was chosen. `lines` are those of the errors in texts; `incomplete` are the texts with a condition whose
    value is empty.
    """

    fields: list[str]
    texts: dict[str, str]
    field_choice: str | None = None
    is_every_row: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    errors: FormErrors = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any], parts: tuple[str, ...]) -> "PermissionForm":
        """Return the form of a stored permission; an empty mapping is one that does not exist yet: all fields."""
        texts = {name: json_of(stored.get(name)) for name in parts if name != "fields"}
        fields = list(stored.get("fields") or []) if stored else [EVERY_FIELD]
        choice = EVERY_FIELD if EVERY_FIELD in fields else ""
        return cls(fields, texts, choice)

    @classmethod
    def of_submitted(cls, form: Form, stored: Mapping[str, Any], parts: tuple[str, ...]) -> "PermissionForm":
        """Return the submitted form; fields keep the order in which they are stored."""
        chosen = [name for name in dict.fromkeys(form.getlist("fields")) if name]
        known = [name for name in stored.get("fields") or () if name in chosen]
        fields = [*known, *(name for name in chosen if name not in known)]
        choice = EVERY_FIELD if EVERY_FIELD in fields else "" if "fields" in form else None
        texts = {name: form.get(name, "").replace("\r\n", "\n") for name in parts if name != "fields"}
        return cls(fields, texts, choice, "every_row" in form)


@dataclass(frozen=True, slots=True)
class PermissionParser:
    """Parses the texts of a form about a collection, as far as its caller knows it."""

    collection: Collection
    limits: QueryLimits
    translate: Translate

    def parse(self, form: PermissionForm) -> None:
        """Set the values of a form, and the errors of the texts that cannot be stored."""
        for name, text in form.texts.items():
            try:
                form.values[name] = self._parse_text(name, text)
            except _EmptyValueError as error:
                form.incomplete.add(name)
                self._report(form, name, error)
            except JsonTextError as error:
                self._report(form, name, error)

    def check_choices(self, form: PermissionForm, stored: Mapping[str, Any], parts: tuple[str, ...]) -> None:
        """Report choices that are missing or contradict each other: a form never grants more than it says."""
        _ = self.translate
        if "fields" not in parts:
            if not stored and not form.values.get("permissions") and not form.is_every_row:
                form.errors.setdefault("permissions", _('Enter a rule, or check "Every row".'))
            return
        single = [name for name in form.fields if name != EVERY_FIELD and name not in self.named_fields]
        if form.field_choice is None:
            form.errors["fields"] = _('Choose "All fields" or "Only these fields".')
        elif form.field_choice and single:
            form.errors["fields"] = _(
                'All fields and single fields are chosen. Choose "Only these fields", or uncheck the single fields.'
            )
        elif not form.fields and (not stored or stored.get("fields")):
            form.errors["fields"] = _('Check at least one field, or choose "All fields".')

    @property
    def named_fields(self) -> list[str]:
        """The fields that "All fields" does not include when rows are written, so that they are checked themselves."""
        return [name for name, field in self.collection.fields.items() if field in WILDCARD_EXCLUDED_FIELDS]

    def _report(self, form: PermissionForm, name: str, error: JsonTextError) -> None:
        line, column = line_and_column(form.texts[name], error.offset)
        message = self.translate("Line {line}, column {column}: {reason}")
        form.errors[name] = message.format(line=line, column=column, reason=error.reason)
        form.lines[name] = line

    def _parse_text(self, name: str, text: str) -> Any:
        """Return the value of a text.

        Raises:
            JsonTextError: It is not JSON, or not what is stored under this name.
        """
        if not text.strip():
            return {} if name == "permissions" else None
        parsed = parse_json_text(text)
        if not isinstance(parsed.value, dict):
            raise JsonTextError(self.translate("Enter a JSON object, such as {}."), 0)
        if name != "presets" and (path := empty_value_path(parsed.value)):
            raise _EmptyValueError(
                self.translate('This condition has no value. Enter one, or use "_empty" to match empty values.'),
                parsed.offset(path),
            )
        problem = self._preset_problem(parsed) if name == "presets" else self._filter_problem(name, parsed)
        if problem is not None:
            raise JsonTextError(problem.reason, parsed.offset(problem.path))
        return parsed.value or ({} if name == "permissions" else None)

    def _filter_problem(self, name: str, parsed: ParsedText) -> RuleProblem | None:
        try:
            self.limits.size_counter().add_filter(parsed.value)
        except InvalidQuery as error:
            return RuleProblem((), error.reason or "")
        return RuleCheck(for_payload=name == "validation").problem(self.collection, parsed.value)

    def _preset_problem(self, parsed: ParsedText) -> RuleProblem | None:
        for name, value in parsed.value.items():
            if name not in self.collection.fields:
                return RuleProblem((name,), f'"{self.collection.name}" has no field "{name}"')
            try:
                if isinstance(value, str):
                    parse_variable(self.collection.registry, value)
            except InvalidQuery as error:
                return RuleProblem((name,), error.reason or "")
        return None
