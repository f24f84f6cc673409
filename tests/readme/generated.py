"""The parts of the documentation that are generated from the code; `python -m tests.readme.generated` rewrites them.

A part is what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import typer.main
from typer.core import TyperGroup

from app.cli import app
from app.core import errors
from app.core.auth_providers import setting_names
from app.core.config import RowLimit, Settings
from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import OAuthSettings, ProviderSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SETTING_GROUPS = {
    "Server": r"database_url|secret|host|port|public_url|root_redirect|admin_|compatibility|ip_trust|log_|shutdown|"
    r"directus_|extensions",
    "Browsers": r"cors_|hsts_|csrf_",
    "Sign-in": r"access_token|refresh_token|session_|auth_|hash_|login_|register_stall|last_access|max_password|"
    r"password_min|password_reject|password_history",
    "Mail": r"email_|user_invite|password_reset|user_register|mail_",
    "Files": r"storage_|files_|assets_",
    "Monitoring": r"metrics_|traces_",
    "Rate limits and retention": r"rate_limiter|redis|activity_|revisions_",
    "Realtime": r"websockets_",
    "Limits": r"",
}
"""Headings of the settings page, each with a pattern for the beginning of a name; the first that matches counts."""
DURATION_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
CODE_FONT = re.compile(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b")


def setting_rows() -> Iterator[str]:
    names = list(Settings.model_fields)
    for title, pattern in SETTING_GROUPS.items():
        group = [name for name in names if re.match(pattern, name)]
        names = [name for name in names if name not in group]
        yield f"## {title}\n"
        yield "| Setting | Default | Meaning |\n|---|---|---|"
        yield from (f"| `{name.upper()}` | {_default(name)} | {_description(name)} |" for name in group)
        yield ""


def provider_rows(model: type[ProviderSettings] = OAuthSettings) -> Iterator[str]:
    yield "| Setting | Default | Meaning |\n|---|---|---|"
    for name in setting_names(model):
        field = model.model_fields[name]
        default = "" if field.is_required() or field.default in (None, (), {}) else _text(name, field.default)
        text = f"`{default}`" if default else "required" if field.is_required() else ""
        yield f"| `AUTH_<NAME>_{name.upper()}` | {text} | {_in_code_font(field.description or '')} |"


def _default(name: str) -> str:
    value = Settings.model_fields[name].default
    text = _text(name, value)
    return f"`{text}`" if text else ""


def _text(name: str, value: Any) -> str:
    if value is None:
        return (
            "-1"
            if name in Settings.model_fields and get_args(RowLimit)[-1] in Settings.model_fields[name].metadata
            else ""
        )
    if isinstance(value, timedelta):
        milliseconds = round(value.total_seconds() * 1000)
        unit, size = next(((u, s) for u, s in DURATION_UNITS if milliseconds % s == 0 and milliseconds), ("", 1))
        return f"{milliseconds // size}{unit}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, int) and name.endswith("_size") and value % 1024**2 == 0:
        return f"{value // 1024**2}mb"
    return str(value)


def _description(name: str) -> str:
    return _in_code_font(Settings.model_fields[name].description or "")


def _in_code_font(text: str) -> str:
    parts = re.split(r"(`[^`]*`)", text)  # other settings in code font, except where they already are
    return "".join(part if part.startswith("`") else CODE_FONT.sub(r"`\g<0>`", part) for part in parts)


def error_rows() -> Iterator[str]:
    yield "| Code | Status | Meaning |\n|---|---|---|"
    classes = [
        each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.RollcallError)
    ]
    first = {each.code: each for each in sorted(classes, key=lambda each: len(each.__mro__), reverse=True)}
    for code in sorted(first):
        meaning = (inspect.getdoc(first[code]) or "").partition("\n\n")[0]
        yield f"| `{code}` | {first[code].status} | {' '.join(meaning.split())} |"


def command_rows() -> Iterator[str]:
    yield "| Command | What it does |\n|---|---|"
    root = typer.main.get_command(app)
    for words, command in _commands(root, ()):
        yield f"| `rollcall {' '.join((*words, *_arguments(command)))}` | {_help(command)} |"


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(command, TyperGroup):
        yield words, command
        return
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from _commands(command.get_command(context, name), (*words, name))


def _arguments(command: Any) -> list[str]:
    return [str(each.name).upper() for each in command.params if each.param_type_name == "argument"]


def _help(command: Any) -> str:
    options = [
        f"`{each.opts[0]}{'' if each.is_flag else ' ' + str(each.name).upper()}`: {each.help}"
        for each in command.params
        if each.param_type_name == "option" and each.name != "help"
    ]
    text = " ".join(inspect.cleandoc(command.help or "").split()).replace("|", "\\|")
    return "<br>".join([text, *options])


def deviation_rows() -> Iterator[str]:
    yield "| Recording | Reason |\n|---|---|"
    deviations = json.loads((ROOT / "tests/compat/deviations.json").read_text())
    for name, reason in sorted(deviations.items()):
        text = reason.replace("|", "\\|").replace("<", "&lt;")
        yield f"| `{name}` | {text} |"


def cache_rows() -> Iterator[str]:
    yield "| Cache | Module | Maximum number of entries |\n|---|---|---|"
    for file in sorted((ROOT / "app").rglob("*.py")):
        module = file.relative_to(ROOT)
        for name, maximum in sorted(set(_caches(file))):
            yield f"| `{name}` | `{module.relative_to('app')}` | {maximum:,} |"


def _caches(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each `LRUCache` and `lru_cache` in a module."""
    tree = ast.parse(file.read_text())
    namespace = vars(importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts)))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "lru_cache":
                    yield function.name, _size(decorator.keywords[0].value, namespace)
    for statement in ast.walk(tree):
        if isinstance(statement, ast.AnnAssign) and _is_cache(statement.value):
            assert isinstance(statement.value, ast.Call)
            yield (
                ast.unparse(statement.target).removeprefix("self.").strip("_"),
                _size(statement.value.args[0], namespace),
            )


def _is_cache(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) == "LRUCache" and bool(value.args)


def _size(expression: ast.expr, namespace: dict[str, Any]) -> int:
    """Return the value of a literal, of a constant, or of a parameter's default."""
    text = ast.unparse(expression)
    if text in namespace or text.isdecimal():
        return int(eval(text, namespace))
    own_classes = [
        each for each in namespace.values() if inspect.isclass(each) and each.__module__ == namespace["__name__"]
    ]
    for class_ in own_classes:
        if text in (parameters := inspect.signature(class_.__init__).parameters):
            return int(parameters[text].default)
    raise AssertionError(f"the size {text} of a cache is unknown")


GENERATORS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": setting_rows,
    "providers": provider_rows,
    "ldap": partial(provider_rows, LdapSettings),
    "errors": error_rows,
    "commands": command_rows,
    "deviations": deviation_rows,
    "caches": cache_rows,
}


def rendered(page: str) -> str:
    """Return a page with its generated parts as the code demands them."""
    return PART.sub(lambda match: match[1] + "\n" + "\n".join(GENERATORS[match[2]]()).strip() + "\n\n" + match[3], page)


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(rendered(path.read_text()))
