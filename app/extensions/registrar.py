"""The registrar: the object that an extension's function `register(extend)` receives."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.routing import compile_path

from app.core.config import ConfigurationError
from app.extensions.contents import EndpointFunction, ExtensionRoute, Extensions, OwnNames

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "SEARCH")
PATH_PATTERN = re.compile(r"(/[a-z0-9._~-]+)(/[a-z0-9._~-]+|/\{[a-z_][a-z0-9_]*(:(str|int|uuid|path))?\})*", re.ASCII)

EndpointT = TypeVar("EndpointT", bound=EndpointFunction)


@dataclass(slots=True)
class Registrations:
    """What the extensions of a process register: collected while they are loaded, by the module that did it."""

    own: OwnNames
    routes: list[ExtensionRoute] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    """The module that registered a name, by the name."""

    def contents(self) -> Extensions:
        """Return what was registered."""
        return Extensions(tuple(self.routes))


class Registrar:
    """Registers what one extension adds. Every method is a decorator that returns the function unchanged.

    Every method raises:

    Raises:
        ConfigurationError: The registration is invalid, or its name is in use; the message names the module.
    """

    def __init__(self, module: str, registrations: Registrations) -> None:
        self._module, self._registrations = module, registrations

    def endpoint(self, path: str, methods: Sequence[str] = ("GET",)) -> Callable[[EndpointT], EndpointT]:
        """Answer requests to `path` with an asynchronous function that receives the request and a directory.

        The path may have parameters, such as `/hello/{name}` or `/hello/{number:int}`; its other segments are in lower
        case, and requests may spell them in any case. The directory is that of the caller: its repositories follow the
        caller's policies. A Starlette response is sent as it is, any other result as JSON.
        """

        def register(function: EndpointT) -> EndpointT:
            self._require_async(function, path)
            self._check_path(path, methods)
            names = [f"{method} {path}" for method in methods]
            self._reserve(*names)
            self._registrations.routes.append(ExtensionRoute(path, tuple(methods), function))
            return function

        return register

    def _check_path(self, path: str, methods: Sequence[str]) -> None:
        if not PATH_PATTERN.fullmatch(path):
            raise self._error(
                f'the path "{path}" must begin with a slash and a fixed segment, and consist of lower-case letters, '
                "digits, `.`, `_`, `~`, `-` and parameters such as {name}, {number:int} or {key:uuid}"
            )
        try:
            compile_path(path)
        except ValueError as error:
            raise self._error(f'the path "{path}" is invalid: {error}') from None
        if path.split("/")[1] in self._registrations.own.roots:
            raise self._error(f'the path "{path}" is below one of Rollcall\'s own: choose another first segment')
        if isinstance(methods, str) or not methods or not set(methods) <= set(METHODS):
            raise self._error(f'the methods of "{path}" must be a list of these: {", ".join(METHODS)}')

    def _reserve(self, *names: str) -> None:
        modules = self._registrations.modules
        for name in names:
            if name in modules:
                raise self._error(f'"{name}" is registered already, by "{modules[name]}"')
            modules[name] = self._module

    def _require_async(self, function: Any, name: str) -> None:
        if not inspect.iscoroutinefunction(function):
            raise self._error(f'the function for "{name}" must be defined with `async def`')

    def _error(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f'The extension "{self._module}" cannot be used: {reason}.')
