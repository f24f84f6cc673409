"""The generic mutations: each says what is to be done by a repository, and what is read back of it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidCredentials, InvalidPayload
from app.graphql.documents.normalize_document import KEY_ALIAS
from app.graphql.documents.selection import Selection
from app.graphql.fields.queries import FieldRequest, FinishedValue, GraphQLContext
from app.graphql.types import builder
from app.policy.rules import Access
from app.query.collection import USERS, WRITABLE_COLLECTIONS, Collection
from app.query.read import Read
from app.query.results import Row
from app.repositories.engine.commands import WriteCommand
from app.repositories.repository import Repository, returning

Arguments = Mapping[str, Any]
Make = Callable[[Repository, str | None, Arguments], WriteCommand]
"""The change that a root field's arguments ask for; the second is the id of who asks, if it is somebody."""


@dataclass(frozen=True, slots=True)
class MutationSpec:
    """What a root field changes: the change it makes, and of which collection it reads one row back."""

    make: Make
    collection: Collection


def make_mutation_types() -> None:
    """What is told of rows that are gone."""
    builder.define_type("delete_one", [builder.field("id", "ID!")])
    builder.define_type("delete_many", [builder.field("ids", "[ID]!")])


def mutations() -> Iterator[StrawberryField]:
    """The root fields that write."""
    yield _one("update_users_me", USERS, {"data": f"{builder.input_type('update', USERS)}"}, _change_me)
    for collection in WRITABLE_COLLECTIONS:
        if collection.singleton:
            data = {"data": f"{builder.input_type('update', collection)}!"}
            yield _one(f"update_{collection.short_name}", collection, data, _change_only)
            continue
        yield from _creating(collection)
        yield from _updating(collection)
        yield from _deleting(collection)


def _creating(collection: Collection) -> Iterator[StrawberryField]:
    name, given = collection.short_name, builder.input_type("create", collection)
    yield _several(f"create_{name}_items", collection, {"data": f"[{given}!]"}, _create_many)
    yield _one(f"create_{name}_item", collection, {"data": f"{given}!"}, _create_one)


def _updating(collection: Collection) -> Iterator[StrawberryField]:
    name, given = collection.short_name, builder.input_type("update", collection)
    yield _several(f"update_{name}_items", collection, {"ids": "[ID]!", "data": f"{given}!"}, _change_many)
    yield _several(f"update_{name}_batch", collection, {"data": f"[{given}!]"}, _change_each)
    yield _one(f"update_{name}_item", collection, {"id": "ID!", "data": f"{given}!"}, _change_one)


def _deleting(collection: Collection) -> Iterator[StrawberryField]:
    name = collection.short_name
    yield builder.field(f"delete_{name}_items", "delete_many", {"ids": "[ID]!"}, _deletion(collection, several=True))
    yield builder.field(f"delete_{name}_item", "delete_one", {"id": "ID!"}, _deletion(collection, several=False))


def _several(name: str, collection: Collection, arguments: Mapping[str, str], make: Make) -> StrawberryField:
    listing = {"filter": f"{collection.name}_filter", **builder.LISTING}
    resolver = _resolver(collection, make, several=True)
    return builder.field(name, f"[{collection.name}!]!", {**listing, **arguments}, resolver)


def _one(name: str, collection: Collection, arguments: Mapping[str, str], make: Make) -> StrawberryField:
    told = {"making": MutationSpec(make, collection)}
    return builder.field(name, collection.name, arguments, _resolver(collection, make, several=False), told=told)


def _resolver(collection: Collection, make: Make, *, several: bool) -> Callable[..., Awaitable[Any]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> Any:
        raw: Any = info._raw_info  # noqa: SLF001  # Strawberry's own view of a selection keeps what @skip takes away
        request = info.context
        repository = request.directory[collection.name]
        selection = Selection(raw.schema, raw.fragments, raw.variable_values, request.directory.services.limits)
        change = make(repository, request.access.user, arguments)
        if KEY_ALIAS in selection.collect(raw.field_nodes):
            await repository.write(change)
            return FinishedValue(value=True)
        listing = {name: arguments.get(name) for name in ("filter", *builder.LISTING)} if several else {}

        def ask(access: Access) -> Read:
            asking = FieldRequest(access, selection, raw.field_nodes, arguments)
            return asking.read(collection, {**listing, "limit": listing.get("limit") or -1})

        rows = (await repository.write(change, returning(repository, ask))).result or []
        return _told(rows, several=several)

    return resolve


def _told(rows: Sequence[Row], *, several: bool) -> FinishedValue | None:
    """What was written as its writer may see it: where one row isn't to be seen by who wrote it, null."""
    if several:
        return FinishedValue(list(rows))
    return FinishedValue(rows[0]) if rows else None


def _deletion(collection: Collection, *, several: bool) -> Callable[..., Awaitable[Any]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> Any:
        repository = info.context.directory[collection.name]
        keys = arguments["ids"] if several else [arguments["id"]]
        await repository.write(repository.delete_command(keys))
        return SimpleNamespace(ids=keys) if several else SimpleNamespace(id=keys[0])

    return resolve


def _data(arguments: Arguments) -> Any:
    if arguments.get("data") is None:
        raise InvalidPayload('"data" is required')
    return arguments["data"]


def _create_many(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.create_command(_data(arguments))


def _create_one(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.create_command([_data(arguments)])


def _change_many(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_command(arguments["ids"], _data(arguments))


def _change_each(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_each_command(_data(arguments))


def _change_one(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_command([arguments["id"]], _data(arguments))


def _change_me(repository: Repository, user: str | None, arguments: Arguments) -> WriteCommand:
    if user is None:
        raise InvalidCredentials
    return repository.update_command([user], _data(arguments))


def _change_only(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.singleton_command(_data(arguments))
