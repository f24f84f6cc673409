"""The tracer that sends spans with OpenTelemetry; only the extra `otel` installs what it needs."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from random import random
from types import TracebackType

from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.core.errors import RollcallError
from app.tracing.propagation import trace_context
from app.tracing.statement_text import describe_statement
from app.tracing.tracer import NO_SPAN, Headers, Tracer

PROPAGATOR = TraceContextTextMapPropagator()
PARENT, STATE = b"traceparent", b"tracestate"
NO_PARENT = Context()
SERVICE = "rollcall"
FIXED_RATES = {"always_on": 1.0, "always_off": 0.0}

_is_recording: ContextVar[bool] = ContextVar("is_recording", default=False)


class OpenTelemetryTracer(Tracer):
    """Creates spans of one provider, which must record all of them: the sampler decides once per request.

    So a request that is not sampled costs little. If it came with a trace context, that is still passed on.
    `root_rate` is the share, from 0 to 1, of the requests without a trace context that the sampler samples, if that is
    known: a random number then takes the place of the sampler, which costs several times as much.
    """

    is_enabled = True

    @property
    def is_recording(self) -> bool:
        return _is_recording.get()

    def __init__(self, provider: TracerProvider, sampler: Sampler = ALWAYS_ON, root_rate: float | None = None) -> None:
        self._root_rate = root_rate
        self._provider, self._tracer = provider, provider.get_tracer(SERVICE, __version__)
        self._should_sample, self._generate_trace_id = sampler.should_sample, RandomIdGenerator().generate_trace_id

    @classmethod
    def from_environment(cls) -> "OpenTelemetryTracer":
        """Create a tracer that sends spans over OTLP, as the variables `OTEL_*` say."""
        sampler = TracerProvider(shutdown_on_exit=False).sampler  # the one that the environment names
        own = Resource({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__})
        provider = TracerProvider(ALWAYS_ON, own.merge(OTELResourceDetector().detect()))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider, sampler, root_rate(os.environ))

    def request(self, method: str, headers: Headers) -> AbstractContextManager[None] | None:
        values = dict(headers)
        if PARENT not in values:
            is_sampled = self._samples_root("request") if self._root_rate is None else random() < self._root_rate  # noqa: S311  # no secret
            return self._span("request", SpanKind.SERVER, parent=NO_PARENT) if is_sampled else None
        carrier = {name.decode(): values[name].decode("latin-1") for name in (PARENT, STATE) if name in values}
        parent = PROPAGATOR.extract(carrier, NO_PARENT)
        trace_id = get_current_span(parent).get_span_context().trace_id or self._generate_trace_id()
        if self._should_sample(parent, trace_id, "request").decision is not Decision.DROP:
            return self._span("request", SpanKind.SERVER, parent=parent)
        return _PropagatedContext(parent)

    def describe_request(self, endpoint: str, method: str, status: int) -> None:
        if not _is_recording.get():
            return
        span = get_current_span()
        span.update_name(f"{method} {endpoint}")
        span.set_attributes(
            {"http.request.method": method, "http.route": endpoint, "http.response.status_code": status}
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))

    def job(self, name: str) -> AbstractContextManager[None]:
        return self._span(f"job {name}", SpanKind.INTERNAL, parent=NO_PARENT) if self._samples_root("job") else NO_SPAN

    def span(self, name: str) -> AbstractContextManager[None]:
        return self._span(name, SpanKind.INTERNAL) if _is_recording.get() else NO_SPAN

    def statement(self, system: str, *texts: str) -> AbstractContextManager[None]:
        if not _is_recording.get():
            return NO_SPAN
        described = [describe_statement(text) for text in texts]
        attributes = {"db.system.name": system, "db.query.text": "; ".join(text for _, text in described)}
        return self._span(" ".join(operation for operation, _ in described), SpanKind.CLIENT, attributes)

    def shut_down(self) -> None:
        self._provider.shutdown()

    def _samples_root(self, name: str) -> bool:
        return self._should_sample(NO_PARENT, self._generate_trace_id(), name).decision is not Decision.DROP

    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str] | None = None, parent: Context | None = None
    ) -> "_CurrentSpan":
        return _CurrentSpan(self._tracer.start_span(name, parent, kind, attributes))


def root_rate(environ: Mapping[str, str]) -> float | None:
    """Return the share of the requests without a trace context that the sampler named by `OTEL_*` samples.

    None if it has another sampler, or an argument that OpenTelemetry replaces.
    """
    sampler = environ.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").strip().lower().removeprefix("parentbased_")
    if sampler != "traceidratio":
        return FIXED_RATES.get(sampler)
    try:
        rate = float(environ["OTEL_TRACES_SAMPLER_ARG"])
    except (KeyError, ValueError):
        return None
    return rate if 0 <= rate <= 1 else None


class _PropagatedContext(AbstractContextManager[None]):
    """Passes a trace context on to other servers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        context = self._context
        self._token = trace_context.set(lambda headers: PROPAGATOR.inject(headers, context))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        trace_context.reset(self._token)


class _CurrentSpan(_PropagatedContext):
    """Makes a span the current one until its end; of an error it tells the class alone: the text may quote a value."""

    def __init__(self, span: Span) -> None:
        super().__init__(set_span_in_context(span))
        self._span = span

    def __enter__(self) -> None:
        super().__enter__()
        self._attached, self._recording = attach(self._context), _is_recording.set(True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._span.set_attribute("error.type", kind.__name__)
            if not (isinstance(error, RollcallError) and error.status < 500):
                self._span.set_status(Status(StatusCode.ERROR))
        _is_recording.reset(self._recording)
        detach(self._attached)
        super().__exit__(kind, error, traceback)
        self._span.end()
