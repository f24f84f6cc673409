"""Loads the tests of policies that a server runs before every change of rights."""

from app.core.config import Settings
from app.policy.expectations import PolicyTest


def load_policy_tests(settings: Settings) -> tuple[PolicyTest, ...]:
    """Return the tests of the file or folder that the settings name; none without.

    Names of collections and fields are not checked here, because custom fields are not known yet. A test with an
    unknown name fails.

    Raises:
        DocumentError: A file cannot be read or is invalid.
    """
    if settings.policy_tests is None:
        return ()
    from app.policy_files.expectation_reader import read_tests  # noqa: PLC0415  # few servers have tests
    from app.policy_files.sources import load  # noqa: PLC0415  # as above

    return tuple(read_tests(load(settings.policy_tests).tests, None))
