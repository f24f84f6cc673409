"""The metrics of one application: their names and meanings, and where their values come from."""

import time

from app.metrics.instruments import Description, Durations, EventCounter, Kind, Labels, Reading, RequestRecorder
from app.metrics.snapshot import Family, Snapshot

PREFIX = "rollcall_"


class Metrics:
    """The metrics of one application in one process.

    Counters are attributes, which the code that knows of an event adds to. What can be read at any time, such as the
    size of a queue, is registered with `gauge` or `counter_from` by the code that creates it.
    """

    def __init__(self) -> None:
        self._readings: dict[str, tuple[Description, Reading]] = {}
        self.requests = RequestRecorder()
        labels = ("endpoint", "method", "status")
        self.counter_from(
            "http_requests", "Requests; status 499 if the client left first", self.requests.counts, *labels
        )
        self._durations = Description(
            f"{PREFIX}http_request_duration_seconds", "Time until a response was sent", Kind.HISTOGRAM, ("endpoint",)
        )
        self.rejections = self._counter(
            "rejections", "Requests rejected because of a limit or of too much load", "reason"
        )
        self.plan_requests = self._counter("plan_requests", "Requests that a plan may answer", "api", "outcome")
        self.graphql_plan_hits, self.graphql_plan_misses = (
            self.plan_requests.count("graphql", outcome) for outcome in ("hit", "miss")
        )
        self.plan_fallbacks = self._counter(
            "plan_fallbacks", "Requests that took the full execution instead of a plan", "api", "reason"
        )
        self.access_loads = self._counter("access_loads", "Loads of a caller's access from the database", "reason")
        self.sign_ins = self._counter("sign_ins", "Attempts to sign in", "method", "outcome")
        self.lockouts = self._counter("lockouts", "Addresses or accounts locked out after too many failures", "kind")
        self.mails = self._counter("mails", "Attempts to send a mail", "outcome")
        self.job_runs = self._counter("job_runs", "Runs of periodic jobs", "job_name", "outcome")
        self.realtime_events = self._counter("realtime_events", "Events read for subscriptions")
        self.realtime_changes = self._counter("realtime_changes", "Changes sent to subscriptions")
        self.realtime_slow_clients = self._counter(
            "realtime_slow_clients", "Connections closed because their client reads too slowly"
        )
        self.realtime_delays = Durations()
        self._realtime_delays = Description(
            f"{PREFIX}realtime_delivery_seconds",
            "Time from reading events to sent changes",
            Kind.HISTOGRAM,
        )
        self.counter_from("process_cpu_seconds", "CPU time of the server processes", _cpu_seconds)
        self.gauge("processes", "Server processes that are running", lambda: {(): 1})

    def counter_from(self, name: str, documentation: str, read: Reading, *labels: str) -> None:
        """Register a counter whose values are read when metrics are collected; `name` has neither prefix nor suffix."""
        self._register(Description(PREFIX + name, documentation, Kind.COUNTER, labels), read)

    def gauge(self, name: str, documentation: str, read: Reading, *labels: str, kind: Kind = Kind.SUM) -> None:
        """Register a gauge, whose values are read when metrics are collected; `name` has no prefix.

        `kind` says how the values of several processes are combined, `Kind.SUM` or `Kind.MAX`.
        """
        self._register(Description(PREFIX + name, documentation, kind, labels), read)

    def snapshot(self) -> Snapshot:
        """Return the current values of all metrics."""
        families = [
            Family(description, {labels: [value] for labels, value in read().items()})
            for description, read in list(self._readings.values())
        ]
        delays = self.realtime_delays.values()
        histograms = [
            Family(self._durations, self.requests.histograms()),
            Family(self._realtime_delays, {(): delays} if any(delays) else {}),
        ]
        return Snapshot([*families, *histograms])

    def _counter(self, name: str, documentation: str, *labels: str) -> EventCounter:
        counter = EventCounter()
        self.counter_from(name, documentation, counter.read, *labels)
        return counter

    def _register(self, description: Description, read: Reading) -> None:
        self._readings[description.name] = description, read


def _cpu_seconds() -> dict[Labels, float]:
    return {(): time.process_time()}
