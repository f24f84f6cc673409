"""What extensions have registered, and the names that they must not use because Rollcall has them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request

from app.policy.root_fields import RootField
from app.query.collection import Collection
from app.repositories.directory import Directory
from app.repositories.hooks import LOGIN_EVENT, HookEvent, Hooks

EndpointFunction = Callable[[Request, Directory], Awaitable[Any]]
"""Answers a request for the caller of a directory."""

HookOfExtension = Callable[[HookEvent, Directory], Awaitable[Any]]
"""Receives an event, and the directory of the caller that causes it."""
JobFunction = Callable[[Directory], Awaitable[Any]]
"""Does periodic work with the directory of the system."""

OWN_ROOTS = frozenset({"admin", "assets", "auth", "graphql", "robots.txt", "server", "shares", "utils"})
WRITE_ACTIONS = ("create", "update", "delete")
RESERVED_ROOTS = frozenset({"collections", "fields", "items", "relations", "schema"})
"""First segments of Directus' paths that Rollcall may serve one day."""


@dataclass(frozen=True, slots=True)
class ExtensionRoute:
    """A path and the methods that a function of an extension answers."""

    path: str
    methods: tuple[str, ...]
    function: EndpointFunction

    @property
    def root(self) -> str:
        """The path's first segment, with its slash."""
        return f"/{self.path.split('/')[1]}"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A function that is run once per interval `every`, in one of all processes."""

    name: str
    function: JobFunction
    every: timedelta


@dataclass(frozen=True, slots=True)
class OwnNames:
    """What the server itself has: names that extensions must not use, and the events that they can react to."""

    roots: frozenset[str]
    """First segments of paths."""
    events: frozenset[str]
    """The events that can have hooks."""

    @classmethod
    def from_collections(cls, collections: Iterable[Collection]) -> "OwnNames":
        """Return the names of a server with these collections."""
        collections = list(collections)
        writable = [collection for collection in collections if collection.writable]
        roots = OWN_ROOTS | RESERVED_ROOTS | {collection.short_name for collection in collections}
        events = {f"{collection.short_name}.{action}" for collection in writable for action in WRITE_ACTIONS}
        return cls(roots, frozenset(events | {LOGIN_EVENT}))


@dataclass(frozen=True, slots=True)
class Extensions:
    """Everything that the extensions of a process have registered."""

    routes: tuple[ExtensionRoute, ...] = ()
    hooks: Hooks | None = None
    jobs: tuple[JobSpec, ...] = ()
    root_fields: tuple[RootField, ...] = ()

    @asynccontextmanager
    async def running_hooks(self) -> AsyncIterator[None]:
        """On exit, wait a moment for the hooks that run after writes, then cancel them."""
        async with AsyncExitStack() as stack:
            if self.hooks is not None:
                await stack.enter_async_context(self.hooks.running())
            yield
