"""The generic mutations: each builds a write command for a repository and returns what the caller sees of the rows."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any, get_args

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidCredentials, InvalidPayload
from app.flows.user_deletion import DeletionOptions, delete_users
from app.graphql.documents.normalize_document import KEY_ALIAS
from app.graphql.documents.selection import Selection
from app.graphql.fields.queries import FieldRequest, FinishedValue, GraphQLContext
from app.graphql.types.builder import LIST_ARGUMENTS, TypeBuilder, input_type
from app.policy.rules import Access
from app.query.collection import USERS, Collection
from app.query.read import Read
from app.query.results import Row
from app.repositories.engine.commands import WriteCommand
from app.repositories.references.user_references import ReferenceAction
from app.repositories.repository import Repository, returning

Arguments = Mapping[str, Any]
CommandBuilder = Callable[[Repository, str | None, Arguments], WriteCommand]
"""Builds the write command of a root field from its arguments; the second parameter is the caller's user id, if any."""
MUTATION_SPEC = "mutation_spec"
"""The key of a root field's `MutationSpec` in its metadata."""


REFERENCE = {"table": "String!", "column": "String!", "count": "Int!", "action": "String!"}
REFERENCE_NOTES = {"action": "What the deletion does to the rows: " + ", ".join(get_args(ReferenceAction))}
REFERENCES_DESCRIPTION = "What refers to deleted users; null without `dry_run` or `reassign_to`."
DELETION_OPTIONS = {"reassign_to": "ID", "dry_run": "Boolean"}
"""The arguments that only the deletion of users has."""


@dataclass(frozen=True, slots=True)
class MutationSpec:
    """A root field that writes: its command builder, and the collection of the one row that it returns."""

    build_command: CommandBuilder
    collection: Collection


def define_mutation_types(types: TypeBuilder) -> None:
    """Define the types that mutations return for deleted rows; only those of users have references."""
    members = [types.field(name, spec, description=REFERENCE_NOTES.get(name)) for name, spec in REFERENCE.items()]
    types.define_type("deletion_reference", members)
    references = types.field("references", "[deletion_reference!]", description=REFERENCES_DESCRIPTION)
    types.define_type("delete_one", [types.field("id", "ID!"), references])
    types.define_type("delete_many", [types.field("ids", "[ID]!"), references])


def mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the root fields that write collections, `update_users_me` first."""
    users = types.registry.own(USERS)
    yield _row_field(types, "update_users_me", users, {"data": f"{input_type('update', users)}"}, _update_me)
    for collection in types.registry.writable:
        if collection.singleton:
            data = {"data": f"{input_type('update', collection)}!"}
            yield _row_field(types, f"update_{collection.short_name}", collection, data, _update_singleton)
            continue
        yield from _create_fields(types, collection)
        yield from _update_fields(types, collection)
        yield from _delete_fields(types, collection)


def _create_fields(types: TypeBuilder, collection: Collection) -> Iterator[StrawberryField]:
    name, data = collection.short_name, input_type("create", collection)
    yield _list_field(types, f"create_{name}_items", collection, {"data": f"[{data}!]"}, _create_many)
    yield _row_field(types, f"create_{name}_item", collection, {"data": f"{data}!"}, _create_one)


def _update_fields(types: TypeBuilder, collection: Collection) -> Iterator[StrawberryField]:
    name, data = collection.short_name, input_type("update", collection)
    yield _list_field(types, f"update_{name}_items", collection, {"ids": "[ID]!", "data": f"{data}!"}, _update_many)
    yield _list_field(types, f"update_{name}_batch", collection, {"data": f"[{data}!]"}, _update_each)
    yield _row_field(types, f"update_{name}_item", collection, {"id": "ID!", "data": f"{data}!"}, _update_one)


def _delete_fields(types: TypeBuilder, collection: Collection) -> Iterator[StrawberryField]:
    name, many, one = collection.short_name, _delete_resolver(collection, many=True), _delete_resolver(collection)
    options = DELETION_OPTIONS if collection.is_same(USERS) else {}
    yield types.field(f"delete_{name}_items", "delete_many", {"ids": "[ID]!", **options}, many)
    yield types.field(f"delete_{name}_item", "delete_one", {"id": "ID!", **options}, one)


def _list_field(
    types: TypeBuilder, name: str, collection: Collection, arguments: Mapping[str, str], build_command: CommandBuilder
) -> StrawberryField:
    list_arguments = {"filter": f"{collection.name}_filter", **LIST_ARGUMENTS}
    resolver = _resolver(collection, build_command, many=True)
    return types.field(name, f"[{collection.name}!]!", {**list_arguments, **arguments}, resolver)


def _row_field(
    types: TypeBuilder, name: str, collection: Collection, arguments: Mapping[str, str], build_command: CommandBuilder
) -> StrawberryField:
    metadata = {MUTATION_SPEC: MutationSpec(build_command, collection)}
    resolver = _resolver(collection, build_command)
    return types.field(name, collection.name, arguments, resolver, extra_metadata=metadata)


def _resolver(
    collection: Collection, build_command: CommandBuilder, *, many: bool = False
) -> Callable[..., Awaitable[Any]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> Any:
        raw: Any = info._raw_info  # noqa: SLF001  # Strawberry's `selected_fields` ignores @skip and @include
        context = info.context
        repository = context.directory[collection.name]
        limits = context.directory.services.limits
        selection = Selection(raw.schema, raw.fragments, raw.variable_values, limits, limits.size_counter())
        command = build_command(repository, context.access.user, arguments)
        if KEY_ALIAS in selection.collect(raw.field_nodes):
            await repository.write(command)
            return FinishedValue(value=True)
        list_arguments = {name: arguments.get(name) for name in ("filter", *LIST_ARGUMENTS)} if many else {}

        def build_read(access: Access) -> Read:
            counted = replace(selection, size=limits.size_counter())  # it is built again if the transaction is retried
            request = FieldRequest(access, counted, raw.field_nodes, arguments)
            return request.read(collection, {**list_arguments, "limit": list_arguments.get("limit") or -1})

        rows = (await repository.write(command, returning(repository, build_read))).result or []
        return _finished(rows, many=many)

    return resolve


def _finished(rows: Sequence[Row], *, many: bool) -> FinishedValue | None:
    """Return the written rows that the caller may see: a list, or one row; null if the caller must not see that row."""
    if many:
        return FinishedValue(list(rows))
    return FinishedValue(rows[0]) if rows else None


def _delete_resolver(collection: Collection, *, many: bool = False) -> Callable[..., Awaitable[Any]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> Any:
        directory = info.context.directory
        keys = arguments["ids"] if many else [arguments["id"]]
        options = DeletionOptions(arguments.get("reassign_to"), bool(arguments.get("dry_run")))
        references = None
        if options:
            found = (await delete_users(directory, keys, options)).references
            references = [SimpleNamespace(**asdict(reference)) for reference in found]
        else:
            repository = directory[collection.name]
            await repository.write(repository.delete_command(keys))
        deleted = {"ids": keys} if many else {"id": keys[0]}
        return SimpleNamespace(**deleted, references=references)

    return resolve


def _data(arguments: Arguments) -> Any:
    if arguments.get("data") is None:
        raise InvalidPayload('"data" is required')
    return arguments["data"]


def _create_many(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.create_command(_data(arguments))


def _create_one(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.create_command([_data(arguments)])


def _update_many(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_command(arguments["ids"], _data(arguments))


def _update_each(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_each_command(_data(arguments))


def _update_one(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_command([arguments["id"]], _data(arguments))


def _update_me(repository: Repository, user: str | None, arguments: Arguments) -> WriteCommand:
    if user is None:
        raise InvalidCredentials
    return repository.update_command([user], _data(arguments))


def _update_singleton(repository: Repository, _: str | None, arguments: Arguments) -> WriteCommand:
    return repository.update_singleton_command(_data(arguments))
