"""The REST endpoint of a collection: Directus' paths on the repositories that GraphQL uses too."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.types import Scope

from app.core.errors import InvalidPayload, InvalidQuery, RollcallError, RouteNotFound
from app.flows.api_token_policy import READING_METHODS
from app.http.authentication import Authenticator
from app.http.collection_request import CollectionRequest, Handler, row_parameters, update_one, write
from app.http.endpoint_request import error_to_report
from app.http.endpoints.account_security import PATHS_BEFORE_TFA, account_security_handler
from app.http.endpoints.export import export_response, flatten_groups
from app.http.endpoints.me import me_handler
from app.http.endpoints.uploads import reject_import
from app.http.endpoints.user_deletion import delete_with_options, deletion_options
from app.http.exchange import BodyReader
from app.http.parsing import QueryParameters, decode_objects, parse_query
from app.http.request_head import RequestHead
from app.http.response import HTML, NO_CONTENT, Response, data_response
from app.query.collection import FILES, USERS, Collection
from app.query.parameters import expand_names, is_grouped
from app.repositories.directory import Directory
from app.repositories.plans.rest import RestPlanCache
from app.repositories.services import Services

ALLOWED_METHODS = b"POST,GET,HEAD,SEARCH,PATCH,DELETE"
META_COUNTS = ("total_count", "filter_count")


class CollectionEndpoint:
    """The endpoint behind one collection's path, such as `/users`."""

    def __init__(
        self, collection: Collection, services: Services, authenticator: Authenticator, *, read_only: bool = False
    ) -> None:
        self._collection, self._services, self._authenticator = collection, services, authenticator
        self._read_only, self._plans = read_only, RestPlanCache()
        self._handlers = SINGLETON_HANDLERS if collection.singleton else ITEM_HANDLERS

    @property
    def paths(self) -> tuple[str, ...]:
        """The path of the caller's own row."""
        return (f"/{self._collection.short_name}/me",)

    async def __call__(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        caller, services = self._authenticator.authenticate(head), self._services
        directory = Directory(caller, services, head.client_info, shares_budget=True)
        try:
            return await self._respond(scope, directory, head, body)
        except RecursionError:
            raise await error_to_report(InvalidQuery("The query is nested too deeply"), directory) from None
        except RollcallError as error:
            raise await error_to_report(error, directory) from None

    async def _respond(self, scope: Scope, directory: Directory, head: RequestHead, body: BodyReader) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        steps = tuple(step for step in path.split("/")[2:] if step)
        method = scope["method"]
        if method == "OPTIONS":
            return Response(ALLOWED_METHODS, 200, HTML, ((b"allow", ALLOWED_METHODS),))
        handler = self._handler("GET" if method == "HEAD" else method, steps)
        if handler is None:
            raise RouteNotFound(scope["path"])
        if (method, "/".join((self._collection.short_name, *steps))) not in PATHS_BEFORE_TFA:
            await directory.require_tfa_setup_done()
        if method not in READING_METHODS:
            await directory.require_writable()
        repository = directory[self._collection.name]
        return await handler(CollectionRequest(directory, head, body, repository, parse_query(head.query), self._plans))

    def _handler(self, method: str, steps: tuple[str, ...]) -> Handler | None:
        if self._read_only and method not in READING_METHODS:
            return None
        if self._collection.is_same(USERS) and (handler := account_security_handler(method, steps)):
            return handler
        if self._collection.is_same(FILES) and (method, steps) == ("POST", ("import",)):
            return reject_import
        if steps[:1] == ("me",):
            handler = me_handler(self._collection, method, steps[1:])
            if handler or len(steps) > 1:
                return handler
        if len(steps) > 1 or (steps and self._collection.singleton):
            return None
        item_handler = self._handlers.get((method, bool(steps)))
        return (lambda request: item_handler(request, *steps)) if item_handler else None


async def _read_rows(request: CollectionRequest) -> Response:
    return await request.from_plan(request.parameters) or await _rows_response(request, request.parameters)


async def _search(request: CollectionRequest) -> Response:
    body = _checked_body(await request.json_if_any(), {"query", "keys"})
    query = {} if body.get("query") is None else _checked_query(body)
    if body.get("keys") is None:
        return await _rows_response(request, query)
    if query.get("export") is not None:
        return await export_response(request, query, _checked_keys(body))
    return data_response(await request.repository.read_many(_checked_keys(body), query))


async def _rows_response(request: CollectionRequest, query: QueryParameters) -> Response:
    """Return the rows that a query selects: as a file, grouped, or with counts, if it says so."""
    if query.get("export") is not None:
        return await export_response(request, query)
    rows = await request.repository.read_by_query(query)
    if is_grouped(query):
        rows = flatten_groups(rows)
    names = request.directory.services.limits.size_counter().split_names(query.get("meta"), "meta")
    counts = expand_names(names, META_COUNTS, "meta")
    if not counts:
        return data_response(rows)
    meta = {name: await request.repository.count(query if name == "filter_count" else {}) for name in counts}
    return Response(orjson.dumps({"data": rows, "meta": meta}))


async def _read_one(request: CollectionRequest, key: str) -> Response:
    parameters = row_parameters(request.parameters)
    planned = await request.from_plan(parameters, key)
    return planned or data_response(await request.repository.read_one(key, parameters))


async def _create(request: CollectionRequest) -> Response:
    body = await request.json()
    if isinstance(body, list):
        return await write(request, request.repository.create_command(body), several=True)
    return await write(request, request.repository.create_command([body]), several=False)


async def _update(request: CollectionRequest) -> Response:
    """Update several rows: each with its own values, or those of `keys` or of `query` with the same ones."""
    raw_body = await request.json()
    if isinstance(raw_body, list):
        return await write(request, request.repository.update_each_command(raw_body), several=True)
    body = _checked_body(raw_body, {"keys", "query", "data"})
    if "data" not in body:
        raise InvalidPayload('"data" is required')
    if _selector(body) == "keys":
        command = request.repository.update_command(_checked_keys(body), body["data"])
    else:
        command = request.repository.update_by_query_command(_checked_query(body), body["data"])
    return await write(request, command, several=True)


async def _delete(request: CollectionRequest) -> Response:
    """Delete several rows: those of a list of keys, of `keys`, or of `query`."""
    raw_body = await request.json_if_any()
    body = {"keys": raw_body} if isinstance(raw_body, list) else _checked_body(raw_body, {"keys", "query"})
    selected = _checked_keys(body) if _selector(body) == "keys" else _checked_query(body)
    if options := deletion_options(request):
        return await delete_with_options(request, selected, options, several=True)
    repository = request.repository
    if isinstance(selected, list):
        command = repository.delete_command(selected)
    else:
        command = repository.delete_by_query_command(selected)
    await repository.write(command)
    return NO_CONTENT


async def _delete_one(request: CollectionRequest, key: str) -> Response:
    if options := deletion_options(request):
        return await delete_with_options(request, [key], options, several=False)
    await request.repository.write(request.repository.delete_command([key]))
    return NO_CONTENT


async def _read_singleton(request: CollectionRequest) -> Response:
    parameters = row_parameters(request.parameters)
    if (export := request.parameters.get("export")) is not None:
        return await export_response(request, {**parameters, "limit": 1, "export": export})
    return data_response(await request.repository.read_singleton(parameters))


async def _update_singleton(request: CollectionRequest) -> Response:
    return await write(request, request.repository.update_singleton_command(await request.json()), several=False)


Handlers = Mapping[tuple[str, bool], Callable[..., Awaitable[Response]]]
"""Handlers by method, and by whether a key follows; they get the request and that key."""
ITEM_HANDLERS: Handlers = {
    ("GET", False): _read_rows,
    ("SEARCH", False): _search,
    ("POST", False): _create,
    ("PATCH", False): _update,
    ("DELETE", False): _delete,
    ("GET", True): _read_one,
    ("PATCH", True): update_one,
    ("DELETE", True): _delete_one,
}
SINGLETON_HANDLERS: Handlers = {("GET", False): _read_singleton, ("PATCH", False): _update_singleton}


def _checked_body(body: Any, names: set[str]) -> dict[str, Any]:
    """Return the body if it is an object of these names; messages are Directus'."""
    if not isinstance(body, dict):
        raise InvalidPayload('"value" must be of type object')
    for name in body:
        if name not in names:
            raise InvalidPayload(f'"{name}" is not allowed')
    return body


def _selector(body: Mapping[str, Any]) -> str:
    """Return which of `query` and `keys` selects the rows: exactly one must."""
    selectors = [name for name in ("query", "keys") if body.get(name) is not None]
    if len(selectors) > 1:
        raise InvalidPayload('"value" contains a conflict between exclusive peers [query, keys]')
    if not selectors:
        raise InvalidPayload('"value" must contain at least one of [query, keys]')
    return selectors[0]


def _checked_keys(body: Mapping[str, Any]) -> list[Any]:
    if not isinstance(body["keys"], list):
        raise InvalidPayload('"keys" must be an array')
    return body["keys"]


def _checked_query(body: Mapping[str, Any]) -> QueryParameters:
    if not isinstance(body["query"], dict):
        raise InvalidPayload('"query" must be of type object')
    return decode_objects(body["query"])
