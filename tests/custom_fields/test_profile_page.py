"""The own account in the Studio with custom fields of users."""

import pytest_asyncio
from sqlalchemy import text

from tests.base_data import IS_SELF, uid
from tests.http.clients import PASSWORD, PASSWORD_HASH
from tests.studio.visitors import Visitor
from tests.writes.editors import make_permission

NUMBER = 900


async def signed_in(custom, client, name):
    async with custom.database.transaction() as connection:
        values = {"hash": PASSWORD_HASH, "id": uid(name)}
        await connection.execute(
            text("UPDATE directus_users SET password = :hash, tfa_secret = NULL WHERE id = :id"), values
        )
    visitor = Visitor(client, custom, uid(name))
    page = await visitor.post("/sign-in", {"email": f"{name}@example.com", "password": PASSWORD})
    assert page.status == 303
    return visitor


@pytest_asyncio.fixture
async def sam(custom, client):
    """Sam, who may read everything of his own, and may change one custom field."""
    permission = make_permission(NUMBER, "Themselves", "update", "users", "badge_number", permissions=IS_SELF)
    await custom.load({"directus_permissions": [permission]})
    return await signed_in(custom, client, "sam")


async def test_custom_fields_are_offered_where_they_may_be_changed_and_shown_where_they_may_be_read(sam):
    page = await sam.get("/account")

    assert page.status == 200, page.text
    assert page.attribute_at("#field-badge_number", "inputmode") == "numeric"
    assert {field["name"] for field in page.html.select("main form [name]")} == {"form_token", "badge_number"}
    assert "Phone" in page.text_at("dl.details")
    assert "Pin" not in page.text_at("dl.details")


async def test_a_custom_field_is_saved_and_a_text_that_is_no_number_is_reported_at_it(sam):
    rejected = await sam.post("/account", {"badge_number": "many"})
    saved = await sam.post("/account", {"badge_number": "7"})

    assert rejected.status == 422
    assert rejected.attribute_at("#field-badge_number", "value") == "many"
    assert saved.location == "/admin/account?notice=profile-saved"
    assert (await sam.get("/account")).attribute_at("#field-badge_number", "value") == "7"
