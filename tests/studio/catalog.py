"""The German catalog of the Studio. `python -m tests.studio.catalog` updates it from the code and compiles it.

Messages that are new stay without a translation, and those that are no longer used are removed; a test fails until all
have a translation. Edit `studio.po`, then run the command again: running the Studio takes the compiled catalog only.
"""

import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from app.studio.translations import DOMAIN, LOCALES

STUDIO = LOCALES.parent
LANGUAGE = "de"
PO = LOCALES / LANGUAGE / "LC_MESSAGES" / f"{DOMAIN}.po"
MO = PO.with_suffix(".mo")
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {
    "templates/**.html": {
        "extensions": "jinja2.ext.do",
        "silent": "false",
        "trim_blocks": "true",
        "lstrip_blocks": "true",
        "trimmed": "true",
        "newstyle_gettext": "true",
    }
}
"""The same as in `app.studio.templating`."""
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "translate": None,
    "translate_plural": (1, 2),
}
HEADERS = {"Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
"""Headers of the catalog; the others would change with each update, or say nothing."""
HEADER_LINE = re.compile(r'^"([A-Za-z-]+): .*\n', re.MULTILINE)
LINE_LENGTH = 120


def extracted() -> Catalog:
    """Return a catalog with the messages of the code, without translations."""
    catalog = Catalog(domain=DOMAIN)
    for file, _, message, comments, context in extract_from_dir(str(STUDIO), METHODS, OPTIONS, KEYWORDS):
        name = (Path("app/studio") / file).as_posix()
        catalog.add(message, locations=[(name, 0)], auto_comments=comments, context=context)
    return catalog


def read_catalog() -> Catalog:
    """Return the catalog with its translations."""
    with PO.open("rb") as file:
        return read_po(file, locale=LANGUAGE, domain=DOMAIN)


def updated(catalog: Catalog) -> Catalog:
    """Return the catalog with exactly the messages of the code."""
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def po_text(catalog: Catalog) -> str:
    """Return a catalog as text."""
    content = BytesIO()
    write_po(content, catalog, width=LINE_LENGTH, sort_by_file=True, include_lineno=False)
    return HEADER_LINE.sub(lambda line: line[0] if line[1] in HEADERS else "", content.getvalue().decode())


def compiled(catalog: Catalog) -> bytes:
    """Return a catalog as the Studio loads it."""
    content = BytesIO()
    write_mo(content, catalog)
    return content.getvalue()


def messages(catalog: Catalog) -> list[Message]:
    """Return the messages without the header."""
    return [message for message in catalog if message.id]


def update() -> None:
    """Write the updated and the compiled catalog."""
    catalog = updated(read_catalog())
    PO.write_text(po_text(catalog))
    MO.write_bytes(compiled(catalog))
    missing = [message for message in messages(catalog) if not all(texts(message))]
    sys.stdout.write(f"{len(messages(catalog))} messages, {len(missing)} without a translation\n")


def texts(message: Message) -> tuple[str, ...]:
    """Return the translation of a message, one text for each plural form; empty texts if there is none."""
    return _as_tuple(message.string or "")


def originals(message: Message) -> tuple[str, ...]:
    """Return the English texts of a message, one for each plural form."""
    return _as_tuple(message.id)


def _as_tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


if __name__ == "__main__":
    update()
