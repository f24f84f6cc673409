"""In which language a page is: that of the user, else of the browser, else of the project."""

import pytest

from app.studio.translations import choose_language
from tests.flows.inviters import update_settings, update_user

TITLE = {"en": "Sign in", "de": "Anmelden"}


@pytest.mark.parametrize(
    ("preferred", "accepted", "default", "language"),
    [
        ("de-DE", "en", "en-US", "de"),
        ("de", "en", "en-US", "de"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "en-US", "de"),
        (None, "en;q=0.5, de;q=0.9", None, "de"),
        (None, "de;q=0, en", None, "en"),
        (None, "fr, de;q=0.1", None, "de"),
        (None, "", "de-DE", "de"),
        (None, "", None, "en"),
        ("cs-CZ", "de", "en-US", "de"),
        ("xx", "yy, *", "zz", "en"),
        (None, "de;q=nonsense, en", None, "en"),
    ],
)
def test_the_user_precedes_the_browser_and_the_browser_the_project(preferred, accepted, default, language):
    assert choose_language(preferred, accepted, default) == language


@pytest.mark.parametrize("language", TITLE)
async def test_a_visitor_reads_the_language_of_the_browser(studio, language):
    page = await studio.get("/sign-in", {"accept-language": f"{language}, fr;q=0.5"})

    assert page.html.html["lang"] == language
    assert page.html.h1.text == TITLE[language]


async def test_a_visitor_without_a_language_reads_that_of_the_project(studio):
    await update_settings(studio.system, default_language="de-DE")
    page = await studio.get("/sign-in")

    assert page.html.h1.text == TITLE["de"]


async def test_a_user_reads_the_chosen_language_whatever_the_browser_asks_for(vi):
    await update_user(vi.system, "vi", language="de-DE")
    page = await vi.get("", {"accept-language": "en"})

    assert page.html.html["lang"] == "de"
    assert "Abmelden" in page.text
