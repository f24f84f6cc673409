"""Variables that follow a path of the caller's own row, in presets and validations."""

from datetime import datetime, timedelta

import pytest

from app.core.caller import SYSTEM
from app.core.clock import utc_now
from app.core.errors import FailedValidation
from tests.base_data import caller, uid

pytestmark = pytest.mark.one_database

WES, CREATE_USERS = caller("wes"), 101


async def set_permission(system, **values):
    await system.directory(SYSTEM)["permissions"].update_one(CREATE_USERS, values)


async def created(system, **values):
    """Return a user that Wes creates, as the database holds it."""
    key = await system.directory(WES)["users"].create_one({"email": "new@example.com", **values})
    return await system.directory(SYSTEM)["users"].read_one(key, {"fields": ["title", "tags", "description"]})


@pytest.mark.parametrize(
    ("variable", "expected"),
    [("$CURRENT_USER.first_name", "Wes"), ("$CURRENT_USER.role.name", "Writer"), ("$CURRENT_USER.location", None)],
)
async def test_a_preset_takes_the_value_at_the_end_of_a_path(editors, variable, expected):
    await set_permission(editors, presets={"role": "$CURRENT_ROLE", "title": variable})

    assert (await created(editors))["title"] == expected


async def test_a_preset_may_hold_variables_at_any_depth(editors):
    tags = ["$CURRENT_USER", ["$CURRENT_ROLES"], {"key": "$CURRENT_USER.role.name"}, "by $CURRENT_USER", "$NOBODY"]
    await set_permission(editors, presets={"role": "$CURRENT_ROLE", "tags": tags}, fields=["*"])

    role = uid("role-Writer")
    assert (await created(editors))["tags"] == [
        uid("wes"), [[role]], {"key": "Writer"}, "by $CURRENT_USER", "$NOBODY"
    ]  # fmt: skip


PRESETS = {
    "$CURRENT_USER": uid("wes"),
    "$CURRENT_ROLE": uid("role-Writer"),
    "$CURRENT_ROLES": [uid("role-Writer")],
    "$CURRENT_POLICIES": [uid("policy-Writers")],
    "$CURRENT_USER.first_name": "Wes",
    "$CURRENT_USER.location": None,
    "$CURRENT_USER.role": uid("role-Writer"),
    "$CURRENT_USER.role.name": "Writer",
    "$CURRENT_ROLE.name": "Writer",
    "$CURRENT_ROLE.policies.policy": [uid("policy-Writers")],
    "$CURRENT_USER.policies": [],
    "$CURRENT_USER.token": None,
    "$NOBODY": "$NOBODY",
    "by $CURRENT_USER": "by $CURRENT_USER",
}


async def test_the_own_permissions_show_the_values_of_presets(editors):
    presets = {f"field{index}": text for index, text in enumerate(PRESETS)}
    nested = {"nested": {"list": ["$CURRENT_USER", "$CURRENT_USER.first_name"]}, "now": "$NOW(-1 day)", "plain": 5}
    await set_permission(editors, presets=presets | nested)
    permissions = await editors.directory(WES).permissions()

    shown = permissions["directus_users"]["create"]["presets"]
    assert [shown[name] for name in presets] == list(PRESETS.values())
    assert (shown["nested"], shown["plain"]) == ({"list": [uid("wes"), "Wes"]}, 5)
    assert datetime.fromisoformat(shown["now"]) < utc_now() - timedelta(hours=23)


async def test_an_invalid_variable_in_a_preset_does_not_hide_the_other_permissions(editors):
    await set_permission(editors, presets={"title": "$CURRENT_USER.nothing", "description": "$CURRENT_USER"})
    permissions = await editors.directory(WES).permissions()

    assert permissions["directus_users"]["create"]["presets"]["title"] == "$CURRENT_USER.nothing"
    assert permissions["directus_users"]["update"]["presets"] == {"description": "touched"}


@pytest.mark.parametrize("condition", [{"_eq": "$CURRENT_USER.title"}, {"_in": ["$CURRENT_USER.title"]}])
async def test_a_validation_compares_with_the_value_at_the_end_of_a_path(editors, condition):
    await set_permission(editors, validation={"title": condition}, presets={"role": "$CURRENT_ROLE"})
    await editors.directory(SYSTEM)["users"].update_one(uid("wes"), {"title": "Lead"})

    with pytest.raises(FailedValidation):
        await created(editors, title="Chief")
    assert (await created(editors, title="Lead"))["title"] == "Lead"


async def test_a_validation_with_a_path_to_nothing_accepts_nothing(editors):
    await set_permission(
        editors, validation={"title": {"_eq": "$CURRENT_USER.location"}}, presets={"role": "$CURRENT_ROLE"}
    )

    with pytest.raises(FailedValidation):
        await created(editors, title="Lead")
