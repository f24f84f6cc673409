"""A GraphQL subscription of a client: from its request to the results that it is sent."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import orjson

from app.core.errors import RollcallError
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.membership import HubMember, Subscription
from app.flows.realtime.view import ChangeList
from app.graphql.schema import schema_of
from app.graphql.subscriptions import GraphQLRequest, PreparedSubscription, prepare_subscription


class ResultReceiver(NamedTuple):
    """Receives the results of one subscription as JSON, and why it has ended. Neither may wait or fail."""

    send: Callable[[orjson.Fragment], None]
    end: Callable[[RollcallError], None]


async def start_subscription(
    hub: RealtimeHub, member: HubMember, request: GraphQLRequest, receiver: ResultReceiver
) -> Subscription:
    """Return a subscription, which is prepared beside the event loop.

    Raises:
        GraphQLValidation: The document is invalid, or no subscription.
        RollcallError: As `RealtimeHub.turn` and `RealtimeHub.start`.
    """
    async with hub.turn(member):
        services, access = hub.services, member.access
        schema = schema_of(services)
        work = partial(prepare_subscription, schema, request, access, services)
        prepared = await services.planning.run(access.owner, work)
        return await hub.start(member, prepared.build, _ResultSink(receiver, prepared))


class _ResultSink:
    """Sends the changes of one subscription as results."""

    def __init__(self, receiver: ResultReceiver, prepared: PreparedSubscription) -> None:
        self._receiver, self._prepared = receiver, prepared

    def send(self, changes: ChangeList) -> None:
        results = changes.cached(self._prepared.result_format, lambda: self._encode(changes))
        for change, result in zip(changes, results, strict=True):
            if self._prepared.event in (None, change.action):
                self._receiver.send(result)

    def _encode(self, changes: ChangeList) -> list[orjson.Fragment]:
        """Return the results of changes, which those of other subscribers contain as they are."""
        return [orjson.Fragment(orjson.dumps({"data": self._prepared.result(*change)})) for change in changes]

    def end(self, error: RollcallError) -> None:
        self._receiver.end(error)
