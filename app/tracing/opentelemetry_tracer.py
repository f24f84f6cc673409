"""The tracer that sends spans with OpenTelemetry; only the extra `otel` installs what it needs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.core.errors import RollcallError
from app.tracing.propagation import trace_context
from app.tracing.statement_text import describe_statement
from app.tracing.tracer import Headers, Tracer

PROPAGATOR = TraceContextTextMapPropagator()
TRACE_HEADERS = (b"traceparent", b"tracestate")
SERVICE = "rollcall"


class OpenTelemetryTracer(Tracer):
    """Creates spans of one provider. Spans within a request that is not sampled are not created at all."""

    is_enabled = True

    def __init__(self, provider: TracerProvider) -> None:
        self._provider, self._tracer = provider, provider.get_tracer(SERVICE, __version__)

    @classmethod
    def from_environment(cls) -> "OpenTelemetryTracer":
        """Create a tracer that sends spans over OTLP, as the variables `OTEL_*` say."""
        own = Resource({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__})
        provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    @contextmanager
    def request(self, method: str, headers: Headers) -> Iterator[None]:
        carrier = {name.decode(): value.decode("latin-1") for name, value in headers if name in TRACE_HEADERS}
        parent = PROPAGATOR.extract(carrier, Context())
        with self._propagated(), self._span("request", SpanKind.SERVER, parent=parent):
            yield

    def describe_request(self, endpoint: str, method: str, status: int) -> None:
        span = get_current_span()
        span.update_name(f"{method} {endpoint}")
        span.set_attributes(
            {"http.request.method": method, "http.route": endpoint, "http.response.status_code": status}
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))

    @contextmanager
    def job(self, name: str) -> Iterator[None]:
        with self._propagated(), self._span(f"job {name}", SpanKind.INTERNAL, parent=Context()):
            yield

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        if not get_current_span().is_recording():
            yield
            return
        with self._span(name, SpanKind.INTERNAL):
            yield

    @contextmanager
    def statement(self, system: str, *texts: str) -> Iterator[None]:
        if not get_current_span().is_recording():
            yield
            return
        described = [describe_statement(text) for text in texts]
        attributes = {"db.system.name": system, "db.query.text": "; ".join(text for _, text in described)}
        with self._span(" ".join(operation for operation, _ in described), SpanKind.CLIENT, attributes):
            yield

    def shut_down(self) -> None:
        self._provider.shutdown()

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str] | None = None, parent: Context | None = None
    ) -> Iterator[None]:
        """Create the current span; of an error it tells the class alone, as the text may quote a value."""
        manager = self._tracer.start_as_current_span(
            name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
        )
        with manager as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                if not (isinstance(error, RollcallError) and error.status < 500):
                    span.set_status(Status(StatusCode.ERROR))
                raise

    @contextmanager
    def _propagated(self) -> Iterator[None]:
        token = trace_context.set(PROPAGATOR.inject)
        try:
            yield
        finally:
            trace_context.reset(token)
