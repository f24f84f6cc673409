"""The size of a stored filter is limited when it is written, as REST and as GraphQL; one beyond it grants nothing."""

from typing import Any

import pytest

from app.core.errors import InvalidPayload
from tests.base_data import caller, uid

pytestmark = pytest.mark.one_database

LARGE = {"_or": [{"title": {"_eq": "x"}}] * 500}
DEEP: dict[str, Any] = {"title": {"_eq": "x"}}
for _ in range(40):
    DEEP = {"_and": [DEEP]}
PERMISSION = {
    "policy": uid("policy-Themselves"),
    "collection": "directus_users",
    "action": "update",
    "fields": ["title"],
}
CREATE = "mutation($data: create_directus_permissions_input!) { create_permissions_item(data: $data) { id } }"
UPDATE = (
    "mutation($id: ID!, $data: update_directus_permissions_input!) "
    "{ update_permissions_item(id: $id, data: $data) { id } }"
)
SETTINGS = "mutation($data: update_directus_settings_input!) { update_settings(data: $data) { id } }"


@pytest.mark.parametrize(("filter_", "reason"), [(LARGE, "more than 500 parts"), (DEEP, "more than 32 levels deep")])
@pytest.mark.parametrize("field", ["permissions", "validation"])
async def test_a_rule_over_a_limit_is_not_stored(editors, field, filter_, reason):
    permissions = editors.directory(caller("ada"))["permissions"]
    key = await permissions.create_one({**PERMISSION, field: {"title": {"_eq": "x"}}})
    for write in (
        permissions.create_one({**PERMISSION, field: filter_}),
        permissions.update_one(key, {field: filter_}),
    ):
        with pytest.raises(InvalidPayload, match=f'"{field}": .*{reason}'):
            await write
    data = {field: filter_}
    results = [
        await editors.execute(CREATE, {"data": {**PERMISSION, **data}}, caller("ada")),
        await editors.execute(UPDATE, {"id": str(key), "data": data}, caller("ada")),
    ]

    assert [reason in result.errors[0].original_error.text for result in results] == [True, True]
    assert (await permissions.read_one(key))[field] == {"title": {"_eq": "x"}}


async def test_a_registration_filter_over_a_limit_is_not_stored(editors):
    settings = editors.directory(caller("ada"))["settings"]
    data = {"public_registration_email_filter": LARGE}
    with pytest.raises(InvalidPayload, match=r'"public_registration_email_filter": .*more than 500 parts'):
        await settings.upsert_singleton(data)
    result = await editors.execute(SETTINGS, {"data": data}, caller("ada"))

    assert "more than 500 parts" in result.errors[0].original_error.text
