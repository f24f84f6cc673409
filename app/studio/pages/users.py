"""The routes of users."""

from app.studio.pages import user_bulk, user_list
from app.studio.routing import Route

ROUTES: tuple[Route, ...] = (*user_list.ROUTES, *user_bulk.ROUTES)
