"""What the caller may do, as pages ask for it: nothing is offered that the API would refuse."""

from collections.abc import Iterable, Sequence

from app.core.errors import Forbidden
from app.policy.rules import DELETE, READ, Access, Rule
from app.query.collection import PREFIX, USERS, Collection
from app.query.filter import MATCH_ALL, Filter, parse_filter

OWN_ROW = {"id": {"_eq": "$CURRENT_USER"}}
"""The filter of permissions on the caller's own row, such as that of app access."""


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

    def may_create_freely(self, collection: str, fields: Sequence[str]) -> bool:
        """Return whether the caller may create rows with any values of these fields: no validation, no preset."""
        definition = self._collection(collection)
        if definition is None:
            return False
        rules, wanted = self._access.granted("create", definition), {definition.fields.get(name) for name in fields}
        is_free = all(rule.validation == MATCH_ALL and rule.presets is None for rule in rules)
        return is_free and any(rule.fields >= wanted for rule in rules)

    def shows(self, collection: str, field: str, key: str | None = None) -> bool:
        """Return whether null in a field means that it is empty; otherwise the caller may not see its value.

        `key` is that of the row; None stands for every row that the caller may see.
        """
        definition = self._collection(collection)
        if definition is None:
            return False
        rules, own_filters = self._access.granted(READ, definition), self._own_filters(definition)
        for_own = [rule for rule in rules if rule.filter in own_filters]
        for_others = [rule for rule in rules if rule.filter not in own_filters]
        wanted = definition.fields.get(field)
        granting = [rule for rule in rules if wanted in rule.fields]
        certain = [rule for rule in granting if rule.filter == MATCH_ALL]
        is_shown_in_others = bool(certain) or all(rule in granting for rule in for_others)
        is_shown_in_own = any(rule in granting for rule in for_own) or is_shown_in_others
        if key is None:
            return bool(rules) and is_shown_in_others and (is_shown_in_own or not for_own)
        return is_shown_in_own if own_filters and self.is_own(key) else bool(for_others) and is_shown_in_others

    def target(self, collection: str, field: str) -> str | None:
        """Return the collection to which a field refers, None if it is no relation, or no field that is served."""
        definition = self._collection(collection)
        relation = definition and field in definition.fields and definition.fields[field].relation
        return relation.target.removeprefix(PREFIX) if relation else None

    def may_follow(self, collection: str, field: str) -> bool:
        """Return whether documents may select fields of the row to which a field refers; otherwise it is a key.

        As in Directus, the caller has to read a field of the other side of the relation, too, if there is one.
        """
        definition = self._collection(collection)
        relation = definition and field in definition.fields and definition.fields[field].relation
        target = self._access.registry.get(relation.target) if relation else None
        if not relation or target is None:
            return False
        names = {each.name for each in self._access.fields(READ, target)}
        return bool(names) and (not relation.reverse or not names.isdisjoint(relation.reverse))

    def shows_all_rows(self, collection: str, fields: Sequence[str]) -> bool:
        """Return whether the caller may read these fields of every row, so that counts are those of all rows."""
        definition = self._collection(collection)
        if definition is None:
            return False
        rules = [rule for rule in self._access.granted(READ, definition) if rule.filter == MATCH_ALL]
        return all(any(definition.fields.get(name) in rule.fields for rule in rules) for name in fields)

    def listed_fields(self, wanted: Iterable[str]) -> list[str]:
        """Return those of the `wanted` fields of users that are worth a column or a filter, in their order.

        A field that the caller may read only in its own row is not, unless that is the only visible row.
        """
        definition = self._access.registry.own(USERS)
        own_filters = self._own_filters(definition)
        rules = self._access.granted(READ, definition)
        for_others: Sequence[Rule] = [rule for rule in rules if rule.filter not in own_filters]
        names = {field.name for rule in for_others or rules for field in rule.fields}
        return [name for name in self.fields(READ, "users", wanted) if name in names]

    def is_own(self, key: str | None) -> bool:
        """Return whether a key is that of the caller's own row of users."""
        return key is not None and key.lower() == self._access.user

    @property
    def has_role(self) -> bool:
        """Whether the caller has a role."""
        return self._access.state.role is not None

    def _own_filters(self, definition: Collection) -> tuple[Filter, ...]:
        """Return the filters that match only the row of the caller; none for other collections than users."""
        if definition.name != USERS.name:
            return ()
        return tuple(parse_filter(definition, text, stored=True) for text in (OWN_ROW, {"_and": [OWN_ROW]}))

    def _collection(self, name: str) -> Collection | None:
        return self._access.registry.get(f"{PREFIX}{name}")
