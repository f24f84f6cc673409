"""The GraphQL explorer."""

from app.studio.routing import Route

ROUTES: tuple[Route, ...] = ()
