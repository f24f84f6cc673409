"""Compares two responses to one request cell by cell: what one contains more, and what less."""

import json
from dataclasses import dataclass

from tests.upgrade.databases import MIGRATION_RECORDINGS

COLLECTIONS = {
    "me": "directus_users",
    "me-star": "directus_users",
    "users-ids": "directus_users",
    "users-star": "directus_users",
    "users-email": "directus_users",
    "roles-idname": "directus_roles",
    "roles-star": "directus_roles",
    "roles-flags": "directus_roles",
    "perms": "directus_permissions",
    "perms-role": "directus_permissions",
    "settings": "directus_settings",
    "files": "directus_files",
    "g-me": "directus_users",
    "g-users": "directus_users",
    "g-roles": "directus_roles",
    "g-perms": "directus_permissions",
}
"""The collections of the recorded requests that Rollcall serves."""
PROJECT_COLLECTIONS = {
    **dict.fromkeys(("pages-star", "pages-ids", "pages-title", "pages-body", "g-pages", "ip"), "pages"),
    "presets": "directus_presets",
}
"""The collections of those that only Directus serves."""
INVALID_IP = "INVALID_IP"
"""The error code of Directus 10 for a client IP that the role does not allow."""


def recorded_requests(edition, groups):
    """Return the recorded requests of some groups, by (group, actor)."""
    lines = (MIGRATION_RECORDINGS / f"access_{edition}.jsonl").read_text().splitlines()
    requests = {(line["group"].removeprefix("read."), line["name"]): line for line in map(json.loads, lines)}
    return {key: line for key, line in requests.items() if key[0] in groups}


@dataclass(frozen=True)
class ResponseContent:
    """The code of an error response, or the cells of a response: (row, field, value)."""

    error: str | None
    cells: frozenset[tuple[str, str | None, str | None]]


def parse_response(body):
    if body.get("errors"):
        return ResponseContent(body["errors"][0]["extensions"]["code"], frozenset())
    data = body["data"]
    if isinstance(data, dict) and len(data) == 1 and isinstance(next(iter(data.values())), list | dict):
        data = next(iter(data.values()))  # a root field of GraphQL
    rows = data if isinstance(data, list) else [data]
    return ResponseContent(None, frozenset(cell for row in rows if row is not None for cell in cells(row)))


def cells(row):
    """Return a row's cells, and one without a field for the row itself, which may be a bare key or otherwise null."""
    if not isinstance(row, dict):
        return [(str(row), None, None)]
    key = str(row.get("id", (row.get("collection"), row.get("action"))))
    return [(key, None, None), *((key, name, json.dumps(value)) for name, value in row.items() if value is not None)]


@dataclass(frozen=True)
class ResponseChange:
    """The difference between two responses: the fields that one contains more or less, None for whole rows."""

    before: ResponseContent
    after: ResponseContent

    @property
    def wider(self):
        now_allowed = {None} if self.before.error == INVALID_IP != self.after.error else set()
        return now_allowed | {name for _, name, _ in self.after.cells - self.before.cells}

    @property
    def narrower(self):
        return {name for _, name, _ in self.before.cells - self.after.cells}
