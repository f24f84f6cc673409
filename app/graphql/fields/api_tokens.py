"""The root fields of API tokens, with their types."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.flows.api_tokens import APITokenService
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.repositories.directory import Directory

Info = strawberry.Info[GraphQLContext, Any]

API_TOKEN = {
    "id": "ID!",
    "name": "String!",
    "created": "Date!",
    "expires": "Date",
    "read_only": "Boolean!",
    "policies": "[ID!]",
    "ip_access": "[String!]",
    "last_used": "Date",
    "last_used_ip": "String",
}
API_TOKEN_INPUT = {
    "name": "String!",
    "expires": "Date",
    "read_only": "Boolean",
    "policies": "[ID!]",
    "ip_access": "[String!]",
}


def define_api_token_types(types: TypeBuilder) -> None:
    """Define the types of a token, and of one that has just been created."""
    types.define_type("api_token", [types.field(name, spec) for name, spec in API_TOKEN.items()])
    created = {**API_TOKEN, "token": "String!"}
    types.define_type("created_api_token", [types.field(name, spec) for name, spec in created.items()])
    types.define_input("create_tokens_input", API_TOKEN_INPUT)


def api_token_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries of tokens, which Directus does not have."""
    yield types.field("users_me_tokens", "[api_token!]", {}, _list_own)
    yield types.field("users_tokens", "[api_token!]", {"user": "ID!"}, _list)


def api_token_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutations that create and revoke tokens; `user` is for admins."""
    arguments = {"data": "create_tokens_input!", "user": "ID"}
    yield types.field("create_tokens_item", "created_api_token", arguments, _create)
    yield types.field("delete_tokens_item", "delete_one", {"id": "ID!", "user": "ID"}, _revoke)


async def _list_own(info: Info) -> list[SimpleNamespace] | None:
    """List the caller's own tokens; null for an anonymous caller."""
    return None if info.context.directory.caller.anonymous else await _list(info)


async def _list(info: Info, user: str | None = None) -> list[SimpleNamespace]:
    tokens = await APITokenService(info.context.directory).all(user)
    return [SimpleNamespace(**token.as_dict()) for token in tokens]


async def _create(info: Info, data: Any, user: str | None = None) -> SimpleNamespace:
    created = await APITokenService(_unstored(info)).create(data, user)
    return SimpleNamespace(**created.as_dict())


async def _revoke(info: Info, user: str | None = None, **values: str) -> SimpleNamespace:
    return SimpleNamespace(id=await APITokenService(_unstored(info)).revoke(values["id"], user))


def _unstored(info: Info) -> Directory:
    """Return the directory, after noting that no cache may store the response."""
    directory = info.context.directory
    directory.no_store = True
    return directory
