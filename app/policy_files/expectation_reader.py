"""Reads tests of policies from a document."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from app.policy.expectations import ActionExpectation, PolicyTest, RowsExpectation, TestSubject
from app.policy_files.located import Entry, Located, Position, suggestion
from app.query.collection import PREFIX, Collection, Registry

ACTIONS = ("create", "read", "update", "delete")
TEST_KEYS = ("name", "as", "ip", "may", "may not", "sees")
ACTION_KEYS = ("action", "item", "payload")
ROW_KEYS = ("collection", "filter", "rows", "ids", "emails")
EXPECTED = re.compile(r"(?P<action>\S+)\s+(?P<collection>[^\s.]+)(?:\.(?P<field>\S+))?")
EXAMPLE = "'read users' or 'update users.email'"


def read_tests(tests: Iterable[Located], registry: Registry | None) -> list[PolicyTest]:
    """Return the tests of a document; without a registry, the names of collections and fields are not checked.

    Raises:
        DocumentError: A key, an action, a collection or a field is unknown, or a value has the wrong type.
    """
    return [_TestReader(registry).test(test) for test in tests]


class _TestReader:
    """Reads tests; their names must be those of the registry, if there is one."""

    def __init__(self, registry: Registry | None) -> None:
        self._registry = registry

    def test(self, located: Located) -> PolicyTest:
        entry = located.entry("a test", TEST_KEYS)
        actions = [
            self._action(item, allowed=allowed)
            for key, allowed in (("may", True), ("may not", False))
            for item in entry.items(key)
        ]
        rows = [self._rows(item) for item in entry.items("sees")]
        if not actions and not rows:
            raise located.at.error("a test needs 'may', 'may not' or 'sees'.")
        subject = _subject(entry)
        return PolicyTest(entry.optional_text("name"), subject, str(located.at), tuple(actions), tuple(rows))

    def _action(self, located: Located, *, allowed: bool) -> ActionExpectation:
        item = payload = None
        written = located
        if isinstance(located.value, dict):
            entry = located.entry("an expectation", ACTION_KEYS)
            written, item, payload = entry.require("action"), _item(entry), entry.get("payload")
        action, collection, field = self._parts(written)
        if action == "create" and item is not None:
            raise located.at.error("a test of 'create' has no 'item'.")
        if payload is not None and action not in ("create", "update"):
            raise payload.at.error(f"a test of {action!r} has no 'payload'.")
        values: dict[str, Any] | None = None
        if payload is not None:
            payload.mapping("'payload'")
            values = payload.plain()
            for name in values or {}:
                self._check_field(collection, name, payload.key_position(name))
        return ActionExpectation(allowed, action, collection, str(written.at), field, item, values)

    def _parts(self, written: Located) -> tuple[str, str, str | None]:
        text = written.text("an expectation")
        match = EXPECTED.fullmatch(text)
        if match is None:
            raise written.at.error(f"{text!r} is no expectation such as {EXAMPLE}.")
        action, field = match["action"], match["field"]
        if action not in ACTIONS:
            raise written.at.error(f"there is no action {action!r}. {suggestion(action, ACTIONS)}")
        collection = self._collection(match["collection"], written.at)
        if field is not None:
            self._check_field(collection, field, written.at)
        return action, collection, field

    def _rows(self, located: Located) -> RowsExpectation:
        entry = located.entry("an item of 'sees'", ROW_KEYS)
        collection = self._collection(entry.require("collection").text("'collection'"), entry.require("collection").at)
        filter_ = entry.get("filter")
        if filter_ is not None:
            filter_.mapping("'filter'")
        results = [key for key in ("rows", "ids", "emails") if entry.get(key) is not None]
        if len(results) != 1:
            raise located.at.error("an item of 'sees' needs one of 'rows', 'ids' and 'emails'.")
        field = "email" if results == ["emails"] else "id"
        self._check_field(collection, field, located.at)
        common = (collection, str(located.at), {} if filter_ is None else filter_.plain())
        if results == ["rows"]:
            return RowsExpectation(*common, count=entry.require("rows").integer("'rows'"))
        return RowsExpectation(*common, field=field, values=tuple(_keys(entry, results[0])))

    def _collection(self, name: str, at: Position) -> str:
        """Return the short name of a collection."""
        if self._registry is not None and self._find(name) is None:
            known = [collection.short_name for collection in self._registry.values()]
            raise at.error(f"there is no collection {name!r}. {suggestion(name, known)}")
        return name.removeprefix(PREFIX)

    def _check_field(self, collection_name: str, name: str, at: Position) -> None:
        collection = self._find(collection_name)
        if collection is not None and name not in collection.fields:
            hint = suggestion(name, collection.fields)
            raise at.error(f"{collection.name} has no field {name!r}. {hint}".rstrip())

    def _find(self, name: str) -> Collection | None:
        registry = self._registry
        return None if registry is None else registry.get(name) or registry.get(f"{PREFIX}{name}")


def _subject(entry: Entry) -> TestSubject:
    ip = entry.get("ip")
    address = None if ip is None else ip.text("'ip'")
    if ip is not None and not _is_ip(address):
        raise ip.at.error(f"{address!r} is no IP address.")
    subject = entry.require("as")
    if isinstance(subject.value, dict):
        named = subject.entry("'as'", ("role", "user"))
        if len(named.values) != 1:
            raise subject.at.error("'as' needs either 'role' or 'user'.")
        ((kind, value),) = named.values.items()
        return TestSubject("role" if kind == "role" else "user", value.text(repr(kind)), address)
    name = subject.text("'as'")
    if name == "public":
        return TestSubject("public", ip=address)
    return TestSubject("user" if "@" in name else "role", name, address)


def _is_ip(text: str | None) -> bool:
    try:
        ip_address(text or "")
    except ValueError:
        return False
    return True


def _item(entry: Entry) -> str | int | None:
    item = entry.get("item")
    if item is None:
        return None
    if isinstance(item.value, int) and not isinstance(item.value, bool):
        return item.value
    return item.text("'item'")


def _keys(entry: Entry, key: str) -> list[Any]:
    """Return the ids or emails that are seen; the ids of some collections are integers."""
    items = entry.items(key)
    return [item.value if isinstance(item.value, int) else item.text(f"an item of {key!r}") for item in items]
