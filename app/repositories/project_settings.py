"""The project's settings, read by the server itself: the one place that reads `directus_settings` as SYSTEM."""

from typing import Any

from app.core.caller import SYSTEM
from app.query.collection import SETTINGS
from app.query.read import FieldSelection, Read
from app.repositories.engine.reading import ReadRepository
from app.repositories.services import Services

PRODUCT_NAME = "Rollcall"
DIRECTUS_DEFAULT_NAME = "Directus"
"""The name of a project that was never named: Directus' default of the column, and what clients expect to read."""


async def read_project_settings(services: Services, *names: str) -> dict[str, Any]:
    """Return the named settings as they are now; an empty dict if there is no settings row.

    Raises:
        ServiceUnavailable: The database cannot be reached.
    """
    fields = tuple(FieldSelection(name, SETTINGS.fields[name]) for name in names)
    rows = await ReadRepository(SETTINGS, SYSTEM, services).read(Read(SETTINGS, fields, limit=1))
    return rows[0] if rows else {}


async def read_password_policy(services: Services) -> str | None:
    """Return the regular expression that new passwords must match; None if the project has none."""
    policy: str | None = (await read_project_settings(services, "auth_password_policy")).get("auth_password_policy")
    return policy


async def read_project_name(services: Services) -> str:
    """Return the project's name for mails and authenticator apps; without one of its own, the product's."""
    return displayed_name((await read_project_settings(services, "project_name")).get("project_name"))


def displayed_name(name: str | None) -> str:
    """Return a stored name of the project; that of the product if the project was never named."""
    return PRODUCT_NAME if name in (None, "", DIRECTUS_DEFAULT_NAME) else name
