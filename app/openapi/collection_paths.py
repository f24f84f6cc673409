"""The paths of collections: reading, creating, updating and deleting rows."""

from collections.abc import Iterator, Mapping
from typing import get_args

from app.openapi.endpoint_spec import (
    NO_CONTENT,
    EndpointSpec,
    ResponseSpec,
    envelope_response,
    json_parameter,
    list_parameter,
    parameter,
)
from app.openapi.field_schemas import (
    ANY_OBJECT,
    Schema,
    closed_object_of,
    key_schema,
    list_of,
    object_of,
    reference,
    schema_name,
)
from app.openapi.row_schemas import RowSchemas
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS
from app.query.collection import FILES, USERS, Collection
from app.query.parameters import MAX_INT32
from app.repositories.references.user_references import ReferenceAction

COUNT: Schema = {"type": "integer", "minimum": 0}
OFFSET: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_INT32}
META = object_of({"total_count": COUNT, "filter_count": COUNT})
REFERENCE: dict[str, Schema] = {
    "table": {"type": "string"},
    "column": {"type": "string"},
    "count": COUNT,
    "action": {"type": "string", "enum": list(get_args(ReferenceAction))},
}
EXPORT_FORMATS = ("csv", "csv_utf8", "json", "xml", "yaml")
EXPORT_MEDIA_TYPES = ("text/csv", "text/xml", "text/yaml")


def collection_endpoints(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the endpoints of collections, without those that the caller may not use for any row."""
    for collection in rows.visibility.registry.values():
        if rows.visibility.readable(collection):
            yield from _read_singleton(rows, collection) if collection.singleton else _read_rows(rows, collection)
        if collection.writable:
            yield from _write_singleton(rows, collection) if collection.singleton else _write_rows(rows, collection)


def _path(collection: Collection) -> str:
    return f"/{collection.short_name}"


def write_responses(rows: RowSchemas, collection: Collection, data: Schema) -> dict[int, ResponseSpec]:
    """Return the responses of a write: 204, and the written rows as `data` if the caller may read the collection."""
    readable = rows.visibility.readable(collection)
    return {**(envelope_response(data, "The written data.") if readable else {}), **NO_CONTENT}


def output_parameters(rows: RowSchemas, collection: Collection) -> list[Schema]:
    """Return the parameters that select which fields of the rows are returned."""
    if not rows.visibility.readable(collection):
        return []
    names = reference(schema_name(collection, "field"))
    aliases = {"type": "object", "additionalProperties": {"type": "string"}}
    deep = 'Query parameters for related rows, by relation: `{"users": {"_limit": 3}}`.'
    return [
        list_parameter("fields", names, "Fields to return: `*` for all, `role.name` for a field of a relation."),
        json_parameter("deep", ANY_OBJECT, deep),
        json_parameter("alias", aliases, "Other names for fields, each with the name of its field."),
    ]


def _query_parameters(rows: RowSchemas, collection: Collection) -> list[Schema]:
    """Return the parameters that select, sort, aggregate and export rows."""
    names = reference(schema_name(collection, "field"))
    functions = {str(function): list_of(names) for function in ("countAll", *COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS)}
    limit = {**OFFSET, "minimum": -1}
    aggregate = 'Aggregate functions, each with its fields: `{"count": ["id"]}`.'
    meta = {"type": "string", "enum": ["*", *META["properties"]]}
    return [
        json_parameter("filter", reference(schema_name(collection, "filter")), "The condition that rows must match."),
        list_parameter(
            "sort", {"type": "string"}, "Fields to sort by; a `-` before the name sorts in descending order."
        ),
        parameter("limit", limit, "Maximum number of rows; -1 for all."),
        parameter("offset", OFFSET, "Number of rows to skip."),
        parameter("page", OFFSET, "Page number, from 1; a page has `limit` rows."),
        parameter("search", {"type": "string"}, "Text that must occur in a field of the row."),
        json_parameter("aggregate", object_of(functions), aggregate),
        list_parameter("groupBy", names, "Fields, or functions of fields, to group the rows by."),
        parameter(
            "export", {"type": "string", "enum": list(EXPORT_FORMATS)}, "Return the rows as a file in this format."
        ),
        list_parameter("meta", meta, "Counts to return next to the rows."),
    ]


def _read_rows(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    path, row, key = _path(collection), rows.row(collection), key_schema(collection)
    output = output_parameters(rows, collection)
    with_envelope = object_of({"data": list_of(row), "meta": META}, "data")
    body = {"anyOf": [with_envelope, list_of(row)]}  # an exported file has no envelope
    description = "The rows, the results of aggregate functions, or a file with either."
    responses = {200: ResponseSpec(description, body, file_media_types=EXPORT_MEDIA_TYPES)}
    query = closed_object_of({"query": ANY_OBJECT, "keys": list_of(key)})
    parameters = [*output, *_query_parameters(rows, collection)]
    summary = "List rows, with the parameters in the body"
    by_id = {"id": key}
    yield EndpointSpec("GET", path, "List rows", responses, parameters=parameters)
    yield EndpointSpec("SEARCH", path, summary, responses, query, body_optional=True)
    yield EndpointSpec(
        "GET", f"{path}/{{id}}", "Get a row", envelope_response(row), parameters=output, path_parameters=by_id
    )


def _read_singleton(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    yield EndpointSpec(
        "GET",
        _path(collection),
        "Get the only row",
        envelope_response(rows.row(collection)),
        parameters=output_parameters(rows, collection),
    )


def _write_singleton(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    if rows.visibility.may_write("update", collection):
        body = reference(schema_name(collection, "update"))
        responses = write_responses(rows, collection, rows.row(collection))
        output = output_parameters(rows, collection)
        yield EndpointSpec("PATCH", _path(collection), "Update the only row", responses, body, output)


def _write_rows(rows: RowSchemas, collection: Collection) -> Iterator[EndpointSpec]:
    path, output = _path(collection), output_parameters(rows, collection)
    by_id = {"id": key_schema(collection)}
    row = rows.row(collection)
    many, one = write_responses(rows, collection, list_of(row)), write_responses(rows, collection, row)
    if rows.visibility.may_write("create", collection):
        new = reference(schema_name(collection, "create"))
        body = {"oneOf": [new, list_of(new)]}
        responses = write_responses(rows, collection, {"oneOf": [row, list_of(row)]})
        upload = _upload_body(new) if collection.is_same(FILES) else None
        yield EndpointSpec("POST", path, "Create one or more rows", responses, body, output, multipart_body=upload)
    if rows.visibility.may_write("update", collection):
        values = reference(schema_name(collection, "update"))
        upload = _upload_body(values) if collection.is_same(FILES) else None
        yield EndpointSpec("PATCH", path, "Update rows", many, _update_body(collection, values), output)
        yield EndpointSpec("PATCH", f"{path}/{{id}}", "Update a row", one, values, output, by_id, multipart_body=upload)
    if rows.visibility.may_delete(collection):
        key = key_schema(collection)
        several, single, options = _delete_responses(collection, key)
        yield EndpointSpec("DELETE", path, "Delete rows", several, _delete_body(collection), options)
        yield EndpointSpec("DELETE", f"{path}/{{id}}", "Delete a row", single, None, options, by_id)


def _upload_body(fields: Schema) -> Schema:
    """Return the schema of a multipart upload: the fields of the row, then the file."""
    return {"allOf": [fields, object_of({"file": {"type": "string", "format": "binary"}}, "file")]}


def _update_body(collection: Collection, values: Schema) -> Schema:
    """Return the schema of an update: the same values for rows given by keys or a query, or a list of rows."""
    by_keys = closed_object_of({"keys": list_of(key_schema(collection)), "data": values}, "keys", "data")
    by_query = closed_object_of({"query": ANY_OBJECT, "data": values}, "query", "data")
    row = {"allOf": [values, {"required": [collection.key.name]}]}
    return {"oneOf": [by_keys, by_query, list_of(row)]}


def _delete_responses(
    collection: Collection, key: Schema
) -> tuple[Mapping[int, ResponseSpec], Mapping[int, ResponseSpec], list[Schema]]:
    """Return the responses to the deletion of several rows and of one, and the parameters, which only users have."""
    if not collection.is_same(USERS):
        return NO_CONTENT, NO_CONTENT, []
    references = list_of(object_of(REFERENCE, *REFERENCE))
    several, single = (
        object_of({**deleted, "references": references}) for deleted in ({"ids": list_of(key)}, {"id": key})
    )
    options = [
        parameter("reassign_to", key, "The user to which what refers to the deleted users is moved."),
        parameter("dry_run", {"type": "boolean"}, "Delete nothing, but return what refers to the users."),
    ]
    description = "What refers to the users, if it is a dry run."
    responses = ({**envelope_response(data, description), **NO_CONTENT} for data in (several, single))
    return next(responses), next(responses), options


def _delete_body(collection: Collection) -> Schema:
    keys = list_of(key_schema(collection))
    return {"oneOf": [keys, closed_object_of({"keys": keys}, "keys"), closed_object_of({"query": ANY_OBJECT}, "query")]}
