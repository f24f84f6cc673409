"""The rows that a rule matches, as the caller of the page sees them."""

from dataclasses import dataclass, field
from typing import Any

from app.core.errors import RollcallError
from app.query.collection import Collection
from app.query.filter import UnknownField
from app.studio.form_errors import error_message
from app.studio.page_request import PageRequest

SAMPLE_SIZE = 5
MAX_COLUMNS = 4
TELLING_FIELDS = ("name", "first_name", "last_name", "email", "status", "title", "collection", "action", "type")
"""Fields by which people recognize rows, in the order of the columns; others follow in the order of the collection."""
PAGES = {"directus_users": "/users", "directus_roles": "/roles", "directus_policies": "/policies"}


@dataclass(frozen=True, slots=True)
class Preview:
    """The number of matching rows, and a sample of them; `error` says why there is none."""

    count: int = 0
    columns: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    page: str | None = None
    """The path below which each row has a page."""
    error: str = ""
    is_incomplete: bool = False
    """Whether a condition has no value yet."""


async def preview_rows(request: PageRequest, collection: Collection, rule: Any) -> Preview:
    """Return the rows that a rule matches if the caller filters by it.

    The caller's own permissions apply, so that a rule reveals nothing that the caller may not see.
    """
    rights = await request.rights()
    columns = _columns(collection, rights.fields("read", collection.short_name, collection.fields))
    repository = request.directory[collection.name]
    query = {"filter": rule, "fields": ["id", *columns], "limit": SAMPLE_SIZE}
    try:
        rows = await repository.read_by_query(query)
        count = await repository.count({"filter": rule})
    except UnknownField as error:
        message = request.translate('You do not have permission to filter "{collection}" by "{field}".')
        return Preview(error=message.format(collection=error.collection.short_name, field=error.name))
    except RollcallError as error:
        return Preview(error=error_message(error, request.translate))
    return Preview(count, columns, rows, PAGES.get(collection.name))


def _columns(collection: Collection, readable: list[str]) -> list[str]:
    plain = [
        name
        for name in readable
        if (member := collection.fields[name]).kind not in ("json", "csv", "hash", "alias")
        and not member.concealed
        and member.relation is None
        and member is not collection.key
    ]
    telling = [name for name in TELLING_FIELDS if name in plain]
    return [*telling, *(name for name in plain if name not in telling)][:MAX_COLUMNS]
