"""Scopes: what a permission rule can see (everything) and what a caller can see (rows and fields its rules allow)."""

from datetime import datetime

from app.core.bindings import BoundParameter, parameter
from app.policy.rules import Access
from app.policy.variables import resolve_variable
from app.query.collection import USERS, Collection, Derivation, Field, FieldKind
from app.query.filter import AndFilter, FieldFilter, Filter, Function, OrFilter, RelationFilter, UnknownField, Variable
from app.query.operators import OPERATORS
from app.query.scoped import (
    FALSE,
    TRUE,
    CallerLookup,
    Comparison,
    Count,
    Derived,
    Operand,
    Predicate,
    RelationPredicate,
    ScopedRelation,
    ValueList,
    all_of,
    any_of,
)


class UnrestrictedScope:
    """The scope of a permission rule: every row, every field, every value."""

    def __init__(self, access: Access, now: datetime | BoundParameter) -> None:
        self.access, self.now = access, now

    def rows(self, collection: Collection) -> Predicate:
        """Return the predicate of the visible rows of a collection."""
        return TRUE

    def visible(self, collection: Collection, field: Field) -> Predicate:
        """Return the predicate of the rows on which a field is visible."""
        return TRUE

    def masked(self, field: Field) -> bool:
        """Return whether only the presence of a field's value is visible, not the value."""
        return False

    def can_see(self, collection: Collection, field: Field) -> bool:
        """Return whether a field is visible on some row."""
        return True

    def require_visible(self, collection: Collection, field: Field) -> None:
        """Raise UnknownField for a field that is visible on no row."""
        if not self.can_see(collection, field):
            raise UnknownField(collection, field.name)

    def operand(self, collection: Collection, field: Field, function: Function | None = None) -> Operand | Count:
        """Return a field, or a function of it, as this scope sees it.

        Raises:
            UnknownField: The field is visible on no row.
        """
        self.require_visible(collection, field)
        if field.many:
            return Count(self.relation(collection, field))
        if field.derivation:
            return self._derived(collection, field, field.derivation)
        return Operand(field, self.visible(collection, field), self.masked(field), function)

    def relation(self, collection: Collection, field: Field) -> ScopedRelation:
        """Return a relation with the rows of it that this scope sees.

        A to-many relation includes a row only if that row's own link field is visible: otherwise it would reveal it.

        Raises:
            UnknownField: The field is visible on no row.
        """
        self.require_visible(collection, field)
        target = collection.target_of(field)
        owner, link = (target, target.fields[field.link.foreign_key.name]) if field.many else (collection, field)
        derivation = link.derivation
        linked = self._derived(owner, link, derivation) if derivation else Operand(link, self.visible(owner, link))
        visible = self.visible(collection, field) if field.many else TRUE
        return ScopedRelation(field, target, linked, self.rows(target), visible)

    def _derived(self, collection: Collection, field: Field, derivation: Derivation) -> Operand:
        path, target = list[ScopedRelation](), collection
        for relation in derivation.path:
            path.append(self.relation(target, relation))
            target = target.target_of(relation)
        source = Operand(derivation.field, self.visible(target, derivation.field), self.masked(derivation.field))
        ancestors = derivation.ancestors
        above = self.relation(collection, ancestors) if ancestors and self.can_see(collection, ancestors) else None
        # The value is null on rows where the first relation of the path is not visible.
        return Operand(field, path[0].visible, derived=Derived(tuple(path), source, above))

    def condition(self, collection: Collection, filter_: Filter) -> Predicate:
        """Return the predicate of a filter, on values as this scope sees them.

        Raises:
            UnknownField: The filter compares a field that is visible on no row.
        """
        match filter_:
            case AndFilter(parts):
                return all_of(*(self.condition(collection, part) for part in parts))
            case OrFilter(parts):
                return any_of(*(self.condition(collection, part) for part in parts))
            case RelationFilter(field, quantifier, inner):
                relation = self.relation(collection, field)
                return RelationPredicate(relation, quantifier, self.condition(collection.target_of(field), inner))
            case FieldFilter(field, function, operator, value):
                operand = self.operand(collection, field, function)
                return self._comparison(operand, "integer" if function else field.kind, operator, value)

    def _comparison(self, operand: Operand | Count, kind: FieldKind, operator: str, value: object) -> Predicate:
        if isinstance(value, Variable):
            values = self._values(value, kind)
            return Comparison(operand, operator, values[0]) if len(values) == 1 else FALSE
        if not isinstance(value, tuple):
            return Comparison(operand, operator, value)
        if not value:  # as in SQL, even null is not in an empty list
            return TRUE if operator == "_nin" else FALSE
        in_list = OPERATORS[operator].arity == "many"
        resolved = [self._items(item, kind, in_list=in_list) for item in value]
        if operator == "_nin" and () in resolved:
            return FALSE  # an empty variable matches nothing, negated or not
        items = [item for group in resolved for item in group]
        if OPERATORS[operator].arity == "pair":
            return Comparison(operand, operator, tuple(items)) if len(items) == 2 else FALSE
        lookups = tuple(item for item in items if isinstance(item, CallerLookup))
        return Comparison(
            operand, operator, ValueList(tuple(i for i in items if not isinstance(i, CallerLookup)), lookups)
        )

    def _items(self, item: object, kind: FieldKind, *, in_list: bool) -> tuple[object, ...]:
        return self._values(item, kind, in_list=in_list) if isinstance(item, Variable) else (item,)

    def _values(self, variable: Variable, kind: FieldKind, *, in_list: bool = False) -> tuple[object, ...]:
        if variable.path:
            return (self.lookup(variable),) if self.access.user else ()
        return resolve_variable(variable, kind, self.access, self.now, in_list=in_list)

    def lookup(self, variable: Variable) -> CallerLookup:
        """Return the look-up of a variable with a path, which starts at the caller's own row.

        Raises:
            UnknownField: A field of the path is visible on no row.
        """
        path = variable.path if variable.name == "CURRENT_USER" else (USERS.fields["role"], *variable.path)
        users = self.access.registry.own(USERS)
        relations, collection = [], users
        for field in path[:-1]:
            relations.append(self.relation(collection, field))
            collection = collection.target_of(field)
        last = path[-1]
        if last.many:
            relations.append(self.relation(collection, last))
            collection = collection.target_of(last)
            last = collection.key
        self.require_visible(collection, last)
        operand = Operand(last, self.visible(collection, last), self.masked(last))
        return CallerLookup(parameter(self.access.user), users, self.rows(users), tuple(relations), operand)


class CallerScope(UnrestrictedScope):
    """The scope of a caller: the rows that some rule matches, and on each of them the fields that those rules list."""

    def __init__(self, access: Access, now: datetime | BoundParameter, action: str = "read") -> None:
        super().__init__(access, now)
        self.action = action
        self._rule_scope = UnrestrictedScope(access, now)
        self._predicates: dict[tuple[Collection, Field | None], Predicate] = {}

    def rows(self, collection: Collection) -> Predicate:
        return self._cached_predicate(collection, None)

    def visible(self, collection: Collection, field: Field) -> Predicate:
        return self._cached_predicate(collection, field)

    def masked(self, field: Field) -> bool:
        return field.concealed

    def can_see(self, collection: Collection, field: Field) -> bool:
        return field in self.access.fields(self.action, collection)

    def _cached_predicate(self, collection: Collection, field: Field | None) -> Predicate:
        key = (collection, field)
        if key not in self._predicates:
            self._predicates[key] = self._predicate(collection, field)
        return self._predicates[key]

    def _predicate(self, collection: Collection, field: Field | None) -> Predicate:
        rules = self.access.granted(self.action, collection)
        granting = [rule for rule in rules if field is None or field in rule.fields]
        if field is not None and granting and len(granting) == len(rules):
            return TRUE  # every rule that matches the row lists the field
        return any_of(*(self._rule_scope.condition(collection, rule.filter) for rule in granting))
