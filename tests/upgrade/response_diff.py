"""What two answers to one request show, compared cell by cell: what the one shows more, and what less."""

import json
from dataclasses import dataclass

from tests.upgrade.databases import RECORDED

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
"""What the recorded requests that Rollcall serves are about."""
PROJECTS_OWN = {
    **dict.fromkeys(("pages-star", "pages-ids", "pages-title", "pages-body", "g-pages", "ip"), "pages"),
    "presets": "directus_presets",
}
"""And those about what only Directus serves."""
ADDRESS = "INVALID_IP"
"""How Directus 10 refuses whoever calls from elsewhere than their role allows."""


def requests(edition, groups):
    """The recorded requests of some groups, by (group, actor)."""
    lines = (RECORDED / f"access_{edition}.jsonl").read_text().splitlines()
    found = {(line["group"].removeprefix("read."), line["name"]): line for line in map(json.loads, lines)}
    return {key: line for key, line in found.items() if key[0] in groups}


@dataclass(frozen=True)
class Answer:
    """The code of a refusal, or the cells that are shown: (row, field, value)."""

    refused: str | None
    cells: frozenset[tuple[str, str | None, str | None]]


def answer(body):
    if body.get("errors"):
        return Answer(body["errors"][0]["extensions"]["code"], frozenset())
    data = body["data"]
    if isinstance(data, dict) and len(data) == 1 and isinstance(next(iter(data.values())), list | dict):
        data = next(iter(data.values()))  # a root field of GraphQL
    rows = data if isinstance(data, list) else [data]
    return Answer(None, frozenset(cell for row in rows if row is not None for cell in cells(row)))


def cells(row):
    """A row's cells; a bare key shows that there is a row, and so does a row whose every other cell is null."""
    if not isinstance(row, dict):
        return [(str(row), None, None)]
    key = str(row.get("id", (row.get("collection"), row.get("action"))))
    return [(key, None, None), *((key, name, json.dumps(value)) for name, value in row.items() if value is not None)]


@dataclass(frozen=True)
class Change:
    """How one answer differs from another: what it shows more and what less, each the fields or None for whole rows."""

    before: Answer
    after: Answer

    @property
    def wider(self):
        let_in = {None} if self.before.refused == ADDRESS != self.after.refused else set()
        return let_in | {name for _, name, _ in self.after.cells - self.before.cells}

    @property
    def narrower(self):
        return {name for _, name, _ in self.before.cells - self.after.cells}
