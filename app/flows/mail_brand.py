"""How a project presents itself in mails: its name, its color and its logo."""

from dataclasses import dataclass
from typing import Any

from app.core.caller import SYSTEM
from app.core.colors import project_color, text_color_on
from app.core.config import Settings
from app.mail.message import one_line
from app.query.collection import FILES
from app.query.filter import compare
from app.query.read import FieldSelection, Read
from app.repositories.engine.reading import ReadRepository
from app.repositories.project_settings import displayed_name, read_project_settings
from app.repositories.services import Services

LOGO_PATH = "/admin/logo/"
"""The path of a page of the Studio, which serves the logo to everybody."""
MAIL_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif")
"""What mail programs show."""


@dataclass(frozen=True, slots=True)
class MailBrand:
    """The name, the color and the color of texts on it; `logo` is a URL, None if mails have no logo."""

    name: str
    color: str
    text_color: str
    logo: str | None


async def read_mail_brand(services: Services) -> MailBrand:
    """Return how the project presents itself now.

    Raises:
        ServiceUnavailable: The database is unavailable.
    """
    values = await read_project_settings(services, "project_name", "project_color", "project_logo")
    name, color = one_line(displayed_name(values.get("project_name"))), project_color(values.get("project_color"))
    logo = await _logo_url(services, values.get("project_logo"))
    return MailBrand(name, color, text_color_on(color), logo)


def server_url(settings: Settings) -> str:
    """Return the URL of the server without a slash at its end."""
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


async def _logo_url(services: Services, logo: Any) -> str | None:
    """Return the URL of the logo, if the Studio serves it, recipients can reach the server, and mails can show it."""
    settings = services.settings
    if not logo or not settings.studio or not settings.public_url:
        return None
    key = logo["id"] if isinstance(logo, dict) else logo
    read = Read(FILES, (FieldSelection("type", FILES.fields["type"]),), filter=compare(FILES.key, None, "_eq", key))
    rows = await ReadRepository(FILES, SYSTEM, services).read(read)
    is_shown = bool(rows) and rows[0]["type"] in MAIL_IMAGE_TYPES
    return f"{server_url(settings)}{LOGO_PATH}{key}" if is_shown else None
