"""The page of a role says what remains to be done before anyone can work with it, in order."""

import pytest

from app.core.caller import SYSTEM
from tests.base_data import uid
from tests.flows.inviters import update_user
from tests.http.clients import PASSWORD_HASH

pytestmark = pytest.mark.one_database

EDITOR = uid("role-Editor")


def steps_on(page):
    return [(link.get_text(), link["href"].removeprefix("/admin")) for link in page.html.select(".next-steps a")]


async def test_each_step_leads_to_its_page_until_it_is_done(ada, studio):
    directory = studio.system.directory(SYSTEM)
    role = await directory["roles"].create_one({"name": "Helpdesk"})
    create, choose = ("Create policy for this role", f"/policies/new?role={role}"), "Choose permissions"
    invite = ("Invite users", f"/roles/{role}/invite")
    assert steps_on(await ada.get(f"/roles/{role}")) == [create, invite]

    policy = await directory["policies"].create_one({"name": "Helpdesk", "roles": [{"role": role}]})
    assert steps_on(await ada.get(f"/roles/{role}")) == [(choose, f"/policies/{policy}"), invite]

    permission = {"policy": policy, "collection": "directus_users", "action": "read", "fields": ["id"]}
    await directory["permissions"].create_one(permission)
    assert steps_on(await ada.get(f"/roles/{role}")) == [invite]

    await directory["users"].create_one({"email": "new@example.com", "role": role})
    page = await ada.get(f"/roles/{role}")
    assert steps_on(page) == []
    assert "Next steps" not in page.text


async def test_no_step_is_shown_to_who_may_not_take_it(studio):
    await update_user(studio.system, "ed", password=PASSWORD_HASH, tfa_secret=None)
    ed = await studio.sign_in("ed")
    role = await studio.system.directory(SYSTEM)["roles"].create_one({"name": "Helpdesk"})
    page = await ed.get(f"/roles/{role}")

    assert page.status == 200
    assert steps_on(page) == []
