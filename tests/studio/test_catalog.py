"""The German texts of the Studio: none is missing, and what is compiled is what was translated."""

import re
from gettext import GNUTranslations
from io import BytesIO

import pytest

from app.studio.translations import translations
from tests.studio.catalog import LANGUAGE, PO, compiled, messages, originals, po_text, read_catalog, texts, updated

PLACEHOLDERS = re.compile(r"%\(\w+\)s|\{\w*\}")
INFORMAL = re.compile(r"\b(du|dich|dir|dein\w*)\b", re.IGNORECASE)
MAKE = "run `make translations`"


@pytest.fixture(scope="module")
def catalog():
    return read_catalog()


def content(translation):
    """Return the texts of a compiled catalog without its header."""
    return {key: text for key, text in translation._catalog.items() if key}


def test_the_catalog_has_exactly_the_messages_of_the_code():
    assert po_text(updated(read_catalog())) == PO.read_text(), MAKE


def test_every_message_has_a_german_text(catalog):
    assert [message.id for message in messages(catalog) if message.fuzzy or not all(texts(message))] == []


def test_the_compiled_catalog_is_that_of_the_texts(catalog):
    assert content(translations(LANGUAGE)) == content(GNUTranslations(BytesIO(compiled(catalog)))), MAKE


def test_a_text_has_the_placeholders_of_its_message(catalog):
    for message in messages(catalog):
        for original, text in zip(originals(message), texts(message), strict=True):
            if text:
                assert sorted(PLACEHOLDERS.findall(text)) == sorted(PLACEHOLDERS.findall(original)), original


def test_texts_address_users_formally(catalog):
    assert [text for message in messages(catalog) for text in texts(message) if INFORMAL.search(text)] == []


def test_german_has_two_plural_forms():
    german = translations(LANGUAGE)

    assert [german.ngettext("one", "many", count) for count in (0, 1, 2)] == ["many", "one", "many"]
    assert german.info()["plural-forms"] == "nplurals=2; plural=(n != 1);"
