"""Builder of Strawberry types for collections: objects, filters and operators under the names that Directus uses."""

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Self

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from app.graphql.types import scalars
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS, is_number
from app.query.collection import Collection, Field, FieldKind, Registry
from app.query.filter import DATE_PART_KINDS, RELATION_KEY
from app.query.legacy_fields import legacy_registry

BUILT_IN_TYPES: Mapping[str, Any] = {
    "ID": strawberry.ID,
    "String": str,
    "Int": int,
    "Float": float,
    "Boolean": bool,
    "Hash": scalars.Hash,
    "Date": scalars.Date,
    "JSON": scalars.Json,
    "GraphQLBigInt": scalars.BigInt,
    "GraphQLStringOrFloat": scalars.StringOrFloat,
    "Void": scalars.Void,
    "permissions_me_type": scalars.PermissionsMe,
}
"""The types that all schemas share, by their names in specs."""

_NUMBERS = itertools.count(1)

LIST_ARGUMENTS = {"sort": "[String]", "limit": "Int", "offset": "Int", "page": "Int", "search": "String"}

_SCALARS: dict[FieldKind, str] = {
    "string": "String",
    "uuid": "ID",
    "integer": "Int",
    "bigInteger": "GraphQLBigInt",
    "float": "Float",
    "decimal": "Float",
    "boolean": "Boolean",
    "date": "Date",
    "time": "Date",
    "dateTime": "Date",
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
    "float": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "date",
    "time": "date",
    "dateTime": "date",
    "timestamp": "date",
    "json": "string",
    "csv": "string",
    "hash": "hash",
}
_DATE_FUNCTIONS: dict[FieldKind, str] = {
    "date": "date_function",
    "time": "time_function",
    "dateTime": "datetime_function",
    "timestamp": "datetime_function",
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


class TypeBuilder:
    """Builds the Strawberry types of one schema, in a namespace of their own: they refer to each other by name."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._with_legacy_fields = legacy_registry(registry)
        self._module = ModuleType(f"rollcall_types_{next(_NUMBERS)}")
        self._types = vars(self._module)
        self._types.update(BUILT_IN_TYPES)

    def __enter__(self) -> Self:
        """Make the namespace importable, as Strawberry looks a name up in the module of its type."""
        sys.modules[self._module.__name__] = self._module
        return self

    def __exit__(self, *_: object) -> None:
        del sys.modules[self._module.__name__]

    def field(
        self,
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
        options |= {"metadata": metadata, "description": description}
        result = StrawberryField(python_name=name, graphql_name=name, **options)
        if resolver:
            result.base_resolver = StrawberryResolver(resolver)
        result.arguments = [
            StrawberryArgument(
                argument, argument, StrawberryAnnotation(self._annotation(argument_spec), namespace=self._types)
            )
            for argument, argument_spec in (arguments or {}).items()
        ]
        return result

    def define_type(self, name: str, fields: Iterable[StrawberryField], *, is_input: bool = False) -> None:
        """Define a Strawberry type with these fields and register it by its name.

        A field without a spec has the type that its resolver's annotation names.
        """
        members = {member.python_name: member for member in fields}
        specs = {key: member.metadata["spec"] for key, member in members.items() if "spec" in member.metadata}
        annotations = {key: self._annotation(spec) for key, spec in specs.items()}
        body = {"__module__": self._module.__name__, "__annotations__": annotations, **members}
        type_ = strawberry.type(type(name, (), body), name=name, is_input=is_input)
        if is_input:
            # An input value stays a dict: it is read as one, and no resolver uses attributes.
            definition: StrawberryObjectDefinition = type_.__strawberry_definition__  # type: ignore[attr-defined]
            definition.from_input = lambda _, value, __: dict(value)
        self._types[name] = type_

    def register_type(self, name: str, type_: Any) -> None:
        """Register a type under the name that specs use."""
        self._types[name] = type_

    def define_input(self, name: str, specs: Mapping[str, str]) -> None:
        """Define an input type. A field is required only if its spec ends in `!`."""
        members = (self.field(key, spec, default=strawberry.UNSET) for key, spec in specs.items())
        self.define_type(name, members, is_input=True)

    def get_type(self, name: str) -> Any:
        """Return the registered type of this name."""
        return self._types[name]

    def define_collection_types(self) -> None:
        """Define all types with which the collections are read, filtered, aggregated and written."""
        self._define_operators()
        for collection in self.registry.values():
            self.define_type(collection.name, self._object_fields(collection))
            if collection.writable:
                self._define_write_inputs(collection)
            if collection.singleton:
                continue
            specs = dict(self._filter_specs(collection))
            nested = dict.fromkeys(("_and", "_or"), f"[{collection.name}_filter]")
            self.define_input(f"{collection.name}_filter", {**specs, **nested})
            quantified = dict.fromkeys(("_some", "_none"), f"{collection.name}_filter")
            self.define_input(f"{collection.name}_quantifier_filter", {**specs, **nested, **quantified})
            self._define_aggregation_types(collection)

    def _members(self, collection: Collection) -> Iterable[Field]:
        return self._with_legacy_fields.own(collection).fields.values()

    def _define_write_inputs(self, collection: Collection) -> None:
        for action in ("create", "update"):
            if action == "create" and collection.singleton:
                continue
            members = (
                self.field(
                    member.name,
                    _input_spec(action, collection, member),
                    description=member.note,
                    default=strawberry.UNSET,
                )
                for member in collection.fields.values()
            )
            self.define_type(input_type(action, collection), members, is_input=True)

    def _object_fields(self, collection: Collection) -> Iterator[StrawberryField]:
        for member in self._members(collection):
            yield self.field(member.name, type_of(collection, member), arguments_of(member), description=member.note)
            if functions := functions_type(member):
                yield self.field(f"{member.name}_func", f"{functions}s")

    def _filter_specs(self, collection: Collection) -> Iterator[tuple[str, str]]:
        for member in self._members(collection):
            if member.relation:
                yield member.name, f"{member.relation.target}_{'quantifier_filter' if member.many else 'filter'}"
            else:
                yield member.name, operators_of(member.kind)
            if functions := functions_type(member):
                yield f"{member.name}_func", f"{functions}_filter_operators"
        yield RELATION_KEY, operators_of(collection.key.kind)

    def _define_aggregation_types(self, collection: Collection) -> None:
        members = self._members(collection)
        numbers = [member for member in members if is_number(member)]
        functions = (*COUNT_FUNCTIONS, *(NUMERIC_FUNCTIONS if numbers else ()))
        counts = (self.field(member.name, "Int", description=member.note) for member in members)
        self.define_type(aggregate_object_type(collection, "count"), counts)
        if numbers:
            sums = (self.field(member.name, "Float") for member in numbers)
            self.define_type(aggregate_object_type(collection, "sum"), sums)
        aggregates = (self.field(function, aggregate_object_type(collection, function)) for function in functions)
        group, count_all = self.field("group", "JSON"), self.field("countAll", "Int")
        self.define_type(aggregated_type(collection), [group, count_all, *aggregates])

    def _define_operators(self) -> None:
        for name, (scalar, value_operators, list_operators, flag_operators) in OPERATOR_TYPES.items():
            between = "[GraphQLStringOrFloat]" if name == "date" else f"[{scalar}]"
            self.define_input(
                f"{name}_filter_operators",
                {
                    **dict.fromkeys(value_operators.split(), scalar),
                    **{key: between if "between" in key else f"[{scalar}]" for key in list_operators.split()},
                    **dict.fromkeys(flag_operators.split(), "Boolean"),
                },
            )
        kinds = {field.kind for collection in self.registry.values() for field in collection.fields.values()}
        for name, parts in {
            _DATE_FUNCTIONS[kind]: DATE_PART_KINDS[kind] for kind in DATE_PART_KINDS if kind in kinds
        }.items():
            self.define_type(f"{name}s", (self.field(part, "Int") for part in parts))
            self.define_input(f"{name}_filter_operators", dict.fromkeys(parts, "number_filter_operators"))
        self.define_type("count_functions", [self.field("count", "Int")])
        self.define_input("count_function_filter_operators", {"count": "number_filter_operators"})

    def _annotation(self, spec: str) -> Any:
        """Return a spec such as `[T!]!` as an annotation: a type if it is a scalar, else a name resolved later."""
        core = spec.removesuffix("!")
        if core.startswith("["):
            item = core[1:-1]
            core = f"list[{item.removesuffix('!')}{'' if item.endswith('!') else ' | None'}]"
        text = core if spec.endswith("!") else f"{core} | None"
        is_generated = any(
            part in text for part in ("directus_", "_operators", "_functions", "server_", "globals_type")
        )
        return text if is_generated else eval(text, self._types)  # noqa: S307  # specs of this code, not of clients


def mutated_type(collection: Collection) -> str:
    """Return the name of the type of an event of a collection, and of the root field that subscribes to them."""
    return f"{collection.name}_mutated"


def input_type(action: str, collection: Collection) -> str:
    """Return the name of the input type with which a row is created or updated."""
    return f"{action}_{collection.name}_input"


def _input_spec(action: str, collection: Collection, member: Field) -> str:
    if member.relation:
        inner = input_type(action, collection.target_of(member))
        return f"[{inner}]" if member.many else inner
    if member is collection.key:
        return "ID"
    return _SCALARS[member.kind] + ("!" if member.required and action == "create" else "")


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
    if member.kind in DATE_PART_KINDS:
        return _DATE_FUNCTIONS[member.kind]
    return "count_function" if member.many or member.kind == "json" else None


def key_type(member: Field) -> str:
    """Return the type of a relation whose target the caller cannot read: its key, or a scalar without sub-fields."""
    return "String" if member.many else "ID"


def operators_of(kind: FieldKind) -> str:
    """Return the input type of the operators of a field kind; the kind `alias` is that of a to-many relation."""
    return f"{_OPERATOR_PREFIXES.get(kind, 'string')}_filter_operators"


def aggregated_type(collection: Collection) -> str:
    """Return the name of the type of the items of `<collection>_aggregated`."""
    return f"{collection.name}_aggregated"


def aggregate_object_type(collection: Collection, function: str) -> str:
    """Return the name of the type that contains the results of one aggregate function for several fields."""
    return f"{aggregated_type(collection)}_{'count' if function in COUNT_FUNCTIONS else 'fields'}"
