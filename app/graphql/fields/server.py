"""The root fields that tell about the server itself, and about the caller's own rights."""

import asyncio
import enum
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import InvalidQuery
from app.flows import server_info
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types import builder
from app.graphql.visibility.caller_schema import caller_schema_for
from app.graphql.visibility.coordinates import NOTHING
from app.openapi.document import openapi
from app.policy.visibility import visibility_for

PROJECT = {
    "project_name": "String",
    "project_descriptor": "String",
    "project_logo": "String",
    "project_color": "String",
    "default_language": "String",
    "public_foreground": "String",
    "public_background": "String",
    "public_note": "String",
    "custom_css": "String",
    "public_registration": "Boolean",
    "public_registration_verify_email": "Boolean",
}
INFO = {
    "project": "server_info_project",
    "rateLimit": "Boolean",
    "rateLimitGlobal": "Boolean",
    "websocket": "Boolean",
    "queryLimit": "server_info_query_limit",
}
GLOBALS = ("enforce_tfa", "app_access", "admin_access")

Info = strawberry.Info[GraphQLContext, Any]


Scope = enum.Enum("Scope", {"items": "items", "system": "system"})


def make_server_types() -> None:
    """The types of these fields."""
    builder.register_type("graphql_sdl_scope", strawberry.enum(Scope, name="graphql_sdl_scope"))
    builder.define_type("server_info_project", (builder.field(name, spec) for name, spec in PROJECT.items()))
    builder.define_type("server_info_query_limit", (builder.field(name, "Int") for name in ("default", "max")))
    builder.define_type("server_info", (builder.field(name, spec) for name, spec in INFO.items()))
    builder.define_type("policy_me_globals_type", (builder.field(name, "Boolean") for name in GLOBALS))


def server_queries() -> Iterator[StrawberryField]:
    """What the server is, how it is, and what the caller may do with it."""
    scope = {"scope": "graphql_sdl_scope"}
    yield builder.field("server_specs_oas", "JSON", resolver=_openapi)
    yield builder.field("server_specs_graphql", "String", scope, _specs)
    yield builder.field("server_ping", "String", resolver=_ping)
    yield builder.field("server_info", "server_info", resolver=_info)
    yield builder.field("server_health", "JSON", resolver=_health)
    yield builder.field("permissions_me", "permissions_me_type", resolver=_permissions)
    yield builder.field("policies_me_globals", "policy_me_globals_type", resolver=_globals)
    yield builder.field(NOTHING, "Void", resolver=_nothing, description="There is no data to query.")


def _ping() -> str:
    return "pong"


def _nothing() -> None:
    return None


async def _info(info: Info) -> SimpleNamespace:
    services = info.context.directory.services
    await info.context.access_now()
    told = server_info.limits(services)
    most = SimpleNamespace(**told.pop("queryLimit"))
    on = {name: bool(value) for name, value in told.items()}  # of rates the schema only knows whether there is one
    return SimpleNamespace(project=SimpleNamespace(**await server_info.project(services)), queryLimit=most, **on)


async def _health(info: Info) -> dict[str, Any]:
    found = await server_info.health(info.context.directory.services)
    return found.as_dict(include_details=found.healthy and (await info.context.access_now()).admin)


async def _permissions(info: Info) -> dict[str, Any]:
    return await info.context.directory.permissions()


async def _globals(info: Info) -> SimpleNamespace:
    access = await info.context.access_now()
    return SimpleNamespace(enforce_tfa=access.enforce_tfa, app_access=access.app, admin_access=access.admin)


async def _openapi(info: Info) -> Any:
    """The OpenAPI document as this caller sees it."""
    settings = info.context.directory.services.settings
    return orjson.loads(await openapi(visibility_for(await info.context.access_now()), settings))


async def _specs(info: Info, scope: Scope | None = None) -> str:
    """The SDL as this caller sees it; it takes a tenth of a second to print, in which nobody else should wait."""
    if scope is Scope.items:
        raise InvalidQuery('Only the scope "system" is served here')
    schema: Any = info.schema
    limits = info.context.directory.services.limits
    seen = caller_schema_for(schema.graphql, await info.context.access_now(), limits)
    return await asyncio.to_thread(lambda: seen.sdl)
