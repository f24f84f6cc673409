"""Query plans: a query, compiled once for all callers of one access shape and executed with their bindings."""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.core.bindings import Bindings, BoundParameter, Source, sources_of
from app.core.caller import Caller
from app.core.clock import Clock
from app.db.statement import CompiledStatement
from app.policy.access_cache import StalePlan
from app.policy.access_queries import NOW, parameterized_caller, with_access_state
from app.policy.caller_parameters import literal_sources
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, AccessState
from app.query.aggregate import Aggregation
from app.query.limits import check_complexity
from app.query.read import Read
from app.query.results import Row, is_database_json, row_decoder
from app.query.sql_select import bound_offset, build_select, is_far
from app.repositories.services import Services

log = structlog.get_logger(__name__)

planning_failures = Counter[str]()
"""How many requests of this process could not be planned because of a ValueError or RecursionError, by API."""

ACCESS_STATE_COLUMNS = len(AccessState._fields)
"""Number of columns with the access state, with which every statement begins."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A compiled statement, and the decoder of its rows; None if the database returns finished JSON.

    `bound_sources` are the sources of its bound parameters. `literal_sources` are those of the caller's sources whose
    value is part of the statement, so that the plan serves only callers with the same value. `far_statement` is the
    statement for requests whose `offset` is far.
    """

    statement: CompiledStatement
    decode_rows: Callable[[str], list[Row]] | None
    bound_sources: frozenset[Source]
    literal_sources: frozenset[Source]
    offset: BoundParameter | None = None
    far_statement: CompiledStatement | None = None

    def statement_for(self, bindings: Bindings) -> CompiledStatement:
        """Return the statement for one request; raise InvalidQuery if its offset is out of range."""
        if self.offset is None or self.far_statement is None or not is_far(self.offset.compute(bindings)):
            return self.statement
        return self.far_statement

    def result_json(self, row: Sequence[Any], access: Access, clock: Clock) -> str:
        """Return the rows of the statement's result as JSON; raise StalePlan if `access` is no longer current."""
        if row[:ACCESS_STATE_COLUMNS] != access.state or (access.expires is not None and access.has_expired(clock)):
            raise StalePlan
        text: str = row[-1]
        return text if self.decode_rows is None else orjson.dumps(self.decode_rows(text)).decode()


def make_plan(query: Read | Aggregation, caller: Caller, access: Access, services: Services) -> QueryPlan:
    """Return the plan of a query for a parameterized access; raises as executing the query does."""
    check_complexity(query, services.limits.max_depth)
    scoped = PolicyResolver(access, NOW).scope(query)

    def compile_select(*, keys_first: bool | None = None) -> CompiledStatement:
        rows = build_select(scoped, keys_first=keys_first)
        return services.reader.compile(with_access_state(parameterized_caller(caller), NOW, rows))

    statement, offset = compile_select(), bound_offset(scoped)
    return QueryPlan(
        statement,
        None if is_database_json(scoped) else row_decoder(scoped),
        frozenset(sources_of(statement.parameters)),
        literal_sources(statement.parameters, access),
        offset,
        compile_select(keys_first=True) if offset else None,
    )


async def execute_plan(plan: QueryPlan, access: Access, bindings: Bindings, services: Services) -> str:
    """Return the rows of a plan as JSON.

    Raises:
        StalePlan: `access` is no longer current.
        ValueError: A value cannot be converted for its bound parameter.
        ServiceUnavailable: The database is unavailable.
    """
    row = await services.reader.fetch_one(plan.statement_for(bindings), bindings, access.owner)
    return plan.result_json(row, access, services.clock)


def log_planning_failure(api: str, error: ValueError | RecursionError) -> None:
    """Count and log that a request could not be planned, which is then executed in full.

    The message of the error is left out, as it may quote a value.
    """
    planning_failures[api] += 1
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.debug(
        "planning_failed",
        api=api,
        error=type(error).__name__,
        location=f"{Path(frame.filename).name}:{frame.lineno}",
        count=planning_failures[api],
    )
