"""The paths of the collections: what may be read there, asked for, made, changed and taken away."""

from collections.abc import Iterator

from app.openapi.endpoint_spec import DONE, EndpointSpec, ResponseSpec, as_json, envelope_response, listing, parameter
from app.openapi.field_schemas import ANY_OBJECT, Schema, a_list, an_object, closed, key_of, name_of, reference
from app.openapi.row_schemas import RowSchemas
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS
from app.query.collection import COLLECTIONS, FILES, WRITABLE_COLLECTIONS, Collection
from app.query.parameters import MAX_INT32

COUNT: Schema = {"type": "integer", "minimum": 0}
META = an_object({"total_count": COUNT, "filter_count": COUNT})
EXPORTS = ("csv", "csv_utf8", "json", "xml", "yaml")
FILE_MEDIA = ("text/csv", "text/xml", "text/yaml")


def collection_endpoints(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Those that a caller has a right to; what it may not do anywhere isn't there."""
    for collection in COLLECTIONS.values():
        if rows.visibility.readable(collection):
            yield from _only(rows, collection) if collection.singleton else _reading(rows, collection)
        if collection in WRITABLE_COLLECTIONS:
            yield from _changing_only(rows, collection) if collection.singleton else _writing(rows, collection)


def _path(collection: Collection) -> str:
    return f"/{collection.short_name}"


def written(rows: RowSchemas, collection: Collection, data: Schema) -> dict[int, ResponseSpec]:
    """What tells of rows that were written, as far as their writer may see them."""
    return {**(envelope_response(data, "What was written.") if rows.visibility.readable(collection) else {}), **DONE}


def told_of(rows: RowSchemas, collection: Collection) -> list[Schema]:
    """The parameters that say how rows that are known already are told."""
    if not rows.visibility.readable(collection):
        return []
    names = reference(name_of(collection, "field"))
    alias = {"type": "object", "additionalProperties": {"type": "string"}}
    return [
        listing("fields", names, "What is told of a row; `*` is all of it, `role.name` leads through a relation."),
        as_json("deep", ANY_OBJECT, 'Parameters of the rows behind a relation: `{"users": {"_limit": 3}}`.'),
        as_json("alias", alias, "Other names for fields."),
    ]


def _found_by(rows: RowSchemas, collection: Collection) -> list[Schema]:
    """The parameters that say which rows are told, in which order, and what of them together."""
    names = reference(name_of(collection, "field"))
    measures = {str(function): a_list(names) for function in ("countAll", *COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS)}
    return [
        as_json("filter", reference(name_of(collection, "filter")), "Which rows."),
        listing("sort", {"type": "string"}, "By which fields; `-` before one is downwards."),
        parameter("limit", {"type": "integer", "minimum": -1, "maximum": MAX_INT32}, "Rows at most; -1 for all."),
        parameter("offset", {"type": "integer", "minimum": 0, "maximum": MAX_INT32}, "Rows to skip."),
        parameter(
            "page", {"type": "integer", "minimum": 0, "maximum": MAX_INT32}, "Which page of `limit` rows, from 1."
        ),
        parameter("search", {"type": "string"}, "A text that the rows have somewhere."),
        as_json("aggregate", an_object(measures), 'What is counted, summed and so on: `{"count": ["id"]}`.'),
        listing("groupBy", names, "What rows are put together by where something is counted of them."),
        parameter("export", {"type": "string", "enum": list(EXPORTS)}, "As what file the rows are told."),
        listing("meta", {"type": "string", "enum": ["*", *META["properties"]]}, "What is counted beside the rows."),
    ]


def _reading(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    path, row, key = _path(collection), rows.row(collection), key_of(collection)
    telling = told_of(rows, collection)
    enveloped = an_object({"data": a_list(row), "meta": META}, "data")
    either = {"anyOf": [enveloped, a_list(row)]}  # a file has no envelope
    listed = {200: ResponseSpec("The rows, what was counted of them, or a file of them.", either, files=FILE_MEDIA)}
    sought = closed({"query": ANY_OBJECT, "keys": a_list(key)})
    yield EndpointSpec("GET", path, "The rows", listed, parameters=[*telling, *_found_by(rows, collection)])
    yield EndpointSpec("SEARCH", path, "The rows, with the parameters in the body", listed, sought, optional=True)
    yield EndpointSpec("GET", f"{path}/{{id}}", "One row", envelope_response(row), parameters=telling, keys={"id": key})


def _only(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    yield EndpointSpec(
        "GET",
        _path(collection),
        "The only row",
        envelope_response(rows.row(collection)),
        parameters=told_of(rows, collection),
    )


def _changing_only(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    if collection in rows.visibility.writable_fields["update"]:
        change = reference(name_of(collection, "update"))
        answers = written(rows, collection, rows.row(collection))
        yield EndpointSpec("PATCH", _path(collection), "Changes it", answers, change, told_of(rows, collection))


def _writing(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    path, telling = _path(collection), told_of(rows, collection)
    by_id = {"id": key_of(collection)}
    row = rows.row(collection)
    several, one = written(rows, collection, a_list(row)), written(rows, collection, row)
    if collection in rows.visibility.writable_fields["create"]:
        new = reference(name_of(collection, "create"))
        either = {"oneOf": [new, a_list(new)]}
        answers = written(rows, collection, {"oneOf": [row, a_list(row)]})
        form = _form(new) if collection is FILES else None
        yield EndpointSpec("POST", path, "Makes a row, or several", answers, either, telling, form=form)
    if collection in rows.visibility.writable_fields["update"]:
        change = reference(name_of(collection, "update"))
        yield EndpointSpec("PATCH", path, "Changes several rows", several, _changes(collection, change), telling)
        form = _form(change) if collection is FILES else None
        yield EndpointSpec("PATCH", f"{path}/{{id}}", "Changes a row", one, change, telling, by_id, form=form)
    if collection in rows.visibility.schema.delete:
        yield EndpointSpec("DELETE", path, "Takes rows away", DONE, _which(collection))
        yield EndpointSpec("DELETE", f"{path}/{{id}}", "Takes a row away", DONE, keys=by_id)


def _form(row: Schema) -> Schema:
    """What an upload says of a file, and then the file."""
    return {"allOf": [row, an_object({"file": {"type": "string", "format": "binary"}}, "file")]}


def _changes(collection: Collection, change: Schema) -> Schema:
    """The same change to the rows with these keys or to those that a query finds, or to each row its own."""
    keys = closed({"keys": a_list(key_of(collection)), "data": change}, "keys", "data")
    found = closed({"query": ANY_OBJECT, "data": change}, "query", "data")
    own = {"allOf": [change, {"required": [collection.key.name]}]}
    return {"oneOf": [keys, found, a_list(own)]}


def _which(collection: Collection) -> Schema:
    keys = a_list(key_of(collection))
    return {"oneOf": [keys, closed({"keys": keys}, "keys"), closed({"query": ANY_OBJECT}, "query")]}
