"""Renders the templates of pages."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from gettext import NullTranslations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app.studio.form_token import form_token
from app.studio.initials import initials
from app.studio.notices import notice_message
from app.studio.static_files import StaticFiles
from app.studio.stored_texts import stored_text
from app.studio.translations import LANGUAGES, translations

DIRECTORY = Path(__file__).parent / "templates"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Templates:
    """The templates in `directory`, in each language of the Studio.

    Each language has its own environment: Jinja installs a catalog for a whole environment, and folds the translations
    of constant texts into the compiled templates.
    """

    def __init__(self, static_files: StaticFiles, directory: Path = DIRECTORY) -> None:
        self._static_files, self._directory = static_files, directory
        self._environments: dict[str, Environment] = {}

    def render(self, name: str, language: str, variables: Mapping[str, Any]) -> str:
        """Return a rendered template."""
        return self._environment(language).get_template(name).render(variables)

    def translations(self, language: str) -> NullTranslations:
        """Return the catalog of a language."""
        return translations(language)

    def _environment(self, language: str) -> Environment:
        environment = self._environments.get(language)
        if environment is None:
            environment = self._environments[language] = self._create_environment(language)
        return environment

    def _create_environment(self, language: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self._directory),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        environment.policies["ext.i18n.trimmed"] = True  # messages of several lines are one line in the catalogs
        environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
        gettext, ngettext = translations(language).gettext, translations(language).ngettext
        environment.globals |= {
            "notices": partial(notice_message, translate=gettext, translate_plural=ngettext),
            "static": self._static_files.path,
            "theme": self._static_files.theme_path,
            "languages": LANGUAGES,
            "language": language,
            "form_token": form_token,
        }
        environment.filters |= {
            "initials": initials,
            "stored_text": partial(stored_text, translate=gettext),
            "timestamp": timestamp_element,
            "fragment": url_fragment,
            "short_date": partial(short_date, language=language),
        }
        return environment


def url_fragment(values: Mapping[str, Any]) -> str:
    """Return values for the fragment of an address, which browsers never send to a server; objects as JSON."""
    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in values.items()}
    return urlencode({name: text for name, text in texts.items() if text})


def short_date(day: date, language: str) -> str:
    """Return a day of this year in few characters, such as "Nov 17" or "17.11."."""
    return f"{day.day}.{day.month}." if language == "de" else f"{MONTHS[day.month - 1]} {day.day}"


def timestamp_element(value: str | datetime | None) -> Markup:
    """Return an element with a time in UTC, which a script shows in the browser's time zone; a dash for None."""
    if value is None:
        return Markup('<span class="faint">–</span>')  # noqa: RUF001  # an en dash
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = f"{time:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" data-local>{}</time>').format(escape(time.isoformat()), text)
