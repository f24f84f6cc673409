"""The databases with users who may write, for tests of a Directus beside Rollcall."""

from tests.writes.conftest import editors, editors_db

__all__ = ["editors", "editors_db"]
