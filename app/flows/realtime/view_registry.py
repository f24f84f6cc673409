"""The views of the realtime hub, and which of them an event can concern."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from app.core.errors import LimitExceeded
from app.flows.realtime.membership import Subscription
from app.flows.realtime.row_budget import RowBudget
from app.flows.realtime.view import View
from app.repositories.live_query import BatchStatement

Events = Mapping[str, Mapping[str | None, str]]
"""The first action for each row, by collection and key."""

USERS = "directus_users"


class ViewRegistry:
    """The views that have subscriptions.

    A view whose rules or filter name the only keys that it can show, such as that of the caller's own row, is looked up
    by them; an event is matched with the others of its collection. The rows of the views are counted in `budget`.
    """

    def __init__(self, budget: RowBudget) -> None:
        self.budget = budget
        self._views: dict[Any, View] = {}
        self._subscriptions: dict[View, dict[Subscription, str]] = {}
        """Each with the owner for whom the rows of the view are counted."""
        self._paused: dict[Subscription, str] = {}
        self._by_collection: defaultdict[str, dict[View, None]] = defaultdict(dict)
        self._by_row: defaultdict[tuple[str, str], dict[View, None]] = defaultdict(dict)
        self._by_dependency: defaultdict[str, dict[View, None]] = defaultdict(dict)
        self._by_user: defaultdict[str, dict[View, None]] = defaultdict(dict)
        self._outdated: dict[View, None] = {}

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[View]:
        return iter(tuple(self._views.values()))

    def get(self, key: Any) -> View | None:
        """Return the view of the queries with a key."""
        return self._views.get(key)

    def subscriptions(self, view: View) -> Collection[Subscription]:
        """Return the subscriptions of a view."""
        return self._subscriptions.get(view, ())

    def attach(self, subscription: Subscription, view: View) -> None:
        """Let a subscription receive the changes of a view from now on.

        Raises:
            LimitExceeded: There would be too many rows, in total or of the subscriber.
        """
        owner = subscription.member.owner
        self.budget.attach(view, owner, len(view.rows))
        subscription.view = view
        if view not in self._subscriptions:
            self._views[view.query.key], self._subscriptions[view] = view, {}
            for index, key in self._entries(view):
                index[key][view] = None
        self._subscriptions[view][subscription] = owner

    def detach(self, subscription: Subscription) -> None:
        """Let a subscription receive nothing from now on; its view ends with its last one."""
        if subscription in self._paused:
            self.budget.detach(subscription, self._paused.pop(subscription))
        view = subscription.view
        subscriptions = self._subscriptions.get(view, {})
        owner = subscriptions.pop(subscription, None)
        if owner is None:
            return
        self.budget.detach(view, owner)
        if subscriptions:
            return
        del self._subscriptions[view], self._views[view.query.key]
        self._outdated.pop(view, None)
        for index, key in self._entries(view):
            index[key].pop(view, None)
            if not index[key]:
                del index[key]

    def pause(self, subscription: Subscription) -> None:
        """Let a subscription receive nothing until it is attached again.

        If there is no room for what it has shown, it forgets that.
        """
        self.detach(subscription)
        if subscription.seen is None:
            return
        owner = subscription.member.owner
        try:
            self.budget.attach(subscription, owner, len(subscription.seen))
        except LimitExceeded:
            subscription.seen = None
        else:
            self._paused[subscription] = owner

    def outgrown(self, view: View) -> list[tuple[Subscription, LimitExceeded]]:
        """Count the rows of a view anew; return the subscriptions that must end because it has grown, and why."""
        errors = self.budget.resize(view, len(view.rows))
        subscriptions = self._subscriptions.get(view, {}).items() if errors else ()
        return [(subscription, errors[owner]) for subscription, owner in subscriptions if owner in errors]

    def _entries(self, view: View) -> Iterator[tuple[Any, Any]]:
        """Yield the indexes that contain a view, each with a key."""
        query, name = view.query, view.query.collection.name
        if query.keys is None:
            yield self._by_collection, name
        else:
            yield from ((self._by_row, (name, key)) for key in query.keys)
        if not view.is_open:
            yield from ((self._by_dependency, dependency) for dependency in query.shape.dependencies)
            yield from ((self._by_user, user) for user in query.users)

    def of_collection(self, name: str) -> Iterator[View]:
        """Yield all views of a collection."""
        return (view for view in self if view.query.collection.name == name)

    def concerned(self, name: str, keys: Collection[str]) -> Mapping[BatchStatement, list[View]]:
        """Return the views of a collection that rows with these keys can concern, by the statement that reads them."""
        views = dict(self._by_collection.get(name, {}))
        for key in keys:
            views.update(self._by_row.get((name, key), {}))
        groups: defaultdict[BatchStatement, list[View]] = defaultdict(list)
        for view in views:
            groups[view.query.shape.batch].append(view)
        return groups

    def note(self, events: Events) -> None:
        """Note which views need a refresh, because what their rules or selection refer to may have changed."""
        for name, rows in events.items():
            self._need_refresh(self._by_dependency.get(name, ()))
            if name == USERS:
                users = self._by_user if None in rows else rows
                for key in users:
                    self._need_refresh(self._by_user.get(key or "", ()))

    def _need_refresh(self, views: Iterable[View]) -> None:
        for view in views:
            view.needs_refresh = True
            self._outdated[view] = None

    def due(self) -> list[View]:
        """Return the views whose refresh is due."""
        for view in [view for view in self._outdated if not view.needs_refresh]:
            del self._outdated[view]
        return [view for view in self._outdated if view.may_refresh]
