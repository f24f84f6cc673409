"""The OpenAPI document: the endpoints and fields that a caller may use."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Self

import orjson

from app.core.config import Settings
from app.flows.server_info import DIRECTUS_VERSION
from app.openapi import flow_paths
from app.openapi.collection_paths import collection_endpoints
from app.openapi.endpoint_spec import EndpointSpec, error_responses
from app.openapi.field_schemas import Schema, schema_name
from app.openapi.row_schemas import RowSchemas
from app.openapi.schema_paths import schema_descriptions
from app.policy.visibility import CollectionVisibility, SchemaVisibility

OPENAPI_VERSION = "3.0.1"
"""The version of OpenAPI that Directus' own document uses."""
STANDARD_METHODS = ("GET", "POST", "PATCH", "DELETE")
"""The methods that OpenAPI has; SEARCH is an extension of the path, `x-search`."""
DESCRIPTION = "The users, roles, policies and permissions that you may see, and the endpoints for login and accounts."


class DocumentOptions(NamedTuple):
    """The settings that the document depends on."""

    public_url: str | None
    session_cookie_name: str
    password_login: bool

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return what the document depends on of these settings."""
        return cls(settings.public_url, settings.session_cookie_name, not settings.auth_disable_default)


@lru_cache(maxsize=64)
def render_document(visibility: SchemaVisibility, options: DocumentOptions) -> bytes:
    """Return the document as JSON; the last 64 are cached."""
    return orjson.dumps(_document(RowSchemas(CollectionVisibility(visibility)), options))


def endpoints(rows: RowSchemas, options: DocumentOptions) -> Iterator[EndpointSpec]:
    """Yield the endpoints that a caller may use."""
    yield from flow_paths.authentication(password_login=options.password_login)
    yield from flow_paths.accounts(rows)
    yield from flow_paths.current_user(rows)
    yield from flow_paths.permissions(rows)
    yield from collection_endpoints(rows)
    yield from flow_paths.assets(rows)
    yield from flow_paths.tools(rows)
    yield from flow_paths.access(rows)
    yield from schema_descriptions(rows)
    yield from flow_paths.server(rows)
    yield from flow_paths.graphql()


def _document(rows: RowSchemas, options: DocumentOptions) -> Schema:
    specs = list(endpoints(rows, options))
    schemes = _security_schemes(options)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "Rollcall", "description": DESCRIPTION, "version": DIRECTUS_VERSION.partition(".")[0]},
        **({"servers": [{"url": options.public_url}]} if options.public_url else {}),
        "tags": list(_tags(rows, specs)),
        "security": [{}, *({name: []} for name in schemes)],
        "paths": _paths(specs),
        "components": {"schemas": rows.schemas(), "responses": error_responses(), "securitySchemes": schemes},
    }


def _paths(specs: Iterable[EndpointSpec]) -> Schema:
    paths: Schema = {}
    for spec in specs:
        method = spec.method.lower()
        name = method if spec.method in STANDARD_METHODS else f"x-{method}"
        paths.setdefault(spec.path, {})[name] = spec.operation_object()
    return paths


def _tags(rows: RowSchemas, specs: Iterable[EndpointSpec]) -> Iterator[Schema]:
    """Yield the tags of the endpoints; a collection's tag has its name as `x-collection`."""
    collections = {schema_name(collection): collection.name for collection in rows.visibility.readable_fields}
    for tag in dict.fromkeys(spec.tag for spec in specs):
        yield {"name": tag, **({"x-collection": collections[tag]} if tag in collections else {})}


def _security_schemes(options: DocumentOptions) -> Schema:
    return {
        "Bearer": {"type": "http", "scheme": "bearer"},
        "AccessToken": {"type": "apiKey", "in": "query", "name": "access_token"},
        "SessionCookie": {"type": "apiKey", "in": "cookie", "name": options.session_cookie_name},
    }
