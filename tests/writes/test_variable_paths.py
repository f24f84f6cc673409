"""Variables that follow a path of the caller's own row, in presets and validations."""

import pytest

from app.core.caller import SYSTEM
from app.core.errors import FailedValidation
from tests.base_data import caller, uid

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
