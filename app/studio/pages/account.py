"""The user's own account."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
