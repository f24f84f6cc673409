"""The permissions of a policy."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
