"""Recovering a password, accepting an invitation, and registering."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
