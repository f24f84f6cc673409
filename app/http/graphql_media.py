"""Which media type of a GraphQL response a client prefers."""

from app.http.response import JSON

JSON_TYPE, GRAPHQL_TYPE, EVENT_STREAM_TYPE = (
    "application/json",
    "application/graphql-response+json",
    "text/event-stream",
)
ANY_TYPES = ("application/*", "*/*")
GRAPHQL_JSON, EVENT_STREAM = (f"{media}; charset=utf-8".encode() for media in (GRAPHQL_TYPE, EVENT_STREAM_TYPE))


def preferred_media(header: bytes) -> bytes:
    """Return the Content-Type that an Accept header prefers: server-sent events, GraphQL's own, or else plain JSON.

    Server-sent events are for those who prefer them to JSON; of equal types, they prefer the first.
    """
    lower = header.lower()
    if b"graphql-response" not in lower and b"event-stream" not in lower:
        return JSON
    accept = lower.decode("latin-1")
    weights = {media.strip(): _weight(rest) for media, _, rest in (part.partition(";") for part in accept.split(","))}
    served = [media for media in weights if media in (EVENT_STREAM_TYPE, GRAPHQL_TYPE, JSON_TYPE, *ANY_TYPES)]
    if max(served, key=weights.__getitem__, default=None) == EVENT_STREAM_TYPE and weights[EVENT_STREAM_TYPE] > 0:
        return EVENT_STREAM
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
