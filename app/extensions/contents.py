"""What extensions have registered, and the names that they must not use because Rollcall has them."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from app.query.collection import Collection
from app.repositories.directory import Directory

EndpointFunction = Callable[[Request, Directory], Awaitable[Any]]
"""Answers a request for the caller of a directory."""

OWN_ROOTS = frozenset({"admin", "assets", "auth", "graphql", "robots.txt", "server", "shares", "utils"})
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
class OwnNames:
    """Names that extensions must not use."""

    roots: frozenset[str] = OWN_ROOTS | RESERVED_ROOTS
    """First segments of paths."""

    @classmethod
    def from_collections(cls, collections: Iterable[Collection]) -> "OwnNames":
        """Return the names of a server with these collections."""
        return cls(OWN_ROOTS | RESERVED_ROOTS | {collection.short_name for collection in collections})


@dataclass(frozen=True, slots=True)
class Extensions:
    """Everything that the extensions of a process have registered."""

    routes: tuple[ExtensionRoute, ...] = ()


NO_EXTENSIONS = Extensions()
