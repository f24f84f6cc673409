"""The settings of the project."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
