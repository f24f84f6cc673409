"""The picture on the own account page: offered to users who may change it, and refused as by the API otherwise."""

import pytest

from app.db.models import File
from tests.base_data import IS_SELF, uid
from tests.flows.inviters import user_row
from tests.http.clients import SESSION, count_rows
from tests.studio.grants import grant
from tests.studio.test_user_avatar import PNG

PATH = "/account/avatar"


async def test_an_own_picture_is_shown_and_removed_again(ada):
    page = await ada.upload(PATH, "picture", "photo.png", PNG)
    profile = await ada.get("/account")

    assert page.location == "/admin/account?notice=picture-saved"
    stored = (await user_row(ada.system, "ada@example.com"))["avatar"]
    assert profile.attribute_at("[data-picture] img", "src") == f"/assets/{stored}"
    assert (await ada.post(f"{PATH}/remove")).location == "/admin/account?notice=picture-removed"
    assert (await user_row(ada.system, "ada@example.com"))["avatar"] is None
    assert not (await ada.get("/account")).html.select("[data-picture] img")


async def test_what_is_no_photo_is_reported_at_its_field(ada):
    page = await ada.upload(PATH, "picture", "photo.png", b"just text")

    assert page.status == 400
    assert page.errors == ["Picture: Choose a PNG, JPEG or WebP file."]
    assert "PNG, JPEG or WebP" in page.text_at("#error-picture")
    assert page.attribute_at("#field-email", "value") == "ada@example.com"


async def test_a_user_who_may_change_only_the_own_picture_is_offered_it(studio, vi):
    assert not (await vi.get("/account")).html.select("[data-picture-form]")
    await grant(studio.system, "update", "users", "avatar", permissions=IS_SELF)
    await grant(studio.system, "read", "users", "avatar", permissions=IS_SELF)
    await grant(studio.system, "create", "files", "*")
    await grant(studio.system, "read", "files", "id")

    assert (await vi.get("/account")).html.select("[data-picture-form]")
    assert (await vi.upload(PATH, "picture", "photo.png", PNG)).status == 303
    assert (await vi.upload(f"/users/{uid('will')}/avatar", "picture", "photo.png", PNG)).status == 403


async def test_it_is_refused_before_anything_is_stored(vi):
    before = await count_rows(vi.system, File)

    assert (await vi.upload(PATH, "picture", "photo.png", PNG)).status == 403
    assert (await vi.post(f"{PATH}/remove")).status == 403
    assert await count_rows(vi.system, File) == before


@pytest.mark.parametrize("path", [PATH, f"{PATH}/remove"])
async def test_a_form_without_the_token_of_its_user_is_refused(ada, path):
    page = await ada.upload(path, "picture", "photo.png", PNG, token="0" * 64)

    assert page.status in (400, 403)
    assert (await user_row(ada.system, "ada@example.com"))["avatar"] is None


NAVIGATION = ".account-link img"


async def test_the_navigation_shows_the_own_picture(ada):
    assert not (await ada.get("/account")).html.select(NAVIGATION)
    await ada.upload(PATH, "picture", "photo.png", PNG)
    stored = (await user_row(ada.system, "ada@example.com"))["avatar"]

    page = await ada.get("/policies")

    assert page.attribute_at(NAVIGATION, "src") == f"/assets/{stored}"
    headers = {"cookie": f"{SESSION}={ada.cookies[SESSION]}"}
    assert (await ada.client.get(f"/assets/{stored}", headers=headers)).status_code == 200


@pytest.mark.parametrize(("rule", "is_shown"), [(None, True), ({"type": {"_eq": "image/gif"}}, False)])
async def test_the_navigation_shows_no_picture_that_the_user_may_not_read(ada, vi, rule, is_shown):
    picture = await ada.upload(f"/users/{uid('vi')}/avatar", "picture", "photo.png", PNG)
    assert picture.status == 303
    assert not (await vi.get("/account")).html.select(NAVIGATION)

    await grant(ada.system, "read", "files", "*", permissions=rule)

    assert bool((await vi.get("/account")).html.select(NAVIGATION)) is is_shown
