"""What the caller may do, as pages ask for it: nothing is offered that the API would refuse."""

from collections.abc import Iterable, Sequence

from app.core.errors import Forbidden
from app.policy.rules import DELETE, Access
from app.query.collection import PREFIX, Collection
from app.query.filter import MATCH_ALL


class Rights:
    """The caller's permissions by collection, named without the prefix, as the policy resolver applies them.

    They are a union over all rows. For one row, ask its repository's `may`, and still expect `Forbidden`.
    """

    def __init__(self, access: Access) -> None:
        self._access, self.admin = access, access.admin

    def may(self, action: str, collection: str) -> bool:
        """Return whether the caller may do something with at least some rows of a collection."""
        definition = self._collection(collection)
        return definition is not None and bool(self._access.granted(action, definition))

    def require(self, action: str, collection: str) -> None:
        """Raise Forbidden unless the caller may do something with at least some rows of a collection."""
        if not self.may(action, collection):
            raise Forbidden

    def may_all(self, action: str, collection: str) -> bool:
        """Return whether the caller may do something with all fields of all rows of a collection."""
        definition = self._collection(collection)
        if definition is None:
            return False
        fields = frozenset(definition.fields.values())
        rules = (rule for rule in self._access.granted(action, definition) if rule.filter == MATCH_ALL)
        return any(action == DELETE or rule.fields >= fields for rule in rules)

    def fields(self, action: str, collection: str, wanted: Iterable[str]) -> list[str]:
        """Return those of the `wanted` fields for which the caller may do something, in their order."""
        definition = self._collection(collection)
        if definition is None:
            return []
        names = {field.name for field in self._access.fields(action, definition)}
        return [name for name in wanted if name in names]

    def may_field(self, action: str, collection: str, field: str) -> bool:
        """Return whether the caller may do something with a field."""
        return bool(self.fields(action, collection, [field]))

    def may_fields(self, action: str, collection: str, fields: Sequence[str]) -> bool:
        """Return whether the caller may do something with all of the fields."""
        return len(self.fields(action, collection, fields)) == len(fields)

    def _collection(self, name: str) -> Collection | None:
        return self._access.registry.get(f"{PREFIX}{name}")
