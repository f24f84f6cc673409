"""Tests of policies that the operator configured: a change of rights with which one fails is refused."""

from collections.abc import Sequence

import structlog

from app.core.errors import UnprocessableContent
from app.policy.expectations import TestFailure
from app.repositories.engine.context import WriteContext
from app.repositories.expectations.evaluation import PolicyTestRunner

MAX_LISTED = 5
"""How many failures an error lists."""
REFUSED_MESSAGE = "A test of policies fails with this change"

log = structlog.get_logger(__name__)


async def check_policy_tests(work: WriteContext) -> None:
    """Check that the tests of policies pass, if roles, policies, access rows or permissions were written.

    Raises:
        UnprocessableContent: A test fails. Only an admin learns which.
    """
    if not (work.services.policy_tests and work.affected.definitions):
        return
    failures = await PolicyTestRunner(work.writer, work.services).failures(work.services.policy_tests)
    if failures:
        log.warning("policy_tests_failed", tests=[failure.at for failure in failures])
        raise UnprocessableContent(_described(failures) if work.access.admin else REFUSED_MESSAGE)


def _described(failures: Sequence[TestFailure]) -> str:
    """Return why tests fail, without the names of files on the server."""
    listed = "; ".join(failure.reason.removesuffix(".") for failure in failures[:MAX_LISTED])
    hidden = len(failures) - MAX_LISTED
    return f"{REFUSED_MESSAGE}: {listed}{f'; and {hidden} more' if hidden > 0 else ''}"
