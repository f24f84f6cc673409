"""The payloads of a write command that need slow work first, such as hashing, and whether the caller may write them.

The check spares that work for a command that is going to be denied. It takes no lock; the check inside the transaction
decides.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from app.core.errors import Forbidden
from app.policy.validation import variables
from app.policy.write_resolver import WriteResolver
from app.query.collection import USERS, Collection, Field
from app.query.filter import AndFilter, Filter, OrFilter, RelationFilter
from app.query.payload import Payload
from app.query.scoped import ScopedRows
from app.repositories.engine.collection_rules import DirectoryRules
from app.repositories.engine.commands import (
    SelectedKeys,
    Update,
    UpdateEach,
    UpdateSingleton,
    UpdatesKnownRows,
    Upsert,
    WriteCommand,
)
from app.repositories.engine.custom_values import has_hashed_values

RuleMatches = Mapping[Any, Sequence[bool]]
FetchMatches = Callable[[ScopedRows, Iterable[Any]], Awaitable[RuleMatches]]
"""Returns which rules match each of the rows with these keys, by key, without those that don't exist."""


class SlowWrite(NamedTuple):
    """A payload that needs slow work.

    `actions` are those that the write may turn out to be, `keys` those of the rows that it updates, as far as they are
    known. `link` is the field that refers to the row that a nested row belongs to.
    """

    payload: Payload
    actions: Sequence[str]
    keys: Sequence[Any]
    link: Field | None = None
    nested: bool = False

    def fields(self, action: str) -> frozenset[Field]:
        """Return the fields that need permission for an action."""
        fields = self.payload.fields | ({self.link} if self.link else frozenset())
        return fields - {self.payload.collection.key} if action == "update" else fields


def find_slow_writes(command: WriteCommand, rules: DirectoryRules) -> list[SlowWrite]:
    """Return the payloads of a command that contain the slow field of their collection, or a hashed custom field."""
    writes = (write for payload in command.payloads() for write in _walk(_outermost(command, payload)))
    return [write for write in writes if has_slow_field(write.payload, rules) or has_hashed_values(write.payload)]


def has_slow_field(payload: Payload, rules: DirectoryRules) -> bool:
    """Return whether a payload contains the slow field of its collection."""
    return rules.of(payload.collection).slow_field in payload.values


def _outermost(command: WriteCommand, payload: Payload) -> SlowWrite:
    keys = () if payload.key is None else (payload.key,)
    match command:
        case Update(keys=SelectedKeys(keys=selected)):
            return SlowWrite(payload, ("update",), selected)
        case Update(keys=updated):
            return SlowWrite(payload, ("update",), updated if isinstance(updated, Sequence) else ())
        case UpdateEach():
            return SlowWrite(payload, ("update",), keys)
        case Upsert() | UpdateSingleton():
            return SlowWrite(payload, ("update", "create"), keys)
        case UpdatesKnownRows():
            return SlowWrite(payload, ("update",), command.updated_keys)
        case _:
            return SlowWrite(payload, (command.action,), ())


def _walk(write: SlowWrite) -> Iterator[SlowWrite]:
    yield write
    for payload in write.payload.to_one.values():
        yield from _walk(_nested(payload, None))
    for field, changes in write.payload.to_many.items():
        for payload in changes.payloads():
            yield from _walk(_nested(payload, write.payload.collection.inverse_of(field)))


def _nested(payload: Payload, link: Field | None) -> SlowWrite:
    if payload.key is None:
        return SlowWrite(payload, ("create",), (), link, nested=True)
    return SlowWrite(payload, ("update", "create"), (payload.key,), link, nested=True)


async def check_slow_writes(policy: WriteResolver, writes: Sequence[SlowWrite], fetch_matches: FetchMatches) -> None:
    """Check that the caller may write the fields of each payload and, as far as they are known, its rows.

    Raises:
        Forbidden: The transaction would deny the command.
    """
    for write in writes:
        _check_fields(policy, write)
    for collection in {write.payload.collection for write in writes}:
        await _check_rows(policy, collection, [w for w in writes if w.payload.collection is collection], fetch_matches)


def _check_fields(policy: WriteResolver, write: SlowWrite) -> None:
    *others, last = write.actions
    for action in others:
        with suppress(Forbidden):
            policy.require_fields(action, write.payload.collection, write.fields(action))
            return
    policy.require_fields(last, write.payload.collection, write.fields(last))


async def _check_rows(
    policy: WriteResolver, collection: Collection, writes: Sequence[SlowWrite], fetch_matches: FetchMatches
) -> None:
    rules = policy.access.granted("update", collection)
    if not all(_depends_on_row_only(rule.filter) for rule in rules):  # the outer rows may change what they match
        writes = [write for write in writes if not write.nested]
    keys = {key for write in writes for key in write.keys}
    if not keys:
        return
    scope = policy.scope("update", collection) if rules else ScopedRows(collection, ())
    matches = await fetch_matches(scope, keys)
    for write in writes:
        for key in write.keys:
            if key in matches or "create" not in write.actions:
                is_self = collection.is_same(USERS) and key == policy.access.user
                policy.check("update", collection, matches.get(key, ()), write.fields("update"), is_self=is_self)
            else:
                policy.require_fields("create", collection, write.fields("create"))


def _depends_on_row_only(filter_: Filter) -> bool:
    """Return whether a filter compares only fields of the row itself, with values that no write changes."""
    return not _has_relation(filter_) and not any(variable.path for variable in variables(filter_))


def _has_relation(filter_: Filter) -> bool:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return any(map(_has_relation, parts))
        case _:
            return isinstance(filter_, RelationFilter)
