"""Compiled statements: SQL text with its parameters, in the form the driver takes them."""

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
Encoder = Callable[[Any], Any]
"""SQLAlchemy's bind processor: a Python value -> what the driver takes."""

EMPTY_BINDINGS: Bindings = {}


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """SQL text for one dialect, and how to produce its parameters.

    `parameters` are the planned ones in their order: constants, and bound parameters. `constants` holds the constants
    in the driver's form, and `factories` the index of every other parameter with the function that makes it.
    """

    text: str
    parameters: tuple[Any, ...]
    constants: tuple[Any, ...]
    factories: tuple[tuple[int, ParameterFactory], ...]

    def bind(self, bindings: Bindings) -> list[Any]:
        """Return the parameters for one request.

        Raises:
            ValueError: A bound value doesn't fit its type.
        """
        values = list(self.constants)
        for index, create in self.factories:
            values[index] = create(bindings)
        return values


_COMPILED: "WeakKeyDictionary[ClauseElement, dict[str, CompiledStatement]]" = WeakKeyDictionary()


def bind_param(name: str, type_: TypeEngine[Any]) -> BindParameter[Any]:
    """Return a placeholder for a value that is bound by this name each time the statement runs."""
    return bindparam(name, BoundParameter(name, (name,), None, itemgetter(name)), type_, unique=True)


def compile_statement(clause: ClauseElement, dialect: Dialect) -> CompiledStatement:
    """Compile a SQLAlchemy statement, once per dialect as long as the statement exists."""
    by_dialect = _COMPILED.setdefault(clause, {})
    statement = by_dialect.get(dialect.name)
    if statement is None:
        statement = by_dialect[dialect.name] = _compile(clause, dialect)
    return statement


def _compile(clause: ClauseElement, dialect: Dialect) -> CompiledStatement:
    compiled: Any = clause.compile(dialect=dialect)
    names = compiled.positiontup or ()
    planned = compiled.construct_params()
    encoders = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    parameters = tuple(planned[name] for name in names)
    factories = {
        index: _parameter_factory(value, encode)
        for index, (value, encode) in enumerate(zip(parameters, encoders, strict=True))
        if any(True for _ in sources_of([value]))
    }
    constants = (
        None if index in factories else value if encode is None else encode(value)
        for index, (value, encode) in enumerate(zip(parameters, encoders, strict=True))
    )
    return CompiledStatement(compiled.string, parameters, tuple(constants), tuple(factories.items()))


def value_factory(parameter: BindParameter[Any], dialect: Dialect) -> ParameterFactory:
    """Return a function that makes the value of a bound parameter for one request, in the driver's form."""
    value, encode = parameter.value, parameter.type.dialect_impl(dialect).bind_processor(dialect)
    if any(True for _ in sources_of([value])):
        return _parameter_factory(value, encode)
    constant = value if encode is None else encode(value)
    return lambda _: constant


def _parameter_factory(value: Any, encode: Encoder | None) -> ParameterFactory:
    if isinstance(value, BoundParameter) and TRUSTED_SOURCES.issuperset(value.sources) and _is_identity(encode, value):
        return itemgetter(*value.sources)
    if isinstance(value, BoundParameter) and value.canonical and _is_identity(encode, value):
        return value.compute
    compute = value.compute if isinstance(value, BoundParameter) else partial(bind_value, value)
    return compute if encode is None else lambda bindings: encode(compute(bindings))


def _is_identity(encode: Encoder | None, value: BoundParameter) -> bool:
    """Return whether the encoder leaves a value unchanged; one that makes a pattern of it does not."""
    return encode is None or encode(value.sample) == value.sample
