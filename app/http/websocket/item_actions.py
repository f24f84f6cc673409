"""The actions of Directus' message `items`: rows are created, read, updated and deleted as over REST."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from app.core.errors import InvalidPayload
from app.repositories.repository import Repository


class ItemRequest(NamedTuple):
    """A message with the repository of its collection, and its query."""

    repository: Repository
    query: dict[str, Any]
    message: dict[str, Any]

    @property
    def keys(self) -> list[Any] | None:
        """The `ids` of the message.

        Raises:
            InvalidPayload: They are no list.
        """
        keys = self.message.get("ids")
        if not isinstance(keys, list | None):
            raise InvalidPayload('"ids" has to be a list')
        return keys

    @property
    def key(self) -> Any:
        """The `id` of the message, if any."""
        return self.message.get("id")

    def data(self) -> dict[str, Any]:
        """Return the `data` of the message.

        Raises:
            InvalidPayload: It is no object.
        """
        data = self.message.get("data")
        if not isinstance(data, dict):
            raise InvalidPayload('"data" has to be an object')
        return data


async def _create(request: ItemRequest) -> Any:
    repository, data = request.repository, request.message.get("data")
    if not isinstance(data, list):
        return await repository.read_one(await repository.create_one(request.data()), request.query)
    if not all(isinstance(row, dict) for row in data):
        raise InvalidPayload('"data" has to be an object, or a list of objects')
    return await repository.read_many(await repository.create_many(data), request.query)


async def _read(request: ItemRequest) -> Any:
    repository, query = request.repository, request.query
    if request.key is not None:
        return await repository.read_one(request.key, query)
    if request.keys is not None:
        return await repository.read_many(request.keys, query)
    if repository.collection.singleton:
        return await repository.read_singleton(query)
    return await repository.read_by_query(query)


async def _update(request: ItemRequest) -> Any:
    repository, query, data = request.repository, request.query, request.data()
    if request.key is not None:
        return await repository.read_one(await repository.update_one(request.key, data), query)
    if request.keys is not None:
        return await repository.read_many(await repository.update_many(request.keys, data), query)
    if repository.collection.singleton:
        await repository.upsert_singleton(data)
        return await repository.read_singleton(query)
    return await repository.read_many(await repository.update_by_query(query, data))


async def _delete(request: ItemRequest) -> Any:
    repository = request.repository
    if request.key is not None:
        return await repository.delete_one(request.key)
    if request.keys is not None:
        return await repository.delete_many(request.keys)
    if not request.query:
        raise InvalidPayload('A deletion needs an "id", "ids" or a "query"')
    return await repository.delete_by_query(request.query)


ITEM_ACTIONS: Mapping[str, Callable[[ItemRequest], Awaitable[Any]]] = {
    "create": _create,
    "read": _read,
    "update": _update,
    "delete": _delete,
}
