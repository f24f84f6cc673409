"""The plan cache of REST reads: one plan per query string and access shape.

It serves only requests that succeed; all others, and those that cannot be planned, are executed in full.
"""

from collections.abc import Hashable
from functools import partial
from typing import Any

from app.core.bindings import slot
from app.core.cache import LRUCache, entry_weight
from app.core.errors import RollcallError, SchemaChanged, ServiceUnavailable
from app.policy.access_cache import StalePlan
from app.policy.caller_parameters import parameterize_access
from app.policy.rules import Access
from app.query.filter import compare
from app.query.payload import parse_key
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, execute_plan, log_planning_failure, make_plan
from app.repositories.repository import Query, Repository

REST = "rest"
"""The name of the API in metrics and logs."""
MAX_PLANS = 400
"""Weight of the plans in one cache; an average plan weighs 1."""
MAX_QUERY_BYTES = 2_000
"""Maximum length of a query string that is planned."""
MAX_ATTEMPTS = 2
KEY_SOURCE = "key"
"""The source of the key of a single row."""
UNPLANNED_PARAMETERS = {"aggregate", "groupBy", "meta", "export"}
"""Query parameters that request more than rows."""


class RestPlanCache:
    """Caches the plans of one collection's reads."""

    def __init__(self) -> None:
        self._plans: LRUCache[Hashable, QueryPlan] = LRUCache(MAX_PLANS)

    async def answer(
        self,
        directory: Directory,
        repository: Repository,
        query: bytes,
        parameters: Query,
        key: str | None = None,
    ) -> bytes | None:
        """Return the response body with the matching rows, or with the row of a key; None to execute it in full."""
        fallbacks, access = directory.services.metrics.plan_fallbacks, directory.cached_access
        if reason := _fallback_reason(directory, query, parameters):
            fallbacks.add(REST, reason)
            return None
        if access is None:
            fallbacks.add(REST, "unknown_caller")
            return None
        with directory.services.tracer.span("plan rest"):
            return await self._answer_for(directory, repository, access, query, parameters, key)

    async def _answer_for(
        self,
        directory: Directory,
        repository: Repository,
        access: Access,
        query: bytes,
        parameters: Query,
        key: str | None,
    ) -> bytes | None:
        fallbacks = directory.services.metrics.plan_fallbacks

        async def attempt(access: Access) -> bytes | None:
            if directory.services.access_cache.is_outdated:
                raise SchemaChanged
            return await self._answer(directory, repository, access, query, parameters, key)

        try:
            return await directory.run_while_current(access, attempt, MAX_ATTEMPTS)
        except ServiceUnavailable:
            raise
        except (StalePlan, RollcallError) as error:
            fallbacks.add(REST, "access_changed" if isinstance(error, StalePlan) else "error")
            return None
        except (ValueError, RecursionError) as error:
            fallbacks.add(REST, "invalid_value")
            log_planning_failure(REST, error)
            return None

    async def _answer(
        self,
        directory: Directory,
        repository: Repository,
        access: Access,
        query: bytes,
        parameters: Query,
        key: str | None,
    ) -> bytes | None:
        cache_key, services = (query, key is None, access.shape), directory.services
        plan = self._plans.get(cache_key, None)
        if plan is None:
            work = partial(self._plan, directory, repository, access, parameters, key)
            plan = await directory.services.planning.run(access.owner, work)
            if plan.literal_sources or b"access_token" in query:
                services.metrics.plan_fallbacks.add(REST, "unplannable")
                return None  # the plan would serve only this caller
            self._plans.set(cache_key, plan, entry_weight(len(plan.statement.text)))
            services.metrics.plan_requests.add(REST, "miss")
        else:
            services.metrics.plan_requests.add(REST, "hit")
        bindings = {**access.bindings, "now": services.clock()}
        if key is None:
            return b'{"data":%b}' % (await execute_plan(plan, access, bindings, services)).encode()
        bindings[KEY_SOURCE] = [parse_key(repository.collection, key)]
        text = await execute_plan(plan, access, bindings, services)
        return b'{"data":%b}' % text[1:-1].encode() if text != "[]" else None

    @staticmethod
    def _plan(directory: Directory, repository: Repository, access: Access, parameters: Query, key: Any) -> QueryPlan:
        collection = repository.collection
        if key is not None:
            parameters = {"limit": -1, **parameters}
        read = repository.query_parser(access).read(collection, parameters)
        if key is not None:
            key_slot = slot([parse_key(collection, key)], KEY_SOURCE)
            read = read.restricted_to(compare(collection.key, None, "_in", key_slot))
        return make_plan(read, directory.caller, parameterize_access(access), directory.services)


def _fallback_reason(directory: Directory, query: bytes, parameters: Query) -> str | None:
    """Return why a request is executed in full without looking for a plan; None if it is not."""
    if not directory.services.plans_enabled:
        return "disabled"
    if len(query) > MAX_QUERY_BYTES:
        return "too_long"
    return "unplannable" if parameters.keys() & UNPLANNED_PARAMETERS else None
