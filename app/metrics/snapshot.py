"""Snapshots: the values of all metrics of a process at one moment, combined with those of other processes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from app.metrics.instruments import Description, Kind, Labels, add_histograms


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its values by labels: one number each, or those of a histogram, its sum first."""

    description: Description
    values: dict[Labels, list[float]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The metrics of one process, or of several."""

    families: list[Family]

    def encode(self) -> bytes:
        """Return the snapshot as JSON, for another process."""
        return orjson.dumps([[_fields(family.description), list(family.values.items())] for family in self.families])

    @classmethod
    def decode(cls, text: bytes) -> "Snapshot":
        """Return the snapshot that was encoded.

        Raises:
            ValueError: The text is no encoded snapshot.
        """
        return cls(
            [
                Family(_description(fields), {tuple(labels): values for labels, values in items})
                for fields, items in orjson.loads(text)
            ]
        )

    def without_gauges(self) -> "Snapshot":
        """Return what stays true when the process has ended."""
        lasting = (Kind.COUNTER, Kind.HISTOGRAM)
        return Snapshot([family for family in self.families if family.description.kind in lasting])


def combine(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the metrics of several processes together; each metric is combined as its kind says."""
    families: dict[str, Family] = {}
    for snapshot in snapshots:
        for family in snapshot.families:
            combined = families.setdefault(family.description.name, Family(family.description, {}))
            merge = _maximum if family.description.kind is Kind.MAX else add_histograms
            _merge_values(combined.values, family.values, merge)
    return Snapshot(list(families.values()))


def _merge_values(
    target: dict[Labels, list[float]],
    source: dict[Labels, list[float]],
    merge: Callable[[list[float], list[float]], list[float]],
) -> None:
    for labels, values in source.items():
        target[labels] = merge(target[labels], values) if labels in target else values


def _maximum(first: list[float], second: list[float]) -> list[float]:
    return [max(pair) for pair in zip(first, second, strict=True)]


def _fields(description: Description) -> list[Any]:
    return [description.name, description.documentation, description.kind, description.labels]


def _description(fields: list[Any]) -> Description:
    name, documentation, kind, labels = fields
    return Description(name, documentation, Kind(kind), tuple(labels))
