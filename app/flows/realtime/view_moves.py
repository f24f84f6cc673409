"""Finds or loads the views of subscriptions, and moves these to other views."""

from collections.abc import Callable

from app.core.errors import ServiceUnavailable
from app.flows.realtime.delivery import SUBSCRIBE_AGAIN
from app.flows.realtime.membership import ReadBuilder, Subscription
from app.flows.realtime.view import UPDATE, ChangeList, View, ViewChange
from app.flows.realtime.view_registry import ViewRegistry
from app.policy.rules import Access
from app.repositories.live_query import LiveQuery
from app.repositories.live_reader import LiveReader
from app.repositories.services import Services

MAX_MOVED_ROWS = 1_000
"""Number of changes from which on a subscription whose rights have changed ends, instead of being sent them."""


class ViewMoves:
    """Moves subscriptions to other views, when the rights of their callers have changed or they continue after a pause.

    `mark` is everywhere the position of the events that have been delivered, and `is_active` returns whether a
    subscription goes on.
    """

    def __init__(
        self, services: Services, views: ViewRegistry, max_rows: int, is_active: Callable[[Subscription], bool]
    ) -> None:
        self._views, self._max_rows, self._is_active = views, max_rows, is_active
        self.use_services(services)

    def use_services(self, services: Services) -> None:
        """Plan and read with these services from now on."""
        self._services, self.reader = services, LiveReader(services, self._max_rows + 1)

    async def _planned(self, build: ReadBuilder, access: Access) -> LiveQuery:
        """Return a query, planned beside the event loop."""
        reader = self.reader
        return await self._services.planning.run(access.owner, lambda: reader.plan(build(access), access))

    async def loaded_view(self, build: ReadBuilder, access: Access, mark: str) -> View | None:
        """Return the view of a query, loaded; None if rights have changed while it was."""
        query = await self._planned(build, access)
        if view := self._views.get(query.key):
            return view
        view = View(query, self._max_rows, self._views.budget.keys)
        if not view.is_open:
            rows, check = await self.reader.read_all(query, mark)
            if check.version != access.state.token:
                return None
            view.load(rows)
        return view

    async def attach_again(self, subscription: Subscription, mark: str) -> None:
        """Attach a paused subscription to the view of its caller, and send the difference to what it has seen.

        Raises:
            ServiceUnavailable: It is not known what it has seen, or that differs too much.
            RollcallError: As `RealtimeHub.start`.
        """
        view = await self.loaded_view(subscription.build, subscription.member.access, mark)
        if view is None or view.is_open or subscription.seen is None:
            raise ServiceUnavailable(SUBSCRIBE_AGAIN)
        self._views.detach(subscription)
        await self._attach(subscription, view, subscription.seen, mark)
        subscription.seen = None

    async def _attach(self, subscription: Subscription, view: View, seen: dict[str, int], mark: str) -> None:
        """Attach a subscription to another view, and send the difference to what it has seen."""
        while True:
            changes, shown = await self._difference(seen, view, mark)
            current = self._views.get(view.query.key) or view
            if current is view:
                break
            view = current  # another member was moved to the same view meanwhile
        if not self._is_active(subscription):  # paused or left meanwhile
            return
        self._views.attach(subscription, view)
        subscription.ahead = {key: digest for key, digest in shown.items() if digest != view.rows.get(key)}
        if changes:
            subscription.sink.send(ChangeList(changes))

    async def move(self, subscription: Subscription, mark: str) -> None:
        """Move a subscription to the view of its caller's present rights, and send the difference.

        Raises:
            ServiceUnavailable: It is not known what it has seen, or that differs too much.
            RollcallError: As `RealtimeHub.start`.
        """
        old, access = subscription.view, subscription.member.access
        query = await self._planned(subscription.build, access)
        if query.key == old.query.key:
            return
        new = await self.loaded_view(subscription.build, access, mark)
        if new is None or new.is_open or old.is_open:
            raise ServiceUnavailable(SUBSCRIBE_AGAIN)
        seen = subscription.shown_rows()
        self._views.detach(subscription)
        await self._attach(subscription, new, seen, mark)

    async def _difference(
        self, seen: dict[str, int], new: View, mark: str
    ) -> tuple[list[ViewChange], dict[str, int | None]]:
        """Return the changes from what was seen to what a view shows now, and the digests of these rows there.

        The view itself may be behind: its other subscriptions have not been sent the events of the same batch yet.
        """
        keys = [key for key in dict.fromkeys((*seen, *new.rows)) if seen.get(key) != new.rows.get(key)]
        if len(keys) > MAX_MOVED_ROWS:
            raise ServiceUnavailable(SUBSCRIBE_AGAIN)
        if not keys:
            return [], {}
        (rows,), _ = await self.reader.read([new.query], keys, mark)
        current = View(new.query, self._max_rows, self._views.budget.keys)
        current.rows = {key: seen[key] for key in keys if key in seen}
        changes = current.apply(dict.fromkeys(keys, UPDATE), rows)
        return changes, {key: current.rows.get(key) for key in keys}
