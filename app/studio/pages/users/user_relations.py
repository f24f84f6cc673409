"""Custom fields of users that refer to one row: who may see them, and which rows texts name."""

from collections.abc import Collection, Mapping

from starlette.datastructures import QueryParams

from app.query.collection import Field
from app.studio.page_request import PageRequest
from app.studio.pages.tools.row_reference import RowNotFound, find_row, reference_selection
from app.studio.pages.users.user_fields import RELATION, UserField
from app.studio.rights import Rights


def is_plain_or_reference(rights: Rights, field: Field, kinds: Collection[str]) -> bool:
    """Return whether a field has one of the kinds, or refers to a row of which the caller may read the id."""
    if field.relation is None:
        return field.kind in kinds
    return bool(reference_selection(rights, "users", field.name))


def field_selection(rights: Rights, field: UserField) -> str:
    """Return what a document selects of a field to show its value."""
    return f"{field.name} {{ {reference_selection(rights, 'users', field.name)} }}" if field.target else field.name


async def reference_keys(
    request: PageRequest, query: QueryParams, filters: Mapping[str, UserField]
) -> Mapping[str, str]:
    """Return the ids of the rows that the filters of an address name, by parameter; none for those that name no row."""
    keys = {}
    for parameter, text in query.items():
        operator, _, name = parameter.partition(".")
        field = filters.get(name)
        if operator == "is" and field and field.kind == RELATION and text.strip():
            try:
                keys[parameter] = await find_row(request, field.target, text.strip())
            except RowNotFound:  # reported at the filter, as the text is no id
                continue
    return keys
