"""Tests whose claims do not depend on the database."""

import pytest

sqlite_only = pytest.mark.parametrize("inviters_db", ["sqlite"], indirect=True, scope="session")
"""Runs a test on SQLite only: what it claims concerns the page and not its data."""
