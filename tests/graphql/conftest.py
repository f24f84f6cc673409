"""The fixtures of `tests/writes`."""

from tests.writes.conftest import editors, editors_db

__all__ = ["editors", "editors_db"]
