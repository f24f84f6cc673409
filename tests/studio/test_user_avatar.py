"""The picture of a user: uploaded with a form, shown through the assets, and removed again."""

import pytest

from app.db.models import File
from app.studio.form_token import form_token
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.http.clients import count_rows
from tests.studio.pages import ORIGIN, Page
from tests.studio.writers import sign_in_as

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89" + b"\0" * 100
PATH = f"/users/{uid('ed')}/avatar"


async def upload(browser, content=PNG, name="photo.png", path=PATH, **values):
    form = {"form_token": form_token(browser.settings, browser.user), **values}
    browser.client.cookies.clear()
    cookie = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    files = {"picture": (name, content, "image/png")} if content is not None else {"picture": ("", b"")}
    response = await browser.client.post(
        f"/admin{path}", data=form, files=files, headers={"cookie": cookie, "origin": ORIGIN}
    )
    return Page(response)


async def test_an_uploaded_picture_is_shown_and_removed_again(ada):
    page = await upload(ada)
    detail = await ada.get(f"/users/{uid('ed')}")
    source = detail.html.select_one("img.avatar")["src"]
    cookie = "; ".join(f"{key}={value}" for key, value in ada.cookies.items())
    asset = await ada.client.get(source, headers={"cookie": cookie})

    assert page.location == f"/admin/users/{uid('ed')}?notice=picture-saved"
    assert (asset.status_code, asset.content) == (200, PNG)
    assert (await ada.get("/users?search=ed+edel")).html.select_one("tbody img.avatar")["src"] == source
    removed = await ada.post(f"{PATH}/remove")
    assert removed.location.endswith("?notice=picture-removed")
    assert (await user_row(ada.system, "ed@example.com"))["avatar"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Choose a PNG, JPEG or WebP file."),
        (b"GIF89a" + b"\0" * 50, "Choose a PNG, JPEG or WebP file."),
        (b"just text", "Choose a PNG, JPEG or WebP file."),
        (None, "Choose a file."),
        (PNG + b"\0" * 2_000_000, "The request's body is larger than the"),
    ],
    ids=["svg", "gif", "text", "no file", "too large"],
)
async def test_what_is_no_small_photo_is_reported_at_its_field(ada, content, message):
    before = await count_rows(ada.system, File)

    page = await upload(ada, content)

    assert page.status == 400
    assert message in page.html.find(id="error-picture").get_text()
    assert await count_rows(ada.system, File) == before


async def test_a_form_without_the_token_of_its_user_stores_nothing(ada):
    before = await count_rows(ada.system, File)

    page = await upload(ada, form_token="0" * 64)

    assert page.status == 403
    assert await count_rows(ada.system, File) == before


@pytest.mark.parametrize("name", ["vi", "wes"])
async def test_it_is_refused_before_anything_is_stored(studio, members, name):
    browser = await sign_in_as(studio, members, name)
    before = await count_rows(members, File)

    page = await upload(browser, path=f"/users/{uid('will')}/avatar")

    assert page.status == 403
    assert await count_rows(members, File) == before
