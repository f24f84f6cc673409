"""Who looks at a page, and how it is to be presented: the project, and the preferences of the user."""

from dataclasses import dataclass
from typing import Any

from app.core.caller import SYSTEM
from app.core.colors import project_color
from app.query.collection import USERS
from app.query.filter import compare
from app.query.read import FieldSelection, Read
from app.repositories.directory import Directory
from app.repositories.engine.reading import ReadRepository
from app.repositories.project_settings import PRODUCT_NAME, displayed_name, read_project_settings
from app.repositories.services import Services
from app.studio.initials import initials
from app.studio.translations import choose_language

THEMES = ("auto", "light", "dark")
PREFERENCES = ("first_name", "last_name", "email", "language", "appearance", "avatar")
PROJECT_SETTINGS = (
    "project_name",
    "project_color",
    "project_logo",
    "default_language",
    "default_appearance",
    "public_note",
    "public_registration",
)


@dataclass(frozen=True, slots=True)
class Project:
    """What every visitor may know of the project; `logo` is the id of a file."""

    name: str
    color: str
    logo: str | None
    language: str | None
    appearance: str
    note: str | None
    is_registration_open: bool


DEFAULT_PROJECT = Project(PRODUCT_NAME, project_color(None), None, None, THEMES[0], None, is_registration_open=False)
"""What pages show while the database is unavailable."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The user of a page, None for a visitor, with the language and the appearance of the page."""

    id: str | None
    name: str
    initials: str
    avatar: str | None
    language: str
    appearance: str
    """`auto`, `light` or `dark`."""


async def read_project(services: Services) -> Project:
    """Return the project as it is now."""
    values = await read_project_settings(services, *PROJECT_SETTINGS)
    return Project(
        displayed_name(values.get("project_name")),
        project_color(values.get("project_color")),
        _key(values.get("project_logo")),
        values.get("default_language"),
        _theme(values.get("default_appearance")),
        values.get("public_note"),
        bool(values.get("public_registration")),
    )


async def read_viewer(directory: Directory, project: Project, accepted_languages: str) -> Viewer:
    """Return the user of a request, or a visitor.

    The user's own name and preferences are read whatever the policies say: they are shown to that user only.
    """
    user = directory.caller.user
    row = await _read_preferences(directory.services, user) if user else {}
    names = [part for part in (row.get("first_name"), row.get("last_name")) if part]
    return Viewer(
        user,
        " ".join(names) or row.get("email") or "",
        initials(row),
        _key(row.get("avatar")),
        choose_language(row.get("language"), accepted_languages, project.language),
        _theme(row.get("appearance") or project.appearance),
    )


async def _read_preferences(services: Services, user: str) -> dict[str, Any]:
    users = services.registry.own(USERS)
    fields = tuple(FieldSelection(name, users.fields[name]) for name in PREFERENCES)
    read = Read(users, fields, filter=compare(users.key, None, "_eq", user), limit=1)
    rows = await ReadRepository(users, SYSTEM, services).read(read)
    return rows[0] if rows else {}


def _key(value: Any) -> str | None:
    key = value.get("id") if isinstance(value, dict) else value
    return str(key) if key else None


def _theme(value: Any) -> str:
    return value if value in THEMES else THEMES[0]
