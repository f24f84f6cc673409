"""The pages of the Studio; each module has the handlers and the routes of one area."""

from app.studio.pages import (
    access_check,
    account,
    account_password,
    account_rights,
    account_sessions,
    account_two_factor,
    activity,
    explorer,
    graphiql,
    invitation_page,
    overview,
    password_recovery,
    permission_editor,
    permissions,
    policies,
    policy_holders,
    project_logo,
    project_settings_page,
    registration_page,
    roles,
    sign_in,
    users,
)
from app.studio.routing import Route

AREAS = (
    overview,
    sign_in,
    password_recovery,
    invitation_page,
    registration_page,
    account,
    account_password,
    account_two_factor,
    account_sessions,
    account_rights,
    users,
    roles,
    permission_editor,
    policies,
    policy_holders,
    permissions,
    access_check,
    activity,
    project_logo,
    project_settings_page,
    explorer,
    graphiql,
)
ROUTES: tuple[Route, ...] = tuple(route for area in AREAS for route in area.ROUTES)
"""All routes; earlier ones take precedence."""
