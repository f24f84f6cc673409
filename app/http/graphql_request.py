"""A GraphQL request over HTTP: its query, variables and operation name, from a body or a query string."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidPayload
from app.http.parsing import load_json, parse_pairs

JSON_MEDIA_TYPE = b"application/json"
OBJECT_PARAMETERS, OBJECT_OR_NULL = ("variables", "extensions"), (dict, type(None))

GraphQLParams = tuple[str, dict[str, Any] | None, str | None]
"""A GraphQL request from a body or a query string: query, variables, operation name."""


class PostRequest:
    """The body of a request, which is parsed once, and only if its response is not cached."""

    __slots__ = ("_max_values", "_params", "body", "content_type")

    def __init__(self, content_type: bytes, body: bytes, max_values: int) -> None:
        self.content_type, self.body, self._max_values = content_type, body, max_values
        self._params: GraphQLParams | None = None

    @property
    def params(self) -> GraphQLParams:
        """The query, variables and operation name; raises InvalidPayload if there are none."""
        if self._params is None:
            self._params = _parse_body(self.content_type, self.body, self._max_values)
        return self._params


def _parse_body(content_type: bytes, body: bytes, max_values: int) -> GraphQLParams:
    if content_type != JSON_MEDIA_TYPE and content_type.partition(b";")[0].strip().lower() != JSON_MEDIA_TYPE:
        raise InvalidPayload("Must provide query string")
    values = load_json(body, max_values) if body else {}
    if not isinstance(values, dict):
        raise InvalidPayload("The body has to be one JSON object with a query")
    return _checked(values)


def parse_graphql_query(text: bytes, max_values: int) -> GraphQLParams:
    """Return the request in a query string.

    Raises:
        InvalidQuery: It can't be parsed, or has too many parameters.
        InvalidPayload: It has no query, or a parameter is invalid.
    """
    values: dict[str, Any] = dict(parse_pairs(text))
    for name in OBJECT_PARAMETERS:
        values[name] = _load_object(values[name], name, max_values) if values.get(name) else None
    return _checked(values)


def _load_object(text: str, name: str, max_values: int) -> Any:
    try:
        return load_json(text.encode(), max_values, f'"{name}"')
    except InvalidPayload as error:
        raise InvalidPayload(f'"{name}" has to be a JSON object: {error.reason}') from None


def _checked(values: Mapping[str, Any]) -> GraphQLParams:
    query, variables, operation_name = values.get("query"), values.get("variables"), values.get("operationName")
    if not isinstance(query, str) or not query:
        raise InvalidPayload("Must provide query string")
    for name in OBJECT_PARAMETERS:
        if not isinstance(values.get(name), OBJECT_OR_NULL):
            raise InvalidPayload(f'"{name}" has to be a JSON object')
    if operation_name is not None and not isinstance(operation_name, str):
        raise InvalidPayload('"operationName" has to be a string')
    return query, variables, operation_name or None
