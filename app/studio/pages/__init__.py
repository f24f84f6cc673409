"""The pages of the Studio; each module has the handlers and the routes of one area."""

from app.studio.pages.account import (
    account,
    account_avatar,
    account_password,
    account_rights,
    account_sessions,
    account_two_factor,
    api_tokens_page,
    passkeys_page,
)
from app.studio.pages.activity import activity
from app.studio.pages.entry import (
    account_link_page,
    directory_sign_in,
    invitation_page,
    password_recovery,
    registration_page,
    sign_in,
)
from app.studio.pages.overview import overview
from app.studio.pages.policies import permission_editor, permissions, policies, policy_effects, policy_holders
from app.studio.pages.roles import roles
from app.studio.pages.settings import project_logo, project_settings_page
from app.studio.pages.tools import access_check, explorer, graphiql, holders_page
from app.studio.pages.users import users
from app.studio.routing import Route

AREAS = (
    overview,
    sign_in,
    directory_sign_in,
    password_recovery,
    invitation_page,
    registration_page,
    account_link_page,
    account,
    account_avatar,
    account_password,
    account_two_factor,
    passkeys_page,
    account_sessions,
    api_tokens_page,
    account_rights,
    users,
    roles,
    permission_editor,
    policies,
    policy_effects,
    policy_holders,
    permissions,
    access_check,
    holders_page,
    activity,
    project_logo,
    project_settings_page,
    explorer,
    graphiql,
)
ROUTES: tuple[Route, ...] = tuple(route for area in AREAS for route in area.ROUTES)
"""All routes; earlier ones take precedence."""
