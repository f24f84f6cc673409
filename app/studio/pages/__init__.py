"""The pages of the Studio; each module has the handlers and the routes of one area."""

from app.studio.pages import (
    account,
    activity,
    entry,
    explorer,
    overview,
    permission_editor,
    permissions,
    policies,
    policy_holders,
    project_settings_page,
    roles,
    sign_in,
    users,
)
from app.studio.routing import Route

AREAS = (
    overview,
    sign_in,
    entry,
    account,
    users,
    roles,
    policies,
    policy_holders,
    permissions,
    permission_editor,
    activity,
    project_settings_page,
    explorer,
)
ROUTES: tuple[Route, ...] = tuple(route for area in AREAS for route in area.ROUTES)
"""All routes; earlier ones take precedence."""
