"""With whose eyes a row is looked at: a rule sees what is there, a caller what its rules show."""

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
    """The eyes of a rule: every row, every field, every value."""

    def __init__(self, access: Access, now: datetime | BoundParameter) -> None:
        self.access, self.now = access, now

    def rows(self, collection: Collection) -> Predicate:
        """Which rows of a collection there are to be seen."""
        return TRUE

    def visible(self, collection: Collection, field: Field) -> Predicate:
        """On which of those rows a field is to be seen."""
        return TRUE

    def masked(self, field: Field) -> bool:
        """Whether of a field's value only its being there is told."""
        return False

    def can_see(self, collection: Collection, field: Field) -> bool:
        """Whether a field is to be seen on some row."""
        return True

    def require_visible(self, collection: Collection, field: Field) -> None:
        """Raises UnknownField for a field that is on no row to be seen."""
        if not self.can_see(collection, field):
            raise UnknownField(collection, field.name)

    def operand(self, collection: Collection, field: Field, function: Function | None = None) -> Operand | Count:
        """A field, or a function of it, as these eyes see it; UnknownField where they never do."""
        self.require_visible(collection, field)
        if field.many:
            return Count(self.relation(collection, field))
        if field.derivation:
            return self._derived(collection, field, field.derivation)
        return Operand(field, self.visible(collection, field), self.masked(field), function)

    def relation(self, collection: Collection, field: Field) -> ScopedRelation:
        """A relation as these eyes may walk it.

        A to-many relation shows a row only where that row's own link may be seen: it tells the link otherwise.
        """
        self.require_visible(collection, field)
        there = collection.target_of(field)
        home, link = (there, there.fields[field.link.foreign.name]) if field.many else (collection, field)
        how = link.derivation
        linked = self._derived(home, link, how) if how else Operand(link, self.visible(home, link))
        visible = self.visible(collection, field) if field.many else TRUE
        return ScopedRelation(field, linked, self.rows(there), visible)

    def _derived(self, collection: Collection, field: Field, how: Derivation) -> Operand:
        steps, here = list[ScopedRelation](), collection
        for step in how.path:
            steps.append(self.relation(here, step))
            here = here.target_of(step)
        source = Operand(how.field, self.visible(here, how.field), self.masked(how.field))
        above = (
            self.relation(collection, how.ancestors)
            if how.ancestors and self.can_see(collection, how.ancestors)
            else None
        )
        # Where the first step isn't shown, nothing is told that is found along it.
        return Operand(field, steps[0].visible, derived=Derived(tuple(steps), source, above))

    def condition(self, collection: Collection, asked: Filter) -> Predicate:
        """A filter on a collection -> the condition it is to these eyes."""
        match asked:
            case AndFilter(parts):
                return all_of(*(self.condition(collection, part) for part in parts))
            case OrFilter(parts):
                return any_of(*(self.condition(collection, part) for part in parts))
            case RelationFilter(field, quantifier, inner):
                step = self.relation(collection, field)
                return RelationPredicate(step, quantifier, self.condition(collection.target_of(field), inner))
            case FieldFilter(field, function, operator, value):
                operand = self.operand(collection, field, function)
                return self._test(operand, "integer" if function else field.kind, operator, value)

    def _test(self, operand: Operand | Count, kind: FieldKind, operator: str, value: object) -> Predicate:
        if isinstance(value, Variable):
            found = self._values(value, kind)
            return Comparison(operand, operator, found[0]) if len(found) == 1 else FALSE
        if not isinstance(value, tuple):
            return Comparison(operand, operator, value)
        listed = OPERATORS[operator].arity == "many"
        each = [self._items(item, kind, listed=listed) for item in value]
        if operator == "_nin" and () in each:
            return FALSE  # an empty variable matches nothing, negated or not
        items = [item for several in each for item in several]
        if OPERATORS[operator].arity == "pair":
            return Comparison(operand, operator, tuple(items)) if len(items) == 2 else FALSE
        lookups = tuple(item for item in items if isinstance(item, CallerLookup))
        return Comparison(
            operand, operator, ValueList(tuple(i for i in items if not isinstance(i, CallerLookup)), lookups)
        )

    def _items(self, item: object, kind: FieldKind, *, listed: bool) -> tuple[object, ...]:
        return self._values(item, kind, listed=listed) if isinstance(item, Variable) else (item,)

    def _values(self, variable: Variable, kind: FieldKind, *, listed: bool = False) -> tuple[object, ...]:
        if variable.path:
            return (self.lookup(variable),) if self.access.user else ()
        return resolve_variable(variable, kind, self.access, self.now, listed=listed)

    def lookup(self, variable: Variable) -> CallerLookup:
        """The value at the end of a variable's path, which begins at the caller's own row."""
        path = variable.path if variable.name == "CURRENT_USER" else (USERS.fields["role"], *variable.path)
        steps, here = [], USERS
        for field in path[:-1]:
            steps.append(self.relation(here, field))
            here = here.target_of(field)
        last = path[-1]
        if last.many:
            steps.append(self.relation(here, last))
            here, last = here.target_of(last), here.target_of(last).key
        self.require_visible(here, last)
        operand = Operand(last, self.visible(here, last), self.masked(last))
        return CallerLookup(parameter(self.access.user), self.rows(USERS), tuple(steps), operand)


class CallerScope(UnrestrictedScope):
    """The eyes of a caller: the rows some rule of its reaches, and on each the fields those rules show."""

    def __init__(self, access: Access, now: datetime | BoundParameter, action: str = "read") -> None:
        super().__init__(access, now)
        self.action = action
        self._rules = UnrestrictedScope(access, now)
        self._reached: dict[tuple[Collection, Field | None], Predicate] = {}

    def rows(self, collection: Collection) -> Predicate:
        return self._where(collection, None)

    def visible(self, collection: Collection, field: Field) -> Predicate:
        return self._where(collection, field)

    def masked(self, field: Field) -> bool:
        return field.concealed

    def can_see(self, collection: Collection, field: Field) -> bool:
        return field in self.access.fields(self.action, collection)

    def _where(self, collection: Collection, field: Field | None) -> Predicate:
        place = (collection, field)
        if place not in self._reached:
            self._reached[place] = self._condition_of(collection, field)
        return self._reached[place]

    def _condition_of(self, collection: Collection, field: Field | None) -> Predicate:
        rules = self.access.granted(self.action, collection)
        showing = [rule for rule in rules if field is None or field in rule.fields]
        if field is not None and showing and len(showing) == len(rules):
            return TRUE  # whatever reaches the row shows the field
        return any_of(*(self._rules.condition(collection, rule.filter) for rule in showing))
