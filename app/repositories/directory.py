"""The directory: the repositories of all collections for one caller."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar, overload

from app.core.caller import Caller, ClientInfoFactory, ResponseCookie, no_client_info
from app.core.errors import APITokenRefused, ReadOnlyToken, TwoFactorSetupRequired
from app.core.request_budget import RequestBudget
from app.db.resource_pool import Owner
from app.policy.access_cache import AccessCache
from app.policy.permission_summary import Summary, full_summary, summarize
from app.policy.rules import Access
from app.query.collection import PREFIX, USERS
from app.repositories.own_values import with_preset_values
from app.repositories.repository import Repository, UserRepository
from app.repositories.services import Services
from app.repositories.system.catalog import SchemaCatalog
from app.repositories.system.field_writer import FieldWriter
from app.repositories.system.relation_writer import RelationWriter

T = TypeVar("T")


class Directory:
    """The directory for one caller: `directory["users"]` is a repository, `access` returns what the caller may do.

    A request has one budget for all its writes, this `budget` or a new one (`shares_budget`); otherwise each write has
    its own.
    """

    response_cookies: tuple[ResponseCookie, ...] = ()
    """Cookies to set in the response."""
    no_store = False
    """Whether the response contains a secret such as a token, so that no cache may store it."""

    def __init__(
        self,
        caller: Caller,
        services: Services,
        client_info: ClientInfoFactory = no_client_info,
        budget: RequestBudget | None = None,
        *,
        shares_budget: bool = False,
    ) -> None:
        self.caller, self.services, self.client_info = caller, services, client_info
        self._shares_budget, self._budget = shares_budget or budget is not None, budget

    @overload
    def __getitem__(self, name: Literal["users", "directus_users"]) -> UserRepository: ...

    @overload
    def __getitem__(self, name: str) -> Repository: ...

    def __getitem__(self, name: str) -> Repository:
        """Return the repository of a collection, by its short or its full name; raise KeyError if there is none."""
        registry = self.services.registry
        collection = registry.get(name) or registry[f"{PREFIX}{name}"]
        repository = UserRepository if collection.is_same(USERS) else Repository
        budget = self.budget if self._shares_budget else None
        return repository(collection, self.caller, self.services, self.client_info, budget)

    @property
    def catalog(self) -> SchemaCatalog:
        """The collections, fields and relations that the caller may see."""
        return SchemaCatalog(self.caller, self.services)

    @property
    def field_writer(self) -> FieldWriter:
        """Changes custom fields, if the caller is an admin."""
        return FieldWriter(self.caller, self.services, self.client_info)

    @property
    def relation_writer(self) -> RelationWriter:
        """Changes the relations of custom fields, if the caller is an admin."""
        return RelationWriter(self.caller, self.services, self.client_info)

    @property
    def budget(self) -> RequestBudget:
        """The request's budget; without a request, a new one each time."""
        if not self._shares_budget:
            return self.services.new_budget()
        if self._budget is None:
            self._budget = self.services.new_budget()
        return self._budget

    def renew_budget(self) -> None:
        """Restore a request's budget, because what it has done so far is going to be done again."""
        self._budget = None

    @property
    def cached_access(self) -> Access | None:
        """The caller's cached access; None if it is not cached, and always for the system caller."""
        return None if self.caller.system else self.services.access_cache.peek(self.caller)

    @property
    def owner(self) -> Owner:
        """Who takes turns with others: the user, or the IP address if the access is not cached."""
        access = self.cached_access
        return self.caller.ip if access is None else access.owner

    async def access(self) -> Access:
        """Return the caller's access, from the cache if it is there; it may be stale.

        Raises:
            InvalidCredentials: The credentials belong to no active user, or the session has ended.
        """
        return await self._access_cache.access(self.caller)

    async def fresh_access(self) -> Access:
        """Return the caller's current access, for responses that read no rows; raises as `access`."""
        return await self.revalidate(await self.access())

    async def described_access(self) -> Access:
        """Return the same, for responses that describe the fields of the directory.

        Raises:
            InvalidCredentials: As `access`.
            SchemaChanged: The fields have changed, so that the request must be answered again.
        """
        access = await self.fresh_access()
        self._access_cache.require_current_schema()
        return access

    async def require_tfa_setup_done(self) -> None:
        """Raise TwoFactorSetupRequired if the caller must set up two-factor authentication first.

        The access is revalidated each time, because some responses, such as the caller's own roles, read no rows.
        """
        if self.caller.tfa_setup_required and (await self.fresh_access()).tfa_setup_required:
            raise TwoFactorSetupRequired

    async def require_writable(self) -> None:
        """Raise ReadOnlyToken if the caller uses a read-only API token.

        For requests that write otherwise than through the repositories, which check it themselves.
        """
        if self.caller.api_token is not None and (await self.fresh_access()).read_only:
            raise ReadOnlyToken

    async def refuse_api_token(self) -> None:
        """Raise APITokenRefused if the caller uses an API token; InvalidCredentials if that is not valid.

        For requests with which the holder of a token could keep an account for longer than the token allows.
        """
        if self.caller.api_token is not None:
            await self.fresh_access()
            raise APITokenRefused

    def run_while_current(
        self, access: Access, attempt: Callable[[Access], Awaitable[T]], max_attempts: int
    ) -> Awaitable[T]:
        """Return what `attempt` returns for the caller's current access; see `AccessCache.run_while_current`."""
        return self._access_cache.run_while_current(self.caller, access, attempt, max_attempts)

    async def revalidate(self, access: Access) -> Access:
        """Return `access` itself if it is still current, else the caller's reloaded access."""
        return await self._access_cache.revalidate(self.caller, access)

    async def permissions(self) -> Summary:
        """Return what the caller may currently do, by collection, with the values that presets have for the caller."""
        access, grants = await self._access_cache.grants(self.caller)
        if access.admin:
            return full_summary(self.services.registry)
        return summarize(await with_preset_values(grants, access, self.services))

    @property
    def _access_cache(self) -> AccessCache:
        return self.services.access_cache
