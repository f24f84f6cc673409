"""The tracer that the settings name."""

from app.core.config import ConfigurationError, Settings
from app.tracing.tracer import NO_TRACER, Tracer


def create_tracer(settings: Settings) -> Tracer:
    """Return a tracer, which creates no spans unless TRACES_ENABLED is set.

    Raises:
        ConfigurationError: The extra `otel` is not installed.
    """
    if not settings.traces_enabled:
        return NO_TRACER
    try:
        from app.tracing.opentelemetry_tracer import OpenTelemetryTracer  # noqa: PLC0415  # it is optional, and large
    except ImportError as error:
        raise ConfigurationError(
            f"TRACES_ENABLED: needs the extra otel, as from pip install 'rollcall[otel]': {error.name} is missing"
        ) from None
    return OpenTelemetryTracer.from_environment()
