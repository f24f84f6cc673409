"""An extension with root fields for every kind of caller, and types of its own."""

import enum

import strawberry

from app.core.errors import UnprocessableContent
from app.graphql.fields.extension_fields import ResolverInfo
from tests.base_data import uid


@strawberry.enum
class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.input
class Ticket:
    title: str
    color: Color = Color.RED
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.type
class Headcount:
    active: int
    color: Color

    @strawberry.field
    async def emails(self, info: ResolverInfo, limit: int = 2) -> list[str]:
        query = {"fields": ["email"], "sort": ["email"], "limit": limit}
        return [row["email"] for row in await info.context.directory["users"].read_by_query(query)]


@strawberry.type
class Secret:
    number: int


@strawberry.input
class SecretInput:
    number: int


async def greeting(name: str = "world") -> str:
    return f"Hello, {name}"


async def headcount(info: ResolverInfo, color: Color = Color.RED) -> Headcount:
    users = info.context.directory["users"]
    return Headcount(active=await users.count({"filter": {"status": {"_eq": "active"}}}), color=color)


async def dashboard() -> int:
    return 1


async def top_secret(value: SecretInput | None = None) -> Secret:
    return Secret(number=value.number if value else 42)


async def broken() -> int | None:
    raise ValueError("very private")


async def create_ticket(info: ResolverInfo, ticket: Ticket) -> str:
    if ticket.title == "moon":
        raise UnprocessableContent("The moon is not full")
    await info.context.directory["users"].update_one(uid("ann"), {"title": ticket.title})
    return f"{ticket.title} {ticket.color.value} {','.join(ticket.tags)}"


def register(extend):
    extend.query(visible="public")(greeting)
    extend.query(visible="user")(headcount)
    extend.query(visible="app")(dashboard)
    extend.query(visible="admin", name="secret")(top_secret)
    extend.query(visible="public")(broken)
    extend.mutation(visible="user")(create_ticket)
    extend.mutation(visible="admin", name="secret_change")(top_secret)
