"""The page that explains access answers questions of admins about everyone, and of others about themselves."""

from urllib.parse import urlencode

import pytest

from tests.base_data import uid


def asking(**question):
    return f"/access?{urlencode({'action': 'read', 'collection': 'users', **question})}"


async def test_an_admin_finds_the_rule_that_hides_a_user(ada):
    page = await ada.get(asking(user="ed@example.com", item="sue@example.com", field="email"))

    assert page.status == 200
    assert page.text_at("#answer-heading") == "ed@example.com cannot read the field email of Sue (users)"
    assert "Not allowed" in page.text
    assert 'Status is active: false (status is “suspended”) status _eq "active"' in page.text
    assert "Its fields do not include email." in page.text
    assert page.has_link(f"/admin/policies/{uid('policy-Editors')}")
    (link,) = [link for link in page.html.find_all("a") if "Edit this rule Permission 3" in " ".join(link.text.split())]
    editor = link["href"].removeprefix("/admin")
    assert (await ada.get(editor)).status == 200


async def test_what_is_allowed_names_the_permission(ada):
    page = await ada.get(asking(user=uid("ed"), item=uid("vi"), field="email"))

    assert page.text_at("#answer-heading") == "ed@example.com can read the field email of Vi (users)"


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
    assert page.errors == ["User: No user matches “nobody@example.com”. Enter an email address or an id."]


@pytest.mark.parametrize(("field", "label"), [("user", "User"), ("item", "Item")])
async def test_a_user_is_found_by_a_name(ada, field, label):
    one, none = await ada.get(asking(**{field: "edel"})), await ada.get(asking(**{field: "Leo Cruz"}))
    several = await ada.get(asking(**{field: "example.com"}))

    assert one.status == 200
    assert one.html.select_one("#answer-heading")
    assert none.errors == [f"{label}: No user matches “Leo Cruz”. Enter an email address or an id."]
    assert several.html.select_one("#answer-heading") is None
    assert f"{field}=ed%40example.com" in several.html.find("a", string="Ed Edelman")["href"]
    statuses = [badge.get_text() for badge in several.html.select(".matches .badge")]
    assert "Suspended" in statuses


async def test_a_name_finds_only_visible_users(vi):
    page = await vi.get(asking(item="nobody such"))

    assert page.errors == ["Item: No user matches “nobody such”. Enter an email address or an id."]


async def test_an_invalid_or_unknown_key_is_reported_at_its_field(ada):
    invalid = await ada.get(asking(collection="roles", item="Editor"))
    unknown = await ada.get(asking(collection="roles", item=uid("no such role")))

    assert invalid.errors == ["Item: “Editor” is not an id. Enter the id of a row."]
    assert unknown.errors == ["Item: This collection has no row with this id that you can see."]


async def test_the_page_of_a_user_links_to_both_questions(ada):
    page = await ada.get(f"/users/{uid('sue')}")
    links = {link.get_text(): link["href"].removeprefix("/admin") for link in page.html.select(".actions a")}
    item = await ada.get(links["Who may see this user?"])
    user = await ada.get(links["What may this user do?"])

    assert item.attribute_at("#field-item", "value") == "sue@example.com"
    assert item.html.select_one("#users-heading")
    assert user.attribute_at("#field-user", "value") == "sue@example.com"
