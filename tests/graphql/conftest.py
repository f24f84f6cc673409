"""People who may write, as tests/writes has them."""

from tests.writes.conftest import editors, editors_db

__all__ = ["editors", "editors_db"]
