"""The routes of users."""

from app.studio.pages.roles.role_invitations import USER_ROUTES
from app.studio.pages.users import (
    user_actions,
    user_avatar,
    user_bulk,
    user_deletion_page,
    user_detail,
    user_form,
    user_list,
)
from app.studio.routing import Route

ROUTES: tuple[Route, ...] = (
    *USER_ROUTES,
    *user_list.ROUTES,
    *user_bulk.ROUTES,
    *user_form.ROUTES,
    *user_detail.ROUTES,
    *user_actions.ROUTES,
    *user_deletion_page.ROUTES,
    *user_avatar.ROUTES,
)
