"""Counts how attempts to sign in end."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import InvalidCredentials, InvalidOtp, RollcallError, ServiceUnavailable
from app.metrics.metrics import Metrics

OUTCOMES = (
    (InvalidOtp, "invalid_otp"),
    (InvalidCredentials, "invalid_credentials"),
    (ServiceUnavailable, "unavailable"),
)
"""The outcomes by what is raised; others are `refused`."""


@contextmanager
def counted_sign_in(metrics: Metrics, method: str) -> Iterator[None]:
    """Count an attempt to sign in with this method by the error that it raises, if any."""
    try:
        yield
    except RollcallError as error:
        outcome = next((name for kind, name in OUTCOMES if isinstance(error, kind)), "refused")
        metrics.sign_ins.add(method, outcome)
        raise
    metrics.sign_ins.add(method, "succeeded")
