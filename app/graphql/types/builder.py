"""Builder of Strawberry types for collections: objects, filters and operators under the names that Directus uses."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from app.graphql.types import scalars
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS, is_number
from app.query.collection import COLLECTIONS, WRITABLE_COLLECTIONS, Collection, Field, FieldKind
from app.query.filter import DATE_PARTS, RELATION_KEY
from app.query.legacy_fields import LEGACY_COLLECTIONS

NAMESPACE = ModuleType("rollcall_types", "The generated types: Strawberry looks a name up in the module of its type.")
sys.modules[NAMESPACE.__name__] = NAMESPACE
_TYPES = vars(NAMESPACE)
_TYPES.update(
    ID=strawberry.ID,
    String=str,
    Int=int,
    Float=float,
    Boolean=bool,
    Hash=scalars.Hash,
    Date=scalars.Date,
    JSON=scalars.Json,
    GraphQLBigInt=scalars.BigInt,
    GraphQLStringOrFloat=scalars.StringOrFloat,
    Void=scalars.Void,
    permissions_me_type=scalars.PermissionsMe,
)

LIST_ARGUMENTS = {"sort": "[String]", "limit": "Int", "offset": "Int", "page": "Int", "search": "String"}

_SCALARS: dict[FieldKind, str] = {
    "string": "String",
    "uuid": "ID",
    "integer": "Int",
    "bigInteger": "GraphQLBigInt",
    "boolean": "Boolean",
    "timestamp": "Date",
    "json": "JSON",
    "csv": "[String]",
    "hash": "Hash",
}
_OPERATOR_PREFIXES: dict[FieldKind, str] = {
    "string": "string",
    "uuid": "id",
    "integer": "number",
    "bigInteger": "big_int",
    "boolean": "boolean",
    "timestamp": "date",
    "json": "string",
    "csv": "string",
    "hash": "hash",
}
_STRING_OPERATORS = (
    "_eq _neq _contains _icontains _ncontains _starts_with _nstarts_with _istarts_with _nistarts_with "
    "_ends_with _nends_with _iends_with _niends_with"
)
_COMPARISON_OPERATORS = "_eq _neq _gt _gte _lt _lte"
OPERATOR_TYPES: dict[str, tuple[str, str, str, str]] = {
    #          scalar                  one value   lists       flags
    "id": ("ID", _STRING_OPERATORS, "_in _nin", "_null _nnull _empty _nempty"),
    "string": ("String", _STRING_OPERATORS, "_in _nin", "_null _nnull _empty _nempty"),
    "number": ("GraphQLStringOrFloat", _COMPARISON_OPERATORS, "_in _nin _between _nbetween", "_null _nnull"),
    "big_int": ("GraphQLBigInt", _COMPARISON_OPERATORS, "_in _nin _between _nbetween", "_null _nnull"),
    "date": ("String", _COMPARISON_OPERATORS, "_in _nin _between _nbetween", "_null _nnull"),
    "boolean": ("Boolean", "_eq _neq", "", "_null _nnull"),
    "hash": ("Hash", "", "", "_null _nnull _empty _nempty"),
}


def field(
    name: str,
    spec: str,
    arguments: Mapping[str, str] | None = None,
    resolver: Any = None,
    description: str | None = None,
    extra_metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> StrawberryField:
    """Return a field of type `spec`, which is written as in SDL (`[String!]!`), like the types of the arguments."""
    metadata = {"spec": spec, **(extra_metadata or {})}
    result = StrawberryField(python_name=name, graphql_name=name, metadata=metadata, description=description, **options)
    if resolver:
        result.base_resolver = StrawberryResolver(resolver)
    result.arguments = [
        StrawberryArgument(argument, argument, StrawberryAnnotation(_annotation(argument_spec), namespace=_TYPES))
        for argument, argument_spec in (arguments or {}).items()
    ]
    return result


def define_type(name: str, fields: Iterable[StrawberryField], *, is_input: bool = False) -> None:
    """Define a Strawberry type with these fields and register it by its name."""
    members = {member.python_name: member for member in fields}
    annotations = {key: _annotation(member.metadata["spec"]) for key, member in members.items()}
    body = {"__module__": NAMESPACE.__name__, "__annotations__": annotations, **members}
    type_ = strawberry.type(type(name, (), body), name=name, is_input=is_input)
    if is_input:
        # An input value stays a dict: it is read as one, and no resolver uses attributes.
        definition: StrawberryObjectDefinition = type_.__strawberry_definition__  # type: ignore[attr-defined]
        definition.from_input = lambda _, value, __: dict(value)
    _TYPES[name] = type_


def register_type(name: str, type_: Any) -> None:
    """Register a type under the name that specs use."""
    _TYPES[name] = type_


def define_input(name: str, specs: Mapping[str, str]) -> None:
    """Define an input type. A field is required only if its spec ends in `!`."""
    define_type(name, (field(key, spec, default=strawberry.UNSET) for key, spec in specs.items()), is_input=True)


def get_type(name: str) -> Any:
    """Return the registered type of this name."""
    return _TYPES[name]


def define_collection_types(collections: Iterable[Collection]) -> None:
    """Define all types with which these collections are read, filtered, aggregated and written."""
    _define_operators()
    for collection in collections:
        define_type(collection.name, _object_fields(collection))
        if collection in WRITABLE_COLLECTIONS:
            _define_write_inputs(collection)
        if collection.singleton:
            continue
        specs = dict(_filter_specs(collection))
        nested = dict.fromkeys(("_and", "_or"), f"[{collection.name}_filter]")
        define_input(f"{collection.name}_filter", {**specs, **nested})
        quantified = dict.fromkeys(("_some", "_none"), f"{collection.name}_filter")
        define_input(f"{collection.name}_quantifier_filter", {**specs, **nested, **quantified})
        _define_aggregation_types(collection)


def input_type(action: str, collection: Collection) -> str:
    """Return the name of the input type with which a row is created or updated."""
    return f"{action}_{collection.name}_input"


def _define_write_inputs(collection: Collection) -> None:
    for action in ("create", "update"):
        if action == "create" and collection.singleton:
            continue
        members = (
            field(
                member.name,
                _input_spec(action, collection, member),
                description=member.note,
                default=strawberry.UNSET,
            )
            for member in collection.fields.values()
        )
        define_type(input_type(action, collection), members, is_input=True)


def _input_spec(action: str, collection: Collection, member: Field) -> str:
    if member.relation:
        inner = input_type(action, COLLECTIONS[member.relation.target])
        return f"[{inner}]" if member.many else inner
    if member is collection.key:
        return "ID"
    return _SCALARS[member.kind] + ("!" if member.required and action == "create" else "")


def _annotation(spec: str) -> Any:
    """Return a spec such as `[T!]!` as an annotation: a type if it is a scalar, else a name that is resolved later."""
    core = spec.removesuffix("!")
    if core.startswith("["):
        item = core[1:-1]
        core = f"list[{item.removesuffix('!')}{'' if item.endswith('!') else ' | None'}]"
    text = core if spec.endswith("!") else f"{core} | None"
    is_generated = any(part in text for part in ("directus_", "_operators", "_functions", "server_", "globals_type"))
    return text if is_generated else eval(text, _TYPES)  # noqa: S307  # specs of this code, never a client's text


def _object_fields(collection: Collection) -> Iterator[StrawberryField]:
    for member in LEGACY_COLLECTIONS[collection.name].fields.values():
        yield field(member.name, type_of(collection, member), arguments_of(member), description=member.note)
        if functions := functions_type(member):
            yield field(f"{member.name}_func", f"{functions}s")


def type_of(collection: Collection, member: Field) -> str:
    """Return the type of a field in SDL."""
    if member.relation:
        return f"[{member.relation.target}]" if member.many else member.relation.target
    if member is collection.key:
        return "ID!" if collection.short_name != "permissions" else "ID"  # the minimal app permissions have no id
    return _SCALARS[member.kind] + ("!" if member.required else "")


def arguments_of(member: Field) -> dict[str, str]:
    """Return the arguments of a field: those of a list if it is a relation, else none."""
    return {"filter": f"{member.relation.target}_filter", **LIST_ARGUMENTS} if member.relation else {}


def aggregate_arguments(collection: Collection) -> dict[str, str]:
    """Return the arguments of `<collection>_aggregated` in the order of Directus."""
    list_arguments = {name: LIST_ARGUMENTS[name] for name in sorted(LIST_ARGUMENTS)}
    return {"groupBy": "[String]", "filter": f"{collection.name}_filter", **list_arguments}


def functions_type(member: Field) -> str | None:
    """Return the prefix of the type of `<field>_func`; None if the field has no functions."""
    if member.kind == "timestamp":
        return "datetime_function"
    return "count_function" if member.many or member.kind == "json" else None


def key_type(member: Field) -> str:
    """Return the type of a relation whose target the caller cannot read: its key, or a scalar without sub-fields."""
    return "String" if member.many else "ID"


def operators_of(kind: FieldKind) -> str:
    """Return the input type of the operators of a field kind; the kind `alias` is that of a to-many relation."""
    return f"{_OPERATOR_PREFIXES.get(kind, 'string')}_filter_operators"


def _filter_specs(collection: Collection) -> Iterator[tuple[str, str]]:
    for member in LEGACY_COLLECTIONS[collection.name].fields.values():
        if member.relation:
            yield member.name, f"{member.relation.target}_{'quantifier_filter' if member.many else 'filter'}"
        else:
            yield member.name, operators_of(member.kind)
        if functions := functions_type(member):
            yield f"{member.name}_func", f"{functions}_filter_operators"
    yield RELATION_KEY, operators_of(collection.key.kind)


def aggregated_type(collection: Collection) -> str:
    """Return the name of the type of the items of `<collection>_aggregated`."""
    return f"{collection.name}_aggregated"


def aggregate_object_type(collection: Collection, function: str) -> str:
    """Return the name of the type that contains the results of one aggregate function for several fields."""
    return f"{aggregated_type(collection)}_{'count' if function in COUNT_FUNCTIONS else 'fields'}"


def _define_aggregation_types(collection: Collection) -> None:
    members = LEGACY_COLLECTIONS[collection.name].fields.values()
    numbers = [member for member in members if is_number(member)]
    functions = (*COUNT_FUNCTIONS, *(NUMERIC_FUNCTIONS if numbers else ()))
    counts = (field(member.name, "Int", description=member.note) for member in members)
    define_type(aggregate_object_type(collection, "count"), counts)
    if numbers:
        define_type(aggregate_object_type(collection, "sum"), (field(member.name, "Float") for member in numbers))
    aggregates = (field(function, aggregate_object_type(collection, function)) for function in functions)
    define_type(aggregated_type(collection), [field("group", "JSON"), field("countAll", "Int"), *aggregates])


def _define_operators() -> None:
    for name, (scalar, value_operators, list_operators, flag_operators) in OPERATOR_TYPES.items():
        between = "[GraphQLStringOrFloat]" if name == "date" else f"[{scalar}]"
        define_input(
            f"{name}_filter_operators",
            {
                **dict.fromkeys(value_operators.split(), scalar),
                **{key: between if "between" in key else f"[{scalar}]" for key in list_operators.split()},
                **dict.fromkeys(flag_operators.split(), "Boolean"),
            },
        )
    define_type("datetime_functions", (field(part, "Int") for part in DATE_PARTS))
    define_type("count_functions", [field("count", "Int")])
    define_input("datetime_function_filter_operators", dict.fromkeys(DATE_PARTS, "number_filter_operators"))
    define_input("count_function_filter_operators", {"count": "number_filter_operators"})
