"""The file formats of exports: CSV, JSON, XML and YAML, each written row by row."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from app.query.results import Row

ColumnPath = tuple[str, ...]
"""The path of a column's value in a row, such as `("role", "name")`."""


class ExportFormat(NamedTuple):
    """A file format: how a row is written, and what comes before, between and after rows, or instead of them."""

    media: str
    extension: str
    encode_row: Callable[[Row], str]
    header: str = ""
    separator: str = ""
    footer: str = ""
    empty: str = ""
    """The whole file if there are no rows."""

    def encode(self, rows: Iterable[Row], *, first: bool) -> bytes:
        """Return some rows, with the header if they are the first, else with a separator."""
        return ((self.header if first else self.separator) + self.separator.join(map(self.encode_row, rows))).encode()


def csv_format(columns: Sequence[ColumnPath], byte_order_mark: str = "") -> ExportFormat:
    """Return CSV with a line of column names; strings are quoted, lists and objects are JSON.

    A string that a spreadsheet would read as a formula is prefixed with an apostrophe: users choose their own names,
    and it is mostly admins who open the file.
    """
    header = byte_order_mark + ",".join(_csv_string(".".join(path)) for path in columns) + "\n"

    def encode_row(row: Row) -> str:
        return ",".join(_csv_cell(_value_at(row, path)) for path in columns)

    return ExportFormat("text/csv", "csv", encode_row, header, "\n", empty=byte_order_mark)


def json_format() -> ExportFormat:
    """Return JSON: one list, with an object per line."""
    return ExportFormat("application/json", "json", _json, "[", ",\n", "]", "[]")


def xml_format() -> ExportFormat:
    """Return XML: one `data` element per row within a `data` element; the items of a list are elements of its name."""
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    header, empty = f"{declaration}<data>\n", f"{declaration}<data/>\n"
    return ExportFormat("text/xml", "xml", _xml_row, header, "\n", "\n</data>\n", empty)


def yaml_format() -> ExportFormat:
    """Return YAML: one list in block style."""
    return ExportFormat("text/yaml", "yaml", lambda row: _yaml_list([row], "")[1:] + "\n", empty="[]\n")


def flat_columns(row: Row, parents: ColumnPath = ()) -> Iterator[ColumnPath]:
    """Yield the columns of a row, with those of nested objects in their place."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from flat_columns(value, (*parents, name))
        else:
            yield (*parents, name)


def _value_at(row: Any, path: ColumnPath) -> Any:
    for step in path:
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


CSV_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _csv_string(value)
    return _csv_string(_json(value)) if isinstance(value, list | dict) else _json(value)


def _csv_string(text: str) -> str:
    safe = f"'{text}" if text.startswith(CSV_FORMULA_PREFIXES) else text
    return '"{}"'.format(safe.replace('"', '""'))


MAX_DEPTH = 32
"""Levels of nesting in XML and YAML; what is nested deeper is written as a JSON string."""
XML_INDENT = "    "
XML_NAME_ERRORS = re.compile(r"[^\w.-]|^(?=[\d.-]|$)|(?i:^(?=xml))", re.ASCII)
"""What an underscore replaces in a name, or where it precedes one."""
XML_INVALID = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
XML_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def _xml_row(row: Row) -> str:
    return "\n".join(_xml_lines("data", row, 1))


def _xml_lines(name: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list) and depth < MAX_DEPTH:
        for item in value:
            yield from _xml_lines(name, item, depth + 1 if isinstance(item, list) else depth)
        return
    indent, tag = XML_INDENT * depth, XML_NAME_ERRORS.sub("_", name)
    if isinstance(value, dict) and value and depth < MAX_DEPTH:
        yield f"{indent}<{tag}>"
        for member_name, member in value.items():
            yield from _xml_lines(member_name, member, depth + 1)
        yield f"{indent}</{tag}>"
    elif value in (None, "", {}):
        yield f"{indent}<{tag}/>"
    else:
        yield f"{indent}<{tag}>{_xml_text(value if isinstance(value, str) else _json(value))}</{tag}>"


def _xml_text(text: str) -> str:
    """Return a text with entities; characters that XML can't contain are replaced."""
    return XML_INVALID.sub("\ufffd", text.translate(XML_ENTITIES))


YAML_PLAIN = re.compile(r"[A-Za-z_][\w@.+/-]*( [\w@.+/-]+)*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""Strings that need no quotes, unless they are among `YAML_KEYWORDS`."""
YAML_KEYWORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
YAML_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that have to be escaped in YAML, but not in JSON."""
YAML_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
YAML_EXPLICIT_KEY_LENGTH = 128
"""Length from which on a key is marked as one with `? `: parsers look for the end of others only so far."""


def _yaml(value: Any, indent: str) -> str:
    """Return a value as it follows a key or a dash, with the space or the line break between them."""
    if isinstance(value, list | dict) and value:
        if len(indent) >= 2 * MAX_DEPTH:
            return f" {_yaml_scalar(_json(value))}"
        return _yaml_list(value, indent) if isinstance(value, list) else _yaml_object(value, indent)
    return f" {_yaml_scalar(value)}"


def _yaml_list(items: Sequence[Any], indent: str) -> str:
    encoded_items = (_yaml(item, f"{indent}  ") for item in items)
    # An object's first key, and a list's first dash, may be on the line of the dash.
    return "".join(f"\n{indent}-{' ' + item.lstrip() if item[0] == chr(10) else item}" for item in encoded_items)


def _yaml_object(value: Row, indent: str) -> str:
    return "".join(f"\n{indent}{_yaml_key(name, indent)}:{_yaml(item, indent + '  ')}" for name, item in value.items())


def _yaml_key(name: str, indent: str) -> str:
    key = _yaml_scalar(name)
    return key if len(key) < YAML_EXPLICIT_KEY_LENGTH else f"? {key}\n{indent}"


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # without a point some parsers read a string
    if not isinstance(value, str):
        return _json(value)
    if YAML_PLAIN.fullmatch(value) and value.lower() not in YAML_KEYWORDS:
        return value
    if YAML_CONTROL.search(value):
        return YAML_ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", _json(value))
    return "'{}'".format(value.replace("'", "''"))
