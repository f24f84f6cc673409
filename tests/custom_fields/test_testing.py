"""The pytest plugin serves the custom fields of a database, also those that a test adds."""

import pytest

from app.core.caller import SYSTEM, Caller
from app.core.errors import RollcallError
from app.testing import open_system
from tests.base_data import uid
from tests.custom_fields.database import describe
from tests.writes.conftest import run_sql

PHONE = {
    "columns": [{"table": "directus_users", "column": "phone", "type": "string"}],
    "directus_fields": [{"id": 1, "collection": "directus_users", "field": "phone"}],
}
VI = {"id": uid("vi"), "phone": "+49 1"}
QUERY = {"filter": {"phone": {"_eq": "+49 1"}}, "fields": ["phone"]}
GRAPHQL = '{ users(filter: { phone: { _eq: "+49 1" } }) { phone } }'


async def test_loaded_custom_fields_are_served_at_once(writable_db):
    await writable_db.load({**PHONE, "directus_users": [VI]})
    admin = await writable_db.as_user("ada@example.com")

    assert await admin["users"].read_by_query(QUERY) == [{"phone": "+49 1"}]
    assert (await writable_db.execute(GRAPHQL, caller=Caller(user=uid("ada")))).data == {"users": [{"phone": "+49 1"}]}


async def test_an_opened_database_has_its_custom_fields(writable_db):
    await writable_db.load({**PHONE, "directus_users": [VI]})
    async with open_system(writable_db.settings) as system:
        assert await system.directory(SYSTEM)["users"].read_by_query(QUERY) == [{"phone": "+49 1"}]


async def test_databases_with_equal_custom_fields_share_what_is_built_for_them(writable_db):
    await writable_db.load({**PHONE, "directus_users": [VI]})
    async with open_system(writable_db.settings) as system:
        assert system.services.registry is writable_db.services.registry
        await run_sql(
            writable_db.settings.database_url, "UPDATE directus_fields SET note = 'Office' WHERE field = 'phone';"
        )
        await system.reload_schema()
        assert system.services.registry["directus_users"].fields["phone"].note == "Office"
        assert writable_db.services.registry["directus_users"].fields["phone"].note is None


async def test_fields_that_were_added_by_sql_are_served_after_a_reload(writable_db):
    before = writable_db.directory(SYSTEM)
    added = f"ALTER TABLE directus_users ADD COLUMN phone varchar(9); {describe('phone')};"
    await run_sql(writable_db.settings.database_url, added)
    with pytest.raises(RollcallError, match="phone"):
        await before["users"].read_by_query(QUERY)
    await writable_db.reload_schema()

    assert await writable_db.directory(SYSTEM)["users"].read_by_query(QUERY) == []
