"""What metrics are counted with: plain numbers, because the metrics of `prometheus_client` cost several times as much.

Everything is counted by the thread of the event loop, so that nothing needs a lock; other threads may read.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

Labels = tuple[str, ...]
"""The values of a metric's labels, in their order."""
Reading = Callable[[], Mapping[Labels, float]]
"""Returns the current values of a metric by labels; called whenever metrics are collected, so it must be quick."""

DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations, in seconds."""


class Kind(StrEnum):
    """What the values of a metric are, and how those of several processes are combined."""

    COUNTER = auto()
    """Only grows; the sum of all processes, also of those that have ended."""
    SUM = auto()
    """A gauge whose value is the sum of the running processes."""
    MAX = auto()
    """A gauge whose value is the largest of the running processes, which observe the same thing."""
    HISTOGRAM = auto()
    """Counts per bucket, and the sum of what was observed; combined as counters are."""


@dataclass(frozen=True, slots=True)
class Description:
    """A metric without its values; its name has no suffix such as `_total`."""

    name: str
    documentation: str
    kind: Kind
    labels: Labels = ()


class EventCount:
    """The number of events with one combination of labels; code that runs for every request adds to it directly."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number: float = 0


class EventCounter:
    """Counts events by labels, whose values must be few and never come from a client."""

    def __init__(self) -> None:
        self._counts: dict[Labels, EventCount] = {}

    def count(self, *labels: str) -> EventCount:
        """Return what counts the events with these labels."""
        return self._counts.get(labels) or self._counts.setdefault(labels, EventCount())

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count an event."""
        self.count(*labels).number += amount

    def read(self) -> dict[Labels, float]:
        """Return the counts by labels."""
        return {labels: count.number for labels, count in list(self._counts.items())}


class Durations:
    """The durations observed for one combination of labels."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.buckets = [0] * (len(DURATION_BOUNDS) + 1)

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.total += seconds
        self.buckets[bisect_left(DURATION_BOUNDS, seconds)] += 1

    def values(self) -> list[float]:
        """Return the sum of the durations in seconds, and then the count of each bucket."""
        return [self.total, *self.buckets]


class RequestRecorder:
    """Counts requests by endpoint, method and status, together with their durations."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, int], Durations] = {}

    def durations(self, endpoint: str, method: str, status: int) -> Durations:
        """Return what counts the requests with these labels; the endpoint and the method are one of few."""
        return self._durations.setdefault((endpoint, method, status), Durations())

    def counts(self) -> dict[Labels, float]:
        """Return the number of requests by endpoint, method and status."""
        return {
            (endpoint, method, str(status)): sum(durations.buckets)
            for (endpoint, method, status), durations in self._items()
        }

    def histograms(self) -> dict[Labels, list[float]]:
        """Return the sum of the durations in seconds, and then the count of each bucket, by endpoint."""
        histograms: dict[Labels, list[float]] = {}
        for (endpoint, _, _), durations in self._items():
            values = durations.values()
            previous = histograms.get((endpoint,))
            histograms[endpoint,] = add_histograms(previous, values) if previous else values
        return histograms

    def _items(self) -> Iterable[tuple[tuple[str, str, int], Durations]]:
        return list(self._durations.items())  # another thread may read while a request is recorded


def add_histograms(first: list[float], second: list[float]) -> list[float]:
    """Return the sum of two histograms with the same buckets."""
    return [one + other for one, other in zip(first, second, strict=True)]
