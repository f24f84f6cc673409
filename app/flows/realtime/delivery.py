"""Reads what has changed in the views of the realtime hub, and sends it to their subscribers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TypeVar

from app.core.errors import LimitExceeded, RollcallError, ServiceUnavailable
from app.flows.realtime.membership import HubMember, Subscription
from app.flows.realtime.view import ChangeList, View, ViewChange
from app.flows.realtime.view_registry import Events, ViewRegistry
from app.metrics.instruments import EventCounter
from app.query.results import Row
from app.repositories.live_reader import AccessCheck, LiveReader

CONCURRENT_READS = 4
MAX_PAIRS = 5_000
"""Number of views times rows that one statement decides about at most."""
MAX_SENT_CHANGES = 100
"""Number of changes that a subscription is sent before connections get a turn to write them."""
SENT_BEFORE_PAUSE = 500
"""Number of subscriptions that are sent changes before connections get a turn to write them."""
REFRESH_SECONDS = 0.5
"""How long views are refreshed at a time, before events are delivered again."""
SUBSCRIBE_AGAIN = "Changes may have been missed; subscribe again"

Recheck = Callable[[Collection[HubMember]], Awaitable[None]]
"""Checks the rights of members, and moves those whose rights have changed to other views."""
T = TypeVar("T")


class Delivery:
    """Delivers changes, one call after the other.

    Before a change is sent, the statement that read it has shown that the rights of its receivers were the ones it was
    scoped with, or they have been checked since.
    """

    def __init__(self, views: ViewRegistry, reader: LiveReader, recheck: Recheck, sent: EventCounter) -> None:
        self._views, self.reader, self._recheck, self._sent = views, reader, recheck, sent

    async def deliver(self, events: Events, mark: str) -> None:
        """Send what events have changed, and then all changes of the views whose refresh is due."""
        self._views.note(events)
        for name, actions in events.items():
            if None in actions:
                await self.reset(tuple(self._views.of_collection(name)), mark)
            else:
                await self._deliver_rows(name, {str(key): action for key, action in actions.items()}, mark)
        await self.refresh_due(mark)

    async def reset(self, views: Iterable[View], mark: str) -> None:
        """Send every change of views in which any row may have changed."""
        for view in views:
            if view.is_open:
                self.end_all(view, ServiceUnavailable(SUBSCRIBE_AGAIN))
            else:
                await self._refresh(view, mark)

    async def refresh_due(self, mark: str) -> None:
        """Send every change of the views whose refresh is due, of some of them if that takes long."""
        started = monotonic()
        for view in self._views.due():
            await self._refresh(view, mark)
            if monotonic() - started > REFRESH_SECONDS:
                return

    async def _deliver_rows(self, name: str, actions: Mapping[str, str], mark: str) -> None:
        size = max(1, MAX_PAIRS // len(actions))
        groups = self._views.concerned(name, actions).values()
        work = [part for views in groups for part in parts(views, size)]
        for together in parts(work, CONCURRENT_READS):
            reads = await asyncio.gather(*(self._read(part, actions, mark) for part in together))
            for part, (rows, check) in zip(together, reads, strict=True):
                await self._send(part, actions, rows, check)

    async def _read(
        self, views: Sequence[View], actions: Mapping[str, str], mark: str
    ) -> tuple[list[list[Row]], AccessCheck]:
        return await self.reader.read([view.query for view in views], tuple(actions), mark)

    async def _send(
        self, views: Sequence[View], actions: Mapping[str, str], rows: Sequence[list[Row]], check: AccessCheck
    ) -> None:
        """Send the changes of views that have shown one of the rows, or show it now."""
        read = [pair for pair in zip(views, rows, strict=True) if pair[1] or pair[0].may_have_shown(actions)]
        await self._recheck_outdated([view for view, _ in read], check)
        for view, found in read:
            await self._change(view, partial(view.apply, actions, found))

    async def _refresh(self, view: View, mark: str) -> None:
        """Send every change of a view."""
        started = monotonic()
        rows, check = await self.reader.read_all(view.query, mark)
        await self._recheck_outdated([view], check)
        await self._change(view, partial(view.refresh, rows, started))

    async def _change(self, view: View, change: Callable[[], Sequence[ViewChange]]) -> None:
        """Change a view, and send its changes, unless it shows too many rows by now."""
        try:
            changes = change()
        except LimitExceeded as exceeded:
            self.end_all(view, exceeded)
            return
        for subscription, error in self._views.outgrown(view):
            self.end(subscription, error)
        await self._publish(view, changes)

    async def _recheck_outdated(self, views: Iterable[View], check: AccessCheck) -> None:
        """Check the rights of the subscribers of views that may have changed since the views were scoped with them.

        Those whose rights have changed leave these views. The others have the rights that what was read needs, and had
        them before it was.
        """
        version, owners = check
        members = {
            member: None
            for view in views
            for subscription in self._views.subscriptions(view)
            if (member := subscription.member).access.state.token != version
            or owners is None
            or (owners and member.access.user in owners)
        }
        if members:
            await self._recheck(tuple(members))

    async def _publish(self, view: View, changes: Sequence[ViewChange]) -> None:
        """Send changes to the subscribers of a view, a part at a time, so that no queue of a connection grows long."""
        receivers = tuple(self._views.subscriptions(view))
        self._sent.add(amount=len(changes) * len(receivers))
        for part in parts(changes, MAX_SENT_CHANGES):
            shared = ChangeList(part)
            for subscriptions in parts(receivers, SENT_BEFORE_PAUSE):
                for subscription in subscriptions:
                    if subscription in self._views.subscriptions(view):
                        if unsent := subscription.unsent(shared):
                            subscription.sink.send(unsent)
                    else:
                        subscription.forget(part)
                await asyncio.sleep(0)

    def end_all(self, view: View, error: RollcallError) -> None:
        """End all subscriptions of a view."""
        for subscription in tuple(self._views.subscriptions(view)):
            self.end(subscription, error)

    def end(self, subscription: Subscription, error: RollcallError) -> None:
        """End a subscription with a reason."""
        subscription.member.subscriptions.discard(subscription)
        self._views.detach(subscription)
        subscription.sink.end(error)


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return an iterator over parts of a sequence with so many items at most."""
    return (items[start : start + size] for start in range(0, len(items), size))
