"""The page that explains access answers questions of admins about everyone, and of others about themselves."""

from urllib.parse import urlencode

from tests.base_data import uid


def asking(**question):
    return f"/access?{urlencode({'action': 'read', 'collection': 'users', **question})}"


async def test_an_admin_finds_the_rule_that_hides_a_user(ada):
    page = await ada.get(asking(user="ed@example.com", item="sue@example.com", field="email"))

    assert page.status == 200
    assert page.html.select_one("#answer-heading").get_text(strip=True) == "Not allowed"
    assert 'status _eq "active" : false' in page.text
    assert "Its fields do not include email." in page.text
    assert page.has_link(f"/admin/policies/{uid('policy-Editors')}")
    editor = page.html.find("a", string="Permission 3")["href"].removeprefix("/admin")
    assert (await ada.get(editor)).status == 200


async def test_what_is_allowed_names_the_permission(ada):
    page = await ada.get(asking(user=uid("ed"), item=uid("vi"), field="email"))

    assert page.html.select_one("#answer-heading").get_text(strip=True) == "Allowed"


async def test_others_ask_about_themselves_only(vi):
    form, own = await vi.get("/access"), await vi.get(asking(field="title"))
    other = await vi.get(asking(user=uid("ed")))

    assert form.html.find("input", {"name": "user"}) is None
    assert "Allowed" in own.text
    assert other.status == 400
    assert other.html.select_one("#answer-heading") is None


async def test_an_unknown_address_is_reported_at_its_field(ada):
    page = await ada.get(asking(user="nobody@example.com"))

    assert page.status == 400
    assert page.errors == ["User: There is no user with this email address."]
