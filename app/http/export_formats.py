"""Rows as files: CSV, JSON, XML and YAML, each written row by row."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from app.query.results import Row

Path = tuple[str, ...]
"""Where in a row a column's value stands, such as `("role", "name")`."""


class ExportFormat(NamedTuple):
    """A kind of file: what stands before its first row, between two, after the last, and instead of all without any."""

    media: str
    ending: str
    row: Callable[[Row], str]
    head: str = ""
    between: str = ""
    tail: str = ""
    nothing: str = ""

    def told(self, rows: Iterable[Row], *, first: bool) -> bytes:
        """Some rows, the first ones or such as follow others."""
        return ((self.head if first else self.between) + self.between.join(map(self.row, rows))).encode()


def csv_format(columns: Sequence[Path], mark: str = "") -> ExportFormat:
    """A line of names, and a line for each row; texts and names in quotes, lists and objects as JSON.

    A text that a spreadsheet would take for a formula has an apostrophe before it: names are whatever somebody called
    themselves, and who opens the file is mostly an admin.
    """
    head = mark + ",".join(_quoted(".".join(path)) for path in columns) + "\n"

    def line(row: Row) -> str:
        return ",".join(_cell(_found(row, path)) for path in columns)

    return ExportFormat("text/csv", "csv", line, head, "\n", nothing=mark)


def json_format() -> ExportFormat:
    """One list of objects, one on each line."""
    return ExportFormat("application/json", "json", _json, "[", ",\n", "]", "[]")


def xml_format() -> ExportFormat:
    """An element `data` of elements `data`; what a list holds are elements of one name."""
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return ExportFormat("text/xml", "xml", _xml_row, f"{declared}<data>\n", "\n", "\n</data>\n", f"{declared}<data/>\n")


def yaml_format() -> ExportFormat:
    """One list, in blocks."""
    return ExportFormat("text/yaml", "yaml", lambda row: _yaml_list([row], "")[1:] + "\n", nothing="[]\n")


def flat_names(row: Row, before: Path = ()) -> Iterator[Path]:
    """The columns of a row whose objects are spread out."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from flat_names(value, (*before, name))
        else:
            yield (*before, name)


def _found(row: Any, path: Path) -> Any:
    for step in path:
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    return _quoted(_json(value)) if isinstance(value, list | dict) else _json(value)


def _quoted(text: str) -> str:
    safe = f"'{text}" if text.startswith(FORMULA) else text
    return '"{}"'.format(safe.replace('"', '""'))


DEEPEST = 32
"""Levels that are told as such in XML and YAML; what lies deeper is told as a text of JSON."""
MARGIN = "    "
NO_NAME = re.compile(r"[^\w.-]|^(?=[\d.-]|$)|(?i:^(?=xml))", re.ASCII)
NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def _xml_row(row: Row) -> str:
    return "\n".join(_xml("data", row, 1))


def _xml(name: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list) and depth < DEEPEST:
        for one in value:
            yield from _xml(name, one, depth + 1 if isinstance(one, list) else depth)
        return
    margin, tag = MARGIN * depth, NO_NAME.sub("_", name)
    if isinstance(value, dict) and value and depth < DEEPEST:
        yield f"{margin}<{tag}>"
        for inner, one in value.items():
            yield from _xml(inner, one, depth + 1)
        yield f"{margin}</{tag}>"
    elif value in (None, "", {}):
        yield f"{margin}<{tag}/>"
    else:
        yield f"{margin}<{tag}>{_xml_text(value if isinstance(value, str) else _json(value))}</{tag}>"


def _xml_text(text: str) -> str:
    """A text as XML can hold it: characters that it can't are replaced."""
    return NO_XML.sub("\ufffd", text.translate(ENTITIES))


PLAIN = re.compile(r"[A-Za-z_][\w@.+/-]*( [\w@.+/-]+)*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
MEANINGFUL = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
LONG = 128
"""Characters from which on a name is marked as one: readers look for the end of others only so far."""


def _yaml(value: Any, margin: str) -> str:
    """A value as it stands behind a name or a dash, with the space or the line between them."""
    if isinstance(value, list | dict) and value:
        if len(margin) >= 2 * DEEPEST:
            return f" {_scalar(_json(value))}"
        return _yaml_list(value, margin) if isinstance(value, list) else _yaml_object(value, margin)
    return f" {_scalar(value)}"


def _yaml_list(items: Sequence[Any], margin: str) -> str:
    inner = f"{margin}  "
    told = (_yaml(one, inner) for one in items)
    # An object's first name, and a list's first dash, may stand beside the dash.
    return "".join(f"\n{margin}-{' ' + one.lstrip() if one[0] == chr(10) else one}" for one in told)


def _yaml_object(value: Row, margin: str) -> str:
    return "".join(f"\n{margin}{_yaml_name(name, margin)}:{_yaml(one, margin + '  ')}" for name, one in value.items())


def _yaml_name(name: str, margin: str) -> str:
    told = _scalar(name)
    return told if len(told) < LONG else f"? {told}\n{margin}"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        told = repr(value)
        return told if "." in told else told.replace("e", ".0e")  # without a point some read a text
    if not isinstance(value, str):
        return _json(value)
    if PLAIN.fullmatch(value) and value.lower() not in MEANINGFUL:
        return value
    if CONTROL.search(value):
        return ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", _json(value))
    return "'{}'".format(value.replace("'", "''"))
