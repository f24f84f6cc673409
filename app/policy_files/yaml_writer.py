"""Writes values as YAML in which a change of one value changes one line."""

import re
from typing import Any

import yaml

from app.policy_files.yaml_events import INTEGER, NUMBER

UNLIMITED = float("inf")
"""The width of lines: a longer text never moves words to other lines."""

LINE_BREAK = re.compile("[\n\r\x85\u2028\u2029]")


class InlineMapping(dict[str, Any]):
    """A mapping that is written on one line, such as a reference."""


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key, and texts in quotes that any version of YAML reads as something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_inline(dumper: _Dumper, value: InlineMapping) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=True)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    """Return a text with escapes if it has line breaks, some of which are not read as they are written."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if LINE_BREAK.search(text) else None)


_Dumper.add_representer(InlineMapping, _represent_inline)
_Dumper.add_representer(str, _represent_text)
for _pattern, _kind, _first in ((INTEGER, "int", "-0123456789"), (NUMBER, "float", "-0123456789")):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern.pattern})$"), list(_first))


def write_yaml(value: Any) -> str:
    """Return a value, made of mappings with texts as keys, lists and scalars, as YAML."""
    return str(
        yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=UNLIMITED)
    )
