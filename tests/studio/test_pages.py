"""What all pages have in common: their headers, their language, and their errors."""

import re

import pytest

from app.studio.static_files import StaticFiles
from tests.http.test_graphql import served


@pytest.mark.parametrize("path", ["/sign-in", "", "/does/not/exist"])
async def test_pages_allow_no_foreign_content_and_are_not_stored(ada, path):
    headers = (await ada.get(path)).response.headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "strict-origin"


async def test_pages_have_no_inline_script_or_style(ada):
    for path in ("/sign-in", "", "/users"):
        html = (await ada.get(path)).html
        assert not html.find_all("style")
        assert not html.find_all(style=True)
        assert all(script.get("src") and not script.string for script in html.find_all("script"))
        assert not [name for tag in html.find_all(True) for name in tag.attrs if name.startswith("on")]


async def test_static_files_are_stored_by_every_cache(ada):
    html = (await ada.get("/users")).html
    links = [link["href"] for link in html.find_all("link")] + [script["src"] for script in html.find_all("script")]

    assert len(links) >= 4
    for link in links:
        response = (await ada.get(link.removeprefix("/admin"))).response
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "set-cookie" not in response.headers


def test_a_file_must_be_one_of_the_studio():
    files = StaticFiles()

    assert re.fullmatch(r"/static/[0-9a-f]{12}/studio\.css", files.path("studio.css"))
    with pytest.raises(KeyError):
        files.path("../site.py")


async def test_an_unknown_page_is_reported_in_the_visitors_language(studio):
    page = await studio.get("/does/not/exist", {"accept-language": "en"})

    assert page.status == 404
    assert "Page not found" in page.text


async def test_without_the_studio_its_paths_are_as_before(members):
    async with served(members.settings.model_copy(update={"studio": False})) as client:
        root, page = await client.get("/"), await client.get("/admin")
        verified = await client.get("/admin/users/1")

    assert root.status_code == page.status_code == 404
    assert root.json()["errors"][0]["extensions"]["code"] == "ROUTE_NOT_FOUND"
    assert verified.text == "Your address is confirmed. You can sign in now."
