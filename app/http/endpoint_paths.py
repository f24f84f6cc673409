"""Which endpoint a path leads to, and under which name its requests are counted."""

from collections.abc import Collection, Mapping
from typing import Protocol, TypeVar, runtime_checkable

from starlette.types import Scope

from app.http.request_head import REQUESTED_PATH

COUNTED_METHODS = frozenset(("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "SEARCH"))
OTHER_METHOD, UNKNOWN_PATH = "other", "unknown"
"""How requests are counted whose method, or whose path, no endpoint knows: clients must not be able to add names."""

LIVE, READY = "/server/live", "/server/ready"
PROBES = frozenset((LIVE, READY))
"""The paths with which a load balancer watches a process; the limit on requests does not count them."""

T = TypeVar("T")

RequestLabels = tuple[str, str]
"""The endpoint and the method of a request, as they are counted."""


@runtime_checkable
class NamesPaths(Protocol):
    """An endpoint whose requests are counted by their paths."""

    @property
    def paths(self) -> Collection[str]:
        """The paths it answers, without those that contain values."""
        ...


class EndpointPaths:
    """The names under which the requests to some endpoints are counted.

    A path is counted as itself if no part of it is a value; otherwise as its prefix and an asterisk.
    """

    def __init__(self, endpoints: Mapping[str, object]) -> None:
        self._roots = {root: root for root in endpoints}
        self._paths = frozenset(endpoints).union(
            *(endpoint.paths for endpoint in endpoints.values() if isinstance(endpoint, NamesPaths))
        )

    def labels(self, scope: Scope) -> RequestLabels:
        """Return the labels of a request."""
        method: str = scope["method"] if scope["method"] in COUNTED_METHODS else OTHER_METHOD
        normalized = normalize_path(scope)
        path: str = normalized["path"].removeprefix(scope.get("root_path", ""))
        if path in self._paths:
            return path, method
        root = match_prefix(self._roots, normalized)
        return f"{root.rstrip('/')}/*" if root else UNKNOWN_PATH, method


def match_prefix(table: Mapping[str, T], scope: Scope) -> T | None:
    """Return the entry whose path is a prefix of the request's, in whole segments and relative to the mount point."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return table.get(path) or next((entry for root, entry in table.items() if f"{path}/".startswith(f"{root}/")), None)


def normalized_path(scope: Scope) -> str:
    """Return the path of a request below the mount point, in lower case and without trailing slashes.

    Directus' paths ignore both.
    """
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.lower().rstrip("/") or "/"


def normalize_path(scope: Scope) -> Scope:
    """Return the scope with its path normalized, but still with the mount point."""
    root, path, normalized = scope.get("root_path", ""), scope["path"], normalized_path(scope)
    return scope if path == root + normalized else {**scope, "path": root + normalized, REQUESTED_PATH: path}
