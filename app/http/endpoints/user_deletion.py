"""The deletion of users with the options that other collections lack: a dry run, and reassigned references."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidQuery
from app.flows.user_deletion import DeletionOptions, delete_users
from app.http.collection_request import CollectionRequest
from app.http.parsing import QueryParameters
from app.http.response import NO_CONTENT, Response, data_response
from app.query.collection import USERS

OPTION_NAMES = ("reassign_to", "dry_run")
BOOLEANS = {"true": True, "false": False}


def deletion_options(request: CollectionRequest) -> DeletionOptions:
    """Return the options in the query string.

    Raises:
        InvalidQuery: An option has no valid value, or the collection is not that of users: a client that expects a dry
            run must not delete rows.
    """
    parameters: QueryParameters = request.parameters
    if not request.repository.collection.is_same(USERS):
        if unsupported := next((name for name in OPTION_NAMES if name in parameters), None):
            raise InvalidQuery(f'"{unsupported}" is supported for users only')
        return DeletionOptions()
    target, dry_run = parameters.get("reassign_to"), parameters.get("dry_run", "false")
    if target is not None and (not isinstance(target, str) or not target):
        raise InvalidQuery('"reassign_to" must be the id of a user')
    if not isinstance(dry_run, str) or dry_run not in BOOLEANS:
        raise InvalidQuery('"dry_run" must be true or false')
    return DeletionOptions(target, BOOLEANS[dry_run])


async def delete_with_options(
    request: CollectionRequest, keys: list[Any] | Mapping[str, Any], options: DeletionOptions, *, several: bool
) -> Response:
    """Delete users by their keys or a query; answer a dry run with the keys and what refers to the users."""
    report = await delete_users(request.directory, keys, options)
    if not options.dry_run:
        return NO_CONTENT
    deleted = {"ids": list(report.keys)} if several else {"id": report.keys[0] if report.keys else None}
    return data_response({**deleted, "references": report.reference_rows})
