"""Information about the server: its project and its limits."""

from typing import Any, Literal

from app.core.config import Settings
from app.ratelimit.base import Rate
from app.repositories.project_settings import read_project_settings
from app.repositories.services import Services

DIRECTUS_VERSION = "11.17.4"
"""The Directus release that the API is compatible with, for clients that check a version."""

GRAPHQL_PATH, WEBSOCKET_PATH = "/graphql/system", "/websocket"
"""Where clients connect to realtime, in the protocol of GraphQL and in Directus' own."""

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
        "websocket": websocket(services.settings),
        "queryLimit": {"default": services.limits.default_rows, "max": -1 if max_rows is None else max_rows},
    }


def websocket(settings: Settings) -> dict[str, Any] | Literal[False]:
    """Return how clients connect to realtime: for each service when they authenticate and its path."""
    if not settings.websockets_enabled:
        return False
    rest = {"authentication": settings.websockets_rest_auth, "path": WEBSOCKET_PATH}
    graphql = {"authentication": settings.websockets_graphql_auth, "path": GRAPHQL_PATH}
    return {
        "rest": settings.websockets_rest_enabled and rest,
        "graphql": settings.websockets_graphql_enabled and graphql,
        "heartbeat": settings.websockets_heartbeat_enabled and settings.websockets_heartbeat_period,
    }


def _rate_fields(rate: Rate | None) -> dict[str, int] | Literal[False]:
    return {"points": rate.amount, "duration": rate.seconds} if rate else False
