"""What the server tells about itself: its project, its limits, and whether it is well."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from app.core.errors import ServiceUnavailable
from app.ratelimit.base import Rate
from app.repositories.project_settings import read_project_settings
from app.repositories.services import Services

DIRECTUS_VERSION = "11.17.4"
"""The release of Directus whose answers these are: what clients that ask for a version want to know."""

SLOW_MILLISECONDS = 150
"""Milliseconds from which on the database's answer is a warning; Directus' own default."""

PROJECT_FIELDS = (
    "project_name",
    "project_descriptor",
    "project_logo",
    "project_color",
    "default_appearance",
    "default_theme_light",
    "default_theme_dark",
    "theme_light_overrides",
    "theme_dark_overrides",
    "default_language",
    "public_foreground",
    "public_background",
    "public_favicon",
    "public_note",
    "custom_css",
    "public_registration",
    "public_registration_verify_email",
)

PROJECT_DEFAULTS = {"project_name": "Directus", "public_registration": False}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server is well, and `details` for those who run it."""

    status: str
    details: dict[str, Any]

    @property
    def healthy(self) -> bool:
        """Whether the database answers, however slowly."""
        return self.status != "error"

    def as_dict(self, *, include_details: bool) -> dict[str, Any]:
        """The status, and the details where the one who asks may know them."""
        return {"status": self.status, **(self.details if include_details else {})}


UNSUPPORTED_FEATURES = {"mcp_enabled": False, "ai_enabled": False}
"""What clients of Directus look for, and don't find here."""


async def project(services: Services) -> dict[str, Any]:
    """What anybody may know of the project, as its settings have it."""
    return await read_project_settings(services, *PROJECT_FIELDS) or dict.fromkeys(PROJECT_FIELDS) | PROJECT_DEFAULTS


def limits(services: Services) -> dict[str, Any]:
    """What those who are somebody may know besides."""
    most = services.limits.max_rows
    return {
        "setupCompleted": True,  # nobody serves before there is a first admin
        **UNSUPPORTED_FEATURES,
        "rateLimit": _told(services.rates.client),
        "rateLimitGlobal": _told(services.rates.everybody),
        "websocket": False,
        "queryLimit": {"default": services.limits.default_rows, "max": -1 if most is None else most},
    }


def _told(rate: Rate | None) -> dict[str, int] | Literal[False]:
    return {"points": rate.amount, "duration": rate.get_expiry()} if rate else False


async def health(services: Services) -> Health:
    """Asks the database, and says how long it took to answer; never raises."""
    started, status = time.perf_counter(), ""
    try:
        await read_project_settings(services, "id")
    except ServiceUnavailable:
        status = "error"
    spent = round((time.perf_counter() - started) * 1000, 3)
    status = status or ("ok" if spent < SLOW_MILLISECONDS else "warn")
    answered = {
        "status": status,
        "componentType": "datastore",
        "observedUnit": "ms",
        "observedValue": spent,
        "threshold": SLOW_MILLISECONDS,
    }
    about = {"releaseId": version("rollcall"), "serviceId": services.settings.public_url}
    return Health(status, {**about, "checks": {f"{services.dialect}:responseTime": [answered]}})
