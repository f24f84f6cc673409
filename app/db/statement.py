"""A statement as its driver takes it: its text, and how each parameter is spelled."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, ClauseElement, Dialect, bindparam
from sqlalchemy.types import TypeEngine

from app.core.bindings import TRUSTED_SOURCES, Bindings, BoundParameter, bind_value, sources_of

ParameterFactory = Callable[[Bindings], Any]


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """SQL text for one kind of database, with a value or the making of one for each parameter, in their order.

    `parameters` are those as they were planned: plain values, and Bounds. `plain` has the plain ones as the driver
    takes them, `makers` says at which place the others are made, and how.
    """

    text: str
    parameters: tuple[Any, ...]
    plain: tuple[Any, ...]
    makers: tuple[tuple[int, ParameterFactory], ...]

    def bind(self, given: Bindings) -> list[Any]:
        """The parameters of one request; ValueError where a value of it doesn't fit."""
        values = list(self.plain)
        for place, make in self.makers:
            values[place] = make(given)
        return values


_COMPILED: "WeakKeyDictionary[ClauseElement, dict[str, CompiledStatement]]" = WeakKeyDictionary()


def bind_param(name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
    """What stands in a statement for a value that it is given under this name whenever it runs."""
    return bindparam(name, BoundParameter(name, (name,), None, itemgetter(name)), type_, unique=True)


def compile_statement(clause: ClauseElement, dialect: Dialect) -> CompiledStatement:
    """A statement of SQLAlchemy's -> its text and parameters; compiled once, so that those are quick that stay."""
    compiled = _COMPILED.setdefault(clause, {})
    known = compiled.get(dialect.name)
    if known is None:
        known = compiled[dialect.name] = _compile(clause, dialect)
    return known


def _compile(clause: ClauseElement, dialect: Dialect) -> CompiledStatement:
    compiled: Any = clause.compile(dialect=dialect)
    names = compiled.positiontup or ()
    planned = compiled.construct_params()
    spelled = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    parameters = tuple(planned[name] for name in names)
    makers = [
        (place, _maker(value, spell))
        for place, (value, spell) in enumerate(zip(parameters, spelled, strict=True))
        if any(True for _ in sources_of([value]))
    ]
    made = {place for place, _ in makers}
    plain = (
        None if place in made else value if spell is None else spell(value)
        for place, (value, spell) in enumerate(zip(parameters, spelled, strict=True))
    )
    return CompiledStatement(compiled.string, parameters, tuple(plain), tuple(makers))


def _maker(value: Any, spell: Callable[[Any], Any] | None) -> ParameterFactory:
    if isinstance(value, BoundParameter) and TRUSTED_SOURCES.issuperset(value.sources) and _as_it_is(value, spell):
        return itemgetter(*value.sources)
    if isinstance(value, BoundParameter) and value.canonical and _as_it_is(value, spell):
        return value.compute
    make = value.compute if isinstance(value, BoundParameter) else partial(bind_value, value)
    return make if spell is None else lambda given: spell(make(given))


def _as_it_is(value: BoundParameter, spell: Callable[[Any], Any] | None) -> bool:
    """Whether the driver's spelling leaves a value alone, unlike a pattern that is made of it."""
    return spell is None or spell(value.sample) == value.sample
