"""The OpenAPI document: for each caller the paths it may go, and what it would see there."""

import asyncio
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import orjson

from app.core.config import Settings
from app.flows.server_info import DIRECTUS_VERSION
from app.openapi import flow_paths
from app.openapi.collection_paths import collection_endpoints
from app.openapi.endpoint_spec import EndpointSpec, error_responses
from app.openapi.field_schemas import Schema, name_of
from app.openapi.row_schemas import RowSchemas
from app.policy.visibility import CollectionVisibility, SchemaVisibility

OPENAPI = "3.0.1"
"""The version that Directus' own document has."""
STANDARD = ("GET", "POST", "PATCH", "DELETE")
"""The methods served that OpenAPI has a place for; SEARCH is an extension of the path, `x-search`."""
ABOUT = "The directory's users, roles, policies and permissions, as far as you see them, and the accounts' own paths."


class DocumentOptions(NamedTuple):
    """What the settings say of the paths: where they begin, what carries a session, whether passwords are taken."""

    url: str | None
    cookie: str
    by_password: bool


async def openapi(shown: SchemaVisibility, settings: Settings) -> bytes:
    """The document as JSON, as callers see it who are shown so much.

    It takes some milliseconds to make, in which nobody else should wait.
    """
    setup = DocumentOptions(settings.public_url, settings.session_cookie_name, not settings.auth_disable_default)
    return await asyncio.to_thread(render_document, shown, setup)


@lru_cache(maxsize=64)
def render_document(shown: SchemaVisibility, setup: DocumentOptions) -> bytes:
    """The document; the last 64 are kept."""
    return orjson.dumps(_document(RowSchemas(CollectionVisibility(shown)), setup))


def endpoints(rows: RowSchemas, setup: DocumentOptions) -> Iterator[EndpointSpec]:
    """Everything that a caller may ask for."""
    yield from flow_paths.authentication(by_password=setup.by_password)
    yield from flow_paths.accounts(rows)
    yield from flow_paths.own(rows)
    yield from flow_paths.rights(rows)
    yield from collection_endpoints(rows)
    yield from flow_paths.assets(rows)
    yield from flow_paths.tools(rows)
    yield from flow_paths.server(rows)
    yield from flow_paths.graphql()


def _document(rows: RowSchemas, setup: DocumentOptions) -> Schema:
    found = list(endpoints(rows, setup))
    schemes = _schemes(setup)
    return {
        "openapi": OPENAPI,
        "info": {"title": "Rollcall", "description": ABOUT, "version": DIRECTUS_VERSION.partition(".")[0]},
        **({"servers": [{"url": setup.url}]} if setup.url else {}),
        "tags": list(_tags(rows, found)),
        "security": [{}, *({name: []} for name in schemes)],
        "paths": _paths(found),
        "components": {"schemas": rows.schemas(), "responses": error_responses(), "securitySchemes": schemes},
    }


def _paths(found: Iterable[EndpointSpec]) -> Schema:
    paths: Schema = {}
    for endpoint in found:
        method = endpoint.method.lower()
        name = method if endpoint.method in STANDARD else f"x-{method}"
        paths.setdefault(endpoint.path, {})[name] = endpoint.described()
    return paths


def _tags(rows: RowSchemas, found: Iterable[EndpointSpec]) -> Iterator[Schema]:
    """What endpoints belong to; the name of a collection stands with those of its rows."""
    collections = {name_of(collection): collection.name for collection in rows.visibility.readable_fields}
    for tag in dict.fromkeys(endpoint.tag for endpoint in found):
        yield {"name": tag, **({"x-collection": collections[tag]} if tag in collections else {})}


def _schemes(setup: DocumentOptions) -> Schema:
    return {
        "Bearer": {"type": "http", "scheme": "bearer"},
        "AccessToken": {"type": "apiKey", "in": "query", "name": "access_token"},
        "SessionCookie": {"type": "apiKey", "in": "cookie", "name": setup.cookie},
    }
