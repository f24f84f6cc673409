"""Values that are known only when a statement runs, and what stands for them while it is planned.

A plan serves every request of one form. While it is made, each value that may differ is a Slot: the value at hand,
which also knows where it came from. Wherever such a value only ends in a statement's parameters it becomes a Bound;
wherever it decides anything else it is used as the plain value it is, and the plan then serves this value alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Source = str
Bindings = Mapping[Source, Any]
"""The values of one request, by where they come from."""

TRUSTED_SOURCES = frozenset({"user", "session", "token", "me", "role", "key", "keys"})
"""Sources of what a verified claim or the database itself told, or was read as a key: a statement takes it as it is."""


class Slot:
    """A value that another request may give another of; `source` says where from."""

    source: Source


class SlotText(Slot, str):  # noqa: SLOT000  # slots of its own would leave no place for the source
    """A text that may be another."""


class SlotNumber(Slot, int):
    """A whole number that may be another."""


class SlotList(Slot, list[Any]):
    """A list that may be another, of other length too."""


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A statement's parameter: `make` gives its value for one request, `sample` is the one it was planned with.

    Two are equal whose `name`, made of the source and what is done with it, is the same.
    """

    name: str
    sources: tuple[Source, ...] = field(compare=False)
    sample: Any = field(compare=False)
    compute: Callable[[Bindings], Any] = field(compare=False, repr=False)
    is_list: bool = False
    """Whether it is a list, bound as one parameter."""
    canonical: bool = field(default=False, compare=False)
    """Whether `make` spells whatever it gives in the one way there is: a driver takes any as it does the sample."""


def slot(value: str | int | list[Any], source: Source) -> Any:
    """The value, knowing its source."""
    kinds: dict[type, type] = {str: SlotText, int: SlotNumber, list: SlotList}
    made = kinds[type(value)](value)
    made.source = source
    return made


def bind(value: Any, conversion: str, convert: Callable[[Any], Any], *, canonical: bool = False) -> BoundParameter:
    """A Slot -> the parameter it becomes; `how` names the conversion, which raises ValueError for what doesn't fit.

    It may be `canonical`, as in Bound.
    """
    source, many = value.source, isinstance(value, SlotList)
    return BoundParameter(
        f"{conversion}:{source}", (source,), convert(value), lambda given: convert(given[source]), many, canonical
    )


def parameter(value: Any) -> Any:
    """A Slot as the parameter it is, without any conversion; anything else as it is."""
    return bind(value, "plain", _same) if isinstance(value, Slot) else value


def _same(value: Any) -> Any:
    return value


def bind_value(value: Any, bindings: Bindings) -> Any:
    """What a planned value is for one request, also where Bounds stand in a list."""
    if isinstance(value, BoundParameter):
        return value.compute(bindings)
    return [bind_value(item, bindings) for item in value] if isinstance(value, list) else value


def sources_of(values: Iterable[Any]) -> Iterator[Source]:
    """The sources that parameters draw from."""
    for value in values:
        if isinstance(value, BoundParameter):
            yield from value.sources
        elif isinstance(value, list):
            yield from sources_of(value)
