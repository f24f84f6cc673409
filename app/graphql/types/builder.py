"""From collections to Strawberry types: objects, filters and operators under Directus' names."""

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

NAMESPACE = ModuleType("rollcall_types", "Where the made types live: Strawberry looks a type's name up in its module.")
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

LISTING = {"sort": "[String]", "limit": "Int", "offset": "Int", "page": "Int", "search": "String"}

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
_OPERATORS: dict[FieldKind, str] = {
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
_TEXTUAL = (
    "_eq _neq _contains _icontains _ncontains _starts_with _nstarts_with _istarts_with _nistarts_with "
    "_ends_with _nends_with _iends_with _niends_with"
)
_ORDERED = "_eq _neq _gt _gte _lt _lte"
OPERATOR_TYPES: dict[str, tuple[str, str, str, str]] = {
    #          scalar                  one value   lists       flags
    "id": ("ID", _TEXTUAL, "_in _nin", "_null _nnull _empty _nempty"),
    "string": ("String", _TEXTUAL, "_in _nin", "_null _nnull _empty _nempty"),
    "number": ("GraphQLStringOrFloat", _ORDERED, "_in _nin _between _nbetween", "_null _nnull"),
    "big_int": ("GraphQLBigInt", _ORDERED, "_in _nin _between _nbetween", "_null _nnull"),
    "date": ("String", _ORDERED, "_in _nin _between _nbetween", "_null _nnull"),
    "boolean": ("Boolean", "_eq _neq", "", "_null _nnull"),
    "hash": ("Hash", "", "", "_null _nnull _empty _nempty"),
}


def field(
    name: str,
    spec: str,
    arguments: Mapping[str, str] | None = None,
    resolver: Any = None,
    description: str | None = None,
    told: Mapping[str, Any] | None = None,
    **options: Any,
) -> StrawberryField:
    """A field of type `spec` as the SDL spells it (`[String!]!`), with arguments spelled alike.

    `told` goes into its metadata, for those who look there.
    """
    metadata = {"spec": spec, **(told or {})}
    made = StrawberryField(python_name=name, graphql_name=name, metadata=metadata, description=description, **options)
    if resolver:
        made.base_resolver = StrawberryResolver(resolver)
    made.arguments = [
        StrawberryArgument(argument, argument, StrawberryAnnotation(_annotation(of), namespace=_TYPES))
        for argument, of in (arguments or {}).items()
    ]
    return made


def define_type(name: str, fields: Iterable[StrawberryField], *, is_input: bool = False) -> None:
    """A Strawberry type of these fields, under this name."""
    members = {member.python_name: member for member in fields}
    annotations = {key: _annotation(member.metadata["spec"]) for key, member in members.items()}
    body = {"__module__": NAMESPACE.__name__, "__annotations__": annotations, **members}
    made = strawberry.type(type(name, (), body), name=name, is_input=is_input)
    if is_input:
        # Filters stay the plain objects they arrive as: the planner reads them, no resolver touches an attribute.
        definition: StrawberryObjectDefinition = made.__strawberry_definition__  # type: ignore[attr-defined]
        definition.from_input = lambda _, value, __: dict(value)
    _TYPES[name] = made


def register_type(name: str, of: Any) -> None:
    """Makes a type known by the name that specs spell it with."""
    _TYPES[name] = of


def make_input(name: str, specs: Mapping[str, str]) -> None:
    """An input type, none of whose fields has to be given unless its spec ends in `!`."""
    define_type(name, (field(key, spec, default=strawberry.UNSET) for key, spec in specs.items()), is_input=True)


def get_type(name: str) -> Any:
    """The type of that name."""
    return _TYPES[name]


def make_collections(collections: Iterable[Collection]) -> None:
    """Every type that these collections are read and filtered with."""
    _make_operators()
    for collection in collections:
        define_type(collection.name, _object_fields(collection))
        if collection in WRITABLE_COLLECTIONS:
            _make_inputs(collection)
        if collection.singleton:
            continue
        specs = dict(_filter_specs(collection))
        nested = dict.fromkeys(("_and", "_or"), f"[{collection.name}_filter]")
        make_input(f"{collection.name}_filter", {**specs, **nested})
        quantified = dict.fromkeys(("_some", "_none"), f"{collection.name}_filter")
        make_input(f"{collection.name}_quantifier_filter", {**specs, **nested, **quantified})
        _make_aggregated(collection)


def input_type(action: str, collection: Collection) -> str:
    """The name of what a row is made or changed with."""
    return f"{action}_{collection.name}_input"


def _make_inputs(collection: Collection) -> None:
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
    """`[T!]!` -> a Python annotation: the type itself for scalars, a name to be looked up later for ours."""
    core = spec.removesuffix("!")
    if core.startswith("["):
        item = core[1:-1]
        core = f"list[{item.removesuffix('!')}{'' if item.endswith('!') else ' | None'}]"
    text = core if spec.endswith("!") else f"{core} | None"
    ours = any(mark in text for mark in ("directus_", "_operators", "_functions", "server_", "globals_type"))
    return text if ours else eval(text, _TYPES)  # noqa: S307  # our own specs only, never a client's text


def _object_fields(collection: Collection) -> Iterator[StrawberryField]:
    for member in LEGACY_COLLECTIONS[collection.name].fields.values():
        yield field(member.name, type_of(collection, member), arguments_of(member), description=member.note)
        if functions := functions_type(member):
            yield field(f"{member.name}_func", f"{functions}s")


def type_of(collection: Collection, member: Field) -> str:
    """The SDL spelling of a field's type."""
    if member.relation:
        return f"[{member.relation.target}]" if member.many else member.relation.target
    if member is collection.key:
        return "ID!" if collection.short_name != "permissions" else "ID"  # permissions of the app minimum have no id
    return _SCALARS[member.kind] + ("!" if member.required else "")


def arguments_of(member: Field) -> dict[str, str]:
    """The arguments of a relation's field; other fields have none."""
    return {"filter": f"{member.relation.target}_filter", **LISTING} if member.relation else {}


def aggregate_arguments(collection: Collection) -> dict[str, str]:
    """The arguments of `<collection>_aggregated`, in Directus' order."""
    listing = {name: LISTING[name] for name in sorted(LISTING)}
    return {"groupBy": "[String]", "filter": f"{collection.name}_filter", **listing}


def functions_type(member: Field) -> str | None:
    """The stem of the type of `<field>_func`, where the field has functions."""
    if member.kind == "timestamp":
        return "datetime_function"
    return "count_function" if member.many or member.kind == "json" else None


def key_type(member: Field) -> str:
    """What a relation is printed as where its target can't be read: its key, or nothing that can be entered."""
    return "String" if member.many else "ID"


def operators_of(kind: FieldKind) -> str:
    """The input type of the operators that a kind of field takes; `alias` is a to-many relation's key."""
    return f"{_OPERATORS.get(kind, 'string')}_filter_operators"


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
    """The name of what `<collection>_aggregated` answers a list of."""
    return f"{collection.name}_aggregated"


def measures_type(collection: Collection, function: str) -> str:
    """The name of the type that holds one function of several fields."""
    return f"{aggregated_type(collection)}_{'count' if function in COUNT_FUNCTIONS else 'fields'}"


def _make_aggregated(collection: Collection) -> None:
    members = LEGACY_COLLECTIONS[collection.name].fields.values()
    numbers = [member for member in members if is_number(member)]
    functions = (*COUNT_FUNCTIONS, *(NUMERIC_FUNCTIONS if numbers else ()))
    counts = (field(member.name, "Int", description=member.note) for member in members)
    define_type(measures_type(collection, "count"), counts)
    if numbers:
        define_type(measures_type(collection, "sum"), (field(member.name, "Float") for member in numbers))
    measures = (field(function, measures_type(collection, function)) for function in functions)
    define_type(aggregated_type(collection), [field("group", "JSON"), field("countAll", "Int"), *measures])


def _make_operators() -> None:
    for name, (scalar, one, many, flags) in OPERATOR_TYPES.items():
        between = "[GraphQLStringOrFloat]" if name == "date" else f"[{scalar}]"
        make_input(
            f"{name}_filter_operators",
            {
                **dict.fromkeys(one.split(), scalar),
                **{key: between if "between" in key else f"[{scalar}]" for key in many.split()},
                **dict.fromkeys(flags.split(), "Boolean"),
            },
        )
    define_type("datetime_functions", (field(part, "Int") for part in DATE_PARTS))
    define_type("count_functions", [field("count", "Int")])
    make_input("datetime_function_filter_operators", dict.fromkeys(DATE_PARTS, "number_filter_operators"))
    make_input("count_function_filter_operators", {"count": "number_filter_operators"})
