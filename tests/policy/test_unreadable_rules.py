"""Stored rules that can't be read: they grant nothing, and are logged once as a warning."""

import re

import orjson
import pytest

from app.policy import unreadable_rules
from app.policy.rules import parse_rule
from app.policy.unreadable_rules import MAX_LOGGED_IDS, MAX_REASON_LENGTH, UnreadableRuleLog
from app.testing import TestSystem
from tests.base_data import caller, uid
from tests.logs import captured_logs

SAM = caller("sam")
UPDATES = {"id": 60, "policy": uid("policy-Themselves"), "collection": "directus_users", "action": "update"}
LARGE = {"_or": [{"title": {"_eq": "a secret"}}] * 500}
NESTED = '{"_and":[' * 400 + '{"id":{"_null":true}}' + "]}" * 400


@pytest.fixture
def writable_db(restored_db):
    """The database of `restored_db`: no test here changes tables."""
    return restored_db


def warnings(logs):
    return [entry for entry in logs if entry["event"] == "permission_rule_unreadable"]


def warning(reason, action="update"):
    return {
        "event": "permission_rule_unreadable",
        "log_level": "warning",
        "permission": 60,
        "collection": "directus_users",
        "action": action,
        "reason": reason,
    }


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"permissions": {"no_such_field": {"_eq": 1}}}, 'permissions: "directus_users" has no field "no_such_field"'),
        ({"permissions": ["id"]}, "permissions: Invalid filter object"),
        ({"permissions": {"email": {"_is": "ann@example.com"}}}, 'permissions: .*"_is".*'),
        ({"permissions": {"id": {"_eq": "a secret"}}}, "permissions: .*UUID.*"),
        ({"validation": {"no_such_field": {"_eq": 1}}}, 'validation: "directus_users" has no field "no_such_field"'),
        ({"validation": {"role": {"name": {"_eq": "Limited"}}}}, 'validation: .*, not the rows related by "role"'),
        ({"validation": {"policies": {"_some": {}}}}, 'validation: .*, not the rows related by "policies"'),
        ({"validation": {"count(tags)": {"_lte": 1}}}, r'validation: .*, not "count\(tags\)"'),
        ({"validation": {"_or": [{"last_access_func": {"year": {"_gt": 1}}}]}}, r'validation: .*"year\(last_access\)"'),
        ({"validation": "a secret"}, "validation: Invalid filter object"),
        ({"permissions": LARGE}, "permissions: The filter has more than 500 parts"),
        ({"validation": LARGE}, "validation: The filter has more than 500 parts"),
        ({"permissions": {"email": {"_in": ["ann@example.com"] * 10_001}}}, 'permissions: "_in" has 10001 items.*'),
    ],
)
async def test_an_unreadable_rule_grants_nothing_and_is_logged_once_without_its_values(writable_db, columns, reason):
    await writable_db.load({"directus_permissions": [{**UPDATES, "fields": "title", **columns}]})

    with captured_logs(unreadable_rules) as logs:
        for _ in range(3):
            access = await writable_db.services.access_cache.reload(SAM)

    assert ("update", "directus_users") not in access.rules
    [entry] = warnings(logs)
    assert entry == warning(entry["reason"])
    assert re.fullmatch(reason, entry["reason"])
    assert not re.search("a secret|ann@example.com", entry["reason"])


@pytest.mark.parametrize("presets", [["a secret"], "a secret", 5])
async def test_unreadable_presets_are_not_applied_and_are_logged_once(writable_db, presets):
    await writable_db.load({"directus_permissions": [{**UPDATES, "fields": "title", "presets": presets}]})

    with captured_logs(unreadable_rules) as logs:
        for title in ("A", "B"):
            await writable_db.directory(SAM)["users"].update_one(uid("sam"), {"title": title})

    assert warnings(logs) == [warning("presets: not an object")]


async def test_an_unreadable_rule_is_logged_again_if_the_reason_changes(writable_db):
    with captured_logs(unreadable_rules) as logs:
        for field in ("first", "first", "second"):
            row = {**UPDATES, "fields": "title", "permissions": {field: {"_eq": 1}}}
            await writable_db.load({"directus_permissions": [row]})
            await writable_db.services.access_cache.reload(SAM)

    assert [entry["reason"][-7:] for entry in warnings(logs)] == ['"first"', 'second"']


async def test_another_process_logs_an_unreadable_rule_as_well(writable_db):
    await writable_db.load({"directus_permissions": [{**UPDATES, "fields": "title", "validation": {"a": 1}}]})

    with captured_logs(unreadable_rules) as logs:
        for _ in range(2):
            other = TestSystem(writable_db.database, writable_db.settings)
            await other.services.access_cache.reload(SAM)

    assert len(warnings(logs)) == 2


@pytest.mark.parametrize(
    "columns",
    [
        {"fields": "title", "permissions": None, "validation": None, "presets": None},
        {"fields": "title", "permissions": {}, "validation": {}, "presets": {}},
        {"fields": None},
        {"fields": "no_such_field"},
        {"fields": "title", "collection": "articles", "permissions": {"no_such_field": {"_eq": 1}}},
    ],
)
async def test_a_permission_that_is_readable_or_not_served_is_not_logged(writable_db, columns):
    await writable_db.load({"directus_permissions": [{**UPDATES, **columns}]})

    with captured_logs(unreadable_rules) as logs:
        await writable_db.services.access_cache.reload(SAM)

    assert warnings(logs) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        (NESTED, "The filter is nested more than 32 levels deep"),
        ('{"x": ' + "[" * 2000, "not valid JSON"),
    ],
)
def test_a_text_that_is_no_filter_grants_nothing(text, reason):
    assert parse_rule("read", "directus_users", text, "*") == (None, f"permissions: {reason}")
    assert parse_rule("update", "directus_users", None, "*", text) == (None, f"validation: {reason}")


@pytest.mark.parametrize("value", ["a secret", 5, None, ["a secret"]])
def test_a_filter_that_makes_the_parser_fail_grants_nothing(value):
    rule, problem = parse_rule("read", "directus_users", orjson.dumps({"role": {"_key": value}}).decode(), "*")

    assert rule is None
    assert problem is not None
    assert "a secret" not in problem


def test_presets_that_are_not_json_are_left_out_of_the_rule():
    rule, problem = parse_rule("update", "directus_users", None, "title", None, "{")

    assert rule == parse_rule("update", "directus_users", None, "title").rule
    assert problem == "presets: not valid JSON"


def test_a_reason_has_a_limited_length():
    _, problem = parse_rule("read", "directus_users", f'{{"{"x" * 10_000}": 1}}', "*")

    assert problem is not None
    assert len(problem) <= len("permissions: ") + MAX_REASON_LENGTH


def test_a_bounded_number_of_unreadable_rules_is_remembered():
    log = UnreadableRuleLog()
    with captured_logs(unreadable_rules) as logs:
        for number in range(2 * MAX_LOGGED_IDS):
            log.report(number, "directus_users", "read", "a reason")

    assert len(logs) == 2 * MAX_LOGGED_IDS
    assert len(log._reasons) <= MAX_LOGGED_IDS
