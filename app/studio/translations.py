"""The languages of the Studio: gettext catalogs, and the choice of one for each request."""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

LOCALES = Path(__file__).parent / "locales"
DOMAIN = "studio"
SOURCE_LANGUAGE = "en"
LANGUAGES = {"en": "English", "de": "Deutsch"}
"""The languages of the pages, by code, as they call themselves."""
LANGUAGE_TAGS = {"en-US": "en", "de-DE": "de"}
"""The languages of the Studio as Directus stores them for users."""


@cache
def translations(language: str) -> NullTranslations:
    """Return the catalog of a language; that of the source language returns each message as it is."""
    path = LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    if language == SOURCE_LANGUAGE or not path.is_file():
        return NullTranslations()
    with path.open("rb") as file:
        return GNUTranslations(file)


def choose_language(preferred: str | None, accepted: str, default: str | None) -> str:
    """Return the code of the language to use.

    That is the user's `preferred` one, else the first that the browser's Accept-Language header names, else the
    project's `default`, each as a tag such as `de-DE`.
    """
    for tag in (preferred, *_tags_by_weight(accepted), default):
        code = (tag or "").partition("-")[0].strip().lower()
        if code in LANGUAGES:
            return code
    return SOURCE_LANGUAGE


def _tags_by_weight(header: str) -> list[str]:
    """Return the language tags of an Accept-Language header (RFC 9110, section 12.5.4), the preferred ones first."""
    weighted = []
    for part in header.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            weighted.append((-weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda item: item[0])]
