"""A query string as Directus reads it: brackets make objects and lists, and some parameters are JSON."""

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.core.errors import InvalidPayload, InvalidQuery

MAX_BRACKET_DEPTH = 32
"""Brackets in one name at most: no filter goes deeper than that makes sense."""
MAX_PARAMETERS = 1000
"""QueryParameters of one query string at most."""
JSON = {"filter", "deep", "aggregate", "alias"}
"""QueryParameters that are objects, and may come as JSON."""
_NAME = re.compile(r"([^\[\]]*)((?:\[[^\[\]]*\])*)")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")

QueryParameters = dict[str, Any]


def parse_query(text: bytes) -> QueryParameters:
    """A query string -> its parameters, without the access token; names and lists are left as they are spelled.

    Raises InvalidQuery for what can't be read.
    """
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidQuery("The query string is not valid UTF-8") from None
    except ValueError:
        raise InvalidQuery(f"The query string holds more than {MAX_PARAMETERS} parameters") from None
    found: QueryParameters = {}
    for name, value in pairs:
        named = _NAME.fullmatch(name)
        if named is None:
            raise InvalidQuery("A parameter's brackets don't match")
        steps = _BRACKET.findall(named[2])
        if len(steps) > MAX_BRACKET_DEPTH:
            raise InvalidQuery(f"A parameter goes deeper than {MAX_BRACKET_DEPTH} brackets")
        if named[1] != "access_token":
            _put(found, [named[1], *steps], value)
    return {name: _read(name, _listed(value)) for name, value in found.items()}


def parse_json(body: bytes, content_type: bytes) -> Any:
    """A request's body -> what it says in JSON; InvalidPayload where it isn't JSON, or doesn't say that it is."""
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidPayload('The body has to be JSON, with the Content-Type "application/json"')
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"The body is not valid JSON: {error}") from None


def _put(into: QueryParameters, steps: list[str], value: str) -> None:
    """`a[b][c]=v`; an empty bracket adds to a list, and so does a name that comes again."""
    here: Any = into
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        key = step or str(len(here))
        if following is None:
            here[key] = [*_several(here[key]), value] if key in here and not isinstance(here[key], dict) else value
        else:
            inner = here.get(key)
            if not isinstance(inner, dict):
                inner = here[key] = {} if inner is None else {str(at): one for at, one in enumerate(_several(inner))}
            here = inner


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _listed(value: Any) -> Any:
    """An object whose names count from 0 is a list."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    return list(inner.values()) if list(inner) == [str(at) for at in range(len(inner))] else inner


def _read(name: str, value: Any) -> Any:
    if name not in JSON or not isinstance(value, str):
        return value
    if value == "":
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise InvalidQuery(f"Invalid JSON for {name} object") from None
