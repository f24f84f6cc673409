"""Who is connected to the realtime hub, and which subscriptions they have."""

from collections.abc import Callable, Iterable
from time import monotonic

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.core.ip_addresses import rate_limit_network
from app.flows.realtime.view import CREATE, UPDATE, ChangeList, ChangeSink, View, ViewChange, digest
from app.policy.rules import Access
from app.query.read import Read

REVALIDATE_SECONDS = 30.0
"""How often the access of every member is checked, whether there are events or not: sessions end without any."""

UNKNOWN = 0
"""The digest of a row of which it is not known what has been shown."""

ReadBuilder = Callable[[Access], Read]
"""Builds the query of a subscription for an access."""


def address_owner(ip: str | None) -> str:
    """Return the owner of what has no user; an IPv6 network is one client, as for all limits."""
    return f"ip {rate_limit_network(ip)}"


class Subscription:
    """A caller's view of a collection, and where its changes go."""

    def __init__(self, member: "HubMember", build: ReadBuilder, sink: ChangeSink, view: View) -> None:
        self.member, self.build, self.sink, self.view = member, build, sink, view
        self.seen: dict[str, int] | None = None
        """What it had shown when it was paused."""
        self.ahead: dict[str, int | None] = {}
        """Rows of which it was sent a later state than its view has, when it was moved there; None if they are gone."""

    def shown_rows(self) -> dict[str, int]:
        """Return the digests of what it has been sent."""
        rows = {**self.view.rows, **self.ahead}
        return {key: shown for key, shown in rows.items() if shown is not None}

    def unsent(self, changes: ChangeList) -> ChangeList:
        """Return the changes of its view without those that it was sent when it was moved there."""
        return ChangeList(filter(None, map(self._unsent, changes))) if self.ahead else changes

    def _unsent(self, change: ViewChange) -> ViewChange | None:
        key = str(change.key)
        if key not in self.ahead:
            return change
        sent, shown = self.ahead.pop(key), None if change.data is None else digest(change.data)
        if shown == sent:
            return None
        return change if shown is None else change._replace(action=CREATE if sent is None else UPDATE)

    def pause(self) -> None:
        """Note what it has shown; an open view knows nothing of that."""
        if not self.view.is_open:
            self.seen = self.shown_rows()
            self.ahead = {}

    def forget(self, changes: Iterable[ViewChange]) -> None:
        """Note that these changes have not been sent, because it was paused while others received them."""
        if self.seen is None:
            return
        for action, key, _ in changes:
            if action == CREATE:
                self.seen.pop(str(key), None)
            else:
                self.seen[str(key)] = UNKNOWN


class HubMember:
    """A caller with a connection. `close` is called once its credentials are no longer valid."""

    def __init__(self, caller: Caller, access: Access, close: Callable[[RollcallError], None]) -> None:
        self.caller, self.access, self.close = caller, access, close
        self.subscriptions: set[Subscription] = set()
        self.revalidate_at = 0.0
        self.postpone_revalidation()

    @property
    def owner(self) -> str:
        """Whose connections and rows are counted together: those of a user, or of an IP address without one."""
        return self.access.user or address_owner(self.caller.ip)

    def postpone_revalidation(self) -> None:
        """Count the time to the next check of the access from now on."""
        self.revalidate_at = monotonic() + REVALIDATE_SECONDS
