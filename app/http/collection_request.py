"""A request to a collection in REST, and the responses that several of its endpoints share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.http.endpoint_request import EndpointRequest
from app.http.parsing import QueryParameters
from app.http.response import NO_CONTENT, Response, data_response
from app.policy.rules import Access
from app.query.read import Read
from app.query.results import Row
from app.repositories.engine.commands import WriteCommand
from app.repositories.engine.writing import ResultReader, WriteResult
from app.repositories.plans.rest import RestPlanCache
from app.repositories.repository import Repository, returning

ROW_PARAMETERS = ("fields", "deep", "alias", "sort", "limit")


@dataclass(frozen=True, slots=True)
class CollectionRequest(EndpointRequest):
    """A request to a collection, with its parsed query string."""

    repository: Repository
    parameters: QueryParameters
    plans: RestPlanCache

    async def from_plan(self, parameters: QueryParameters, key: str | None = None) -> Response | None:
        """Return the response from a cached plan for these parameters, or None if no plan applies."""
        body = await self.plans.answer(self.directory, self.repository, self.head.query, parameters, key)
        return None if body is None else Response(body)


Handler = Callable[[CollectionRequest], Awaitable[Response]]


async def write(request: CollectionRequest, command: WriteCommand, *, several: bool) -> Response:
    """Run a write command and return the written rows as far as the caller may read them."""
    reader = returning_rows(request.repository, request.parameters)
    return written_response(await request.repository.write(command, reader), several=several)


async def update_one(request: CollectionRequest, key: str) -> Response:
    """Update the row with a key as the body says."""
    return await write(request, request.repository.update_command([key], await request.json()), several=False)


def returning_rows(repository: Repository, parameters: QueryParameters) -> ResultReader[list[Row]]:
    """Return a reader of the written rows, with the fields that the parameters select."""
    query = row_parameters(parameters)

    def read_for(access: Access) -> Read:
        return repository.query_parser(access).read(repository.collection, {"limit": -1, **query})

    return returning(repository, read_for)


def written_response(written: WriteResult[list[Row]], *, several: bool) -> Response:
    """Return the written rows, or the only one unless `several`; 204 if the caller may read none of them."""
    if written.result is None or (written.keys and not written.result):
        return NO_CONTENT
    return data_response(written.result if several else written.result[0])


def row_parameters(parameters: QueryParameters) -> QueryParameters:
    """Return the parameters that shape rows which are already selected."""
    return {name: value for name, value in parameters.items() if name in ROW_PARAMETERS}
