"""The realtime hub: which subscriptions there are, and what each of them is sent after a commit."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from app.core.caller import Caller
from app.core.cancellation import background_task
from app.core.errors import (
    InvalidCredentials,
    RollcallError,
    SchemaChanged,
    ServiceUnavailable,
    TokenExpired,
    TwoFactorSetupRequired,
)
from app.db.resource_pool import ResourcePool
from app.flows.realtime.delivery import SUBSCRIBE_AGAIN, Delivery, parts
from app.flows.realtime.feed import EventFeed
from app.flows.realtime.membership import HubMember, ReadBuilder, Subscription
from app.flows.realtime.row_budget import RowBudget
from app.flows.realtime.view import ChangeSink
from app.flows.realtime.view_moves import ViewMoves
from app.flows.realtime.view_registry import Events, ViewRegistry
from app.metrics.instruments import Kind
from app.policy.rules import Access
from app.repositories.services import Services
from app.repositories.stores.events import OWNED, EventBatch

MAX_ATTEMPTS = 5
"""How often rows are read again because rights have changed meanwhile."""
CONCURRENT_READS = 8
MAX_RECHECKED = 64
"""Number of members whose access is checked at a time, so that changes and new subscriptions need not wait for all."""
TICK_SECONDS = 1.0
POSITION_SECONDS = 10.0
"""How long a subscription waits for the feed to begin, which it does at once unless the database is unavailable."""
MAX_WAITING = 10_000
WAITING_SECONDS = 60.0
"""How many subscriptions wait until they are started, and for how long at most."""
TOO_MANY_WAITING = "Too many subscriptions are waiting to be started; try again later"
STARTING = "Realtime is starting; try again later"
STOPPING = "The server is stopping; connect again"

log = structlog.get_logger(__name__)


class RealtimeHub:
    """Delivers the changes of all subscriptions of one process.

    Everything that it does with views happens one after the other.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._feed = EventFeed(services, self._handle)
        self._lock, self._positioned = asyncio.Lock(), asyncio.Event()
        self._mark, self._version, self._is_draining = "", "", False
        self._starts = ResourcePool(
            ("turn",), reserved=0, max_waiting=MAX_WAITING, timeout=WAITING_SECONDS, exhausted=TOO_MANY_WAITING
        )
        """One subscription is started at a time, and callers take turns, so that changes never wait for several."""
        self._members: set[HubMember] = set()
        self._paused: set[HubMember] = set()
        """Members whose token has expired. Events are read for them too, so that none is missed when they resume."""
        settings = services.settings
        self._max_rows = settings.websockets_max_rows
        self._views = ViewRegistry(RowBudget(settings.websockets_max_total_rows, self._max_rows))
        self._moves = ViewMoves(services, self._views, self._max_rows, self._is_active)
        self._delivery = Delivery(self._views, self._moves.reader, self._recheck, services.metrics.realtime_changes)
        self.refresh_services: Callable[[], Awaitable[None]] | None = None
        """Loads the fields of the directory if they have changed, and calls `use_services`."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver changes while the block runs."""
        async with self._feed.running(), background_task(self._tick_forever(), "realtime_ticker"):
            yield

    def use_services(self, services: Services) -> None:
        """Use the services of another registry. Every connection ends, because its queries are of the earlier one."""
        self._services = services
        self._moves.use_services(services)
        self._delivery.reader = self._moves.reader
        for member in tuple(self._members):
            member.close(ServiceUnavailable(SUBSCRIBE_AGAIN))

    def drain(self) -> None:
        """End every connection and accept no other, because the process is going to stop."""
        self._is_draining = True
        for member in tuple(self._members):
            member.close(ServiceUnavailable(STOPPING))

    def register_readings(self) -> None:
        """Register what the hub shows at any time as metrics."""
        metrics = self._services.metrics

        def gauge(name: str, documentation: str, read: Callable[[], float]) -> None:
            metrics.gauge(name, documentation, lambda: {(): read()})

        def members() -> set[HubMember]:
            return self._members | self._paused

        gauge("realtime_clients", "Clients connected to realtime", lambda: len(members()))
        gauge(
            "realtime_subscriptions",
            "Subscriptions of these clients",
            lambda: sum(len(member.subscriptions) for member in members()),
        )
        gauge("realtime_views", "Views that these subscriptions share", lambda: len(self._views))
        gauge("realtime_rows", "Rows that views and paused subscriptions remember", lambda: self._views.budget.total)
        lag = "Seconds since all events were read"
        metrics.gauge("realtime_feed_lag_seconds", lag, lambda: {(): self._feed.lag}, kind=Kind.MAX)

    @property
    def services(self) -> Services:
        """The services with which callers are served now."""
        return self._services

    async def join(self, caller: Caller, close: Callable[[RollcallError], None]) -> HubMember:
        """Return a new member.

        Raises:
            InvalidCredentials: The credentials belong to no active user, or the session has ended.
            TwoFactorSetupRequired: The user must set up two-factor authentication first.
            ServiceUnavailable: The database is unavailable, or not every write has its events yet.
        """
        if self._is_draining:
            raise ServiceUnavailable(STOPPING)
        if not self._feed.is_ready:
            raise ServiceUnavailable(STARTING)
        if self._services.access_cache.is_outdated and self.refresh_services is not None:
            await self.refresh_services()
        cache = self._services.access_cache
        access = _usable(await cache.revalidate(caller, await cache.access(caller)))
        member = HubMember(caller, access, close)
        self._members.add(member)
        self._version = self._version or access.state.token
        self._feed.wanted = True
        return member

    def leave(self, member: HubMember) -> None:
        """End a member's subscriptions without a message."""
        self._members.discard(member)
        self._paused.discard(member)
        for subscription in tuple(member.subscriptions):
            self.unsubscribe(subscription)
        if not (self._members or self._paused):
            self._feed.wanted = False
            self._positioned.clear()

    def pause(self, member: HubMember) -> None:
        """Send a member nothing until it is resumed, because its token has expired."""
        if member in self._paused:  # by now others may have been sent what it has not
            return
        self._members.discard(member)
        self._paused.add(member)
        for subscription in member.subscriptions:
            subscription.pause()
            self._views.pause(subscription)

    async def resume(self, member: HubMember, caller: Caller) -> None:
        """Continue a paused member with new credentials, and send what has changed meanwhile; raises as `join`."""
        cache = self._services.access_cache
        access = _usable(await cache.revalidate(caller, await cache.access(caller)))
        async with self._lock:
            member.caller, member.access = caller, access
            self._members.add(member)
            self._paused.discard(member)
            for subscription in tuple(member.subscriptions):
                try:
                    await self._moves.attach_again(subscription, self._mark)
                except RollcallError as error:
                    self._delivery.end(subscription, error)

    async def subscribe(self, member: HubMember, build: ReadBuilder, sink: ChangeSink) -> Subscription:
        """Return a subscription, which is sent what changes from now on; raises as `turn` and `start`."""
        async with self.turn(member):
            return await self.start(member, build, sink)

    @asynccontextmanager
    async def turn(self, member: HubMember) -> AsyncIterator[None]:
        """Let the block prepare and start one subscription once it is this member's turn.

        What the block plans does not wait behind the plans of all others: many clients that connect at the same time
        wait here, where they may wait for long.

        Raises:
            ServiceUnavailable: The database is unavailable, or too many subscriptions wait.
        """
        try:
            async with asyncio.timeout(POSITION_SECONDS):
                await self._positioned.wait()
        except TimeoutError:
            raise ServiceUnavailable(STARTING) from None
        owner = member.access.owner
        turn = self._starts.acquire_nowait(owner) or await self._starts.acquire(owner)
        try:
            yield
        finally:
            self._starts.release(turn, owner)

    async def start(self, member: HubMember, build: ReadBuilder, sink: ChangeSink) -> Subscription:
        """Return a subscription, started in a `turn` of the member.

        Raises:
            Forbidden: The caller may not read the collection or a field.
            InvalidQuery: The query exceeds a limit.
            InvalidCredentials: The credentials are no longer valid.
            LimitExceeded: It shows too many rows, or there would be too many in all subscriptions.
            TokenExpired: The member has been paused meanwhile.
            ServiceUnavailable: The database is unavailable, or rights keep changing.
        """
        async with self._lock:
            for _ in range(MAX_ATTEMPTS):
                try:
                    await self._revalidate(member)
                except SchemaChanged:
                    member.close(ServiceUnavailable(SUBSCRIBE_AGAIN))
                    break
                view = await self._moves.loaded_view(build, member.access, self._mark)
                if member not in self._members:  # paused or left meanwhile
                    raise TokenExpired
                if view is not None:
                    subscription = Subscription(member, build, sink, view)
                    self._views.attach(subscription, view)
                    member.subscriptions.add(subscription)
                    return subscription
        raise ServiceUnavailable(SUBSCRIBE_AGAIN)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription without a message."""
        subscription.member.subscriptions.discard(subscription)
        self._views.detach(subscription)

    async def _handle(self, batch: EventBatch) -> None:
        """Deliver what a batch of events has changed."""
        async with self._lock:
            self._mark = batch.position.mark
            if self._feed.wanted:  # otherwise the next position is a later one
                self._positioned.set()
            version = batch.version or self._version
            rights_changed = self._version not in ("", version)
            if batch.events or batch.incomplete or rights_changed:
                await self._deliver_batch(batch, rights_changed=rights_changed)
            self._version = version  # only now: a batch whose delivery fails is delivered again

    async def _deliver_batch(self, batch: EventBatch, *, rights_changed: bool) -> None:
        events: dict[str, dict[str | None, str]] = defaultdict(dict)
        for event in batch.events:
            events[event.collection].setdefault(event.key, event.action)
        everyone = batch.incomplete or rights_changed
        await self._recheck(self._members if everyone else self._concerned(events))
        if batch.incomplete:
            await self._delivery.reset(self._views, self._mark)
        else:
            await self._delivery.deliver(events, self._mark)

    def _concerned(self, events: Events) -> Collection[HubMember]:
        """Return the members whose own rows, sessions or tokens events are about."""
        owners = {key for name in OWNED for key in events.get(name, ())}
        if None in owners:
            return self._members
        return [member for member in self._members if member.access.user in owners] if owners else ()

    def _is_active(self, subscription: Subscription) -> bool:
        """Return whether a subscription goes on, and its member has not been paused."""
        member = subscription.member
        return member in self._members and subscription in member.subscriptions

    async def _recheck(self, members: Collection[HubMember]) -> None:
        for part in parts(tuple(members), CONCURRENT_READS):
            await asyncio.gather(*(self._revalidate_or_close(member) for member in part))

    async def _revalidate_or_close(self, member: HubMember) -> None:
        try:
            await self._revalidate(member)
        except (InvalidCredentials, TwoFactorSetupRequired, SchemaChanged) as error:
            self.leave(member)
            member.close(error if isinstance(error, RollcallError) else ServiceUnavailable(SUBSCRIBE_AGAIN))

    async def _revalidate(self, member: HubMember) -> None:
        """Load a member's access anew if it has changed, and move its subscriptions to what it may see now."""
        cache = self._services.access_cache
        access = _usable(await cache.revalidate(member.caller, member.access))
        cache.require_current_schema()
        member.postpone_revalidation()
        if access is member.access:
            return
        member.access = access
        for subscription in tuple(member.subscriptions):
            try:
                await self._moves.move(subscription, self._mark)
            except RollcallError as error:
                self._delivery.end(subscription, error)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._tick()
            except ServiceUnavailable:
                continue
            except Exception:  # the next run may succeed
                log.exception("job_failed", job="realtime_ticker")

    async def _tick(self) -> None:
        """Do what is due without an event: policies and sessions end, and views wait for their refresh."""
        now, clock = monotonic(), self._services.clock
        due = [member for member in self._members if now >= member.revalidate_at or member.access.has_expired(clock)]
        for part in parts(due, MAX_RECHECKED):
            async with self._lock:
                await self._recheck([member for member in part if member in self._members])
        async with self._lock:
            await self._delivery.refresh_due(self._mark)


def _usable(access: Access) -> Access:
    """Return an access, unless its caller must set up two-factor authentication first."""
    if access.tfa_setup_required:
        raise TwoFactorSetupRequired
    return access
