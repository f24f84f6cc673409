"""A query that was planned: the statements that answer it, and how their answers become one."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from app.core.bindings import Bindings
from app.core.errors import RollcallError, ServiceUnavailable
from app.graphql.fields.queries import FieldQuery
from app.policy.access_cache import StalePlan
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, execute_plan, log_planning_failure
from app.repositories.services import Services

MAX_ATTEMPTS = 2
"""How often a plan is asked where rights change under it."""


@dataclass(frozen=True, slots=True)
class PlannedField:
    """One root field of a planned query: the plan that finds its rows, if it takes one, and how they answer it."""

    key: str
    question: FieldQuery
    plan: int | None

    def member(self, found: Sequence[str]) -> str:
        """Its key and its answer as JSON, of what the plans found; raises Forbidden where that is none."""
        if self.plan is None:
            return f'"{self.key}":{orjson.dumps(self.question.known).decode()}'
        return f'"{self.key}":{self.question.answer.of_text(found[self.plan])}'


@dataclass(frozen=True, slots=True, eq=False)
class PlannedQuery:
    """A query of one form: its root fields, each distinct plan among them, and whether one asks for the moment."""

    roots: list[PlannedField]
    plans: list[QueryPlan]
    timed: bool = False

    def told(self, found: Sequence[str]) -> bytes:
        """The whole answer, of what the plans found; raises Forbidden as its roots do."""
        roots = self.roots
        members = roots[0].member(found) if len(roots) == 1 else ",".join([root.member(found) for root in roots])
        return f'{{"data":{{{members}}}}}'.encode()


@dataclass(slots=True, eq=False)
class BoundQuery:
    """A request with its plan, and all that it gives but the moment; it may be asked again and again."""

    planned: PlannedQuery
    access: Access
    given: Bindings
    same: bool
    """Whether nothing in its text may differ the next time."""

    async def answer(self, services: Services) -> bytes | None:
        """The whole answer as JSON; None where it takes the ordinary execution, which says what is wrong.

        Raises AccessChanged, and ServiceUnavailable as the reader does.
        """
        planned, access = self.planned, self.access
        given = {**self.given, "now": services.clock()} if planned.timed else self.given
        try:
            if len(planned.plans) == 1:
                plan = planned.plans[0]
                found = [plan.result(await services.reader.fetch_one(plan.statement, given), access)]
            else:
                found = await asyncio.gather(*(execute_plan(plan, access, given, services) for plan in planned.plans))
            return planned.told(found)
        except ServiceUnavailable:
            raise
        except RollcallError:
            return None
        except ValueError as error:
            log_planning_failure("graphql", error)
            return None


class BoundRequest(Protocol):
    """A request that only has to be answered; `same` as in Ready."""

    @property
    def same(self) -> bool:
        """Whether nothing in its text may differ the next time, and it changes nothing."""
        ...

    async def answer(self, services: Services) -> bytes | None:
        """The whole answer as JSON; None where it takes the ordinary execution."""
        ...


async def answer_from_plan(directory: Directory, find: Callable[[Access], BoundRequest | None]) -> bytes | None:
    """The answer of the plan that is found for the caller's rights; once more where they have changed.

    None where there is no such plan, or none that answers. Raises InvalidCredentials where nobody active stands behind
    the caller any more, ServiceUnavailable as the repositories do.
    """
    access = directory.cached_access
    if access is None:
        return None

    async def attempt(access: Access) -> bytes | None:
        request = find(access)
        return None if request is None else await request.answer(directory.services)

    try:
        return await directory.run_while_current(access, attempt, MAX_ATTEMPTS)
    except StalePlan:
        return None
