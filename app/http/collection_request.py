"""One request to a collection in REST, and how its answer is told."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.http.endpoint_request import EndpointRequest
from app.http.parsing import QueryParameters
from app.http.response import Response
from app.policy.rules import Access
from app.query.read import Read
from app.query.results import Row
from app.repositories.engine.commands import WriteCommand
from app.repositories.engine.writing import ResultReader, WriteResult
from app.repositories.plans.rest import RestPlanCache
from app.repositories.repository import Repository, returning

NO_CONTENT, DONE = Response(b"", 204), Response(b"", media=b"")
OF_ROWS = ("fields", "deep", "alias", "sort", "limit")


@dataclass(frozen=True, slots=True)
class CollectionRequest(EndpointRequest):
    """A request to a collection, with its parsed query string."""

    repository: Repository
    parameters: QueryParameters
    reads: RestPlanCache

    async def from_plan(self, parameters: QueryParameters, key: str | None = None) -> Response | None:
        """The answer of the plan of these parameters, if there is one."""
        told = await self.reads.answer(self.directory, self.repository, self.head.query, parameters, key)
        return None if told is None else Response(told)


Handler = Callable[[CollectionRequest], Awaitable[Response]]


async def write(call: CollectionRequest, change: WriteCommand, *, several: bool) -> Response:
    """Does it, and tells what was written as far as its writer may see it: 204 where that is nothing."""
    return written_response(
        await call.repository.write(change, returning_rows(call.repository, call.parameters)), several=several
    )


def returning_rows(repository: Repository, parameters: QueryParameters) -> ResultReader[list[Row]]:
    """What is asked of the rows that are written."""
    query = row_parameters(parameters)

    def ask(access: Access) -> Read:
        return repository.parameters(access).read(repository.collection, {"limit": -1, **query})

    return returning(repository, ask)


def written_response(written: WriteResult[list[Row]], *, several: bool) -> Response:
    """What was written, or the only row of it."""
    if written.told is None or (written.keys and not written.told):
        return NO_CONTENT
    return data_response(written.told if several else written.told[0])


def row_parameters(parameters: QueryParameters) -> QueryParameters:
    """What of the parameters says how rows that are known already are told."""
    return {name: value for name, value in parameters.items() if name in OF_ROWS}


def data_response(told: Row | Sequence[Any] | bool) -> Response:
    """An answer in REST's envelope."""
    return Response(orjson.dumps({"data": told}))


async def change_one(call: CollectionRequest, key: str) -> Response:
    """Changes the row with a key as the body says."""
    return await write(call, call.repository.update_command([key], await call.json()), several=False)
