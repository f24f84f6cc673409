"""The root fields about the server and about the caller's permissions."""

import enum
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import orjson
import strawberry
from strawberry.types.field import StrawberryField

from app.core.computing import compute_in_thread
from app.core.config import Settings
from app.core.errors import InvalidQuery
from app.flows import server_info
from app.flows.health import detailed_health, health
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.graphql.visibility.caller_schema import caller_schema_for
from app.graphql.visibility.coordinates import EMPTY_FIELD
from app.openapi.rendering import openapi
from app.policy.visibility import visibility_for

PROJECT_FIELDS = {
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
INFO_FIELDS = {
    "project": "server_info_project",
    "rateLimit": "Boolean",
    "rateLimitGlobal": "Boolean",
    "websocket": "server_info_websocket",
    "queryLimit": "server_info_query_limit",
}
GLOBALS_FIELDS = ("enforce_tfa", "app_access", "admin_access")

Info = strawberry.Info[GraphQLContext, Any]

Scope = enum.Enum("Scope", {"items": "items", "system": "system"})

WEBSOCKET = "server_info_websocket"


class WebSocketFeatures(NamedTuple):
    """What realtime consists of: its services, and whether it sends pings as messages."""

    rest: bool
    graphql: bool
    heartbeat: bool

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return what the settings enable; None without realtime."""
        info = server_info.websocket(settings)
        return cls(**{name: bool(value) for name, value in info.items()}) if info else None


def define_server_types(types: TypeBuilder, websocket: WebSocketFeatures | None = None) -> None:
    """Define the types of these fields. As in Directus, what is disabled is a boolean, which is false."""
    info_fields = {**INFO_FIELDS, "websocket": _websocket_type(types, websocket) if websocket else "Boolean"}
    types.register_type("graphql_sdl_scope", strawberry.enum(Scope, name="graphql_sdl_scope"))
    types.define_type("server_info_project", (types.field(name, spec) for name, spec in PROJECT_FIELDS.items()))
    types.define_type("server_info_query_limit", (types.field(name, "Int") for name in ("default", "max")))
    types.define_type("server_info", (types.field(name, spec) for name, spec in info_fields.items()))
    types.define_type("policy_me_globals_type", (types.field(name, "Boolean") for name in GLOBALS_FIELDS))


def _websocket_type(types: TypeBuilder, features: WebSocketFeatures) -> str:
    """Define the type of the connections to realtime, and return its name."""
    specs = {"heartbeat": "Int" if features.heartbeat else "Boolean"}
    for service in ("rest", "graphql"):
        specs[service] = _service_type(types, f"{WEBSOCKET}_{service}") if getattr(features, service) else "Boolean"
    types.define_type(WEBSOCKET, (types.field(name, specs[name]) for name in WebSocketFeatures._fields))
    return WEBSOCKET


def _service_type(types: TypeBuilder, name: str) -> str:
    """Define the type of the connections to one service, and return its name."""

    class Authentication(enum.Enum):
        public = "public"
        handshake = "handshake"
        strict = "strict"

    modes = f"{name}_authentication"
    types.register_type(modes, strawberry.enum(Authentication, name=modes))
    types.define_type(name, (types.field("authentication", modes), types.field("path", "String")))
    return name


def server_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries about the server and the caller's permissions."""
    scope = {"scope": "graphql_sdl_scope"}
    yield types.field("server_specs_oas", "JSON", resolver=_openapi)
    yield types.field("server_specs_graphql", "String", scope, _sdl)
    yield types.field("server_ping", "String", resolver=_ping)
    yield types.field("server_info", "server_info", resolver=_info)
    yield types.field("server_health", "JSON", resolver=_health)
    yield types.field("permissions_me", "permissions_me_type", resolver=_permissions)
    yield types.field("policies_me_globals", "policy_me_globals_type", resolver=_globals)
    yield types.field(EMPTY_FIELD, "Void", resolver=_empty, description="There is no data to query.")


def _ping() -> str:
    return "pong"


def _empty() -> None:
    return None


async def _info(info: Info) -> SimpleNamespace:
    services = info.context.directory.services
    await info.context.fresh_access()
    limits = server_info.limits(services)
    query_limit = SimpleNamespace(**limits.pop("queryLimit"))
    websocket = _namespace(limits.pop("websocket"))
    flags = {name: bool(value) for name, value in limits.items()}  # rate limits are Boolean in the schema
    project = SimpleNamespace(**await server_info.project(services))
    return SimpleNamespace(project=project, queryLimit=query_limit, websocket=websocket, **flags)


def _namespace(value: Any) -> Any:
    """Return an object whose attributes are the members of a dict; another value as it is."""
    return (
        SimpleNamespace(**{key: _namespace(part) for key, part in value.items()}) if isinstance(value, dict) else value
    )


async def _health(info: Info) -> dict[str, Any]:
    services = info.context.directory.services
    basic = await health(services)
    if not basic.healthy or not (await info.context.fresh_access()).admin:
        return basic.as_dict(include_details=False)
    return (await detailed_health(services)).as_dict(include_details=True)


async def _permissions(info: Info) -> dict[str, Any] | None:
    directory = info.context.directory
    return None if directory.caller.anonymous else await directory.permissions()


async def _globals(info: Info) -> SimpleNamespace | None:
    access = await info.context.fresh_access()
    if access.user is None:
        return None
    return SimpleNamespace(enforce_tfa=access.enforce_tfa, app_access=access.app, admin_access=access.admin)


async def _openapi(info: Info) -> Any:
    """Return the OpenAPI document that the caller sees."""
    services = info.context.directory.services
    access = await info.context.fresh_access()
    services.access_cache.require_current_schema()
    return orjson.loads(await openapi(visibility_for(access), services.settings))


async def _sdl(info: Info, scope: Scope | None = None) -> str:
    """Return the SDL that the caller sees. Printing it takes 0.1 s, so a thread does it."""
    if scope is Scope.items:
        raise InvalidQuery('Only the scope "system" is supported')
    schema: Any = info.schema
    services = info.context.directory.services
    access = await info.context.fresh_access()
    services.access_cache.require_current_schema()
    visible = caller_schema_for(schema.graphql, access, services.limits)
    return await compute_in_thread(lambda: visible.sdl)
