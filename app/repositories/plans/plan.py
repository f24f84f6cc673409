"""A plan: one question of all callers whose rights have one form, planned once and asked whenever it comes."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.core.bindings import Bindings, Slot, Source, slot, sources_of
from app.core.caller import Caller
from app.policy.access_cache import StalePlan
from app.policy.access_queries import NOW, parameterized_caller, with_access_state
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, AccessState
from app.query.aggregate import Aggregation
from app.query.limits import check_complexity
from app.query.read import Read
from app.query.results import Row, is_database_json, row_decoder
from app.query.sql_select import build_select
from app.repositories.services import Services

log = structlog.get_logger(__name__)

planning_failures = Counter[str]()
"""How many requests of this process could not be planned because of a ValueError or RecursionError, by API."""

STANDING = len(AccessState._fields)
"""Columns that every statement begins with."""
OWN = ("me", "role", "roles", "policies")
"""The sources of what a plan needs of its caller's rights."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A statement, and what turns its answer into rows, where that is left to do.

    `bound` are the sources that only its parameters draw from; `fixed` those of the caller's own whose value it holds,
    so that it serves nobody with another.
    """

    statement: Any
    decode_rows: Callable[[str], list[Row]] | None
    sources: frozenset[Source]
    literal_sources: frozenset[Source]

    def result(self, row: Sequence[Any], access: Access) -> str:
        """The rows that its statement answered, as JSON; AccessChanged where the caller's rights are others by now."""
        if row[:STANDING] != access.state:
            raise StalePlan
        text: str = row[-1]
        return text if self.decode_rows is None else orjson.dumps(self.decode_rows(text)).decode()


def parameterize_access(access: Access) -> Access:
    """The same rights with everything in them that is the caller's own as a Slot.

    What isn't there stays as it is: an empty list decides what a rule means, and who has none has another form.
    """
    now = access.state
    own = now._replace(user=_slot(now.user, "me"), role=_slot(now.role, "role"))
    roles, policies = _slot(list(access.roles), "roles"), _slot(list(access.policies), "policies")
    return replace(access, state=own, roles=roles or (), policies=policies or ())


def make_plan(query: Read | Aggregation, caller: Caller, access: Access, services: Services) -> QueryPlan:
    """Plans a question of a caller whose rights were put `in_form`; raises what asking it would."""
    check_complexity(query, services.limits.max_depth)
    scoped = PolicyResolver(access, NOW).scope(query)
    statement = services.reader.compile(with_access_state(parameterized_caller(caller), NOW, build_select(scoped)))
    fixed = frozenset(source for source, values in _own(access) if values & set(_constants(statement.parameters)))
    return QueryPlan(
        statement,
        None if is_database_json(scoped) else row_decoder(scoped),
        frozenset(sources_of(statement.parameters)),
        fixed,
    )


async def execute_plan(plan: QueryPlan, access: Access, bindings: Bindings, services: Services) -> str:
    """The rows a plan finds, as JSON.

    Raises AccessChanged, ValueError for a value that doesn't fit, and what the reader does.
    """
    return plan.result(await services.reader.fetch_one(plan.statement, bindings), access)


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


def _slot(value: str | list[str] | None, source: Source) -> Any:
    return slot(value, source) if value else None


def _own(access: Access) -> Iterator[tuple[Source, set[str]]]:
    values = ([access.user], [access.state.role], access.roles, access.policies)
    for source, some in zip(OWN, values, strict=True):
        yield source, {str(value) for value in some if value is not None}


def _constants(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield from _constants(value)
        elif isinstance(value, str) and not isinstance(value, Slot):
            yield value
