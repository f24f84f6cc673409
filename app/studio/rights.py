"""What the caller may do, as pages ask for it: nothing is offered that the API would refuse."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.core.errors import Forbidden
from app.policy.permission_summary import Summary
from app.policy.rules import DELETE, EVERY_FIELD, Access
from app.query.collection import PREFIX, Registry


def effective_summary(summary: Summary, access: Access, registry: Registry) -> Summary:
    """Return the summary without what only permissions grant that cannot be read, which the API ignores."""
    return {
        name: {action: granted for action, granted in actions.items() if access.granted(action, registry[name])}
        for name, actions in summary.items()
        if name in registry
    }


class Rights:
    """The caller's permissions by collection, named without the prefix.

    They are a union over all rows. For one row, ask its repository's `may`, and still expect `Forbidden`.
    """

    def __init__(self, summary: Summary, *, admin: bool = False) -> None:
        self._summary, self.admin = summary, admin

    def may(self, action: str, collection: str) -> bool:
        """Return whether the caller may do something with at least some rows of a collection."""
        return bool(self._action(action, collection).get("access", "none") != "none")

    def require(self, action: str, collection: str) -> None:
        """Raise Forbidden unless the caller may do something with at least some rows of a collection."""
        if not self.may(action, collection):
            raise Forbidden

    def may_all(self, action: str, collection: str) -> bool:
        """Return whether the caller may do something with all fields of all rows of a collection."""
        granted = self._action(action, collection)
        return granted.get("access") == "full" and (action == DELETE or EVERY_FIELD in granted.get("fields", []))

    def fields(self, action: str, collection: str, wanted: Iterable[str]) -> list[str]:
        """Return those of the `wanted` fields for which the caller may do something, in their order."""
        names = self._action(action, collection).get("fields", [])
        return [name for name in wanted if EVERY_FIELD in names or name in names]

    def may_field(self, action: str, collection: str, field: str) -> bool:
        """Return whether the caller may do something with a field."""
        return bool(self.fields(action, collection, [field]))

    def may_fields(self, action: str, collection: str, fields: Sequence[str]) -> bool:
        """Return whether the caller may do something with all of the fields."""
        return len(self.fields(action, collection, fields)) == len(fields)

    def presets(self, action: str, collection: str) -> dict[str, Any]:
        """Return the values that the caller's permissions set unless a write has others."""
        return dict(self._action(action, collection).get("presets", {}))

    def _action(self, action: str, collection: str) -> dict[str, Any]:
        return self._summary.get(f"{PREFIX}{collection}", {}).get(action, {})
