"""The root fields of subscriptions: `directus_users_mutated(event)` and the like for each collection."""

from collections.abc import AsyncIterator, Iterator
from enum import Enum

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidQuery
from app.graphql.types.builder import TypeBuilder, mutated_type

OVER_HTTP = (
    "Subscriptions are served over WebSocket, with the protocol graphql-transport-ws, and as server-sent events, to "
    'requests with the header "Accept: text/event-stream"'
)
NOT_ENABLED = "Subscriptions are not enabled on this server, neither over WebSocket nor as server-sent events"


class EventEnum(Enum):
    """What happened to a row."""

    create = "create"
    update = "update"
    delete = "delete"


def subscriptions(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Define the types of subscriptions, and yield a root field for each collection."""
    types.register_type("EventEnum", strawberry.enum(EventEnum, name="EventEnum"))
    for collection in types.registry.values():
        name = mutated_type(collection)
        members = {"key": "ID!", "event": "EventEnum", "data": collection.name}
        types.define_type(name, [types.field(member, spec) for member, spec in members.items()])
        yield types.field(name, name, {"event": "EventEnum"}, _refuse, is_subscription=True)


async def _refuse() -> AsyncIterator[None]:
    """Refuse an execution: `graphql.subscriptions` prepares subscriptions, and the realtime hub serves them."""
    raise InvalidQuery(OVER_HTTP)
    yield
