"""The paths that describe collections, fields and relations."""

from collections.abc import Iterator

from app.openapi.endpoint_spec import NO_CONTENT, EndpointSpec, envelope_response, parameter
from app.openapi.field_schemas import ANY_OBJECT, KIND_SCHEMAS, Schema, list_of, nullable, object_of
from app.openapi.row_schemas import RowSchemas
from app.policy.schema_rights import COLLECTIONS, FIELDS, RELATIONS

TEXT = KIND_SCHEMAS["string"]
DESCRIBED = nullable(ANY_OBJECT)
COLLECTION = object_of({"collection": TEXT, "meta": DESCRIBED, "schema": DESCRIBED}, "collection")
FIELD = object_of({"collection": TEXT, "field": TEXT, "type": TEXT, "meta": DESCRIBED, "schema": DESCRIBED}, "field")
RELATION = object_of(
    {"collection": TEXT, "field": TEXT, "related_collection": TEXT, "meta": DESCRIBED, "schema": DESCRIBED}, "field"
)
PART = object_of({"meta": DESCRIBED, "schema": DESCRIBED})
SNAPSHOT_EXPORT: Schema = {"type": "string", "enum": ["json"]}
IN_COLLECTION = {"collection": TEXT}
ONE_FIELD = {"collection": TEXT, "field": TEXT}


def schema_descriptions(rows: RowSchemas) -> Iterator[EndpointSpec]:
    """Yield the endpoints that describe the schema: lists only with the right to list."""
    visibility = rows.visibility.schema
    if COLLECTIONS in visibility.schema_rights:
        yield _get("/collections", "List the collections", list_of(COLLECTION))
    if FIELDS in visibility.schema_rights:
        yield _get("/fields", "List the fields of all collections", list_of(FIELD))
        yield _get("/fields/{collection}", "List the fields of a collection", list_of(FIELD), IN_COLLECTION)
    if RELATIONS in visibility.schema_rights:
        yield _get("/relations", "List the relations", list_of(RELATION))
        yield _get("/relations/{collection}", "List the relations of a collection", list_of(RELATION), IN_COLLECTION)
        yield _get("/relations/{collection}/{field}", "Get the relation of a field", RELATION, ONE_FIELD)
    if visibility.read:
        yield _get("/collections/{collection}", "Get a collection", COLLECTION, IN_COLLECTION)
        yield _get("/fields/{collection}/{field}", "Get a field", FIELD, ONE_FIELD)
    if visibility.admin:
        yield from _changes()
        export = [parameter("export", SNAPSHOT_EXPORT)]
        response = envelope_response(ANY_OBJECT)
        yield EndpointSpec("GET", "/schema/snapshot", "Get a snapshot of the schema", response, parameters=export)


def _changes() -> Iterator[EndpointSpec]:
    """Yield the endpoints with which admins change custom fields and their relations."""
    field, relation = envelope_response(FIELD), envelope_response(RELATION)
    one_field, one_relation = "/fields/{collection}/{field}", "/relations/{collection}/{field}"
    yield EndpointSpec("POST", "/fields/{collection}", "Create a field", field, FIELD, path_parameters=IN_COLLECTION)
    fields = envelope_response(list_of(FIELD))
    yield EndpointSpec(
        "PATCH", "/fields/{collection}", "Change fields", fields, list_of(FIELD), path_parameters=IN_COLLECTION
    )
    yield EndpointSpec("PATCH", one_field, "Change a field", field, PART, path_parameters=ONE_FIELD)
    yield EndpointSpec("DELETE", one_field, "Drop a field and its values", NO_CONTENT, path_parameters=ONE_FIELD)
    yield EndpointSpec("POST", "/relations", "Create the relation of a field", relation, RELATION)
    yield EndpointSpec("PATCH", one_relation, "Change a relation", relation, PART, path_parameters=ONE_FIELD)
    yield EndpointSpec("DELETE", one_relation, "Drop a relation", NO_CONTENT, path_parameters=ONE_FIELD)


def _get(path: str, summary: str, schema: Schema, path_parameters: dict[str, Schema] | None = None) -> EndpointSpec:
    return EndpointSpec("GET", path, summary, envelope_response(schema), path_parameters=path_parameters or {})
