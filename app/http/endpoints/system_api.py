"""Endpoints that describe collections, fields and relations."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from app.core.errors import InvalidQuery, RollcallError, RouteNotFound
from app.flows.api_token_policy import READING_METHODS
from app.flows.schema_snapshot import schema_snapshot
from app.http.authentication import Authenticator
from app.http.endpoint_request import EndpointRequest, error_to_report
from app.http.exchange import BodyReader
from app.http.parsing import parse_query
from app.http.request_head import RequestHead, requested_path
from app.http.response import NO_CONTENT, Response, data_response
from app.repositories.directory import Directory
from app.repositories.services import Services

ROOTS = ("/fields", "/collections", "/relations", "/schema")
"""Path prefixes of this endpoint."""
VALUES_LOST = b"x-values-lost"
"""A header of the response to a dropped field: how many values it had."""


@dataclass(frozen=True, slots=True)
class SystemAPIRequest(EndpointRequest):
    """A request about the schema, with the rest of its path, in which the names of fields keep their case."""

    names: tuple[str, ...]


Handler = Callable[[SystemAPIRequest], Awaitable[Response]]


class SystemAPIEndpoint:
    """The endpoint behind `ROOTS`."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator

    async def __call__(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        path = requested_path(scope).removeprefix(scope.get("root_path", ""))
        root, *names = path.strip("/").split("/")
        handler = self.handler("GET" if scope["method"] == "HEAD" else scope["method"], root.lower(), names)
        if handler is None:
            raise RouteNotFound(path)
        directory = Directory(self._authenticator.authenticate(head), self._services, head.client_info)
        await directory.require_tfa_setup_done()
        if scope["method"] not in READING_METHODS:
            await directory.require_writable()
        try:
            return await handler(SystemAPIRequest(directory, head, body, tuple(names)))
        except RollcallError as error:
            raise await error_to_report(error, directory) from None

    def handler(self, method: str, root: str, names: Sequence[str]) -> Handler | None:
        """Return the handler of a path; None if there is none."""
        if root == "schema" and [name.lower() for name in names] != ["snapshot"]:
            return None
        return HANDLERS.get((method, root, len(names)))


async def _fields(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.fields(*request.names))


async def _field(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.field(*request.names))


async def _collections(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.collections())


async def _collection(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.collection(*request.names))


async def _relations(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.relations(*request.names))


async def _relation(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.catalog.relation(*request.names))


async def _create_field(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.field_writer.create(request.names[0], await request.json_if_any()))


async def _update_fields(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.field_writer.update_all(request.names[0], await request.json()))


async def _update_field(request: SystemAPIRequest) -> Response:
    collection, field = request.names
    return data_response(await request.directory.field_writer.update(collection, field, await request.json()))


async def _drop_field(request: SystemAPIRequest) -> Response:
    """Drop a field; a header says how many values are lost with it."""
    lost = await request.directory.field_writer.drop(*request.names)
    return Response(b"", 204, headers=[(VALUES_LOST, b"%d" % lost)])


async def _create_relation(request: SystemAPIRequest) -> Response:
    return data_response(await request.directory.relation_writer.create(await request.json_if_any()))


async def _update_relation(request: SystemAPIRequest) -> Response:
    collection, field = request.names
    return data_response(await request.directory.relation_writer.update(collection, field, await request.json()))


async def _drop_relation(request: SystemAPIRequest) -> Response:
    await request.directory.relation_writer.drop(*request.names)
    return NO_CONTENT


async def _snapshot(request: SystemAPIRequest) -> Response:
    """Return the snapshot as JSON, the only format."""
    if parse_query(request.head.query).get("export") not in (None, "json"):
        raise InvalidQuery('A snapshot is exported as "json" only')
    return data_response(await schema_snapshot(request.directory))


HANDLERS: Mapping[tuple[str, str, int], Handler] = {
    ("GET", "fields", 0): _fields,
    ("GET", "fields", 1): _fields,
    ("GET", "fields", 2): _field,
    ("GET", "collections", 0): _collections,
    ("GET", "collections", 1): _collection,
    ("GET", "relations", 0): _relations,
    ("GET", "relations", 1): _relations,
    ("GET", "relations", 2): _relation,
    ("POST", "fields", 1): _create_field,
    ("PATCH", "fields", 1): _update_fields,
    ("PATCH", "fields", 2): _update_field,
    ("DELETE", "fields", 2): _drop_field,
    ("POST", "relations", 0): _create_relation,
    ("PATCH", "relations", 2): _update_relation,
    ("DELETE", "relations", 2): _drop_relation,
    ("GET", "schema", 1): _snapshot,
}
"""Handlers by method, first segment of the path, and number of names after it."""
