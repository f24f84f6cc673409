"""Parses query strings as Directus does (brackets make objects and lists, some parameters are JSON) and JSON bodies."""

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.core.errors import InvalidPayload, InvalidQuery
from app.core.json_values import has_too_many_values, json_size_problem, too_many_values
from app.query.parameters import parse_object

MAX_BRACKET_DEPTH = 32
"""Bracket pairs in one parameter name; no sensible filter is nested deeper."""
MAX_PARAMETERS = 1000
MAX_BODY_DEPTH = 128
"""Lists and objects inside each other in a JSON body: a stored JSON value at its own limit, in nested rows."""
MIN_BYTES_PER_VALUE = 2
"""A text that is shorter than as many bytes per value cannot contain more values."""
MAX_INLINE_BYTES = 32 * 1024
"""Maximum length of a JSON body that is parsed at once; a longer one is parsed in the planning thread."""
JSON_PARAMETERS = {"filter", "deep", "aggregate", "alias"}
"""Parameters that hold an object, and may be sent as JSON."""
_NAME = re.compile(r"([^\[\]]*)((?:\[[^\[\]]*\])*)")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")

QueryParameters = dict[str, Any]


def parse_pairs(text: bytes) -> list[tuple[str, str]]:
    """Return the names and values in a query string, in their order.

    Raises:
        InvalidQuery: It is not UTF-8, or has too many parameters.
    """
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidQuery("The query string is not valid UTF-8") from None
    except ValueError:
        raise InvalidQuery(f"The query string has more than {MAX_PARAMETERS} parameters") from None


def parse_query(text: bytes) -> QueryParameters:
    """Return the parameters of a query string, without the access token; names and lists are not interpreted.

    Raises:
        InvalidQuery: It can't be parsed, or is too large.
    """
    parameters: QueryParameters = {}
    for name, value in parse_pairs(text):
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidQuery("A parameter name has unbalanced brackets")
        steps = _BRACKET.findall(match[2])
        if len(steps) > MAX_BRACKET_DEPTH:
            raise InvalidQuery(f"A parameter name has more than {MAX_BRACKET_DEPTH} brackets")
        if match[1] != "access_token":
            _insert(parameters, [match[1], *steps], value)
    return decode_objects({name: _with_lists(value) for name, value in parameters.items()})


def decode_objects(parameters: QueryParameters) -> QueryParameters:
    """Return query parameters, with the objects that some of them hold as a JSON text parsed.

    Raises:
        InvalidQuery: Such a text is not a JSON object.
    """
    return {
        name: parse_object(value, name) if name in JSON_PARAMETERS and isinstance(value, str) else value
        for name, value in parameters.items()
    }


def parse_json(body: bytes, content_type: bytes, max_values: int) -> Any:
    """Return the value of a JSON body.

    Raises:
        InvalidPayload: As `load_json`, or the Content-Type isn't application/json.
    """
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidPayload('The body has to be JSON, with the Content-Type "application/json"')
    return load_json(body, max_values)


def load_json(text: bytes, max_values: int, name: str = "The body") -> Any:
    """Return the value of a JSON text, which contains at most `max_values` objects, lists and other values.

    Raises:
        InvalidPayload: The text, which `name` stands for, isn't JSON, or has too many values or levels.
    """
    may_be_large = len(text) > max_values * MIN_BYTES_PER_VALUE
    if may_be_large and has_too_many_values(text, max_values):
        raise InvalidPayload(f"{name} {too_many_values(max_values)}")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"{name} is not valid JSON: {error}") from None
    may_be_deep = text.count(b"{") + text.count(b"[") > MAX_BODY_DEPTH
    if (may_be_deep or may_be_large) and (problem := json_size_problem(value, MAX_BODY_DEPTH, max_values)):
        raise InvalidPayload(f"{name} {problem}")
    return value


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
    """Turn objects whose names are all indexes into lists in their order, without gaps, at every level."""
    if not isinstance(value, dict):
        return value
    members = {name: _with_lists(member) for name, member in value.items()}
    if not all(map(_INDEX.fullmatch, members)):
        return members
    return [members[name] for name in sorted(members, key=int)]
