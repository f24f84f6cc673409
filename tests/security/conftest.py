"""The people who may write, for the holes that writing would open."""

from tests.writes.conftest import desk, kept_desk

__all__ = ["desk", "kept_desk"]
