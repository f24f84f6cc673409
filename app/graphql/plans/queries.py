"""Planned queries: the statements that read their rows, and how the results become the response."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import orjson

from app.core.bindings import Bindings
from app.core.errors import RollcallError, SchemaChanged, ServiceUnavailable
from app.graphql.fields.queries import FieldQuery
from app.metrics.instruments import EventCount
from app.metrics.metrics import Metrics
from app.policy.access_cache import StalePlan
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, execute_plan, log_planning_failure
from app.repositories.services import Services

GRAPHQL = "graphql"
"""The name of the API in metrics and logs."""
ATTEMPTS_LEFT = (1, 0)
"""How often a plan is executed again if the caller's access changes meanwhile."""


@dataclass(frozen=True, slots=True)
class PlannedField:
    """A root field of a planned query: its response key, and the index of the plan that reads its rows, if any."""

    key: str
    field_query: FieldQuery
    plan_index: int | None

    def json_member(self, results: Sequence[str]) -> str:
        """Return the field as a member of a JSON object; `results` are those of all plans of the query.

        Raises:
            Forbidden: The field requires a row and there is none.
        """
        if self.plan_index is None:
            return f'"{self.key}":{orjson.dumps(self.field_query.value).decode()}'
        return f'"{self.key}":{self.field_query.adapter.from_json(results[self.plan_index])}'


@dataclass(frozen=True, slots=True, eq=False)
class PlannedQuery:
    """The plan of all queries of one shape: its root fields, and the distinct plans behind them."""

    root_fields: list[PlannedField]
    plans: list[QueryPlan]
    uses_now: bool = False
    """Whether a plan needs the current time."""

    def response(self, results: Sequence[str]) -> bytes:
        """Return the response to a request whose plans had these results.

        Raises:
            Forbidden: A root field requires a row and there is none.
        """
        fields = self.root_fields
        if len(fields) == 1:
            members = fields[0].json_member(results)
        else:
            members = ",".join([field.json_member(results) for field in fields])
        return f'{{"data":{{{members}}}}}'.encode()


@dataclass(slots=True, eq=False)
class BoundQuery:
    """A planned query with the bindings of one request, except the current time; it may be executed repeatedly."""

    planned_query: PlannedQuery
    access: Access
    bindings: Bindings
    is_reusable: bool
    """Whether the same text always has these bindings."""

    async def execute(self, services: Services) -> bytes | None:
        """Return the response as JSON; None if the full execution has to report an error.

        Raises:
            StalePlan: The caller's access is no longer the one that the query was bound to.
            ServiceUnavailable: The database cannot be read.
        """
        planned, access = self.planned_query, self.access
        bindings = {**self.bindings, "now": services.clock()} if planned.uses_now else self.bindings
        try:
            if len(planned.plans) == 1:
                plan = planned.plans[0]
                row = await services.reader.fetch_one(plan.statement_for(bindings), bindings, access.owner)
                results = [plan.result_json(row, access, services.clock)]
            else:
                executions = (execute_plan(plan, access, bindings, services) for plan in planned.plans)
                results = await asyncio.gather(*executions)
            return planned.response(results)
        except ServiceUnavailable:
            raise
        except RollcallError:
            services.metrics.plan_fallbacks.add(GRAPHQL, "error")
            return None
        except ValueError as error:
            services.metrics.plan_fallbacks.add(GRAPHQL, "invalid_value")
            log_planning_failure(GRAPHQL, error)
            return None


class BoundRequest(Protocol):
    """A request with its plan and its values, ready to be executed."""

    @property
    def is_reusable(self) -> bool:
        """Whether the same text always gives an equal bound request, which writes nothing."""
        ...

    async def execute(self, services: Services) -> bytes | None:
        """Return the response as JSON; None if it takes the full execution."""
        ...


class NotPlannedYet(Exception):
    """There is no plan yet for a request, and making one takes long."""


class RequestBinder(Protocol):
    """Binds a request to its plan."""

    def __call__(self, access: Access, *, may_plan: bool) -> BoundRequest | None:
        """Return the request bound for an access; None if it takes the full execution.

        Raises:
            NotPlannedYet: A plan has to be made first, and `may_plan` is false.
        """
        ...


def count_binding(metrics: Metrics, request: BoundRequest | None, outcome: EventCount) -> None:
    """Count a request that was bound to a plan with this outcome, or for which there is no plan."""
    if request is None:
        metrics.plan_fallbacks.add(GRAPHQL, "unplannable")
    else:
        outcome.number += 1


def answer_from_plan(directory: Directory, access: Access | None, bind: RequestBinder) -> Awaitable[bytes | None]:
    """Return the response to the request that `bind` returns for the caller's access; None if it takes full execution.

    `access` is the caller's cached access, None if there is none.

    If the access turns out to have changed, the request is bound and executed once more. Plans are made in a thread.

    Raises:
        InvalidCredentials: The caller is no longer an active user, or its session has ended.
        ServiceUnavailable: The database cannot be read or written.
    """
    tracer = directory.services.tracer
    return (_answer_in_span if tracer.is_recording else _answer)(directory, access, bind)


async def _answer_in_span(directory: Directory, access: Access | None, bind: RequestBinder) -> bytes | None:
    with directory.services.tracer.span("plan graphql"):
        return await _answer(directory, access, bind)


async def _answer(directory: Directory, access: Access | None, bind: RequestBinder) -> bytes | None:
    """Do what `AccessCache.run_while_current` does, without its coroutines: most requests come here."""
    services = directory.services
    if access is None:
        services.metrics.plan_fallbacks.add(GRAPHQL, "unknown_caller")
        return None
    for attempts_left in ATTEMPTS_LEFT:
        if services.access_cache.is_outdated:
            raise SchemaChanged
        try:
            request = bind(access, may_plan=False)
        except NotPlannedYet:
            request = await services.planning.run(access.owner, partial(bind, access, may_plan=True))
            count_binding(services.metrics, request, services.metrics.graphql_plan_misses)
        try:
            return None if request is None else await request.execute(services)
        except StalePlan:
            if attempts_left:
                access = await services.access_cache.refresh(directory.caller, access)
    services.metrics.plan_fallbacks.add(GRAPHQL, "access_changed")
    return None
