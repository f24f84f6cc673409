"""The directory: every collection, as one caller sees it."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar, overload

from app.core.caller import Caller, ClientInfoFactory, ResponseCookie, no_client_info
from app.core.errors import TwoFactorSetupRequired
from app.policy.access_cache import AccessCache
from app.policy.permission_summary import Summary, full_summary, summarize
from app.policy.rules import Access
from app.query.collection import COLLECTIONS, PREFIX, USERS
from app.repositories.repository import Repository, UserRepository
from app.repositories.services import Services

T = TypeVar("T")


class Directory:
    """The way in for one caller: `directory["users"]` is a repository, `access` what the caller may do."""

    def __init__(self, caller: Caller, services: Services, via: ClientInfoFactory = no_client_info) -> None:
        self.caller, self.services, self.client_info = caller, services, via
        self.response_cookies: tuple[ResponseCookie, ...] = ()
        """What the answer hands to the caller beside what it tells."""
        self.no_store = False
        """Whether the answer is for one pair of eyes, such as a token is."""

    @overload
    def __getitem__(self, name: Literal["users", "directus_users"]) -> UserRepository: ...

    @overload
    def __getitem__(self, name: str) -> Repository: ...

    def __getitem__(self, name: str) -> Repository:
        """A collection by its short or its full name; KeyError where there is none."""
        collection = COLLECTIONS.get(name) or COLLECTIONS[f"{PREFIX}{name}"]
        kind = UserRepository if collection is USERS else Repository
        return kind(collection, self.caller, self.services, self.client_info)

    @property
    def cached_access(self) -> Access | None:
        """The caller's access where it is remembered; never that of trusted code."""
        return None if self.caller.system else self.services.access_cache.peek(self.caller)

    async def access(self) -> Access:
        """The caller's access as last seen; InvalidCredentials where nobody active stands behind the claim."""
        return await self._access_cache.access(self.caller)

    async def fresh_access(self) -> Access:
        """The caller's access as the database has it now, for answers that are read from no row; raises the same."""
        return await self.revalidate(await self.access())

    async def require_tfa_setup_done(self) -> None:
        """Raises SecondFactorWanted for a caller that has to set that up before anything else.

        It is asked for anew each time: some answers, such as one's own roles, are read from no row that would tell.
        """
        if self.caller.tfa_setup_required and (await self.fresh_access()).tfa_setup_required:
            raise TwoFactorSetupRequired

    def run_while_current(
        self, access: Access, attempt: Callable[[Access], Awaitable[T]], max_attempts: int
    ) -> Awaitable[T]:
        """Return what `attempt` returns for the caller's current access; see `AccessCache.run_while_current`."""
        return self._access_cache.run_while_current(self.caller, access, attempt, max_attempts)

    async def revalidate(self, access: Access) -> Access:
        """`seen` while it still holds, else the caller's access as the database has it now."""
        return await self._access_cache.revalidate(self.caller, access)

    async def permissions(self) -> Summary:
        """What the caller may do, collection by collection, as the database has it now."""
        access, grants = await self._access_cache.grants(self.caller)
        return full_summary(COLLECTIONS) if access.admin else summarize(grants)

    @property
    def _access_cache(self) -> AccessCache:
        return self.services.access_cache
