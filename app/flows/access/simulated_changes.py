"""The changes that a simulation takes: writes of roles, policies, access rows, permissions and users."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app.core.errors import ChangeRejected, InvalidPayload, RollcallError
from app.query.collection import PREFIX, USERS
from app.query.payload import Payload
from app.repositories.commands.simulated_writes import SimulatedCommand
from app.repositories.directory import Directory
from app.repositories.engine.commands import Delete, WriteCommand

MAX_CHANGES = 1_000
"""Maximum number of changes in one simulation."""
COLLECTIONS = ("roles", "policies", "access", "permissions", "users")
ACTIONS = ("create", "update", "delete")
USER_FIELDS = frozenset({"id", "email", "first_name", "last_name", "role", "status", "policies"})
"""The fields of users that decide their access, and those by which new users are recognized."""
MEMBERS = ("collection", "action", "key", "keys", "data")


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `data` creates a row, or updates those with these keys; a deletion has no data.

    `data` is what the corresponding mutation takes, nested rows included.
    """

    collection: str
    action: str
    keys: tuple[Any, ...] = ()
    data: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, raw: Any) -> Self:
        """Return a change from JSON: `{"collection", "action", "key" or "keys", "data"}`.

        Raises:
            InvalidPayload: It is no such object.
        """
        if not isinstance(raw, Mapping):
            raise InvalidPayload("A change must be an object")
        if unknown := next((name for name in raw if name not in MEMBERS), None):
            raise InvalidPayload(f'"{unknown}" is not allowed in a change: it has {", ".join(MEMBERS)}')
        collection, action = str(raw.get("collection")).removeprefix(PREFIX), raw.get("action")
        if collection not in COLLECTIONS:
            raise InvalidPayload(f'"collection" must be one of {", ".join(COLLECTIONS)}')
        if action not in ACTIONS:
            raise InvalidPayload(f'"action" must be one of {", ".join(ACTIONS)}')
        return cls(collection, str(action), _keys(raw), _data(raw, str(action)))

    @property
    def subject(self) -> str:
        """What the change does, in words."""
        return f"{self.action} of {self.collection}"


def parse_changes(raw: Any) -> list[Change]:
    """Return changes from a JSON list.

    Raises:
        InvalidPayload: It is no list, is empty, or has more than MAX_CHANGES items.
        ChangeRejected: An item is no change.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str | bytes):
        raise InvalidPayload('"changes" must be a list of changes')
    check_number(len(raw))
    return [_numbered(index, item) for index, item in enumerate(raw)]


def check_number(count: int) -> None:
    """Raise InvalidPayload if a simulation has no changes, or too many."""
    if count == 0:
        raise InvalidPayload('"changes" must contain at least one change')
    if count > MAX_CHANGES:
        raise InvalidPayload(f"A simulation takes at most {MAX_CHANGES} changes, these are {count}; simulate a part")


def commands_of(changes: Sequence[Change], directory: Directory) -> list[SimulatedCommand]:
    """Return the write commands of changes.

    Raises:
        ChangeRejected: The keys or the values of a change are invalid, or it would set a secret of a user.
    """
    commands = []
    for index, change in enumerate(changes):
        try:
            command = _command(change, directory)
        except RollcallError as error:
            raise ChangeRejected(index, change.subject, error) from error
        commands.append(SimulatedCommand(command, change.subject))
    return commands


def written_collections(commands: Sequence[SimulatedCommand]) -> frozenset[str]:
    """Return the collections whose rows commands may write, nested rows and consequences included."""
    return frozenset(name for one in commands for name in _written(one.command))


def _written(command: WriteCommand) -> Iterator[str]:
    yield from ("directus_activity", "directus_revisions")
    if isinstance(command, Delete):  # rows that refer to the deleted one change with it
        yield from (f"{PREFIX}{name}" for name in COLLECTIONS)
    for payload in command.payloads():
        for nested in payload.walk():
            yield nested.collection.name
            if nested.legacy or nested.to_many:
                yield from (f"{PREFIX}{name}" for name in ("roles", "policies", "access", "permissions"))
            yield from (nested.collection.target_of(field).name for field in nested.to_many)


def _command(change: Change, directory: Directory) -> WriteCommand:
    repository = directory[change.collection]
    if change.action == "delete":
        return repository.delete_command(change.keys)
    if change.data is None:
        raise InvalidPayload('"data" is required')
    command: WriteCommand = (
        repository.create_command([change.data])
        if change.action == "create"
        else repository.update_command(change.keys, change.data)
    )
    for payload in command.payloads():
        _check_users(payload)
    return command


def _check_users(payload: Payload) -> None:
    for nested in payload.walk():
        names = {field.name for field in nested.fields} - USER_FIELDS if nested.collection.is_same(USERS) else set()
        if names:
            raise InvalidPayload(
                f'A simulation does not set "{min(names)}" of users, only {", ".join(sorted(USER_FIELDS))}'
            )


def _numbered(index: int, item: Any) -> Change:
    try:
        return Change.parse(item)
    except InvalidPayload as error:
        raise ChangeRejected(index, "not read", error) from error


def _keys(raw: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = raw.get("keys") if raw.get("keys") is not None else [raw.get("key")]
    if raw.get("action") == "create":
        if raw.get("keys") is not None or raw.get("key") is not None:
            raise InvalidPayload('A change that creates a row has no "key": the key is a part of its "data"')
        return ()
    if not isinstance(keys, list) or not keys or any(not _is_key(key) for key in keys):
        raise InvalidPayload('"key" must be a string or a number, or "keys" a list of them')
    return tuple(keys)


def _is_key(key: Any) -> bool:
    return isinstance(key, str | int) and not isinstance(key, bool) and key != ""


def _data(raw: Mapping[str, Any], action: str) -> Mapping[str, Any] | None:
    data = raw.get("data")
    if action == "delete" and data is not None:
        raise InvalidPayload('A change that deletes rows has no "data"')
    if action != "delete" and not isinstance(data, Mapping):
        raise InvalidPayload('"data" must be an object')
    return data
