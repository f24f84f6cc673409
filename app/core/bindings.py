"""Bound parameters: placeholders in a plan for values that differ from request to request.

A plan serves every request of one shape. While it is built, each value that may differ is a `Slot`: the value of the
current request, which also knows its source. A value that only ends up in a statement's parameters becomes a
`BoundParameter`. A value that decides anything else is used as the plain value it is; the plan then serves only
requests with this value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Source = str
Bindings = Mapping[Source, Any]
"""The values of one request by their source."""

TRUSTED_SOURCES = frozenset({"user", "session", "token", "api_token", "me", "role", "key", "keys"})
"""Sources whose values come from a verified claim or the database, or were parsed as keys: they need no conversion."""


class Slot:
    """A value that may differ in another request; `source` says where it comes from."""

    source: Source


class SlotText(Slot, str):  # noqa: SLOT000  # __slots__ would leave no room for the source
    """A text that may differ."""


class SlotNumber(Slot, int):
    """An integer that may differ."""


class SlotList(Slot, list[Any]):
    """A list that may differ, also in length."""


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A statement's bind parameter: `compute` returns its value for one request; `sample` is the value at planning.

    Two are equal if they have the same `name`, which consists of the source and the conversion.
    """

    name: str
    sources: tuple[Source, ...] = field(compare=False)
    sample: Any = field(compare=False)
    compute: Callable[[Bindings], Any] = field(compare=False, repr=False)
    is_list: bool = False
    """Whether the value is a list, bound as one parameter."""
    canonical: bool = field(default=False, compare=False)
    """Whether `compute` always returns the canonical form, so that a driver accepts any value as it does the sample."""


def slot(value: str | int | list[Any], source: Source) -> Any:
    """Return the value as a `Slot` of this source."""
    slot_types: dict[type, type] = {str: SlotText, int: SlotNumber, list: SlotList}
    created = slot_types[type(value)](value)
    created.source = source
    return created


def bind(value: Any, conversion: str, convert: Callable[[Any], Any], *, canonical: bool = False) -> BoundParameter:
    """Return the bound parameter of a `Slot`.

    `conversion` names what `convert` does, as part of the parameter's name. `canonical` is as in `BoundParameter`.

    Raises:
        ValueError: `convert` rejects the value.
    """
    source = value.source
    return BoundParameter(
        f"{conversion}:{source}",
        (source,),
        convert(value),
        lambda bindings: convert(bindings[source]),
        isinstance(value, SlotList),
        canonical,
    )


def parameter(value: Any) -> Any:
    """Return a `Slot` as a bound parameter without conversion, and any other value unchanged."""
    return bind(value, "plain", _identity) if isinstance(value, Slot) else value


def _identity(value: Any) -> Any:
    return value


def bind_value(value: Any, bindings: Bindings) -> Any:
    """Return a planned value for one request, with bound parameters resolved, also inside lists."""
    if isinstance(value, BoundParameter):
        return value.compute(bindings)
    return [bind_value(item, bindings) for item in value] if isinstance(value, list) else value


def sources_of(values: Iterable[Any]) -> Iterator[Source]:
    """Yield the sources of all bound parameters in `values`, also inside lists."""
    for value in values:
        if isinstance(value, BoundParameter):
            yield from value.sources
        elif isinstance(value, list):
            yield from sources_of(value)
