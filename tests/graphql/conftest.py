"""People who may write, as tests/writes has them."""

from tests.writes.conftest import desk, kept_desk

__all__ = ["desk", "kept_desk"]
