"""What all pages share: the GraphQL schema, the templates and the static files."""

from dataclasses import dataclass

from app.graphql.schema import RollcallSchema
from app.studio.static_files import StaticFiles
from app.studio.templating import Templates


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of the Studio that do not depend on a request."""

    schema: RollcallSchema
    templates: Templates
    static_files: StaticFiles
    has_graphiql: bool = False
