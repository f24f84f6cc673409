"""Roles and their users."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
