"""The pages on which users manage their API tokens, and admins those of others."""

import pytest

from tests.base_data import uid
from tests.http.clients import data_of
from tests.http.test_graphql import bearer

VIEWERS = uid("policy-Viewers")
PATHS = {"own": "/account/tokens", "other": f"/users/{uid('vi')}/tokens"}


async def create(visitor, path, **fields):
    page = await visitor.post(path, {"name": "Nightly report", **fields})
    assert page.status == 200, page.errors
    return page.text_at("#api-token").strip()


@pytest.mark.parametrize("whose", PATHS)
async def test_a_token_is_created_shown_once_listed_and_revoked(vi, ada, whose):
    visitor, path = (vi, PATHS["own"]) if whose == "own" else (ada, PATHS["other"])
    form = await visitor.get(f"{path}/new")
    secret = await create(
        visitor, path, read_only="true", policies=VIEWERS, ip_access="127.0.0.0/8", expires="2099-01-01"
    )
    used = await visitor.client.get("/users/me", params={"fields": "id"}, headers=bearer(secret))
    listed = await visitor.get(path)
    action = listed.attribute_at("tbody form", "action").removeprefix("/admin")
    revoked = await visitor.post(action)

    assert form.attribute_at("input[name=policies]", "value") == VIEWERS
    assert data_of(used) == {"id": uid("vi")}
    assert "Nightly report Read-only Viewers 127.0.0.0/8 2099-01-01 00:00 UTC" in listed.text
    assert secret not in listed.response.text
    assert revoked.location == f"/admin{path}?notice=token-revoked"
    assert "No API tokens" in (await visitor.get(path)).text
    assert (await visitor.client.get("/users/me", headers=bearer(secret))).status_code == 401


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": " "}, "Name: Enter a name."),
        ({"expires": "2020-01-01"}, "Expires: Enter a day in the future."),
        ({"expires": "soon"}, "Expires: Enter a day in the future."),
        ({"ip_access": "office"}, "IP addresses: This is no IP address and no network: office"),
    ],
)
async def test_a_rejected_form_names_the_field_and_keeps_what_was_entered(vi, fields, error):
    page = await vi.post(PATHS["own"], {"name": "Report", "read_only": "true", **fields})

    assert (page.status, page.errors) == (422, [error])
    assert page.html.select_one("#field-read_only[checked]")
    assert "No API tokens" in (await vi.get(PATHS["own"])).text


async def test_an_expired_token_is_marked_and_a_lost_policy_named_by_its_id(vi):
    await create(vi, PATHS["own"], policies=VIEWERS)
    async with vi.system.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE rollcall_tokens SET expires = '2020-01-01T00:00:00.000000Z'")
        await connection.exec_driver_sql("DELETE FROM rollcall_token_policies")
    page = await vi.get(PATHS["own"])

    assert "Nightly report No policy is left Expired 2020-01-01" in page.text


async def test_only_admins_see_the_tokens_of_others(vi, ada):
    pages = [await vi.get(PATHS["other"]), await vi.get(f"{PATHS['other']}/new"), await vi.post(PATHS["other"], {})]

    assert [page.status for page in pages] == [403] * 3
    assert (await ada.get(f"/users/{uid('vi')}")).has_link(f"/admin{PATHS['other']}")
    assert not (await vi.get(f"/users/{uid('vi')}")).has_link(f"/admin{PATHS['other']}")
