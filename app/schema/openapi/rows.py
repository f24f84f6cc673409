"""The rows of each collection as JSON Schema: as they are read, made, changed and filtered by one who sees so much."""

from collections.abc import Iterator, Mapping

from app.query.collection import COLLECTIONS, ROLES, Collection, Field, Kind, target
from app.query.expressions import MASK
from app.query.filter import functions_of
from app.query.operators import INTEGERS, OPERATORS, Operator
from app.query.payload import DETAILS, SHORTHAND, required
from app.schema.build import WRITTEN
from app.schema.openapi.endpoint import a_list, an_object
from app.schema.openapi.forms import Schema, nullable
from app.schema.shown import Sight, Writing

KINDS: Mapping[Kind, Schema] = {
    "string": {"type": "string"},
    "uuid": {"type": "string", "format": "uuid"},
    "integer": {"type": "integer", "format": "int32"},
    "bigInteger": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "json": {},
    "csv": {"type": "array", "items": {"type": "string"}},
    "hash": {"type": "string", "format": "hash"},
}
VARIABLE: Schema = {"type": "string", "pattern": r"^\$(CURRENT_|NOW)"}
"""What stands for a value that depends on who asks and when."""
POLICIES, PERMISSIONS = COLLECTIONS["directus_policies"], COLLECTIONS["directus_permissions"]


def name_of(collection: Collection, shape: str = "") -> str:
    """What a collection's schema is called: `Users`, `UsersCreate`, `UsersUpdate`, `UsersFilter`, `UsersField`."""
    return f"{collection.short.title()}{shape.title()}"


def reference(name: str) -> Schema:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def key_of(collection: Collection) -> Schema:
    """The schema of a collection's key."""
    return KINDS[collection.key.kind]


class Rows:
    """The schemas of every collection as callers with one sight know it.

    Whoever is no admin may be told null for any field: on the rows where no rule shows it.
    """

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def row(self, collection: Collection) -> Schema:
        """A row as it is read; its key, where that is all that may be told."""
        if self.sight.readable(collection):
            return reference(name_of(collection))
        return an_object({collection.key.name: key_of(collection)})

    def schemas(self) -> dict[str, Schema]:
        """All of them, by name."""
        return dict(sorted(self._schemas()))

    def _schemas(self) -> Iterator[tuple[str, Schema]]:
        for collection, fields in self.sight.read.items():
            seen = _in_order(collection, fields)
            yield name_of(collection), an_object({field.name: self._told(field) for field in seen})
            if not collection.singleton:
                yield name_of(collection, "filter"), self._filter(collection, seen)
            names = [field.name for field in seen]
            path = {"type": "string", "description": "A path, a function of a field, or `*`."}
            yield name_of(collection, "field"), {"anyOf": [{"type": "string", "enum": names}, path]}
        for action, collections in self.sight.written.items():
            for collection in (one for one in collections if one in WRITTEN):
                if action == "update" or not collection.singleton:
                    yield name_of(collection, action), self._payload(action, collection, collections[collection])
        yield from ((_operators_of(kind), _operators(kind)) for kind in KINDS if self.sight.read)

    def _told(self, field: Field) -> Schema:
        schema = self._value(field)
        always = self.sight.shown.admin and (field.many or not field.stored.nullable)
        return (schema if always else nullable(schema)) | _about(field)

    def _value(self, field: Field) -> Schema:
        if not field.relation:
            return _stored(field)
        there = target(field)
        way = {"oneOf": [key_of(there), self.row(there)]} if self.sight.navigable(field) else key_of(there)
        return a_list(way) if field.many else way

    def _payload(self, action: Writing, collection: Collection, fields: frozenset[Field]) -> Schema:
        given = _in_order(collection, fields | {collection.key})
        properties = {field.name: self._given(action, collection, field) for field in given}
        for name in SHORTHAND.get(collection.name, ()):
            properties[name] = {
                "oneOf": [_shorthand(name)],
                "deprecated": True,
                "description": "As Directus 10 had it.",
            }
        needed = [field.name for field in required(collection) if field in fields and not field.relation]
        schema = an_object(properties, *(needed if action == "create" else ()))
        return {**schema, "additionalProperties": False}

    def _given(self, action: Writing, collection: Collection, field: Field) -> Schema:
        schema = self._linked(action, field) if field.relation else _stored(field)
        if field.many or field.stored.nullable:
            schema = nullable(schema)
        return schema | _about(field)

    def _linked(self, action: Writing, field: Field) -> Schema:
        """A key, or what is written along with the row; of several a list, or what is made, changed and let go."""
        there = target(field)
        ways = [key_of(there)]
        if self.sight.writable(action, field):
            ways.append(reference(name_of(there, action)))
        if not field.many:
            return {"oneOf": ways} if len(ways) > 1 else ways[0]
        parts: dict[str, Schema] = {"delete": a_list(key_of(there))}
        actions: tuple[Writing, ...] = ("create", "update")
        for part in actions:
            if self.sight.writable(part, field):
                parts[part] = a_list(reference(name_of(there, part)))
        details = {**an_object({part: parts[part] for part in sorted(DETAILS & parts.keys())})}
        return {"oneOf": [a_list({"oneOf": ways}), {**details, "additionalProperties": False}]}

    def _filter(self, collection: Collection, seen: list[Field]) -> Schema:
        own = a_list(reference(name_of(collection, "filter")))
        properties: dict[str, Schema] = {"_and": own, "_or": own}
        for field in seen:
            properties[field.name] = self._asked(field)
            calls = {
                f"{function}({field.name})": reference(_operators_of("integer")) for function in functions_of(field)
            }
            properties |= calls
        return {**an_object(properties), "additionalProperties": False}

    def _asked(self, field: Field) -> Schema:
        if not field.relation:
            return reference(_operators_of(field.kind))
        there = target(field)
        ways = [reference(_operators_of(there.key.kind))]
        if self.sight.navigable(field):
            inner = reference(name_of(there, "filter"))
            ways.append(inner)
            if field.many:
                quantified = an_object({"_some": inner, "_none": inner})
                ways.append({**quantified, "additionalProperties": False})
        return {"anyOf": ways}


def _in_order(collection: Collection, fields: frozenset[Field]) -> list[Field]:
    return [field for field in collection.fields.values() if field in fields]


def _stored(field: Field) -> Schema:
    longest = getattr(field.stored.type, "length", None)
    counted = field.kind == "string" or (field.kind == "hash" and field.name != "password")  # it is hashed first
    return {**KINDS[field.kind], **({"maxLength": longest} if counted and longest else {})}


def _about(field: Field) -> Schema:
    return {"description": f"Reads as {MASK} where it is set."} if field.concealed else {}


def _shorthand(name: str) -> Schema:
    return nullable(KINDS[POLICIES.fields[name].kind] if name in POLICIES.fields else key_of(ROLES))


def _operators_of(kind: Kind) -> str:
    return f"{kind[0].upper()}{kind[1:]}Operators"


def _operators(kind: Kind) -> Schema:
    taken = {name: operator for name, operator in OPERATORS.items() if kind in operator.kinds}
    properties = {name: _operand(operator, kind) for name, operator in taken.items() if not operator.of_payload}
    return {**an_object(properties), "additionalProperties": False}


def _operand(operator: Operator, kind: Kind) -> Schema:
    if operator.takes == "flag":
        return {"type": "boolean"}
    value: Schema = {"anyOf": [_compared(kind), VARIABLE]}
    if operator.takes == "one":
        return value
    return (
        {**a_list(value), "minItems": 1}
        if operator.takes == "many"
        else {**a_list(value), "minItems": 2, "maxItems": 2}
    )


def _compared(kind: Kind) -> Schema:
    """A value that a field of a kind is compared with; a list is compared by its text."""
    if kind in ("string", "csv"):
        return {"type": "string", "minLength": 1}
    return (
        {**KINDS[kind], "minimum": -INTEGERS[kind] + 1, "maximum": INTEGERS[kind] - 1}
        if kind in INTEGERS
        else KINDS[kind]
    )
