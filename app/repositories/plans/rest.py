"""REST reads asked before: the same parameters of callers with the same form of rights are one plan.

Only what goes well goes this way; the repository says what is wrong with the rest.
"""

from collections.abc import Hashable
from typing import Any

from app.core.bindings import slot
from app.core.cache import LRUCache, entry_weight
from app.core.errors import RollcallError, ServiceUnavailable
from app.policy.access_cache import StalePlan
from app.policy.rules import Access
from app.query.filter import compare
from app.query.payload import parse_key
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, execute_plan, log_planning_failure, make_plan, parameterize_access
from app.repositories.repository import Query, Repository

PLANS, LONGEST = 400, 2_000
"""Plans that are kept at once, and bytes of the longest query string of one."""
MAX_ATTEMPTS = 2
KEY = "key"
"""The source of the key of a single row."""
NOT_PLANNED = {"aggregate", "meta", "export"}
"""Parameters that ask for more than rows."""


class RestPlanCache:
    """The plans of one collection's reads."""

    def __init__(self) -> None:
        self._plans: LRUCache[Hashable, QueryPlan] = LRUCache(PLANS)

    async def answer(
        self,
        directory: Directory,
        repository: Repository,
        query: bytes,
        parameters: Query,
        key: str | None = None,
    ) -> bytes | None:
        """The rows that parameters find, or the one with a key, in REST's envelope; None where no plan will do."""
        if len(query) > LONGEST or parameters.keys() & NOT_PLANNED or not directory.services.plans_enabled:
            return None
        access = directory.cached_access
        if access is None:
            return None

        async def attempt(access: Access) -> bytes | None:
            return await self._answer(directory, repository, access, query, parameters, key)

        try:
            return await directory.run_while_current(access, attempt, MAX_ATTEMPTS)
        except ServiceUnavailable:
            raise
        except (StalePlan, RollcallError):
            return None
        except (ValueError, RecursionError) as error:
            log_planning_failure("rest", error)
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
        place = (query, key is None, access.shape)
        plan = self._plans.get(place, None)
        if plan is None:
            plan = self._plan(directory, repository, access, parameters, key)
            if plan.literal_sources or b"access_token" in query:
                return None  # it would serve nobody but this caller
            self._plans.set(place, plan, entry_weight(len(plan.statement.text)))
        services = directory.services
        given = {**access.bindings, "now": services.clock()}
        if key is None:
            return b'{"data":%b}' % (await execute_plan(plan, access, given, services)).encode()
        text = await execute_plan(plan, access, {**given, KEY: [parse_key(repository.collection, key)]}, services)
        return b'{"data":%b}' % text[1:-1].encode() if text != "[]" else None

    @staticmethod
    def _plan(directory: Directory, repository: Repository, access: Access, parameters: Query, key: Any) -> QueryPlan:
        collection = repository.collection
        if key is not None:
            parameters = {"limit": -1, **parameters}
        read = repository.parameters(access).read(collection, parameters)
        if key is not None:
            read = read.restricted_to(compare(collection.key, None, "_in", slot([parse_key(collection, key)], KEY)))
        return make_plan(read, directory.caller, parameterize_access(access), directory.services)
