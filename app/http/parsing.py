"""Parses query strings as Directus does (brackets make objects and lists, some parameters are JSON) and JSON bodies."""

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.core.errors import InvalidPayload, InvalidQuery

MAX_BRACKET_DEPTH = 32
"""Bracket pairs in one parameter name; no sensible filter is nested deeper."""
MAX_PARAMETERS = 1000
JSON_PARAMETERS = {"filter", "deep", "aggregate", "alias"}
"""Parameters that hold an object, and may be sent as JSON."""
_NAME = re.compile(r"([^\[\]]*)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")

QueryParameters = dict[str, Any]


def parse_query(text: bytes) -> QueryParameters:
    """Return the parameters of a query string, without the access token; names and lists are not interpreted.

    Raises:
        InvalidQuery: It can't be parsed, or is too large.
    """
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidQuery("The query string is not valid UTF-8") from None
    except ValueError:
        raise InvalidQuery(f"The query string has more than {MAX_PARAMETERS} parameters") from None
    parameters: QueryParameters = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidQuery("A parameter name has unbalanced brackets")
        steps = _BRACKET.findall(match[2])
        if len(steps) > MAX_BRACKET_DEPTH:
            raise InvalidQuery(f"A parameter name has more than {MAX_BRACKET_DEPTH} brackets")
        if match[1] != "access_token":
            _insert(parameters, [match[1], *steps], value)
    return {name: _decoded(name, _with_lists(value)) for name, value in parameters.items()}


def parse_json(body: bytes, content_type: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        InvalidPayload: The body isn't JSON, or its Content-Type isn't application/json.
    """
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidPayload('The body has to be JSON, with the Content-Type "application/json"')
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"The body is not valid JSON: {error}") from None


def _insert(target: QueryParameters, steps: list[str], value: str) -> None:
    """Insert the value of `a[b][c]=v`; an empty bracket appends to a list, and so does a repeated name."""
    node: Any = target
    for step, next_step in zip(steps, [*steps[1:], None], strict=True):
        key = step or str(len(node))
        if next_step is None:
            node[key] = [*_as_list(node[key]), value] if key in node and not isinstance(node[key], dict) else value
        else:
            child = node.get(key)
            if not isinstance(child, dict):
                items = [] if child is None else _as_list(child)
                child = node[key] = {str(index): item for index, item in enumerate(items)}
            node = child


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _with_lists(value: Any) -> Any:
    """Turn objects whose names count from 0 into lists, at every level."""
    if not isinstance(value, dict):
        return value
    members = {name: _with_lists(member) for name, member in value.items()}
    is_list = list(members) == [str(index) for index in range(len(members))]
    return list(members.values()) if is_list else members


def _decoded(name: str, value: Any) -> Any:
    if name not in JSON_PARAMETERS or not isinstance(value, str):
        return value
    if value == "":
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise InvalidQuery(f"Invalid JSON for {name} object") from None
