"""The doors of the collections in REST: the same repositories that GraphQL asks, under Directus' paths."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.types import Scope

from app.core.errors import InvalidPayload, InvalidQuery, RouteNotFound
from app.http.authentication import Authenticator
from app.http.collection_request import (
    NO_CONTENT,
    CollectionRequest,
    Handler,
    change_one,
    data_response,
    row_parameters,
    write,
)
from app.http.endpoints.account_security import PATHS_BEFORE_TFA, account_security_handler
from app.http.endpoints.export import export_response, flatten_groups
from app.http.endpoints.me import me_handler
from app.http.endpoints.uploads import refuse_import
from app.http.exchange import Body
from app.http.parsing import QueryParameters, parse_query
from app.http.request_head import RequestHead
from app.http.response import Response
from app.query.collection import FILES, USERS, Collection
from app.query.parameters import expand_names, split_names
from app.repositories.directory import Directory
from app.repositories.plans.rest import RestPlanCache
from app.repositories.services import Services

ALLOWED = "POST,GET,HEAD,SEARCH,PATCH,DELETE"
COUNTS = ("total_count", "filter_count")
READING = {"GET", "HEAD", "SEARCH", "OPTIONS"}


class CollectionEndpoint:
    """The door behind one collection's path, such as `/users`; one that is only `read` takes no changes."""

    def __init__(
        self, collection: Collection, services: Services, identity: Authenticator, *, read_only: bool = False
    ) -> None:
        self._collection, self._services, self._identity = collection, services, identity
        self._read_only, self._reads = read_only, RestPlanCache()
        self._handlers = _singleton() if collection.singleton else _items()

    async def __call__(self, scope: Scope, head: RequestHead, body: Body) -> Response:
        try:
            return await self._answer(scope, head, body)
        except RecursionError:
            raise InvalidQuery("The question is nested too deeply") from None

    async def _answer(self, scope: Scope, head: RequestHead, body: Body) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        steps = tuple(step for step in path.split("/")[2:] if step)
        method = scope["method"]
        if method == "OPTIONS":
            return Response(ALLOWED.encode(), 200, b"text/html; charset=utf-8", ((b"allow", ALLOWED.encode()),))
        handler = self._handler("GET" if method == "HEAD" else method, steps)
        if handler is None:
            raise RouteNotFound(scope["path"])
        directory = Directory(self._identity.authenticate(head), self._services, head.client_info)
        if (method, "/".join((self._collection.short_name, *steps))) not in PATHS_BEFORE_TFA:
            await directory.require_tfa_setup_done()
        repository = directory[self._collection.name]
        return await handler(CollectionRequest(directory, head, body, repository, parse_query(head.query), self._reads))

    def _handler(self, method: str, steps: tuple[str, ...]) -> Handler | None:
        if self._read_only and method not in READING:
            return None
        if self._collection is USERS and (handler := account_security_handler(method, steps)):
            return handler
        if self._collection is FILES and (method, steps) == ("POST", ("import",)):
            return refuse_import
        if steps[:1] == ("me",):
            own = me_handler(self._collection, method, steps[1:])
            if own or len(steps) > 1:
                return own
        if len(steps) > 1 or (steps and self._collection.singleton):
            return None
        found = self._handlers.get((method, bool(steps)))
        return (lambda call: found(call, *steps)) if found else None


Handlers = Mapping[tuple[str, bool], Callable[..., Awaitable[Response]]]


def _items() -> Handlers:
    return {
        ("GET", False): _list,
        ("SEARCH", False): _search,
        ("POST", False): _create,
        ("PATCH", False): _change,
        ("DELETE", False): _delete,
        ("GET", True): _one,
        ("PATCH", True): change_one,
        ("DELETE", True): _delete_one,
    }


def _singleton() -> Handlers:
    return {("GET", False): _only, ("PATCH", False): _change_only}


async def _list(call: CollectionRequest) -> Response:
    return await call.from_plan(call.parameters) or await _found(call, call.parameters)


async def _search(call: CollectionRequest) -> Response:
    asked = _body_of(await call.json_if_any(), {"query", "keys"})
    query = {} if asked.get("query") is None else _object(asked["query"], "query")
    if asked.get("keys") is None:
        return await _found(call, query)
    if query.get("export") is not None:
        return await export_response(call, query, _keys(asked))
    return data_response(await call.repository.read_many(_keys(asked), query))


async def _found(call: CollectionRequest, query: QueryParameters) -> Response:
    if query.get("export") is not None:
        return await export_response(call, query)
    rows = await call.repository.read_by_query(query)
    if query.get("aggregate"):
        rows = flatten_groups(rows)
    counts = expand_names(split_names(query.get("meta")), COUNTS, "meta")
    if not counts:
        return data_response(rows)
    told = {name: await call.repository.count(query if name == "filter_count" else {}) for name in counts}
    return Response(orjson.dumps({"data": rows, "meta": told}))


async def _one(call: CollectionRequest, key: str) -> Response:
    asked = row_parameters(call.parameters)
    return await call.from_plan(asked, key) or data_response(await call.repository.read_one(key, asked))


async def _create(call: CollectionRequest) -> Response:
    given = await call.json()
    if isinstance(given, list):
        return await write(call, call.repository.create_command(given), several=True)
    return await write(call, call.repository.create_command([given]), several=False)


async def _change(call: CollectionRequest) -> Response:
    given = await call.json()
    if isinstance(given, list):
        return await write(call, call.repository.update_each_command(given), several=True)
    asked = _body_of(given, {"keys", "query", "data"})
    if "data" not in asked:
        raise InvalidPayload('"data" is required')
    if _which(asked) == "keys":
        change = call.repository.update_command(_keys(asked), asked["data"])
    else:
        change = call.repository.update_found_command(_object(asked["query"], "query"), asked["data"])
    return await write(call, change, several=True)


async def _delete(call: CollectionRequest) -> Response:
    given = await call.json_if_any()
    asked = {"keys": given} if isinstance(given, list) else _body_of(given, {"keys", "query"})
    if _which(asked) == "keys":
        await call.repository.write(call.repository.delete_command(_keys(asked)))
    else:
        await call.repository.write(call.repository.delete_found_command(_object(asked["query"], "query")))
    return NO_CONTENT


async def _delete_one(call: CollectionRequest, key: str) -> Response:
    await call.repository.write(call.repository.delete_command([key]))
    return NO_CONTENT


async def _only(call: CollectionRequest) -> Response:
    if (wanted := call.parameters.get("export")) is not None:
        return await export_response(call, {**row_parameters(call.parameters), "limit": 1, "export": wanted})
    return data_response(await call.repository.read_singleton(row_parameters(call.parameters)))


async def _change_only(call: CollectionRequest) -> Response:
    return await write(call, call.repository.singleton_command(await call.json()), several=False)


def _body_of(given: Any, known: set[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidPayload('"value" must be of type object')
    for name in given:
        if name not in known:
            raise InvalidPayload(f'"{name}" is not allowed')
    return given


def _which(asked: Mapping[str, Any]) -> str:
    found = [name for name in ("query", "keys") if asked.get(name) is not None]
    if len(found) > 1:
        raise InvalidPayload('"value" contains a conflict between exclusive peers [query, keys]')
    if not found:
        raise InvalidPayload('"value" must contain at least one of [query, keys]')
    return found[0]


def _keys(asked: Mapping[str, Any]) -> list[Any]:
    if not isinstance(asked["keys"], list):
        raise InvalidPayload('"keys" must be an array')
    return asked["keys"]


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidPayload(f'"{name}" must be of type object')
    return value
