"""The metrics as Prometheus reads them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.core.errors import OperatorError
from app.metrics.instruments import DURATION_BOUNDS, Kind
from app.metrics.snapshot import Family, Snapshot

BUCKETS = (*(str(bound) for bound in DURATION_BOUNDS), "+Inf")


def expose(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that an Accept header prefers, and its media type."""
    encode, media = choose_encoder(accept)
    return encode(_registry(lambda: snapshot)), media


@contextmanager
def metrics_server(host: str, port: int, collect: Callable[[], Snapshot]) -> Iterator[None]:
    """Serve the metrics that `collect` returns to everyone, in a thread.

    Raises:
        OperatorError: The address can't be used.
    """
    try:
        server, thread = start_http_server(port, host, _registry(collect))
    except OSError as error:
        raise OperatorError(f"METRICS_HOST and METRICS_PORT: {host} port {port}: {error.strerror}") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry(collect: Callable[[], Snapshot]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(collect))
    return registry


class _SnapshotCollector(Collector):
    """Passes snapshots to `prometheus_client`."""

    def __init__(self, collect: Callable[[], Snapshot]) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Metric]:
        return ()  # without it, registering collects

    def collect(self) -> Iterable[Metric]:
        return map(_metric, self._collect().families)


def _metric(family: Family) -> Metric:
    description = family.description
    arguments = (description.name, description.documentation)
    if description.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(*arguments, labels=description.labels)
        for labels, (total, *counts) in family.values.items():
            histogram.add_metric(labels, list(_cumulative(counts)), total)
        return histogram
    is_counter = description.kind is Kind.COUNTER
    metric = (CounterMetricFamily if is_counter else GaugeMetricFamily)(*arguments, labels=description.labels)
    for labels, (value,) in family.values.items():
        metric.add_metric(labels, value)
    return metric


def _cumulative(counts: list[float]) -> Iterator[tuple[str, float]]:
    return zip(BUCKETS, accumulate(counts), strict=True)
