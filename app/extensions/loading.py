"""Loads extensions: the modules of the setting EXTENSIONS and of the entry points `rollcall.extensions`."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.metadata import entry_points

from app.core.config import ConfigurationError, Settings
from app.extensions.contents import Extensions, OwnNames
from app.extensions.registrar import Registrar, Registrations
from app.query.collection import BUILT_IN

ENTRY_POINT_GROUP = "rollcall.extensions"
MAX_REASON_LENGTH = 300

Register = Callable[[Registrar], None]
"""The function of an extension that registers what it adds."""


def extension_modules(settings: Settings) -> list[str]:
    """Return the names of the modules to load: those of EXTENSIONS first, each once."""
    return list(dict.fromkeys((*settings.extensions, *_installed_modules(tuple(sys.path)))))


@lru_cache(maxsize=1)  # it opens a file of every installed package, for each application of a process
def _installed_modules(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules that the packages in these directories name as extensions; `path` is `sys.path`."""
    return tuple(point.value for point in entry_points(group=ENTRY_POINT_GROUP))


def load_extensions(settings: Settings, additional: Sequence[Register] = ()) -> Extensions:
    """Import the extensions of the settings and of installed packages, and return what they register.

    `additional` are functions to call after those.

    Raises:
        ConfigurationError: An extension cannot be imported, has no function `register`, which raised an exception, or
            registers something that is invalid or registered already.
    """
    modules = ((name, _register_function(name)) for name in extension_modules(settings))
    own = OwnNames.from_collections(BUILT_IN.values())
    return collect_extensions(own, (*modules, *((register.__module__, register) for register in additional)))


def collect_extensions(own: OwnNames, functions: Iterable[tuple[str, Register]]) -> Extensions:
    """Call the functions, each with the name of its module, and return what they register; raises as above."""
    registrations = Registrations(own)
    for module, register in functions:
        if inspect.iscoroutinefunction(register):
            raise _loading_error(module, "register must be a plain function, not one with `async`")
        try:
            register(Registrar(module, registrations))
        except ConfigurationError:
            raise
        except Exception as error:
            raise _loading_error(module, f"register raised {_described(error)}") from error
    if registrations.root_fields:
        from app.extensions.schema_check import check_root_fields  # noqa: PLC0415  # builds the schema, which takes long

        check_root_fields(registrations.root_fields)
    return registrations.contents()


def _register_function(module: str) -> Register:
    try:
        loaded = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise _loading_error(module, f"importing it raised {_described(error)}") from error
    register = getattr(loaded, "register", None)
    if not callable(register):
        raise _loading_error(module, "it has no function register(extend)")
    function: Register = register
    return function


def _described(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:MAX_REASON_LENGTH].rstrip(": .")


def _loading_error(module: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f'The extension "{module}" cannot be used: {reason}.')
