"""The registrar: the object that an extension's function `register(extend)` receives."""

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from starlette.routing import compile_path

from app.core.config import ConfigurationError
from app.extensions.contents import (
    EndpointFunction,
    ExtensionRoute,
    Extensions,
    HookOfExtension,
    JobFunction,
    JobSpec,
    OwnNames,
)
from app.policy.root_fields import RootField, RootFieldKind, RootFieldVisibility
from app.repositories.directory import Directory
from app.repositories.hooks import Hooks, HookSource

MIN_JOB_INTERVAL, MAX_JOB_INTERVAL = timedelta(seconds=1), timedelta(days=366)
NAME_PATTERN = re.compile(r"[A-Za-z]\w*", re.ASCII)
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "SEARCH")
PATH_PATTERN = re.compile(r"(/[a-z0-9._~-]+)(/[a-z0-9._~-]+|/\{[a-z_][a-z0-9_]*(:(str|int|uuid|path))?\})*", re.ASCII)

EndpointT = TypeVar("EndpointT", bound=EndpointFunction)
HookT = TypeVar("HookT", bound=HookOfExtension)
JobT = TypeVar("JobT", bound=JobFunction)
ResolverT = TypeVar("ResolverT", bound=Callable[..., Awaitable[Any]])


@dataclass(slots=True)
class Registrations:
    """What the extensions of a process register: collected while they are loaded, by the module that did it."""

    own: OwnNames
    routes: list[ExtensionRoute] = field(default_factory=list)
    before: dict[str, list[HookOfExtension]] = field(default_factory=dict)
    after: dict[str, list[HookOfExtension]] = field(default_factory=dict)
    jobs: list[JobSpec] = field(default_factory=list)
    root_fields: list[RootField] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    """The module that registered a name, by the name."""
    closed: bool = False
    """Whether the extensions are loaded, so that nothing more can be registered."""

    def contents(self) -> Extensions:
        """Return what was registered; nothing more can be registered afterwards."""
        self.closed = True
        hooks = Hooks(self.before, self.after, _open_directory) if self.before or self.after else None
        return Extensions(tuple(self.routes), hooks, tuple(self.jobs), tuple(self.root_fields))


def _open_directory(source: HookSource) -> Directory:
    return Directory(source.caller, source.services, lambda: source.client_info)


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

    def before(self, *events: str) -> Callable[[HookT], HookT]:
        """Run an asynchronous function before events such as `users.create`, inside the transaction of the write.

        It receives the event and the directory of the caller, from which it may read. It may change `event.payload` or
        return another one, which is then validated and checked like a client's, and reject the write by raising a
        RollcallError. A transaction may be run again, and then its hooks are too.
        """
        return self._hook(self._registrations.before, events)

    def after(self, *events: str) -> Callable[[HookT], HookT]:
        """Run an asynchronous function once after the commit of events such as `users.create`.

        It receives the event and the directory of the caller. The response does not wait for it; if it fails, that is
        logged, and nothing is undone.
        """
        return self._hook(self._registrations.after, events)

    def query(self, *, visible: RootFieldVisibility, name: str | None = None) -> Callable[[ResolverT], ResolverT]:
        """Add a query to the GraphQL schema: an asynchronous Strawberry resolver, by default under its own name.

        `visible` says who sees it: "public", "user" for every signed-in user, "app" for those with app access, or
        "admin". For all others it does not exist. `info.context.directory` is the directory of the caller.
        """
        return self._root_field("Query", name, visible)

    def mutation(self, *, visible: RootFieldVisibility, name: str | None = None) -> Callable[[ResolverT], ResolverT]:
        """Add a mutation to the GraphQL schema, as `query` adds a query."""
        return self._root_field("Mutation", name, visible)

    def _root_field(
        self, kind: RootFieldKind, name: str | None, visible: RootFieldVisibility
    ) -> Callable[[ResolverT], ResolverT]:
        def register(function: ResolverT) -> ResolverT:
            field_name = str(name or getattr(function, "__name__", ""))
            self._require_async(function, field_name)
            if not NAME_PATTERN.fullmatch(field_name):
                raise self._error(f'the name "{field_name}" must consist of letters, digits and underscores')
            if visible not in get_args(RootFieldVisibility):
                allowed = ", ".join(get_args(RootFieldVisibility))
                raise self._error(f'`visible` of "{field_name}" must be one of these: {allowed}')
            self._reserve(f"{kind}.{field_name}")
            self._registrations.root_fields.append(RootField(kind, field_name, function, visible, self._module))
            return function

        return register

    def job(self, every: timedelta) -> Callable[[JobT], JobT]:
        """Run an asynchronous function once per interval, at least a second, in one of all processes.

        It receives the directory of the system, which has no policies. A run may take as long as the interval.
        """

        def register(function: JobT) -> JobT:
            name = f"{self._module}.{getattr(function, '__qualname__', function)}"
            self._require_async(function, name)
            if not isinstance(every, timedelta) or not MIN_JOB_INTERVAL <= every <= MAX_JOB_INTERVAL:
                raise self._error(f'the interval of the job "{name}" must be a timedelta of 1 second to 366 days')
            self._reserve(f"job {name}")
            self._registrations.jobs.append(JobSpec(name, function, every))
            return function

        return register

    def _hook(self, hooks: dict[str, list[HookOfExtension]], events: Sequence[str]) -> Callable[[HookT], HookT]:
        def register(function: HookT) -> HookT:
            self._check_events(events)
            self._require_async(function, ", ".join(events))
            for event in dict.fromkeys(events):
                hooks.setdefault(event, []).append(function)
            return function

        return register

    def _check_events(self, events: Sequence[str]) -> None:
        known = self._registrations.own.events
        if not events:
            raise self._error("a hook must name at least one event, such as users.create")
        for event in events:
            if event not in known:
                similar = get_close_matches(event, sorted(known), 3, 0) or sorted(known)
                raise self._error(f'there is no event "{event}"; similar ones are {", ".join(similar)}')

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
        if self._registrations.closed:
            raise self._error(f'it registers "{name}" only after `register` has returned')
        if not inspect.iscoroutinefunction(function):
            raise self._error(f'the function for "{name}" must be defined with `async def`')

    def _error(self, reason: str) -> ConfigurationError:
        return ConfigurationError(f'The extension "{self._module}" cannot be used: {reason}.')
