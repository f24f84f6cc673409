"""The JSON Schema of filters, from the table of operators that also defines their SQL."""

from collections.abc import Iterator, Sequence

from app.openapi.field_schemas import KIND_SCHEMAS, Schema, closed_object_of, list_of, reference, schema_name
from app.policy.visibility import CollectionVisibility
from app.query.coercion import INTEGER_BOUNDS
from app.query.collection import Collection, Field, FieldKind, Registry
from app.query.filter import functions_of
from app.query.operators import OPERATORS, Operator

VARIABLE: Schema = {"type": "string", "pattern": r"^\$(CURRENT_|NOW)"}
"""A variable of Directus, whose value depends on the caller and the time."""


def operator_schemas(registry: Registry) -> Iterator[tuple[str, Schema]]:
    """Yield the schema of the operators of each kind of field that a registry has, by name."""
    kinds = {field.kind for collection in registry.values() for field in collection.fields.values()}
    for kind in filter(kinds.__contains__, KIND_SCHEMAS):
        operands = {
            name: _operand_schema(operator, kind)
            for name, operator in OPERATORS.items()
            if kind in operator.kinds and not operator.payload_only
        }
        yield _operators_name(kind), closed_object_of(operands)


def filter_schema(visibility: CollectionVisibility, collection: Collection, fields: Sequence[Field]) -> Schema:
    """Return the schema of a filter on these fields of a collection."""
    nested = list_of(reference(schema_name(collection, "filter")))
    properties: dict[str, Schema] = {"_and": nested, "_or": nested}
    for field in fields:
        properties[field.name] = _field_filter(visibility, field)
        properties |= {f"{call}({field.name})": reference(_operators_name("integer")) for call in functions_of(field)}
    return closed_object_of(properties)


def _field_filter(visibility: CollectionVisibility, field: Field) -> Schema:
    """Return the filter of a field: for a relation, that of its key, or of its target if the caller may traverse it."""
    if not field.relation:
        return reference(_operators_name(field.kind))
    related = visibility.registry[field.link.target]
    filters = [reference(_operators_name(related.key.kind))]
    if visibility.navigable(field):
        inner = reference(schema_name(related, "filter"))
        filters += [inner, closed_object_of({"_some": inner, "_none": inner})] if field.many else [inner]
    return {"anyOf": filters}


def _operators_name(kind: FieldKind) -> str:
    return f"{kind[0].upper()}{kind[1:]}Operators"


def _operand_schema(operator: Operator, kind: FieldKind) -> Schema:
    value: Schema = {"anyOf": [_comparison_value(kind), VARIABLE]}
    match operator.arity:
        case "flag":
            return KIND_SCHEMAS["boolean"]
        case "one":
            return value
        case "many":
            return {**list_of(value), "minItems": 1}
        case "pair":
            return {**list_of(value), "minItems": 2, "maxItems": 2}


def _comparison_value(kind: FieldKind) -> Schema:
    """Return the schema of a value that a field of this kind is compared with; a list is compared as text."""
    if kind in ("string", "csv"):
        return {**KIND_SCHEMAS["string"], "minLength": 1}
    if kind == "decimal":
        return {"anyOf": [{"type": "number"}, KIND_SCHEMAS[kind]]}
    if kind in INTEGER_BOUNDS:
        bounds = {"minimum": -INTEGER_BOUNDS[kind], "maximum": INTEGER_BOUNDS[kind] - 1}
        number: Schema = {"type": "integer", **bounds}
        return {"anyOf": [number, KIND_SCHEMAS[kind]]} if kind == "bigInteger" else {**KIND_SCHEMAS[kind], **bounds}
    return KIND_SCHEMAS[kind]
