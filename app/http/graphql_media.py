"""Which media type of a GraphQL response a client prefers."""

from app.http.response import JSON

JSON_TYPE, GRAPHQL_TYPE = "application/json", "application/graphql-response+json"
GRAPHQL_JSON = f"{GRAPHQL_TYPE}; charset=utf-8".encode()


def preferred_media(header: bytes) -> bytes:
    """Return the Content-Type that an Accept header prefers: GraphQL's own media type, or plain JSON, the default."""
    accept = header.decode("latin-1")
    if GRAPHQL_TYPE not in accept:
        return JSON
    weights = {media.strip(): _weight(rest) for media, _, rest in (part.partition(";") for part in accept.split(","))}
    graphql = weights.get(GRAPHQL_TYPE, 0)
    return GRAPHQL_JSON if graphql > 0 and graphql >= weights.get(JSON_TYPE, 0) else JSON


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1
