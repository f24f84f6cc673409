"""GraphiQL, where the extra `graphiql` is installed."""

from dataclasses import replace

from app.core.errors import RouteNotFound
from app.http.response import Header, Response
from app.studio.page_request import CSP_DIRECTIVES, PageRequest
from app.studio.routing import Route

GRAPHIQL_CSP: Header = (
    b"content-security-policy",
    b"; ".join(
        [
            *(directive for directive in CSP_DIRECTIVES if not directive.startswith(b"font-src")),
            b"font-src 'self' data:",
        ]
    ),
)
"""Without Trusted Types: GraphiQL assigns HTML, and its style sheet contains fonts."""


async def show_graphiql(request: PageRequest) -> Response:
    """Return the page of GraphiQL.

    Raises:
        RouteNotFound: The extra is not installed.
    """
    if not request.site.has_graphiql:
        raise RouteNotFound(request.path)
    return replace(await request.page("graphiql.html"), policy=GRAPHIQL_CSP)


ROUTES: tuple[Route, ...] = (Route("GET", "/graphiql", show_graphiql),)
