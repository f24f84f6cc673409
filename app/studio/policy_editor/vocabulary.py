"""What the builder for rules offers: fields, operators and variables, as the parser of filters knows them."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.query.collection import PERMISSIONS, ROLES, USERS, Collection, Field, FieldKind, Registry
from app.query.filter import DATE_PART_KINDS, VARIABLE_NAMES, functions_of
from app.query.operators import OPERATORS
from app.repositories.rules.users import ACTIVE, INVITED, SUSPENDED, UNVERIFIED
from app.studio.form_errors import Translate
from app.studio.policy_editor.operator_labels import builder_texts, operator_labels
from app.studio.policy_editor.permission_grid import ACTIONS

TIME_VARIABLE = "NOW"
TIME_EXAMPLES = ("$NOW", "$NOW(-1 day)", "$NOW(-30 days)")
PATH_STARTS = {"CURRENT_USER": USERS.name, "CURRENT_ROLE": ROLES.name}
KNOWN_VALUES = {
    (USERS.name, "status"): (ACTIVE, INVITED, "draft", SUSPENDED, "archived", UNVERIFIED),
    (PERMISSIONS.name, "action"): ACTIONS,
}
"""Values to suggest for fields that have only a few."""


def vocabulary(registry: Registry, translate: Translate, user_labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of each collection, the operators, the variables by kind of field, and the texts.

    `user_labels` are the labels of the fields of users by name.
    """
    labels = operator_labels(translate)
    operators = [
        {
            "name": name,
            "label": labels.get(name, name),
            "arity": operator.arity,
            "kinds": sorted(operator.kinds),
            "payloadOnly": operator.payload_only,
        }
        for name, operator in OPERATORS.items()
    ]
    return {
        "collections": {
            name: _fields(collection, user_labels if name == USERS.name else {})
            for name, collection in registry.items()
        },
        "operators": operators,
        "variables": _variables(registry),
        "texts": dict(builder_texts(translate)),
    }


def _fields(collection: Collection, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the fields of a collection, and after them the functions of its fields."""
    fields = list(_described(collection, labels))
    return sorted(fields, key=lambda field: field.get("isFunction", False))


def _described(collection: Collection, labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, field in collection.fields.items():
        values = {"values": KNOWN_VALUES[collection.name, name]} if (collection.name, name) in KNOWN_VALUES else {}
        relation = {"target": field.link.target, "many": field.many} if field.relation else {}
        label = labels.get(name, name.replace("_", " ").capitalize())
        yield {"name": name, "label": label, "kind": _kind(collection, field), **relation, **values}
        for function in functions_of(field):
            text = f"{label}: {function}"
            yield {"name": f"{function}({name})", "label": text, "kind": "integer", "isFunction": True}


def _kind(collection: Collection, field: Field) -> FieldKind:
    """Return the kind of values that a field is compared with: that of the related key for a to-many relation."""
    return collection.target_of(field).key.kind if field.many else field.kind


def _variables(registry: Registry) -> dict[str, list[str]]:
    """Return variables to suggest for each kind of field."""
    keys = [f"${name}" for name in VARIABLE_NAMES if name != TIME_VARIABLE]
    variables: dict[str, list[str]] = {"uuid": keys}
    for kind in DATE_PART_KINDS:
        variables[kind] = list(TIME_EXAMPLES)
    for name, start in PATH_STARTS.items():
        for field in registry[start].fields.values():
            if not field.concealed and field.relation is None and field.name != "id":
                variables.setdefault(field.kind, []).append(f"${name}.{field.name}")
    return variables
