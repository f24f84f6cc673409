"""Rules in words, in English and German."""

import pytest

from app.query.collection import USERS
from app.query.filter import VARIABLE_NAMES, parse_filter
from app.query.operators import OPERATORS
from app.studio.pages.users.user_fields import rule_words
from app.studio.policy_editor.operator_labels import operator_labels
from app.studio.translations import translations

pytestmark = pytest.mark.one_database

OPERANDS = {"one": "x", "many": ["x", "y"], "pair": ["2020-01-01", "2021-01-01"], "flag": True}

EXAMPLES = [
    ({}, "", ""),
    ({"status": {"_eq": "active"}}, "Status is active", "Status ist aktiv"),
    ({"title": {"_eq": "active"}}, "Title is “active”", "Titel ist „active“"),
    ({"email_notifications": {"_eq": True}}, "Email notifications is yes", "Benachrichtigungen per E-Mail ist ja"),
    ({"title": {"_null": False}}, "Title is not null", "Titel ist nicht null"),
    ({"year(last_access)": {"_gt": 2020}}, "Last access: year is greater than 2020", None),
    ({"id": {"_eq": "$CURRENT_USER"}}, "Id is the signed-in user", "Id ist der angemeldete Benutzer"),
    ({"title": {"_eq": "$CURRENT_USER.title"}}, "Title is Title of the signed-in user", None),
    ({"last_access": {"_gt": "$NOW(-1 day)"}}, "Last access is greater than now (-1 day)", None),
    ({"role": {"name": {"_in": ["A", "B"]}}}, "Role: Name is one of “A”, “B”", "Rolle: Name ist eines von „A“, „B“"),
    ({"policies": {"_some": {"sort": {"_eq": 1}}}}, "Policies: at least one with Sort is 1", None),
    ({"policies": {"_none": {"sort": {"_eq": 1}}}}, "Policies: none with Sort is 1", None),
    (
        {"_and": [{"status": {"_neq": "draft"}}, {"_or": [{"title": {"_empty": True}}, {"title": {"_eq": "A"}}]}]},
        "Status is not draft and (Title is empty or Title is “A”)",
        "Status ist nicht Entwurf und (Titel ist leer oder Titel ist „A“)",
    ),
]


def words(language, rule, **options):
    writer = rule_words(translations(language).gettext)
    return writer.text(USERS, parse_filter(USERS, rule, stored=True, **options))


@pytest.mark.parametrize(("rule", "english", "german"), EXAMPLES)
def test_a_rule_in_words(rule, english, german):
    assert words("en", rule) == english
    assert german is None or words("de", rule) == german


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_has_words_between_the_field_and_the_value(language, operator):
    definition = OPERATORS[operator]
    is_text = "string" in definition.kinds
    operand = OPERANDS[definition.arity] if is_text or definition.arity == "pair" else "2020-01-01"
    rule = {"title" if is_text else "last_access": {operator: operand}}
    text = words(language, rule, for_payload=definition.payload_only)

    assert operator not in text
    assert operator_labels(translations(language).gettext)[operator] in text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("variable", VARIABLE_NAMES)
def test_every_variable_has_words(language, variable):
    field = "last_access" if variable == "NOW" else "role"
    operator = "_in" if variable in ("CURRENT_ROLES", "CURRENT_POLICIES") else "_eq"

    assert "$" not in words(language, {field: {operator: f"${variable}"}})
