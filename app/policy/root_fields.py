"""Root fields that extensions add to the GraphQL schema, and who sees them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from app.policy.visibility import SchemaVisibility

RootFieldVisibility = Literal["public", "user", "app", "admin"]
"""Who sees a root field: everyone, every signed-in user, those with app access, or admins; each includes the next."""
RootFieldKind = Literal["Query", "Mutation"]


@dataclass(frozen=True, slots=True)
class RootField:
    """A root field whose value an asynchronous function of an extension returns."""

    kind: RootFieldKind
    name: str
    function: Callable[..., Awaitable[Any]]
    visible: RootFieldVisibility
    module: str

    def is_visible(self, schema: SchemaVisibility) -> bool:
        """Return whether callers with this visibility see the field."""
        if schema.admin or self.visible == "public":
            return True
        return (self.visible == "user" and schema.authenticated) or (self.visible == "app" and schema.app)
