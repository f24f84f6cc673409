"""Filters as JSON Schema: the operators of each kind of field, out of the table that also makes them SQL."""

from collections.abc import Iterator, Sequence

from app.openapi.field_schemas import KINDS, Schema, a_list, closed, name_of, reference
from app.policy.visibility import CollectionVisibility
from app.query.coercion import INTEGER_BOUNDS
from app.query.collection import Collection, Field, FieldKind, target
from app.query.filter import functions_of
from app.query.operators import OPERATORS, Operator

VARIABLE: Schema = {"type": "string", "pattern": r"^\$(CURRENT_|NOW)"}
"""What stands for a value that depends on who asks and when."""


def operators() -> Iterator[tuple[str, Schema]]:
    """The operators of every kind, by the name of their schema."""
    for kind in KINDS:
        taken = {name: one for name, one in OPERATORS.items() if kind in one.kinds and not one.payload_only}
        yield _operators_of(kind), closed({name: _operand(one, kind) for name, one in taken.items()})


def filter_of(visibility: CollectionVisibility, collection: Collection, seen: Sequence[Field]) -> Schema:
    """A filter on the fields that are seen of a collection."""
    several = a_list(reference(name_of(collection, "filter")))
    properties: dict[str, Schema] = {"_and": several, "_or": several}
    for field in seen:
        properties[field.name] = _asked(visibility, field)
        properties |= {f"{call}({field.name})": reference(_operators_of("integer")) for call in functions_of(field)}
    return closed(properties)


def _asked(visibility: CollectionVisibility, field: Field) -> Schema:
    """What is asked of a field; of a relation its key, or, where it may be walked, what lies behind it."""
    if not field.relation:
        return reference(_operators_of(field.kind))
    there = target(field)
    ways = [reference(_operators_of(there.key.kind))]
    if visibility.navigable(field):
        inner = reference(name_of(there, "filter"))
        ways += [inner, closed({"_some": inner, "_none": inner})] if field.many else [inner]
    return {"anyOf": ways}


def _operators_of(kind: FieldKind) -> str:
    return f"{kind[0].upper()}{kind[1:]}Operators"


def _operand(operator: Operator, kind: FieldKind) -> Schema:
    value: Schema = {"anyOf": [_compared(kind), VARIABLE]}
    match operator.arity:
        case "flag":
            return KINDS["boolean"]
        case "one":
            return value
        case "many":
            return {**a_list(value), "minItems": 1}
        case "pair":
            return {**a_list(value), "minItems": 2, "maxItems": 2}


def _compared(kind: FieldKind) -> Schema:
    """A value that a field of a kind is compared with; a list is compared by its text."""
    if kind in ("string", "csv"):
        return {**KINDS["string"], "minLength": 1}
    if kind in INTEGER_BOUNDS:
        return {**KINDS[kind], "minimum": 1 - INTEGER_BOUNDS[kind], "maximum": INTEGER_BOUNDS[kind] - 1}
    return KINDS[kind]
