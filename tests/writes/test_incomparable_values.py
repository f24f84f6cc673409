"""Rules that compare with a value of the caller that is infinity, as Directus may store it, or of another kind."""

import pytest

from app.core.errors import FailedValidation, RollcallError
from app.policy import validation as validation_module
from tests.base_data import caller, make_access, make_policy, make_user, uid
from tests.logs import captured_logs
from tests.writes.editors import make_permission

pytestmark = pytest.mark.both_databases

OWN_DATE = "$CURRENT_USER.last_access"
EARLY, LATE = "2023-06-01T00:00:00Z", "2025-06-01T00:00:00Z"
BEFORE, AFTER = {"last_access": {"_lt": OWN_DATE}}, {"last_access": {"_gt": OWN_DATE}}
WITHIN = {"last_access": {"_between": ["2024-01-01", OWN_DATE]}}


async def load(editors, stored, **rules):
    await editors.load(
        {
            "directus_users": [make_user("tim", None, last_access=stored, title="x")],
            "directus_policies": [make_policy("Tim")],
            "directus_access": [make_access("Tim", user="tim")],
            "directus_permissions": [
                make_permission(900, "Tim", "read", "users", "id"),
                make_permission(901, "Tim", "update", "users", "last_access,first_name", **rules),
            ],
        }
    )
    return editors.directory(caller("tim"))["users"]


async def error_of(users, name="ed", **values):
    try:
        await users.dry_run(users.update_command([uid(name)], values))
    except RollcallError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("stored", "validation", "accepted"),
    [
        ("infinity", BEFORE, [EARLY, LATE]),
        ("infinity", AFTER, []),
        ("-infinity", BEFORE, []),
        ("-infinity", AFTER, [EARLY, LATE]),
        ("infinity", WITHIN, [LATE]),
        ("-infinity", WITHIN, []),
        ("infinity", {"last_access": {"_neq": OWN_DATE}}, [EARLY, LATE]),
        ("infinity", {"last_access": {"_in": [OWN_DATE, EARLY]}}, [EARLY]),
        ("infinity", {"last_access": {"_nnull": True}}, [EARLY, LATE]),
        ("infinity", {"last_access": {"_null": True}}, []),
        ("infinity", {"last_access": {"_submitted": True}}, [EARLY, LATE]),
        ("2024-01-01T00:00:00Z", BEFORE, [EARLY]),
    ],
)
async def test_a_validation_compares_with_infinity_as_the_database_does(editors, stored, validation, accepted):
    users = await load(editors, stored, validation=validation)
    errors = {date: await error_of(users, last_access=date) for date in (EARLY, LATE)}

    assert [date for date, error in errors.items() if error is None] == accepted
    assert all(error is None or isinstance(error, FailedValidation) for error in errors.values())


@pytest.mark.parametrize(("stored", "allowed"), [("infinity", True), ("-infinity", False)])
async def test_a_rule_of_rows_compares_with_infinity(editors, stored, allowed):
    users = await load(editors, stored, permissions=BEFORE)
    await editors.load({"directus_users": [{"id": uid("ed"), "last_access": EARLY}]})

    assert (await error_of(users, first_name="New") is None) is allowed


@pytest.mark.parametrize(
    "validation",
    [
        {"last_access": {"_gte": "$CURRENT_USER.title"}},
        {"last_access": {"_neq": "$CURRENT_USER.title"}},
        {"last_access": {"_between": ["$CURRENT_USER.title", LATE]}},
        {"first_name": {"_contains": OWN_DATE}},
        {"first_name": {"_ncontains": OWN_DATE}},
        {"first_name": {"_istarts_with": OWN_DATE}},
    ],
)
async def test_a_value_of_another_kind_satisfies_no_validation_and_is_logged(editors, validation):
    users = await load(editors, EARLY, validation=validation)
    with captured_logs(validation_module) as logs:
        error = await error_of(users, last_access=LATE, first_name="New")
    (field,) = validation

    assert isinstance(error, FailedValidation)
    assert ("validation_not_comparable", field) in {(entry["event"], entry["field"]) for entry in logs}


async def test_a_preset_that_is_infinity_is_rejected_with_its_reason(editors):
    users = await load(editors, "infinity", presets={"last_access": OWN_DATE})

    assert "Expected a date of the years 1 to 9999" in str(await error_of(users, first_name="New"))
