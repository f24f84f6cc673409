"""Information about the server: its project, its limits and its health."""

import time
from dataclasses import dataclass
from typing import Any, Literal

from app import __version__
from app.core.errors import ServiceUnavailable
from app.ratelimit.base import Rate
from app.repositories.project_settings import read_project_settings
from app.repositories.services import Services

DIRECTUS_VERSION = "11.17.4"
"""The Directus release that the API is compatible with, for clients that check a version."""

SLOW_MILLISECONDS = 150
"""Response time from which the database's health is a warning; Directus' default."""

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

PROJECT_DEFAULTS = {
    "project_name": "Directus",
    "project_color": "#6644FF",
    "default_appearance": "auto",
    "default_language": "en-US",
    "public_registration": False,
    "public_registration_verify_email": True,
}
"""The settings that Directus' database has by default, for one without a row of settings."""
UNSUPPORTED_FEATURES = {"mcp_enabled": False, "ai_enabled": False}
"""Directus features that clients look for and Rollcall doesn't have."""


@dataclass(frozen=True, slots=True)
class Health:
    """The server's health, with `details` for administrators."""

    status: str
    details: dict[str, Any]

    @property
    def healthy(self) -> bool:
        """Whether the database responds, however slowly."""
        return self.status != "error"

    def as_dict(self, *, include_details: bool) -> dict[str, Any]:
        """Return the status, and the details if the client may see them."""
        return {"status": self.status, **(self.details if include_details else {})}


async def project(services: Services) -> dict[str, Any]:
    """Return the project's public settings."""
    return await read_project_settings(services, *PROJECT_FIELDS) or dict.fromkeys(PROJECT_FIELDS) | PROJECT_DEFAULTS


def limits(services: Services) -> dict[str, Any]:
    """Return what only authenticated callers may see: rate limits, query limits and supported features."""
    max_rows = services.limits.max_rows
    return {
        **UNSUPPORTED_FEATURES,
        "rateLimit": _rate_fields(services.rates.client_rate),
        "rateLimitGlobal": _rate_fields(services.rates.global_rate),
        "websocket": False,
        "queryLimit": {"default": services.limits.default_rows, "max": -1 if max_rows is None else max_rows},
    }


def _rate_fields(rate: Rate | None) -> dict[str, int] | Literal[False]:
    return {"points": rate.amount, "duration": rate.get_expiry()} if rate else False


async def health(services: Services) -> Health:
    """Query the database and report how long it took; never raises."""
    started, status = time.perf_counter(), ""
    try:
        await read_project_settings(services, "id")
    except ServiceUnavailable:
        status = "error"
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    status = status or ("ok" if milliseconds < SLOW_MILLISECONDS else "warn")
    check = {
        "status": status,
        "componentType": "datastore",
        "observedUnit": "ms",
        "observedValue": milliseconds,
        "threshold": SLOW_MILLISECONDS,
    }
    release = {"releaseId": __version__, "serviceId": services.settings.public_url}
    return Health(status, {**release, "checks": {f"{services.dialect}:responseTime": [check]}})
