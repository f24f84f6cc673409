"""The page that finds who may do something lists users and roles, and links to explanations."""

from urllib.parse import urlencode

from tests.base_data import uid


def asking(**question):
    return f"/access/who-can?{urlencode({'action': 'read', 'collection': 'users', **question})}"


async def test_the_users_and_roles_that_can_read_a_field_are_listed(ada):
    page = await ada.get(asking(field="email", item="sue@example.com"))

    assert page.status == 200
    assert page.text_at("#users-heading").endswith(" users")
    assert "kit@example.com Only from some IP addresses" in page.text
    assert page.has_link(f"/admin/roles/{uid('role-Office')}")
    links = [link for link in page.html.find_all("a") if "Explain ada@example.com" in " ".join(link.text.split())]
    link = links[0]["href"]
    assert (await ada.get(link.removeprefix("/admin"))).status == 200


async def test_the_page_is_reached_from_the_explanation_of_access(ada, vi):
    page = await ada.get("/access?action=read&collection=users&field=email")

    assert page.has_link("/admin/access/who-can?action=read&collection=users&field=email")
    assert "Who can?" not in (await vi.get("/access")).text


async def test_only_admins_see_the_page(vi):
    assert (await vi.get(asking())).status == 403


async def test_what_does_not_exist_is_reported_at_its_field(ada):
    page = await ada.get(asking(item="nobody@example.com"))

    assert page.status == 400
    assert page.errors == ["Item: No user matches “nobody@example.com”. Enter an email address or an id."]


async def test_the_end_of_a_policy_is_set_and_shown(ada):
    values = {"policy": uid("policy-App"), "expires": "2099-01-02T03:04"}
    assigned = await ada.post(f"/users/{uid('sam')}/policies", values)
    user = await ada.get(f"/users/{uid('sam')}")
    policy = await ada.get(f"/policies/{uid('policy-App')}")
    attached = await ada.post(f"/roles/{uid('role-Viewer')}/policies/attach", values)
    role = await ada.get(f"/roles/{uid('role-Viewer')}")

    assert "policy-assigned" in assigned.location
    assert "policy-attached" in attached.location
    for page in (user, policy, role):
        assert page.html.select_one('time[datetime^="2099-01-02T03:04"]') is not None


async def test_users_see_which_of_their_access_ends(ada, vi):
    await ada.post(f"/users/{uid('vi')}/policies", {"policy": uid("policy-App"), "expires": "2099-01-02T03:04"})

    assert "Some of your access ends" in (await vi.get("/account/rights")).text


async def test_an_invalid_end_is_an_error(ada):
    page = await ada.post(f"/users/{uid('sam')}/policies", {"policy": uid("policy-App"), "expires": "soon"})

    assert page.status == 400


async def test_the_end_that_was_entered_stays_when_effects_are_previewed(ada):
    values = {"policy": uid("policy-App"), "expires": "2099-01-02T03:04"}
    page = await ada.post(f"/roles/{uid('role-Viewer')}/policies/effects", values)

    assert page.status == 200
    assert page.attribute_at('.role-attach input[name="expires"]', "value") == "2099-01-02T03:04"
    assert page.attribute_at("option[selected]", "value") == uid("policy-App")
